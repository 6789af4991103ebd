// Files that fail when they are told to: full disks, I/O errors, short writes, crashes. For tests.
//
//   FaultyFiles files(posix);
//   files.fail_after_bytes(4096, ENOSPC);   // the write that passes 4096 appended bytes writes a part, then fails
//   files.fail_call(FaultyFiles::Call::kSync, 3, EIO);
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"

namespace qd::base {

class FaultyFiles final : public Files {
 public:
  enum class Call { kAppend, kSync, kTruncate, kCreate, kOpen, kRename, kRemove, kSyncDirectory, kMap, kRead, kLink };

  explicit FaultyFiles(Files& real);
  ~FaultyFiles() override;

  // Appends succeed until `bytes` more have been written; from then on they fail with `error_number`, the first after
  // writing what still fitted. Stays so until heal().
  void fail_after_bytes(std::uint64_t bytes, int error_number);
  // The nth call of this kind from now on (1 is the next), and every later one, fails until heal().
  void fail_call(Call call, std::uint64_t nth, int error_number);
  // Bad sectors: reads of `path` that touch a byte from `from` on and before `to` fail with EIO until heal().
  void fail_reads_of(const Path& path, std::uint64_t from, std::uint64_t to);
  // Called with the path at each call of this kind, before it is made, until heal(). Set it while nothing uses the
  // files.
  void watch(Call call, std::function<void(const Path&)> watcher);
  // From now on nothing reaches the disk any more, and nothing says so: what is there is what a crash would leave.
  void crash();
  void heal();

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

 private:
  struct State;
  Files& real_;
  std::shared_ptr<State> state_;
};

}  // namespace qd::base
