#include "observe/kept_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace qd::observe {
namespace {

// O_NONBLOCK: a pipe or a device in the place of a file must not hang the pass.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

// A file of cgroupfs is one record, or records of a few bytes each: what comes short of this is all there is, and the
// read that would say so is saved. Files of /proc have records that end a read early.
constexpr std::size_t kShortOfCgroupfs = 2048;

enum class Home { kElsewhere, kProcOrSys, kCgroupfs };

Home home_of(int fd) {
  struct statfs where{};
  if (::fstatfs(fd, &where) != 0) return Home::kElsewhere;
  if (where.f_type == PROC_SUPER_MAGIC || where.f_type == SYSFS_MAGIC) return Home::kProcOrSys;
  return where.f_type == CGROUP_SUPER_MAGIC || where.f_type == CGROUP2_SUPER_MAGIC ? Home::kCgroupfs : Home::kElsewhere;
}

}  // namespace

std::expected<std::string_view, int> FileReader::read_open(int fd, bool whole_at_once) {
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
    if (whole_at_once && size < kShortOfCgroupfs) return std::string_view(buffer_.data(), size);
  }
}

std::expected<std::string_view, int> FileReader::read_once(const char* path) {
  const int fd = ::open(path, kOpenFlags);
  if (fd < 0) return std::unexpected(errno);
  auto text = read_open(fd, false);
  ::close(fd);
  return text;
}

KeptFile::KeptFile(KeptFile&& other) noexcept
    : reader_(other.reader_),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      keep_(std::exchange(other.keep_, false)),
      whole_at_once_(other.whole_at_once_) {}

KeptFile& KeptFile::operator=(KeptFile&& other) noexcept {
  if (this != &other) {
    close();
    reader_ = other.reader_;
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    keep_ = std::exchange(other.keep_, false);
    whole_at_once_ = other.whole_at_once_;
  }
  return *this;
}

int KeptFile::open() {
  fd_ = ::open(path_.c_str(), kOpenFlags);
  if (fd_ < 0) return errno;
  const Home home = home_of(fd_);
  whole_at_once_ = home == Home::kCgroupfs;
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
  auto text = reader_->read_open(fd_, whole_at_once_);
  if (!text && was_open) {
    // The device or process behind a kept descriptor is gone; another may have its name.
    close();
    if (const int error = open(); error != 0) return std::unexpected(error);
    text = reader_->read_open(fd_, whole_at_once_);
  }
  if (!keep_ || !text) close();
  return text;
}

}  // namespace qd::observe
