// The write-ahead log: numbered files, each a header and then records, written one after the other.
//
// append() is whole or nothing: what a failed write left behind is cut off before anything else is written. The caller
// serialises append, rotate and remove_before; sync and bytes may be called by any thread at any time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "base/result.h"

namespace qd::store::metrics {

class Wal {
 public:
  // Starts segment `number` in `dir`, which exists. Older segments there are counted in bytes() and removed by
  // remove_before.
  static base::Result<std::unique_ptr<Wal>> create(base::Files& files, std::filesystem::path dir, std::uint64_t number,
                                                   std::uint64_t segment_bytes);

  // Writes whole records to the end of the log. kUnavailable (or kLimit, kPermission, as the system says) when that
  // failed: nothing of them is in the log then, and a later call may succeed.
  base::Status append(std::string_view records);
  // As append, and on the device when it returns.
  base::Status append_synced(std::string_view records);
  // Starts the next segment, unless nothing is in this one, and returns its number.
  base::Result<std::uint64_t> rotate();
  base::Status remove_before(std::uint64_t number);

  base::Status sync();
  std::uint64_t bytes() const;

  static std::filesystem::path segment_path(const std::filesystem::path& dir, std::uint64_t number);
  // Numbers of the segments in `dir`, rising.
  static base::Result<std::vector<std::uint64_t>> list(base::Files& files, const std::filesystem::path& dir);

 private:
  Wal(base::Files& files, std::filesystem::path dir, std::uint64_t segment_bytes)
      : files_(files), dir_(std::move(dir)), segment_bytes_(segment_bytes) {}
  base::Status start(std::uint64_t number);
  base::Status repair();

  base::Files& files_;
  const std::filesystem::path dir_;
  const std::uint64_t segment_bytes_;

  // Of whoever appends.
  std::uint64_t number_ = 0;
  std::unique_ptr<base::File> file_;
  std::uint64_t size_ = 0;
  bool torn_ = false;  // the file is longer than size_ says

  mutable base::Mutex mutex_;
  std::map<std::uint64_t, std::uint64_t> sizes_ QD_GUARDED_BY(mutex_);
  // Descriptors of their own for segments with bytes that are not on the device yet: a File is one thread's at a time.
  std::map<std::uint64_t, std::unique_ptr<base::File>> unsynced_ QD_GUARDED_BY(mutex_);
  std::uint64_t synced_bytes_ QD_GUARDED_BY(mutex_) = 0;  // of the segment being written
};

}  // namespace qd::store::metrics
