// The query log: a line of JSON for each query that ended, in the form of Prometheus's query_log_file.
//
//   {"params":{"query":"up","start":"2026-01-02T03:04:05.000Z","end":…,"step":15},
//    "stats":{"timings":{"evalTotalTime":…},"samples":{…}},"ts":…,
//    "httpRequest":{"clientIP":"127.0.0.1","method":"GET","path":"/api/v1/query_range"},"principal":"loopback"}
//
// A rule has "ruleGroup":{"file":…,"name":…} in the place of httpRequest; a query that failed also has "error".
// Queries never wait for the disk to get well: a line that cannot be written is left out, counted, and told once until
// lines are written again. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/counters.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mutex.h"
#include "model/sample.h"
#include "query/promql/value.h"
#include "query/running/asker.h"

namespace qd::query::running {

struct LoggedQuery {
  const Asker& asker;
  std::string_view text;
  model::TimestampMs start_ms = 0;
  model::TimestampMs end_ms = 0;
  std::int64_t step_ms = 0;  // 0: an instant query
  promql::QueryStats stats;
  std::int64_t queue_ns = 0;
  const base::Error* error = nullptr;
};

class QueryLog {
 public:
  // All outlive this. Counts itself as prometheus_engine_query_log_*.
  QueryLog(base::Files& files, const base::Clock& clock, base::Log& log, base::Registry& registry);

  // Writes to this file from now on, opened anew even if it is the same: log rotation moves files away. Empty: nowhere.
  // A file that cannot be opened is told and tried again with the next reopen.
  void reopen(const std::filesystem::path& path) QD_EXCLUDES(mutex_);
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  void write(const LoggedQuery& query) QD_EXCLUDES(mutex_);

 private:
  base::Files& files_;
  const base::Clock& clock_;
  base::Log& log_;
  base::Gauge& enabled_gauge_;
  base::Counter& failures_;
  std::atomic<bool> enabled_{false};

  base::Mutex mutex_;
  std::filesystem::path path_ QD_GUARDED_BY(mutex_);
  std::unique_ptr<base::File> file_ QD_GUARDED_BY(mutex_);
  std::uint64_t size_ QD_GUARDED_BY(mutex_) = 0;  // of whole lines
  bool torn_ QD_GUARDED_BY(mutex_) = false;       // a part of a line stands behind them
  bool told_ QD_GUARDED_BY(mutex_) = false;
};

}  // namespace qd::query::running
