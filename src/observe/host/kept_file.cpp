#include "observe/host/kept_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace qd::observe::host {

KeptFile::KeptFile(KeptFile&& other) noexcept
    : reader_(other.reader_),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      keep_(std::exchange(other.keep_, false)) {}

KeptFile& KeptFile::operator=(KeptFile&& other) noexcept {
  if (this != &other) {
    close();
    reader_ = other.reader_;
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    keep_ = std::exchange(other.keep_, false);
  }
  return *this;
}

int KeptFile::open() {
  // O_NONBLOCK: a pipe or a device in the place of a file must not hang the pass.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) return errno;
  struct statfs where{};
  keep_ = reader_->kept_ < FileReader::kKeptDescriptorsMax && ::fstatfs(fd_, &where) == 0 &&
          (where.f_type == PROC_SUPER_MAGIC || where.f_type == SYSFS_MAGIC);
  if (keep_) ++reader_->kept_;
  return 0;
}

void KeptFile::close() {
  if (fd_ < 0) return;
  ::close(std::exchange(fd_, -1));
  if (std::exchange(keep_, false)) --reader_->kept_;
}

std::expected<std::string_view, int> KeptFile::read_open() {
  auto& buffer = reader_->buffer_;
  std::size_t size = 0;
  while (true) {
    if (size == buffer.size()) {
      if (size >= FileReader::kFileBytesMax) return std::unexpected(EFBIG);
      buffer.resize(size * 2);
    }
    const auto got = ::pread(fd_, buffer.data() + size, buffer.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno);
    if (got == 0) return std::string_view(buffer.data(), size);
    size += static_cast<std::size_t>(got);
  }
}

std::expected<std::string_view, int> KeptFile::read() {
  const bool was_open = fd_ >= 0;
  if (!was_open) {
    if (const int error = open(); error != 0) return std::unexpected(error);
  }
  auto text = read_open();
  if (!text && was_open) {
    // The device or process behind a kept descriptor is gone; another may have its name.
    close();
    if (const int error = open(); error != 0) return std::unexpected(error);
    text = read_open();
  }
  if (!keep_ || !text) close();
  return text;
}

}  // namespace qd::observe::host
