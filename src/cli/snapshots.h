// Snapshots of the data directory: <dir>/snapshots/<name>, each a data directory of its own that `quarterdeck run
// --data-dir` opens, made of links to files that never change where the file system has such.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/files.h"
#include "base/result.h"
#include "model/sample.h"
#include "store/metrics/store.h"

namespace qd::cli {

// Makes one and returns its name, which begins with the time and ends in `random`. One that a crash left half-made has
// another name, and goes with the next call.
// One at a time: what a crash left unfinished is removed first.
base::Result<std::string> take_snapshot(base::Files& files, store::metrics::Store& store,
                                        const std::filesystem::path& dir, model::TimestampMs now_ms,
                                        std::uint64_t random, bool skip_head);

}  // namespace qd::cli
