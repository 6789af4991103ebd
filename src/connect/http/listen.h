// Listening sockets and who comes in through them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace qd::connect::http {

// A file descriptor, closed with the object.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

struct Listening {
  Socket socket;
  std::string address;  // "127.0.0.1:9090" with the real port, or the path
  std::uint16_t port = 0;
  bool is_unix = false;
};

struct Peer {
  std::string address;
  std::uint16_t port = 0;
  bool is_loopback = false;
  bool is_unix = false;
  std::optional<std::uint32_t> uid;  // of a Unix socket
};

// "HOST:PORT", "[::1]:0", ":9090". A name stands for its first IPv4 address, else its first.
base::Result<Listening> listen_tcp(const std::string& address);
// A socket file that nobody listens on any more is replaced.
base::Result<Listening> listen_unix(const std::string& path);

struct Accepted {
  Socket socket;  // none when `error_number` says why; EAGAIN when nobody waits
  Peer peer;
  int error_number = 0;
};
Accepted accept_one(const Listening& listening);

}  // namespace qd::connect::http
