#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "base/assert.h"

namespace qd::base {
namespace {

using Path = Files::Path;

constexpr mode_t kFileMode = 0640;
// Linux transfers at most this much in one call.
constexpr std::size_t kTransferBytesMax = 0x7ffff000;
constexpr std::size_t kReadStepBytes = 64 * 1024;

std::unexpected<Error> failed(int error_number, std::string_view doing, const Path& path) {
  return fail(errno_error(error_number, fmt::format("{} {}", doing, path.native())));
}

// Calls again as long as a signal interrupts.
template <typename F>
auto uninterrupted(F call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    // Not tried again on EINTR: Linux has closed it by then.
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const Path& path, int flags, std::string_view doing) {
  const int fd = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
  if (fd < 0) return failed(errno, doing, path);
  return Descriptor(fd);
}

class PosixFile final : public File {
 public:
  PosixFile(Path path, Descriptor descriptor) : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  Status append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = uninterrupted(
          [&] { return ::write(descriptor_.get(), bytes.data(), std::min(bytes.size(), kTransferBytesMax)); });
      if (n < 0) return failed(errno, "writing", path_);
      if (n == 0) return failed(ENOSPC, "writing", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    std::size_t got = 0;
    while (got < into.size()) {
      const ssize_t n = uninterrupted([&] {
        return ::pread(descriptor_.get(), into.data() + got, std::min(into.size() - got, kTransferBytesMax),
                       static_cast<off_t>(offset + got));
      });
      if (n < 0) return failed(errno, "reading", path_);
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    return got;
  }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(descriptor_.get(), &status) != 0) return failed(errno, "looking at", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Status truncate(std::uint64_t size) override {
    if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) != 0)
      return failed(errno, "truncating", path_);
    return {};
  }

  Status sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) != 0) return failed(errno, "syncing", path_);
    return {};
  }

 private:
  Path path_;
  Descriptor descriptor_;
};

class PosixMapping final : public Mapping {
 public:
  explicit PosixMapping(std::span<const std::byte> bytes) : bytes_(bytes) {}
  ~PosixMapping() override {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

// The process id that the holder wrote, or "another process" where there is none to read.
std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const ssize_t n = uninterrupted([&] { return ::pread(fd, text.data(), text.size(), 0); });
  std::string digits;
  for (ssize_t i = 0; i < n && text[static_cast<std::size_t>(i)] >= '0' && text[static_cast<std::size_t>(i)] <= '9';
       ++i)
    digits.push_back(text[static_cast<std::size_t>(i)]);
  return digits.empty() ? "another process" : fmt::format("process {}", digits);
}

Result<std::unique_ptr<File>> open_file(const Path& path, int flags, std::string_view doing) {
  QD_ASSIGN(Descriptor descriptor, open_descriptor(path, flags, doing));
  return std::make_unique<PosixFile>(path, std::move(descriptor));
}

}  // namespace

// Both writable kinds use O_APPEND, so that an append after a truncate lands at the new end.
Result<std::unique_ptr<File>> PosixFiles::open_append(const Path& path) {
  return open_file(path, O_RDWR | O_CREAT | O_APPEND, "opening");
}

Result<std::unique_ptr<File>> PosixFiles::create(const Path& path) {
  return open_file(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, "creating");
}

// O_NONBLOCK: opening a pipe waits for its writer otherwise, perhaps for ever. Regular files know no difference.
Result<std::unique_ptr<File>> PosixFiles::open_read(const Path& path) {
  QD_ASSIGN(Descriptor descriptor, open_descriptor(path, O_RDONLY | O_NONBLOCK, "opening"));
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) return failed(errno, "looking at", path);
  if (S_ISFIFO(status.st_mode)) {
    return fail(ErrorCode::kInvalid, fmt::format("opening {}: it is a pipe; name a file", path.native()));
  }
  return std::make_unique<PosixFile>(path, std::move(descriptor));
}

Result<std::unique_ptr<Mapping>> PosixFiles::map(const Path& path) {
  QD_ASSIGN(const Descriptor descriptor, open_descriptor(path, O_RDONLY, "opening"));
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) return failed(errno, "looking at", path);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kInvalid, fmt::format("mapping {}: it is not a regular file", path.native()));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return std::make_unique<PosixMapping>(std::span<const std::byte>());
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (at == MAP_FAILED) return failed(errno, "mapping", path);
  return std::make_unique<PosixMapping>(std::span(static_cast<const std::byte*>(at), size));
}

Result<bool> PosixFiles::exists(const Path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed(errno, "looking at", path);
}

Result<std::vector<std::string>> PosixFiles::list(const Path& dir) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(dir, error);
  while (!error && it != std::filesystem::directory_iterator()) {
    names.push_back(it->path().filename().native());
    it.increment(error);
  }
  if (error) return failed(error.value(), "listing", dir);
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixFiles::create_directories(const Path& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (error) return failed(error.value(), "creating directory", dir);
  return {};
}

Status PosixFiles::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed(errno, fmt::format("renaming {} to", from.native()), to);
  return {};
}

Status PosixFiles::link(const Path& from, const Path& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return failed(errno, fmt::format("linking {} as", from.native()), to);
  return {};
}

Status PosixFiles::remove(const Path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return failed(error.value(), "removing", path);
  return {};
}

Status PosixFiles::sync_directory(const Path& dir) {
  QD_ASSIGN(const Descriptor descriptor, open_descriptor(dir, O_RDONLY | O_DIRECTORY, "opening directory"));
  if (uninterrupted([&] { return ::fsync(descriptor.get()); }) != 0) return failed(errno, "syncing directory", dir);
  return {};
}

Result<DiskSpace> PosixFiles::space(const Path& dir) {
  struct statvfs status{};
  if (uninterrupted([&] { return ::statvfs(dir.c_str(), &status); }) != 0)
    return failed(errno, "asking for the free space of", dir);
  const std::uint64_t unit = status.f_frsize;
  return DiskSpace{.total_bytes = status.f_blocks * unit, .available_bytes = status.f_bavail * unit};
}

Result<std::unique_ptr<FileLock>> PosixFiles::lock(const Path& path) {
  QD_ASSIGN(Descriptor descriptor, open_descriptor(path, O_RDWR | O_CREAT, "opening lock file"));
  // An open-file-description lock: it also holds against a second opener in this process, is gone with the process
  // however that ends, and is not lost when an unrelated descriptor of the same file is closed.
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  if (uninterrupted([&] { return ::fcntl(descriptor.get(), F_OFD_SETLK, &range); }) != 0) {
    if (errno != EAGAIN && errno != EACCES) return failed(errno, "locking", path);
    return fail(ErrorCode::kConflict,
                fmt::format("locking {}: {} holds it", path.native(), holder_of(descriptor.get())));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor.get(), 0) != 0 ||
      ::pwrite(descriptor.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return failed(errno, "writing the process id to", path);
  }
  return std::make_unique<PosixFileLock>(std::move(descriptor));
}

Result<std::string> read_file(Files& files, const std::filesystem::path& path, std::size_t limit_bytes) {
  QD_ASSIGN(const auto file, files.open_read(path));
  QD_ASSIGN(const std::uint64_t expected_bytes, file->size());
  const auto too_large = [&] {
    return fail(ErrorCode::kLimit,
                fmt::format("reading {}: it is larger than the limit of {} bytes", path.native(), limit_bytes));
  };
  if (expected_bytes > limit_bytes) return too_large();
  // Files of /proc and /sys say that they are empty, so the size is only where to start.
  std::string content;
  while (true) {
    const std::size_t have = content.size();
    const std::size_t step =
        have == 0 && expected_bytes > 0 ? static_cast<std::size_t>(expected_bytes) + 1 : kReadStepBytes;
    content.resize(have + step);
    QD_ASSIGN(const std::size_t got, file->read_at(have, std::as_writable_bytes(std::span(content).subspan(have))));
    content.resize(have + got);
    if (content.size() > limit_bytes) return too_large();
    if (got < step) return content;
  }
}

Status write_file_atomically(Files& files, const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path beside = path;
  beside += ".tmp";
  const auto write = [&]() -> Status {
    QD_ASSIGN(const auto file, files.create(beside));
    QD_TRY(file->append(std::as_bytes(std::span(content))));
    QD_TRY(file->sync());
    return files.rename(beside, path);
  };
  if (auto status = write(); !status) {
    // What matters is the first error; a leftover is overwritten by the next attempt.
    (void)files.remove(beside);
    return status;
  }
  const std::filesystem::path dir = path.parent_path();
  return files.sync_directory(dir.empty() ? "." : dir);
}

}  // namespace qd::base
