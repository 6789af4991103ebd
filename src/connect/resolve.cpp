#include "connect/resolve.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace qd::connect {
namespace {

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

std::chrono::nanoseconds slice(std::int64_t remaining_ns) {
  return std::chrono::nanoseconds(std::min(remaining_ns, kCancelMs * 1'000'000));
}

std::unexpected<base::Error> given_up(const ServerAddress& server) {
  return base::fail(base::ErrorCode::kCancelled, fmt::format("looking up the name {}: given up", server.host));
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

bool bind_source(int socket, int family, const std::string& ip) {
  SocketAddress from;
  from.bytes.ss_family = static_cast<sa_family_t>(family);
  const bool v6 = family == AF_INET6;
  from.size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  void* to = v6 ? static_cast<void*>(&reinterpret_cast<sockaddr_in6*>(&from.bytes)->sin6_addr)
                : &reinterpret_cast<sockaddr_in*>(&from.bytes)->sin_addr;
  if (::inet_pton(family, ip.c_str(), to) != 1) {
    errno = EINVAL;
    return false;
  }
  return ::bind(socket, reinterpret_cast<const sockaddr*>(&from.bytes), from.size) == 0;
}

struct LookUps::Places {
  base::Mutex mutex;
  base::CondVar freed;
  int taken QD_GUARDED_BY(mutex) = 0;

  void free() QD_EXCLUDES(mutex) {
    const base::MutexLock lock(mutex);
    --taken;
    freed.notify_one();
  }
};

LookUps::LookUps(int at_once_max, WhenFull when_full, std::function<Addresses(const ServerAddress&)> ask)
    : at_once_max_(at_once_max),
      when_full_(when_full),
      ask_(ask ? std::move(ask) : [](const ServerAddress& server) { return ask_system(server, AI_ADDRCONFIG); }),
      places_(std::make_shared<Places>()) {}

LookUps::~LookUps() = default;

LookUps& LookUps::of_readers() {
  static LookUps look_ups(kResolversMax, WhenFull::kRefuses);
  return look_ups;
}

LookUps& LookUps::of_probes() {
  static LookUps look_ups(kProbeResolversMax, WhenFull::kWaits);
  return look_ups;
}

base::Status LookUps::take_place(const ServerAddress& server, const base::Clock& clock, std::int64_t deadline_ns,
                                 const base::CancelToken* cancel) {
  const base::MutexLock lock(places_->mutex);
  while (places_->taken >= at_once_max_) {
    const std::int64_t remaining_ns = deadline_ns - clock.monotonic_ns();
    const bool refuses = when_full_ == WhenFull::kRefuses;
    if (refuses || remaining_ns <= 0) {
      return base::fail(refuses ? base::ErrorCode::kUnavailable : base::ErrorCode::kTimeout,
                        fmt::format("the name {} is not looked up: {} look-ups of names hang already; check the name "
                                    "servers of this machine",
                                    server.host, at_once_max_));
    }
    if (cancel != nullptr && cancel->cancelled()) return given_up(server);
    places_->freed.wait_until(places_->mutex, std::chrono::steady_clock::now() + slice(remaining_ns));
  }
  ++places_->taken;
  return {};
}

LookUps::Addresses LookUps::resolve(const ServerAddress& server, const base::Clock& clock, std::int64_t deadline_ns,
                                    const base::CancelToken* cancel) {
  if (server.is_path()) return of_path(server.path);
  if (is_number(server.host)) return ask_system(server, AI_NUMERICHOST);

  QD_TRY(take_place(server, clock, deadline_ns, cancel));
  auto promise = std::make_shared<std::promise<Addresses>>();
  auto answer = promise->get_future();
  try {
    std::thread([promise, server, ask = ask_, places = places_] {
      auto addresses = ask(server);
      places->free();
      promise->set_value(std::move(addresses));
    }).detach();
  } catch (const std::system_error& error) {
    places_->free();
    return base::fail(base::ErrorCode::kUnavailable,
                      fmt::format("the name {} is not looked up: no thread for it: {}", server.host, error.what()));
  }
  for (;;) {
    const std::int64_t remaining_ns = std::max<std::int64_t>(deadline_ns - clock.monotonic_ns(), 0);
    if (answer.wait_for(slice(remaining_ns)) == std::future_status::ready) return answer.get();
    if (cancel != nullptr && cancel->cancelled()) return given_up(server);
    if (remaining_ns == 0) {
      return base::fail(
          base::ErrorCode::kTimeout,
          fmt::format("the name {} was not looked up in time; check the name servers of this machine", server.host));
    }
  }
}

base::Result<std::vector<SocketAddress>> resolve(const ServerAddress& server, const base::Clock& clock,
                                                 std::int64_t deadline_ns, const base::CancelToken* cancel) {
  return LookUps::of_readers().resolve(server, clock, deadline_ns, cancel);
}

}  // namespace qd::connect
