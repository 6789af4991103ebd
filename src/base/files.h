// The one way to the disk, so that tests can make any call fail.
//
// PosixFiles is the real thing. FaultyFiles (base/faulty_files.h) wraps another and injects full disks, I/O errors,
// short writes and crashes. All are thread-safe; a File is used by one thread at a time, but for read_at, which any
// number of threads may call at once. Errors name the path and what the system said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace qd::base {

class File {
 public:
  virtual ~File() = default;
  // Appends all of `bytes` or fails; after a failure the file may hold a part of them (the caller truncates).
  virtual Status append(std::span<const std::byte> bytes) = 0;
  // Fills `into` from `offset` on; returns how much there was (less than asked only at the end of the file).
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
  virtual Result<std::uint64_t> size() const = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  // Data and size are on the device when this returns (fdatasync).
  virtual Status sync() = 0;
};

// Bytes of a file mapped read-only; unmapped with the object.
class Mapping {
 public:
  virtual ~Mapping() = default;
  virtual std::span<const std::byte> bytes() const = 0;
};

// Held until destroyed (or the process ends).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;  // to this process
};

class Files {
 public:
  using Path = std::filesystem::path;
  virtual ~Files() = default;

  // An existing or new file, positioned to append.
  virtual Result<std::unique_ptr<File>> open_append(const Path& path) = 0;
  // A new file; an old one of that name is emptied.
  virtual Result<std::unique_ptr<File>> create(const Path& path) = 0;
  virtual Result<std::unique_ptr<File>> open_read(const Path& path) = 0;
  virtual Result<std::unique_ptr<Mapping>> map(const Path& path) = 0;

  virtual Result<bool> exists(const Path& path) = 0;
  // Names (not paths) in `dir`, sorted.
  virtual Result<std::vector<std::string>> list(const Path& dir) = 0;
  virtual Status create_directories(const Path& dir) = 0;
  // Atomic within a file system; replaces.
  virtual Status rename(const Path& from, const Path& to) = 0;
  // A second name, `to`, for the file `from`. An error where the file system has no such, or `to` is there.
  virtual Status link(const Path& from, const Path& to) = 0;
  // A file, or a directory with all that is in it. Nothing there is success.
  virtual Status remove(const Path& path) = 0;
  // Makes names created, renamed and removed in `dir` durable.
  virtual Status sync_directory(const Path& dir) = 0;
  virtual Result<DiskSpace> space(const Path& dir) = 0;
  // kConflict, naming the holder's process id, when another process has it.
  virtual Result<std::unique_ptr<FileLock>> lock(const Path& path) = 0;
};

class PosixFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open_append(const Path& path) override;
  Result<std::unique_ptr<File>> create(const Path& path) override;
  Result<std::unique_ptr<File>> open_read(const Path& path) override;
  Result<std::unique_ptr<Mapping>> map(const Path& path) override;
  Result<bool> exists(const Path& path) override;
  Result<std::vector<std::string>> list(const Path& dir) override;
  Status create_directories(const Path& dir) override;
  Status rename(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Status remove(const Path& path) override;
  Status sync_directory(const Path& dir) override;
  Result<DiskSpace> space(const Path& dir) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;
};

// The whole file; kLimit when it is larger than `limit_bytes`.
Result<std::string> read_file(Files& files, const std::filesystem::path& path, std::size_t limit_bytes);
// Writes beside `path`, syncs, renames over it: readers see the old or the new content, a crash leaves one of them.
Status write_file_atomically(Files& files, const std::filesystem::path& path, std::string_view content);

}  // namespace qd::base
