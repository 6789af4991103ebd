// A snapshot: a directory that another store opens, with what this one has. Sealed files and closed chunks are linked,
// for they never change; the log behind them is copied.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "store/metrics/store_impl.h"

namespace qd::store::metrics {

using base::MutexLock;
using base::Status;

namespace {

constexpr std::size_t kCopyBytes = 1 << 20;

// The first `limit_bytes` of a file.
Status copy_file(base::Files& files, const std::filesystem::path& from, const std::filesystem::path& to,
                 std::uint64_t limit_bytes) {
  QD_ASSIGN(const auto in, files.open_read(from));
  QD_ASSIGN(const auto out, files.create(to));
  std::vector<std::byte> buffer(kCopyBytes);
  for (std::uint64_t at = 0; at < limit_bytes;) {
    const std::size_t want = std::min<std::uint64_t>(buffer.size(), limit_bytes - at);
    QD_ASSIGN(const std::size_t n, in->read_at(at, std::span(buffer).first(want)));
    if (n == 0) break;
    QD_TRY(out->append(std::span(buffer).first(n)));
    at += n;
  }
  return out->sync();
}

// A second name for a file, or its copy where the file system has no such.
Status link_or_copy(base::Files& files, const std::filesystem::path& from, const std::filesystem::path& to) {
  if (files.link(from, to)) return {};
  QD_ASSIGN(const auto in, files.open_read(from));
  QD_ASSIGN(const std::uint64_t size, in->size());
  return copy_file(files, from, to, size);
}

}  // namespace

Status StoreImpl::snapshot(const std::filesystem::path& into, bool skip_head) {
  MutexLock maintain_lock(maintain_mutex_);
  QD_TRY(skip_head ? settle_doubts() : checkpoint());
  const auto fill = [&]() -> Status {
    for (const auto& dir : {into, into / "wal", into / "head", into / "segments", into / "tombstones"})
      QD_TRY(files_.create_directories(dir));
    Manifest copy = manifest_;
    const auto link_all = [&](const std::vector<std::uint64_t>& numbers, const std::filesystem::path& from,
                              std::string_view room, std::string_view suffix) -> Status {
      for (const std::uint64_t number : numbers)
        QD_TRY(link_or_copy(files_, numbered(from, number, suffix), numbered(into / room, number, suffix)));
      return files_.sync_directory(into / room);
    };
    QD_TRY(link_all(copy.segments, segment_dir_, "segments", ".seg"));
    QD_TRY(link_all(copy.tombstones, tombstone_dir_, "tombstones", ".tomb"));
    if (skip_head) {
      copy.series_files.clear();
      copy.chunk_files.clear();
      copy.log_first = copy.late_first = 1;
      // References are given out anew there: tombstones must not take them for those that they mean.
      ++copy.generation;
    } else {
      QD_TRY(link_all(copy.series_files, head_dir_, "head", ".series"));
      QD_TRY(link_all(copy.chunk_files, head_dir_, "head", ".chunks"));
      // What came since the log was cut, and what of it is among the chunks already: replay tells the two apart.
      QD_ASSIGN(const std::vector<std::uint64_t> log, Wal::list(files_, wal_dir_));
      for (const std::uint64_t number : log) {
        if (number < copy.log_first) continue;
        const auto from = Wal::segment_path(wal_dir_, number);
        std::uint64_t size = 0;
        {
          // Between two batches.
          MutexLock lock(commit_mutex_);
          QD_ASSIGN(const auto file, files_.open_read(from));
          QD_ASSIGN(size, file->size());
        }
        QD_TRY(copy_file(files_, from, Wal::segment_path(into / "wal", number), size));
      }
      QD_TRY(files_.sync_directory(into / "wal"));
    }
    QD_TRY(copy.write(files_, into / "MANIFEST"));
    return {};
  };
  Status filled = fill();
  if (!filled) (void)files_.remove(into);
  return filled;
}

}  // namespace qd::store::metrics
