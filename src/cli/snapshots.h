// Snapshots of the data directory: <dir>/snapshots/<name>, each a data directory of its own that `quarterdeck run
// --data-dir` opens, made of links to files that never change where the file system has such.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/files.h"
#include "base/mutex.h"
#include "base/result.h"
#include "model/sample.h"
#include "store/metrics/store.h"

namespace qd::cli {

// Thread-safe: one is taken at a time, others wait.
class Snapshots {
 public:
  // `files` must outlive it.
  Snapshots(base::Files& files, const std::filesystem::path& data_dir) : files_(files), dir_(data_dir / "snapshots") {}

  // Makes one and returns its name, which begins with the time and ends in `random`. One that a crash left half-made
  // has another name, and goes with the next call.
  base::Result<std::string> take(store::metrics::Store& store, model::TimestampMs now_ms, std::uint64_t random,
                                 bool skip_head);

 private:
  base::Files& files_;
  base::Mutex mutex_;
  const std::filesystem::path dir_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::cli
