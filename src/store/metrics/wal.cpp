#include "store/metrics/wal.h"

#include <utility>

#include "base/bytes.h"
#include "store/metrics/manifest.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

using base::MutexLock;
using base::Status;

std::filesystem::path Wal::segment_path(const std::filesystem::path& dir, std::uint64_t number) {
  return numbered(dir, number, ".wal");
}

base::Result<std::vector<std::uint64_t>> Wal::list(base::Files& files, const std::filesystem::path& dir) {
  return list_numbered(files, dir, ".wal");
}

base::Result<std::unique_ptr<Wal>> Wal::create(base::Files& files, std::filesystem::path dir, std::uint64_t number,
                                               std::uint64_t segment_bytes) {
  std::unique_ptr<Wal> wal(new Wal(files, std::move(dir), segment_bytes));
  QD_ASSIGN(const std::vector<std::uint64_t> older, list(files, wal->dir_));
  for (const std::uint64_t old : older) {
    if (old >= number) continue;
    QD_ASSIGN(const auto file, files.open_read(segment_path(wal->dir_, old)));
    QD_ASSIGN(const std::uint64_t size, file->size());
    MutexLock lock(wal->mutex_);
    wal->sizes_[old] = size;
  }
  QD_TRY(wal->start(number));
  return wal;
}

Status Wal::start(std::uint64_t number) {
  const auto path = segment_path(dir_, number);
  const auto attempt = [&]() -> Status {
    QD_ASSIGN(auto file, files_.create(path));
    QD_TRY(file->append(base::as_bytes(wal_header(number))));
    QD_ASSIGN(auto for_sync, files_.open_append(path));
    QD_TRY(files_.sync_directory(dir_));
    file_ = std::move(file);
    number_ = number;
    size_ = kWalHeaderBytes;
    torn_ = false;
    MutexLock lock(mutex_);
    sizes_[number] = size_;
    unsynced_[number] = std::move(for_sync);
    synced_bytes_ = 0;
    return {};
  };
  Status started = attempt();
  // A header without records would be harmless; a torn one would look like damage.
  if (!started) (void)files_.remove(path);
  return started;
}

Status Wal::repair() {
  if (!torn_) return {};
  QD_TRY(file_->truncate(size_));
  torn_ = false;
  return {};
}

Status Wal::append(std::string_view records) {
  QD_TRY(repair());
  if (size_ > kWalHeaderBytes && size_ + records.size() > segment_bytes_) {
    if (auto rotated = rotate(); !rotated) return base::fail(std::move(rotated).error());
  }
  if (Status written = file_->append(base::as_bytes(records)); !written) {
    torn_ = true;
    (void)repair();
    return written;
  }
  size_ += records.size();
  MutexLock lock(mutex_);
  sizes_[number_] = size_;
  return {};
}

Status Wal::append_synced(std::string_view records) {
  const std::uint64_t number_before = number_;
  QD_TRY(append(records));
  // The segment that append may have left must be on the device too: what it holds is older.
  Status synced = number_ == number_before ? file_->sync() : sync();
  if (!synced) {
    size_ -= records.size();
    torn_ = true;
    (void)repair();
    MutexLock lock(mutex_);
    sizes_[number_] = size_;
    return synced;
  }
  MutexLock lock(mutex_);
  synced_bytes_ = size_;
  return {};
}

base::Result<std::uint64_t> Wal::rotate() {
  QD_TRY(repair());
  if (size_ == kWalHeaderBytes) return number_;  // it is as good as a new one
  QD_TRY(start(number_ + 1));
  return number_;
}

Status Wal::remove_before(std::uint64_t number) {
  std::vector<std::uint64_t> old;
  {
    MutexLock lock(mutex_);
    for (const auto& [n, size] : sizes_) {
      if (n < number) old.push_back(n);
    }
  }
  // The oldest first: what is left after a crash is a log without a hole.
  for (const std::uint64_t n : old) {
    QD_TRY(files_.remove(segment_path(dir_, n)));
    MutexLock lock(mutex_);
    sizes_.erase(n);
    unsynced_.erase(n);
  }
  return old.empty() ? Status{} : files_.sync_directory(dir_);
}

Status Wal::sync() {
  std::map<std::uint64_t, std::unique_ptr<base::File>> files;
  std::uint64_t newest = 0;
  std::uint64_t newest_bytes = 0;
  {
    MutexLock lock(mutex_);
    if (unsynced_.empty()) return {};
    newest = unsynced_.rbegin()->first;
    newest_bytes = sizes_[newest];
    if (unsynced_.size() == 1 && newest_bytes == synced_bytes_) return {};
    files.swap(unsynced_);
  }
  Status result;
  for (auto it = files.begin(); it != files.end() && result;) {
    result = it->second->sync();
    // The newest is written on; the others are done with.
    if (result && it->first != newest) {
      it = files.erase(it);
    } else {
      ++it;
    }
  }
  MutexLock lock(mutex_);
  const bool still_newest = unsynced_.empty();
  for (auto& [number, file] : files) {
    if (sizes_.contains(number)) unsynced_.try_emplace(number, std::move(file));
  }
  if (result && still_newest) synced_bytes_ = newest_bytes;
  return result;
}

std::uint64_t Wal::bytes() const {
  MutexLock lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& [number, size] : sizes_) sum += size;
  return sum;
}

}  // namespace qd::store::metrics
