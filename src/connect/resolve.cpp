#include "connect/resolve.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

namespace qd::connect {
namespace {

std::atomic<int> resolvers_running{0};

base::Result<std::vector<SocketAddress>> of_path(const std::string& path) {
  SocketAddress address;
  auto* local = reinterpret_cast<sockaddr_un*>(&address.bytes);
  if (path.size() >= sizeof(local->sun_path)) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("the path {} is longer than the {} bytes that the system "
                                                             "allows for a socket",
                                                             path, sizeof(local->sun_path) - 1));
  }
  local->sun_family = AF_UNIX;
  std::memcpy(local->sun_path, path.data(), path.size());
  address.size = sizeof(sockaddr_un);
  return std::vector{address};
}

base::Result<std::vector<SocketAddress>> ask_system(const ServerAddress& server, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
  if (error != 0) {
    const std::string why =
        error == EAI_SYSTEM ? std::error_code(errno, std::generic_category()).message() : ::gai_strerror(error);
    return base::fail(base::ErrorCode::kUnavailable, fmt::format("the name {} is not found: {}", server.host, why));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress address;
    std::memcpy(&address.bytes, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) {
    return base::fail(base::ErrorCode::kUnavailable, fmt::format("the name {} has no address", server.host));
  }
  return addresses;
}

bool is_number(const std::string& host) {
  in_addr v4{};
  // With an interface behind it ("fe80::1%eth0"), inet_pton does not know a v6 address, but no name has a colon.
  return host.find(':') != std::string::npos || ::inet_pton(AF_INET, host.c_str(), &v4) == 1;
}

}  // namespace

base::Result<ServerAddress> parse_server_address(std::string_view text) {
  const auto wrong = [&](std::string_view what) {
    return base::fail(
        base::ErrorCode::kInvalid,
        fmt::format("{:?} {}: write \"host:port\", \"[v6 address]:port\" or \"/path/of.sock\"", text, what));
  };
  if (text.find('\0') != std::string_view::npos) return wrong("has a zero byte");
  ServerAddress server;
  if (text.starts_with('/')) {
    server.path = text;
    return server;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong("has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("has more than one colon");
  }
  if (host.empty()) return wrong("has no host");
  const auto [at, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
  if (error != std::errc{} || at != port.data() + port.size() || server.port == 0) return wrong("has no valid port");
  server.host = host;
  return server;
}

base::Result<std::vector<SocketAddress>> resolve(const ServerAddress& server, const base::Clock& clock,
                                                 std::int64_t deadline_ns) {
  if (server.is_path()) return of_path(server.path);
  if (is_number(server.host)) return ask_system(server, AI_NUMERICHOST);

  if (resolvers_running.fetch_add(1) >= kResolversMax) {
    resolvers_running.fetch_sub(1);
    return base::fail(base::ErrorCode::kUnavailable,
                      fmt::format("the name {} is not looked up: {} look-ups of names hang already; check the name "
                                  "servers of this machine",
                                  server.host, kResolversMax));
  }
  auto promise = std::make_shared<std::promise<base::Result<std::vector<SocketAddress>>>>();
  auto answer = promise->get_future();
  try {
    std::thread([promise, server] {
      auto addresses = ask_system(server, AI_ADDRCONFIG);
      resolvers_running.fetch_sub(1);
      promise->set_value(std::move(addresses));
    }).detach();
  } catch (const std::system_error& error) {
    resolvers_running.fetch_sub(1);
    return base::fail(base::ErrorCode::kUnavailable,
                      fmt::format("the name {} is not looked up: no thread for it: {}", server.host, error.what()));
  }
  const std::int64_t remaining_ns = std::max<std::int64_t>(deadline_ns - clock.monotonic_ns(), 0);
  if (answer.wait_for(std::chrono::nanoseconds(remaining_ns)) != std::future_status::ready) {
    return base::fail(
        base::ErrorCode::kTimeout,
        fmt::format("the name {} was not looked up in time; check the name servers of this machine", server.host));
  }
  return answer.get();
}

}  // namespace qd::connect
