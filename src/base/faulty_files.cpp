#include "base/faulty_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace qd::base {

struct FaultyFiles::State {
  struct Fault {
    std::uint64_t calls_left = 0;  // that still succeed
    int error_number = 0;
  };

  Mutex mutex;
  bool crashed QD_GUARDED_BY(mutex) = false;
  std::optional<std::uint64_t> bytes_left QD_GUARDED_BY(mutex);
  int bytes_error_number QD_GUARDED_BY(mutex) = 0;
  std::map<Call, Fault> faults QD_GUARDED_BY(mutex);
  struct BadPart {
    std::filesystem::path path;
    std::uint64_t from;
    std::uint64_t to;
  };
  std::vector<BadPart> bad_parts QD_GUARDED_BY(mutex);
  std::map<Call, std::function<void(const std::filesystem::path&)>> watchers;

  bool is_crashed() QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    return crashed;
  }

  // The error number that this call gets, or 0.
  int next(Call call) QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    const auto it = faults.find(call);
    if (it == faults.end()) return 0;
    if (it->second.calls_left == 0) return it->second.error_number;
    --it->second.calls_left;
    return 0;
  }

  Status check(Call call, std::string_view doing, const std::filesystem::path& path) {
    if (const auto watcher = watchers.find(call); watcher != watchers.end()) watcher->second(path);
    if (const int error_number = next(call); error_number != 0)
      return fail(errno_error(error_number, fmt::format("{} {}", doing, path.native())));
    return {};
  }

  Status check_part(const std::filesystem::path& path, std::uint64_t offset, std::uint64_t bytes) QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    for (const BadPart& bad : bad_parts) {
      if (bad.path == path && offset < bad.to && bad.from < offset + bytes)
        return fail(errno_error(EIO, fmt::format("reading {}", path.native())));
    }
    return {};
  }

  struct Allowance {
    std::size_t bytes;
    int error_number;  // 0 when all may be written
  };
  Allowance take(std::size_t bytes) QD_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    if (!bytes_left) return {bytes, 0};
    const auto fits = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, *bytes_left));
    *bytes_left -= fits;
    return {fits, fits < bytes ? bytes_error_number : 0};
  }
};

namespace {

// A file that was made after the crash: it takes everything and keeps nothing but its size.
class LostFile final : public File {
 public:
  Status append(std::span<const std::byte> bytes) override {
    size_ += bytes.size();
    return {};
  }
  Result<std::size_t> read_at(std::uint64_t, std::span<std::byte>) const override { return 0; }
  Result<std::uint64_t> size() const override { return size_; }
  Status truncate(std::uint64_t size) override {
    size_ = size;
    return {};
  }
  Status sync() override { return {}; }

 private:
  std::uint64_t size_ = 0;
};

template <typename State, typename Call>
class FaultyFile final : public File {
 public:
  FaultyFile(std::filesystem::path path, std::unique_ptr<File> real, std::shared_ptr<State> state)
      : path_(std::move(path)), real_(std::move(real)), state_(std::move(state)) {}

  Status append(std::span<const std::byte> bytes) override {
    if (state_->is_crashed()) {
      QD_ASSIGN(const std::uint64_t before, size());
      size_after_crash_ = before + bytes.size();
      return {};
    }
    QD_TRY(state_->check(Call::kAppend, "writing", path_));
    const auto allowed = state_->take(bytes.size());
    if (allowed.bytes > 0) QD_TRY(real_->append(bytes.first(allowed.bytes)));
    if (allowed.error_number != 0)
      return fail(errno_error(allowed.error_number, fmt::format("writing {}", path_.native())));
    return {};
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    QD_TRY(state_->check(Call::kRead, "reading", path_));
    QD_TRY(state_->check_part(path_, offset, into.size()));
    return real_->read_at(offset, into);
  }
  Result<std::uint64_t> size() const override {
    if (size_after_crash_) return *size_after_crash_;
    return real_->size();
  }
  Status truncate(std::uint64_t size) override {
    if (state_->is_crashed()) {
      size_after_crash_ = size;
      return {};
    }
    QD_TRY(state_->check(Call::kTruncate, "truncating", path_));
    return real_->truncate(size);
  }
  Status sync() override {
    if (state_->is_crashed()) return {};
    QD_TRY(state_->check(Call::kSync, "syncing", path_));
    return real_->sync();
  }

 private:
  std::filesystem::path path_;
  std::unique_ptr<File> real_;
  std::shared_ptr<State> state_;
  std::optional<std::uint64_t> size_after_crash_;
};

}  // namespace

FaultyFiles::FaultyFiles(Files& real) : real_(real), state_(std::make_shared<State>()) {}
FaultyFiles::~FaultyFiles() = default;

void FaultyFiles::fail_after_bytes(std::uint64_t bytes, int error_number) {
  MutexLock lock(state_->mutex);
  state_->bytes_left = bytes;
  state_->bytes_error_number = error_number;
}

void FaultyFiles::fail_call(Call call, std::uint64_t nth, int error_number) {
  MutexLock lock(state_->mutex);
  state_->faults[call] = State::Fault{.calls_left = nth == 0 ? 0 : nth - 1, .error_number = error_number};
}

void FaultyFiles::fail_reads_of(const Path& path, std::uint64_t from, std::uint64_t to) {
  MutexLock lock(state_->mutex);
  state_->bad_parts.push_back({path, from, to});
}

void FaultyFiles::watch(Call call, std::function<void(const Path&)> watcher) {
  state_->watchers[call] = std::move(watcher);
}

void FaultyFiles::crash() {
  MutexLock lock(state_->mutex);
  state_->crashed = true;
}

void FaultyFiles::heal() {
  MutexLock lock(state_->mutex);
  state_->crashed = false;
  state_->bytes_left.reset();
  state_->faults.clear();
  state_->bad_parts.clear();
  state_->watchers.clear();
}

Result<std::unique_ptr<File>> FaultyFiles::open_append(const Path& path) {
  if (state_->is_crashed()) return std::make_unique<LostFile>();
  QD_TRY(state_->check(Call::kOpen, "opening", path));
  QD_ASSIGN(auto file, real_.open_append(path));
  return std::make_unique<FaultyFile<State, Call>>(path, std::move(file), state_);
}

Result<std::unique_ptr<File>> FaultyFiles::create(const Path& path) {
  if (state_->is_crashed()) return std::make_unique<LostFile>();
  QD_TRY(state_->check(Call::kCreate, "creating", path));
  QD_ASSIGN(auto file, real_.create(path));
  return std::make_unique<FaultyFile<State, Call>>(path, std::move(file), state_);
}

Result<std::unique_ptr<File>> FaultyFiles::open_read(const Path& path) {
  QD_TRY(state_->check(Call::kOpen, "opening", path));
  QD_ASSIGN(auto file, real_.open_read(path));
  return std::make_unique<FaultyFile<State, Call>>(path, std::move(file), state_);
}

Result<std::unique_ptr<Mapping>> FaultyFiles::map(const Path& path) {
  QD_TRY(state_->check(Call::kMap, "mapping", path));
  return real_.map(path);
}

Result<bool> FaultyFiles::exists(const Path& path) {
  return real_.exists(path);
}

Result<std::vector<std::string>> FaultyFiles::list(const Path& dir) {
  return real_.list(dir);
}

Status FaultyFiles::create_directories(const Path& dir) {
  if (state_->is_crashed()) return {};
  return real_.create_directories(dir);
}

Status FaultyFiles::rename(const Path& from, const Path& to) {
  if (state_->is_crashed()) return {};
  QD_TRY(state_->check(Call::kRename, fmt::format("renaming {} to", from.native()), to));
  return real_.rename(from, to);
}

Status FaultyFiles::link(const Path& from, const Path& to) {
  if (state_->is_crashed()) return {};
  QD_TRY(state_->check(Call::kLink, fmt::format("linking {} as", from.native()), to));
  return real_.link(from, to);
}

Status FaultyFiles::remove(const Path& path) {
  if (state_->is_crashed()) return {};
  QD_TRY(state_->check(Call::kRemove, "removing", path));
  return real_.remove(path);
}

Status FaultyFiles::sync_directory(const Path& dir) {
  if (state_->is_crashed()) return {};
  QD_TRY(state_->check(Call::kSyncDirectory, "syncing directory", dir));
  return real_.sync_directory(dir);
}

Result<DiskSpace> FaultyFiles::space(const Path& dir) {
  return real_.space(dir);
}

Result<std::unique_ptr<FileLock>> FaultyFiles::lock(const Path& path) {
  return real_.lock(path);
}

}  // namespace qd::base
