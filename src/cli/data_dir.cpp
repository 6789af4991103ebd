#include "cli/data_dir.h"

#include <fmt/format.h>

#include <charconv>

#include "base/strings.h"

namespace qd::cli {

using base::ErrorCode;

base::Result<std::unique_ptr<base::FileLock>> open_data_dir(base::Files& files, const std::filesystem::path& dir) {
  const auto refused = [&](const base::Error& error) {
    return base::fail(error.code(),
                      fmt::format("the data directory {} cannot be used: {}: give another with --data-dir, "
                                  "or make it writable for this user",
                                  dir.string(), error.message()));
  };
  if (auto made = files.create_directories(dir); !made) return refused(made.error());
  auto lock = files.lock(dir / "LOCK");
  if (!lock && lock.error().code() == ErrorCode::kConflict)
    return base::fail(ErrorCode::kConflict,
                      fmt::format("the data directory {} is in use: {}: stop that process, or give "
                                  "another directory with --data-dir",
                                  dir.string(), lock.error().message()));
  if (!lock) return refused(lock.error());
  const auto file = dir / "VERSION";
  const auto there = files.exists(file);
  if (!there) return refused(there.error());
  if (!*there) {
    if (auto written = base::write_file_atomically(files, file, fmt::format("{}\n", kDataVersion)); !written)
      return refused(written.error());
    return std::move(*lock);
  }
  const auto text = base::read_file(files, file, 100);
  if (!text) return refused(text.error());
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
  return std::move(*lock);
}

}  // namespace qd::cli
