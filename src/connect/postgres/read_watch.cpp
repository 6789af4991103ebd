#include "connect/postgres/read_watch.h"

#include <fcntl.h>
// Not <netinet/tcp.h>, whose tcp_info ends before what is wanted.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <system_error>

namespace qd::connect::postgres {
namespace {

constexpr std::chrono::milliseconds kEvery{2};

}  // namespace

std::uint64_t received_bytes(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  if (size < offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) return 0;
  return info.tcpi_bytes_received;
}

ReadWatch::ReadWatch(int socket, std::size_t bytes_max, std::int64_t deadline_ns, const base::Clock& clock)
    // Of its own, so that one that libpq closes is not another's meanwhile.
    : socket_(::fcntl(socket, F_DUPFD_CLOEXEC, 0)),
      bytes_from_(received_bytes(socket)),
      bytes_max_(bytes_max),
      deadline_ns_(deadline_ns),
      clock_(clock) {
  try {
    thread_ = std::thread([this] { watch(); });
  } catch (const std::system_error&) {
    // Without a thread, the caller still looks between its calls.
  }
}

ReadWatch::~ReadWatch() {
  {
    const base::MutexLock lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  if (socket_ >= 0) ::close(socket_);
}

bool ReadWatch::met_limit() const {
  const base::MutexLock lock(mutex_);
  return met_limit_;
}

bool ReadWatch::has_too_many() const {
  const std::uint64_t bytes = received_bytes(socket_);
  return bytes > bytes_from_ && bytes - bytes_from_ > bytes_max_;
}

void ReadWatch::watch() {
  const base::MutexLock lock(mutex_);
  while (!over_) {
    const bool late = clock_.monotonic_ns() >= deadline_ns_;
    if (late || has_too_many()) {
      met_limit_ = !late;
      ::shutdown(socket_, SHUT_RDWR);
      return;
    }
    wake_.wait_until(mutex_, std::chrono::steady_clock::now() + kEvery);
  }
}

}  // namespace qd::connect::postgres
