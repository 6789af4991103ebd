#include "cli/snapshots.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "cli/data_dir.h"

namespace qd::cli {

namespace {
constexpr std::string_view kUnfinished = ".tmp";
}  // namespace

base::Result<std::string> take_snapshot(base::Files& files, store::metrics::Store& store,
                                        const std::filesystem::path& dir, model::TimestampMs now_ms,
                                        std::uint64_t random, bool skip_head) {
  const auto snapshots = dir / "snapshots";
  QD_TRY(files.create_directories(snapshots));
  QD_ASSIGN(const auto there, files.list(snapshots));
  for (const std::string& name : there) {
    if (name.ends_with(kUnfinished)) QD_TRY(files.remove(snapshots / name));
  }
  const auto name =
      fmt::format("{:%Y%m%dT%H%M%SZ}-{:016x}", fmt::gmtime(static_cast<std::time_t>(now_ms / 1000)), random);
  const auto unfinished = snapshots / (name + std::string(kUnfinished));
  const auto make = [&]() -> base::Status {
    QD_TRY(files.create_directories(unfinished));
    QD_TRY(store.snapshot(unfinished / "metrics", skip_head));
    QD_TRY(write_data_version(files, unfinished));
    QD_TRY(files.rename(unfinished, snapshots / name));
    return files.sync_directory(snapshots);
  };
  if (base::Status made = make(); !made) {
    (void)files.remove(unfinished);
    return base::fail(std::move(made).error());
  }
  return name;
}

}  // namespace qd::cli
