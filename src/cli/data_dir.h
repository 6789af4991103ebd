// The data directory: who may work in it, and which version wrote it.
#pragma once

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "base/result.h"

namespace qd::cli {

// The layout of the data directory that this program writes. Stands in <dir>/VERSION.
inline constexpr int kDataVersion = 1;

// Makes the directory where it is missing, takes its lock, and checks its version. kConflict names the process that
// holds it; kInvalid says that a newer version wrote it; kPermission and kUnavailable that it cannot be written.
base::Result<std::unique_ptr<base::FileLock>> open_data_dir(base::Files& files, const std::filesystem::path& dir);

// Says in <dir>/VERSION that this program wrote it.
base::Status write_data_version(base::Files& files, const std::filesystem::path& dir);

// For commands that work on the directory of a server, which may be running: kNotFound when it is not there, kInvalid
// when a newer version wrote it.
base::Status check_data_dir(base::Files& files, const std::filesystem::path& dir);

// Where our files are, and the directory of a Prometheus that is read beside them.
struct DataPlace {
  std::filesystem::path dir;
  std::filesystem::path prometheus;  // empty for none
};

// `data_dir` (store.dir) as it is, unless it is itself the directory of a Prometheus: then ours are in quarterdeck/
// inside it, and it is read. `prometheus_dir` (store.metrics.prometheus_dir) names one to read, or is empty; kNotFound
// when it is none.
base::Result<DataPlace> locate_data(base::Files& files, const std::filesystem::path& data_dir,
                                    const std::filesystem::path& prometheus_dir);

}  // namespace qd::cli
