// A Prometheus server's data directory that is served beside our store (store.metrics.prometheus_dir), and read anew
// as that server goes on writing it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "cli/prometheus_names.h"
#include "store/metrics/store.h"
#include "store/prometheus/directory.h"
#include "store/prometheus/merged_querier.h"

namespace qd::cli {

// Thread-safe once it is open.
class PrometheusDirectory {
 public:
  // All of it, and the store, outlive it.
  PrometheusDirectory(base::Files& files, const base::Clock& clock, base::Log& log, base::Registry& registry)
      : files_(files), clock_(clock), log_(log), readings_(registry) {}

  // Reads `dir`, to be served beside `store`. At most once; without it, querier() is the store alone. A part that is
  // damaged is logged and passed over.
  base::Status open(const std::string& dir, store::metrics::Store& store);

  // All that can be asked for: `store`, and what is read beside it.
  const store::metrics::Querier& querier(const store::metrics::Store& store) const;

  // Every second. Reads on the pool what has changed, when that is due, and notes in the store's log of changes from
  // when on it did.
  void refresh(base::ThreadPool& pool);

 private:
  void read_anew();

  base::Files& files_;
  const base::Clock& clock_;
  base::Log& log_;
  DirectoryReadings readings_;
  store::metrics::Store* store_ = nullptr;
  std::unique_ptr<store::prometheus::Directory> directory_;  // null for none
  std::unique_ptr<store::prometheus::MergedQuerier> both_;   // the same
  std::int64_t due_ms_ = 0;                                  // of read_anew, one at a time
  std::atomic<bool> reading_ = false;
};

}  // namespace qd::cli
