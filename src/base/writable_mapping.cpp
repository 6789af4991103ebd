#include "base/writable_mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace qd::base {

namespace {

constexpr mode_t kFileMode = 0640;

}  // namespace

Result<std::unique_ptr<WritableMapping>> WritableMapping::create(const std::filesystem::path& path, std::size_t size) {
  const auto failed = [&](int error, std::string_view doing) {
    return fail(errno_error(error, fmt::format("{} {}", doing, path.native())));
  };
  // Not emptied but replaced: somebody may still have the old one mapped.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed(errno, "replacing");
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode);
  if (fd < 0) return failed(errno, "creating");
  int error = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
  void* at = MAP_FAILED;
  if (error == 0) {
    at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) error = errno;
  }
  ::close(fd);
  if (error != 0) {
    ::unlink(path.c_str());
    return failed(error, "taking room for");
  }
  return std::unique_ptr<WritableMapping>(new WritableMapping({static_cast<std::byte*>(at), size}));
}

WritableMapping::~WritableMapping() {
  ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace qd::base
