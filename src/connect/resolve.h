// Addresses of servers as people write them, and what they stand for.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace qd::connect {

// "host:port", "[v6]:port" or the path of a Unix socket.
struct ServerAddress {
  std::string host;  // without brackets; empty for a path
  std::uint16_t port = 0;
  std::string path;

  bool is_path() const { return !path.empty(); }
};

// kInvalid says how an address is written.
base::Result<ServerAddress> parse_server_address(std::string_view text);

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  int family() const { return bytes.ss_family; }
};

// Where `server` can be reached, in the order in which to try; never empty. Numbers and paths are understood at once.
// Names are asked of the system (getaddrinfo), which has no time-out: a thread of its own asks, and when the deadline
// passes first, this returns kTimeout and the thread goes on alone until the system gives up (with the defaults of
// resolv.conf after 10 s for each name server). The process has at most kResolversMax such threads; beyond that, names
// are kUnavailable.
inline constexpr int kResolversMax = 16;
base::Result<std::vector<SocketAddress>> resolve(const ServerAddress& server, const base::Clock& clock,
                                                 std::int64_t deadline_ns);

}  // namespace qd::connect
