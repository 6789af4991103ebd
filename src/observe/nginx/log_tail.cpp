#include "observe/nginx/log_tail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace qd::observe::nginx {
namespace {

base::Error open_error(const std::string& path, int error) {
  if (error == EACCES || error == EPERM) {
    return {base::ErrorCode::kPermission,
            fmt::format("the access log {} may not be read: nginx's logs belong to the group adm; add the user that "
                        "Quarterdeck runs as to it (usermod -a -G adm USER) and restart Quarterdeck",
                        path)};
  }
  if (error == ENOENT) {
    return {
        base::ErrorCode::kNotFound,
        fmt::format("there is no access log {}: compare with access_log in nginx's configuration (nginx -T)", path)};
  }
  return base::errno_error(error, "opening the access log " + path);
}

}  // namespace

void LineReader::feed(std::string_view bytes, LineSink& sink) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (skipping_) {
      skipping_ = end == std::string_view::npos;
    } else if (waiting_.size() + part.size() > kLineBytesMax) {
      waiting_.clear();
      skipping_ = end == std::string_view::npos;
      sink.overlong_line();
    } else if (end == std::string_view::npos) {
      waiting_ += part;
    } else if (waiting_.empty()) {
      if (!part.empty()) sink.line(part);
    } else {
      waiting_ += part;
      sink.line(waiting_);
      waiting_.clear();
    }
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
  }
}

void LineReader::finish(LineSink& sink) {
  if (!waiting_.empty()) sink.line(waiting_);
  reset();
}

void LineReader::reset() {
  waiting_.clear();
  skipping_ = false;
}

LogTail::Followed::Followed(Followed&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      device_(other.device_),
      inode_(other.inode_),
      offset_(other.offset_),
      mark_(std::move(other.mark_)),
      lines_(std::move(other.lines_)) {}

LogTail::Followed& LogTail::Followed::operator=(Followed&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  device_ = other.device_;
  inode_ = other.inode_;
  offset_ = other.offset_;
  mark_ = std::move(other.mark_);
  lines_ = std::move(other.lines_);
  return *this;
}

void LogTail::Followed::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

base::Status LogTail::Followed::open(const std::string& path, bool at_end) {
  // O_NONBLOCK: opening a named pipe would wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return base::fail(open_error(path, errno));
  close();
  fd_ = fd;
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    const int error = errno;
    close();
    return base::fail(open_error(path, error));
  }
  if (!S_ISREG(status.st_mode)) {
    close();
    return base::fail(
        base::ErrorCode::kInvalid,
        fmt::format("the access log {} is no regular file: let nginx write one (access_log FILE FORMAT;), "
                    "an image of nginx that logs to its standard output has none",
                    path));
  }
  device_ = status.st_dev;
  inode_ = status.st_ino;
  offset_ = at_end ? static_cast<std::uint64_t>(status.st_size) : 0;
  mark_.clear();
  lines_.reset();
  if (offset_ == 0) return {};
  mark_.resize(std::min<std::size_t>(kMarkBytes, offset_));
  const ssize_t got = ::pread(fd_, mark_.data(), mark_.size(), static_cast<off_t>(offset_ - mark_.size()));
  if (got != static_cast<ssize_t>(mark_.size())) mark_.clear();
  if (mark_.empty() || mark_.back() != '\n') lines_.skip_to_line_end();
  return {};
}

void LogTail::restart_if_cut(Followed& file, std::uint64_t size) const {
  bool cut = size < file.offset_;
  if (!cut && size > file.offset_ && !file.mark_.empty()) {
    std::array<char, kMarkBytes> now;
    const ssize_t got =
        ::pread(file.fd_, now.data(), file.mark_.size(), static_cast<off_t>(file.offset_ - file.mark_.size()));
    cut = got == static_cast<ssize_t>(file.mark_.size()) &&
          std::memcmp(now.data(), file.mark_.data(), file.mark_.size()) != 0;
  }
  if (!cut) return;
  file.offset_ = 0;
  file.mark_.clear();
  file.lines_.reset();
}

base::Result<bool> LogTail::drain(Followed& file, Pass& pass) {
  struct stat status{};
  if (::fstat(file.fd_, &status) != 0) return base::fail(base::errno_error(errno, "reading the access log " + path_));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  restart_if_cut(file, size);
  // What is written from here on is for the next pass, so that a pass ends.
  while (file.offset_ < size) {
    if (pass.bytes_left == 0 || pass.clock.monotonic_ns() >= pass.deadline_ns) {
      behind_ += size - file.offset_;
      return false;
    }
    if (piece_.empty()) piece_.resize(kPieceBytes);
    const std::size_t wanted = std::min<std::uint64_t>({kPieceBytes, pass.bytes_left, size - file.offset_});
    const ssize_t got = ::pread(file.fd_, piece_.data(), wanted, static_cast<off_t>(file.offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(base::errno_error(errno, "reading the access log " + path_));
    if (got == 0) break;  // cut meanwhile: seen in the next pass
    const std::string_view bytes(piece_.data(), static_cast<std::size_t>(got));
    file.lines_.feed(bytes, pass.sink);
    file.offset_ += bytes.size();
    pass.bytes_left -= bytes.size();
    file.mark_ += bytes.substr(bytes.size() - std::min(bytes.size(), kMarkBytes));
    if (file.mark_.size() > kMarkBytes) file.mark_.erase(0, file.mark_.size() - kMarkBytes);
  }
  return true;
}

base::Status LogTail::read(std::int64_t deadline_ns, const base::Clock& clock, LineSink& sink) {
  Pass pass{deadline_ns, clock, sink};
  behind_ = 0;
  if (renamed_.is_open()) {
    const auto at_end = drain(renamed_, pass);
    if (at_end && !*at_end) return {};
    // What cannot be read of it is lost: the new one counts.
    renamed_.lines_.finish(sink);
    renamed_.close();
  }
  if (!current_.is_open()) {
    const auto opened = current_.open(path_, !begun_);
    // A file that is not there now is new when it comes.
    if (opened || opened.error().code() == base::ErrorCode::kNotFound) begun_ = true;
    QD_TRY(opened);
  }
  const auto at_end = drain(current_, pass);
  if (!at_end) {
    // A descriptor that went bad (a network file system) may stay so. From the end on, so that nothing counts twice.
    current_.close();
    begun_ = false;
    return base::fail(at_end.error());
  }
  if (!*at_end) return {};

  // Between its renaming and nginx's opening a new one there is no file of this name, and the old one is written to.
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return base::fail(open_error(path_, errno));
  }
  if (status.st_dev == current_.device_ && status.st_ino == current_.inode_) return {};
  Followed next;
  QD_TRY(next.open(path_, false));
  renamed_ = std::exchange(current_, std::move(next));
  QD_TRY(drain(current_, pass));
  return {};
}

}  // namespace qd::observe::nginx
