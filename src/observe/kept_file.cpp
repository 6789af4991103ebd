#include "observe/kept_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace qd::observe {
namespace {

// O_NONBLOCK: a pipe or a device in the place of a file must not hang the pass.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

constexpr std::size_t kPageBytes = 4096;
// A file of cgroupfs is one record, or records of a few bytes each.
constexpr std::size_t kShortOfCgroupfs = kPageBytes / 2;
// A file of sysfs is one record of a page at most; binary ones, which may be longer, come page by page.
constexpr std::size_t kShortOfSysfs = kPageBytes;

std::size_t short_of(Shows shows) {
  switch (shows) {
    case Shows::kSomeRecords:
      return 0;
    case Shows::kShortRecords:
      return kPageBytes / 2;
    case Shows::kEverything:
      return SIZE_MAX;
  }
  return 0;
}

enum class Home { kElsewhere, kProc, kSys, kCgroupfs };

Home home_of(int fd) {
  struct statfs where{};
  if (::fstatfs(fd, &where) != 0) return Home::kElsewhere;
  if (where.f_type == PROC_SUPER_MAGIC) return Home::kProc;
  if (where.f_type == SYSFS_MAGIC) return Home::kSys;
  return where.f_type == CGROUP_SUPER_MAGIC || where.f_type == CGROUP2_SUPER_MAGIC ? Home::kCgroupfs : Home::kElsewhere;
}

}  // namespace

std::expected<std::string_view, int> FileReader::read_open(int fd, std::size_t short_of) {
  std::size_t size = 0;
  while (true) {
    if (size == buffer_.size()) {
      if (size >= kFileBytesMax) return std::unexpected(EFBIG);
      buffer_.resize(size * 2);
    }
    const auto got = ::pread(fd, buffer_.data() + size, buffer_.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno);
    if (got == 0) return std::string_view(buffer_.data(), size);
    size += static_cast<std::size_t>(got);
    if (size < short_of && size < buffer_.size()) return std::string_view(buffer_.data(), size);
  }
}

std::expected<std::string_view, int> FileReader::read_once(const char* path, Shows shows) {
  const int fd = ::open(path, kOpenFlags);
  if (fd < 0) return std::unexpected(errno);
  auto text = read_open(fd, short_of(shows));
  ::close(fd);
  return text;
}

KeptFile::KeptFile(KeptFile&& other) noexcept
    : reader_(other.reader_),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      keep_(std::exchange(other.keep_, false)),
      shows_(other.shows_),
      short_of_(other.short_of_) {}

KeptFile& KeptFile::operator=(KeptFile&& other) noexcept {
  if (this != &other) {
    close();
    reader_ = other.reader_;
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    keep_ = std::exchange(other.keep_, false);
    shows_ = other.shows_;
    short_of_ = other.short_of_;
  }
  return *this;
}

int KeptFile::open() {
  fd_ = ::open(path_.c_str(), kOpenFlags);
  if (fd_ < 0) return errno;
  const Home home = home_of(fd_);
  short_of_ = home == Home::kSys        ? kShortOfSysfs
              : home == Home::kCgroupfs ? kShortOfCgroupfs
              : home == Home::kProc     ? short_of(shows_)
                                        : 0;
  keep_ = reader_->kept_ < reader_->kept_max_ && home != Home::kElsewhere;
  if (keep_) ++reader_->kept_;
  return 0;
}

void KeptFile::close() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  if (std::exchange(keep_, false)) --reader_->kept_;
}

std::expected<std::string_view, int> KeptFile::read() {
  const bool was_open = fd_ >= 0;
  if (!was_open) {
    if (const int error = open(); error != 0) return std::unexpected(error);
  }
  auto text = reader_->read_open(fd_, short_of_);
  if (!text && was_open) {
    // The device or process behind a kept descriptor is gone; another may have its name.
    close();
    if (const int error = open(); error != 0) return std::unexpected(error);
    text = reader_->read_open(fd_, short_of_);
  }
  if (!keep_ || !text) close();
  return text;
}

}  // namespace qd::observe
