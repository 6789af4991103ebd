#include "cli/data_dir.h"

#include <fmt/format.h>

#include <charconv>

#include "base/strings.h"
#include "store/prometheus/directory.h"

namespace qd::cli {

using base::ErrorCode;

namespace {

std::unexpected<base::Error> unusable(const std::filesystem::path& dir, const base::Error& error) {
  return base::fail(error.code(), fmt::format("the data directory {} cannot be used: {}: mend that, or give another "
                                              "with --data-dir",
                                              dir.string(), error.message()));
}

// Whether there is a VERSION; kInvalid and kCorrupt for one that this program cannot work with.
base::Result<bool> check_version(base::Files& files, const std::filesystem::path& dir) {
  const auto file = dir / "VERSION";
  const auto there = files.exists(file);
  if (!there) return unusable(dir, there.error());
  if (!*there) return false;
  const auto text = base::read_file(files, file, 100);
  if (!text) return unusable(dir, text.error());
  const auto digits = base::trim(*text);
  int version = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || version < 1)
    return base::fail(
        ErrorCode::kCorrupt,
        fmt::format("{} holds no version: if this is a data directory of Quarterdeck, write {} into it; if it is "
                    "not, give another directory with --data-dir",
                    file.string(), kDataVersion));
  if (version > kDataVersion)
    return base::fail(
        ErrorCode::kInvalid,
        fmt::format("the data directory {} has version {}, this program knows up to {}: it was written by "
                    "a newer Quarterdeck; start that one, or give another directory with --data-dir",
                    dir.string(), version, kDataVersion));
  return true;
}

}  // namespace

base::Result<std::unique_ptr<base::FileLock>> open_data_dir(base::Files& files, const std::filesystem::path& dir) {
  if (auto made = files.create_directories(dir); !made) return unusable(dir, made.error());
  auto lock = files.lock(dir / "LOCK");
  if (!lock && lock.error().code() == ErrorCode::kConflict)
    return base::fail(ErrorCode::kConflict,
                      fmt::format("the data directory {} is in use: {}: stop that process, or give "
                                  "another directory with --data-dir",
                                  dir.string(), lock.error().message()));
  if (!lock) return unusable(dir, lock.error());
  QD_ASSIGN(const bool versioned, check_version(files, dir));
  if (versioned) return std::move(*lock);
  if (auto written = write_data_version(files, dir); !written) return unusable(dir, written.error());
  return std::move(*lock);
}

base::Status write_data_version(base::Files& files, const std::filesystem::path& dir) {
  return base::write_file_atomically(files, dir / "VERSION", fmt::format("{}\n", kDataVersion));
}

base::Status check_data_dir(base::Files& files, const std::filesystem::path& dir) {
  QD_ASSIGN(const bool there, files.exists(dir));
  if (!there)
    return base::fail(
        ErrorCode::kNotFound,
        fmt::format("there is no data directory {}: name the one of the server with --data-dir", dir.string()));
  QD_TRY(check_version(files, dir));
  return {};
}

base::Result<DataPlace> locate_data(base::Files& files, const std::filesystem::path& data_dir,
                                    const std::filesystem::path& prometheus_dir) {
  using store::prometheus::Directory;
  DataPlace place{.dir = data_dir, .prometheus = prometheus_dir};
  const auto itself = Directory::recognise(files, data_dir);
  if (!itself) return unusable(data_dir, itself.error());
  if (*itself) {
    place.dir = data_dir / "quarterdeck";
    if (place.prometheus.empty()) place.prometheus = data_dir;
  }
  if (prometheus_dir.empty()) return place;
  QD_ASSIGN(const bool known, Directory::recognise(files, prometheus_dir));
  if (known) return place;
  return base::fail(ErrorCode::kNotFound,
                    fmt::format("store.metrics.prometheus_dir: {} is no data directory of Prometheus (it has neither "
                                "blocks nor chunks_head/): name what --storage.tsdb.path names",
                                prometheus_dir.string()));
}

}  // namespace qd::cli
