#include "observe/host/sock_diag.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <utility>

namespace qd::observe::host {

std::uint64_t TcpSockets::total() const {
  return std::accumulate(in_state.begin(), in_state.end(), std::uint64_t{0});
}

void SockDiag::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

int SockDiag::ask(std::uint8_t family) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof(message);
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.header.nlmsg_seq = ++asked_;
  message.request.sdiag_family = family;
  message.request.sdiag_protocol = IPPROTO_TCP;
  message.request.idiag_states = ~0U;
  return ::send(socket_, &message, sizeof(message), 0) == sizeof(message) ? 0 : errno;
}

int SockDiag::read(const base::Clock& clock, std::int64_t deadline_ns, TcpSockets& sockets) {
  while (true) {
    const auto got = ::recv(socket_, answer_.data(), answer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    std::size_t at = 0;
    const auto size = static_cast<std::size_t>(got);
    while (size - at >= sizeof(nlmsghdr)) {
      nlmsghdr header;
      std::memcpy(&header, answer_.data() + at, sizeof(header));
      if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > size - at) return EBADMSG;
      const char* const body = answer_.data() + at + sizeof(header);
      const std::size_t body_size = header.nlmsg_len - sizeof(header);
      at = std::min(size, at + NLMSG_ALIGN(header.nlmsg_len));
      if (header.nlmsg_seq != asked_) continue;
      if (header.nlmsg_type == NLMSG_DONE) return 0;
      if (header.nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        if (body_size < sizeof(error)) return EBADMSG;
        std::memcpy(&error, body, sizeof(error));
        return -error;
      }
      inet_diag_msg socket;
      if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || body_size < sizeof(socket)) return EBADMSG;
      std::memcpy(&socket, body, sizeof(socket));
      sockets.add(socket.idiag_state, socket.idiag_rqueue, socket.idiag_wqueue);
    }
    if (sockets.total() > kSocketsMax) return EFBIG;
    if (clock.monotonic_ns() >= deadline_ns) return ETIMEDOUT;
  }
}

int SockDiag::count(const base::Clock& clock, std::int64_t deadline_ns, TcpSockets& sockets) {
  if (socket_ < 0) {
    socket_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (socket_ < 0) return errno;
    // The kernel answers at once; this is for one that does not.
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    int error = ask(family);
    if (error == 0) error = read(clock, deadline_ns, sockets);
    if (error == 0) continue;
    // What is left of this answer must not be read as part of the next.
    close();
    return error == EAGAIN ? ETIMEDOUT : error;
  }
  return 0;
}

}  // namespace qd::observe::host
