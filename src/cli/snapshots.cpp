#include "cli/snapshots.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "cli/data_dir.h"

namespace qd::cli {

namespace {
constexpr std::string_view kUnfinished = ".tmp";
}  // namespace

base::Result<std::string> Snapshots::take(store::metrics::Store& store, model::TimestampMs now_ms, std::uint64_t random,
                                          bool skip_head) {
  base::MutexLock lock(mutex_);
  const std::filesystem::path dir = dir_;
  QD_TRY(files_.create_directories(dir));
  QD_ASSIGN(const auto there, files_.list(dir));
  for (const std::string& name : there) {
    if (name.ends_with(kUnfinished)) QD_TRY(files_.remove(dir / name));
  }
  auto name = fmt::format("{:%Y%m%dT%H%M%SZ}-{:016x}", fmt::gmtime(static_cast<std::time_t>(now_ms / 1000)), random);
  const auto unfinished = dir / (name + std::string(kUnfinished));
  const auto make = [&]() -> base::Status {
    QD_TRY(files_.create_directories(unfinished));
    QD_TRY(store.snapshot(unfinished / "metrics", skip_head));
    QD_TRY(write_data_version(files_, unfinished));
    QD_TRY(files_.rename(unfinished, dir / name));
    return files_.sync_directory(dir);
  };
  if (base::Status made = make(); !made) {
    (void)files_.remove(unfinished);
    return base::fail(std::move(made).error());
  }
  return name;
}

}  // namespace qd::cli
