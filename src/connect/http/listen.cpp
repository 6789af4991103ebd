#include "connect/http/listen.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace qd::connect::http {
namespace {

using base::ErrorCode;

constexpr int kBacklog = 4096;
constexpr mode_t kUnixSocketMode = 0660;

std::unexpected<base::Error> not_listening(const std::string& address, int error_number) {
  const auto tried = fmt::format("cannot listen on {}", address);
  switch (error_number) {
    case EADDRINUSE:
      return base::fail(ErrorCode::kConflict,
                        fmt::format("{}: another process listens there; stop it (`ss -ltnp` names it) or choose "
                                    "another address",
                                    tried));
    case EACCES:
      return base::fail(ErrorCode::kPermission,
                        fmt::format("{}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE", tried));
    case EADDRNOTAVAIL:
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("{}: this machine has no such address; choose one that `ip addr` shows", tried));
    default:
      return base::fail(base::errno_error(error_number, tried));
  }
}

struct HostPort {
  std::string host;
  std::string port;
};

base::Result<HostPort> split_address(const std::string& address) {
  const auto invalid = [&] {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("\"{}\" is no address to listen on; write HOST:PORT, [IPV6]:PORT or :PORT, with a "
                                  "port from 0 to 65535",
                                  address));
  };
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) return invalid();
  HostPort split{address.substr(0, colon), address.substr(colon + 1)};
  std::uint16_t port = 0;
  const char* const end = split.port.data() + split.port.size();
  const auto parsed = std::from_chars(split.port.data(), end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return invalid();
  if (split.host.starts_with('[')) {
    if (!split.host.ends_with(']')) return invalid();
    split.host = split.host.substr(1, split.host.size() - 2);
  } else if (split.host.find(':') != std::string::npos) {
    return invalid();
  }
  return split;
}

Peer peer_of(const sockaddr_storage& storage) {
  Peer peer;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    peer.port = ntohs(v4.sin_port);
    peer.is_loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    peer.port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
      peer.is_loopback = v6.sin6_addr.s6_addr[12] == 127;
    } else {
      inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
      peer.is_loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
  }
  peer.address = text.data();
  return peer;
}

// Does the bound address read back as an address of ours?
void name_bound(Listening& listening) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(listening.socket.fd(), reinterpret_cast<sockaddr*>(&storage), &length);
  const Peer self = peer_of(storage);
  listening.port = self.port;
  listening.address = self.address.find(':') == std::string::npos ? fmt::format("{}:{}", self.address, self.port)
                                                                  : fmt::format("[{}]:{}", self.address, self.port);
}

base::Result<Listening> listen_at(const addrinfo& where, const std::string& address, bool every_interface) {
  Listening listening{.socket = Socket(::socket(where.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))};
  const int fd = listening.socket.fd();
  if (fd < 0) return not_listening(address, errno);
  const int on = 1;
  const int v6_only = every_interface ? 0 : 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (where.ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // accepted sockets inherit it
  if (::bind(fd, where.ai_addr, where.ai_addrlen) != 0 || ::listen(fd, kBacklog) != 0)
    return not_listening(address, errno);
  name_bound(listening);
  return listening;
}

bool somebody_listens(const sockaddr_un& where) {
  const Socket probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.fd() >= 0 && ::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

base::Result<Listening> listen_tcp(const std::string& address) {
  QD_ASSIGN(const HostPort wanted, split_address(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int error = ::getaddrinfo(wanted.host.empty() ? nullptr : wanted.host.c_str(), wanted.port.c_str(), &hints, &found);
  // The name is loopback whatever the resolver knows (RFC 6761, section 6.3): bare systems have no /etc/hosts.
  if (error != 0 && wanted.host == "localhost") error = ::getaddrinfo("127.0.0.1", wanted.port.c_str(), &hints, &found);
  if (error != 0) {
    return base::fail(ErrorCode::kInvalid, fmt::format("cannot listen on {}: the name \"{}\" has no address ({})",
                                                       address, wanted.host, gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  const int preferred = wanted.host.empty() ? AF_INET6 : AF_INET;
  const addrinfo* chosen = found;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != preferred) continue;
    chosen = one;
    break;
  }
  const bool every_interface = wanted.host.empty() || wanted.host == "::";
  auto listening = listen_at(*chosen, address, every_interface);
  // A kernel without IPv6 still lists it.
  if (!listening && wanted.host.empty() && listening.error().code() != ErrorCode::kConflict) {
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next)
      if (one->ai_family == AF_INET) return listen_at(*one, address, every_interface);
  }
  return listening;
}

base::Result<Listening> listen_unix(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path) {
    return base::fail(ErrorCode::kInvalid, fmt::format("cannot listen on {}: a Unix socket's path has at most {} bytes",
                                                       path, sizeof where.sun_path - 1));
  }
  std::memcpy(where.sun_path, path.data(), path.size());
  struct stat there{};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) {
      return base::fail(ErrorCode::kConflict,
                        fmt::format("cannot listen on {}: a file that is no socket is there; remove it or choose "
                                    "another path",
                                    path));
    }
    if (somebody_listens(where)) return not_listening(path, EADDRINUSE);
    ::unlink(path.c_str());
  }
  Listening listening{.socket = Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
                      .address = path,
                      .is_unix = true};
  const int fd = listening.socket.fd();
  if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    return not_listening(path, errno);
  // Nobody can connect before listen, so the mode is right before it matters.
  if (::chmod(path.c_str(), kUnixSocketMode) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error_number = errno;
    ::unlink(path.c_str());
    return not_listening(path, error_number);
  }
  return listening;
}

Accepted accept_one(const Listening& listening) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const int fd =
      ::accept4(listening.socket.fd(), reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return {.error_number = errno};
  Accepted accepted{.socket = Socket(fd)};
  if (!listening.is_unix) {
    accepted.peer = peer_of(storage);
    return accepted;
  }
  accepted.peer.is_unix = true;
  ucred credentials{};
  length = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) accepted.peer.uid = credentials.uid;
  return accepted;
}

}  // namespace qd::connect::http
