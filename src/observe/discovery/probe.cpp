#include "observe/discovery/probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <optional>

namespace qd::observe::discovery {
namespace {

using namespace std::string_view_literals;

// Servers that speak first do so at once.
constexpr std::int64_t kGreetingMs = 150;
constexpr std::int64_t kTlsMs = 500;
constexpr std::string_view kGetMetrics = "GET /metrics HTTP/1.0\r\n\r\n";
// An SSLRequest (PostgreSQL, "Message Formats"): its length, and a version that stands for it.
constexpr std::string_view kSslRequest = "\0\0\0\x08\x04\xd2\x16\x2f"sv;

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
};

std::optional<Endpoint> endpoint_of(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string host(text.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const auto digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  Endpoint endpoint;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&endpoint.address, &v4, sizeof v4);
    endpoint.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&endpoint.address, &v6, sizeof v6);
    endpoint.size = sizeof v6;
  } else {
    return std::nullopt;
  }
  return endpoint;
}

// A connection for one question; nothing of it blocks beyond the deadline.
class Talk {
 public:
  Talk(const Endpoint& endpoint, std::int64_t deadline_ns, const base::Clock& clock)
      : deadline_ns_(deadline_ns),
        clock_(clock),
        fd_(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) return;
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.size) == 0;
    if (connected_ || errno != EINPROGRESS || !ready(POLLOUT, deadline_ns_)) return;
    int failure = 0;
    socklen_t size = sizeof failure;
    connected_ = ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0;
  }
  ~Talk() {
    if (fd_ >= 0) ::close(fd_);
  }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  bool connected() const { return connected_; }
  // The peer has closed its side, or broken off.
  bool ended() const { return ended_; }

  // A question fits into any socket's buffer.
  bool say(std::string_view text) {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // Reads until `enough` is satisfied, or nothing more comes in time.
  const std::string& hear(std::int64_t until_ns, const std::function<bool(std::string_view)>& enough) {
    std::array<char, 4096> piece;
    while (!ended_ && heard_.size() < kAnswerBytesMax && !enough(heard_)) {
      if (!ready(POLLIN, std::min(until_ns, deadline_ns_))) break;
      const ssize_t n = ::recv(fd_, piece.data(), piece.size(), 0);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) {
        ended_ = true;
      } else {
        heard_.append(piece.data(), static_cast<std::size_t>(n));
      }
    }
    return heard_;
  }
  const std::string& hear(const std::function<bool(std::string_view)>& enough) { return hear(deadline_ns_, enough); }

 private:
  bool ready(short what, std::int64_t until_ns) {
    for (;;) {
      const std::int64_t left_ns = until_ns - clock_.monotonic_ns();
      if (left_ns <= 0) return false;
      pollfd one{fd_, what, 0};
      const int n = ::poll(&one, 1, static_cast<int>(left_ns / 1'000'000 + 1));
      if (n > 0) return true;
      if (n < 0 && errno != EINTR) return false;
    }
  }

  const std::int64_t deadline_ns_;
  const base::Clock& clock_;
  const int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string heard_;
};

bool has_line(std::string_view text) {
  return text.find('\n') != std::string_view::npos;
}

bool is_ok(std::string_view response) {
  const auto space = response.find(' ');
  return response.starts_with("HTTP/") && space != std::string_view::npos && response.substr(space, 4) == " 200";
}

// HandshakeV10 (MySQL), and the error that MySQL sends instead to a host that it blocks: a packet's length in three
// bytes, its number 0, then 10 and a version, or 255 and an error.
bool is_mysql_greeting(std::string_view text) {
  if (text.size() < 6 || text[3] != 0) return false;
  const auto first = static_cast<unsigned char>(text[4]);
  const std::size_t length = static_cast<unsigned char>(text[0]) | static_cast<unsigned char>(text[1]) << 8 |
                             static_cast<unsigned char>(text[2]) << 16;
  if (length < 8 || length > 1024) return false;
  if (first == 255) return true;
  const auto version = text.substr(5, text.find('\0', 5) - 5);
  return first == 10 && !version.empty() && std::isdigit(static_cast<unsigned char>(version.front())) != 0;
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> starts) {
  return std::ranges::any_of(starts, [&](std::string_view start) { return text.starts_with(start); });
}

bool page_or_refusal(std::string_view text) {
  return has_line(text) && (!text.starts_with("HTTP/") || !is_ok(text) || is_metrics_page(text));
}

// Asks one question on a connection of its own.
std::string ask(const Endpoint& endpoint, std::string_view question, std::int64_t deadline_ns, const base::Clock& clock,
                const std::function<bool(std::string_view)>& enough) {
  Talk talk(endpoint, deadline_ns, clock);
  if (!talk.connected() || !talk.say(question)) return {};
  return talk.hear(enough);
}

}  // namespace

bool is_metrics_page(std::string_view response) {
  if (!is_ok(response)) return false;
  auto body = response.find("\r\n\r\n");
  if (body == std::string_view::npos) return false;
  if (response.substr(0, body).find("application/openmetrics-text") != std::string_view::npos) return true;
  body += 4;
  return starts_with_any(response.substr(body), {"# HELP ", "# TYPE "}) ||
         response.find("\n# HELP ", body) != std::string_view::npos ||
         response.find("\n# TYPE ", body) != std::string_view::npos;
}

Probed probe(const std::string& address, std::int64_t deadline_ns, const base::Clock& clock) {
  Probed found;
  const auto endpoint = endpoint_of(address);
  if (!endpoint) return found;
  std::string answer;
  bool ended = false;
  {
    Talk talk(*endpoint, deadline_ns, clock);
    found.connected = talk.connected();
    if (!found.connected) return found;
    const std::int64_t greeted_ns = clock.monotonic_ns() + kGreetingMs * 1'000'000;
    const std::string greeting = talk.hear(greeted_ns, [](std::string_view text) { return text.size() >= 16; });
    if (is_mysql_greeting(greeting)) found.kind = "mysql";
    if (greeting.starts_with("-DENIED Redis")) found.kind = "redis";
    // Whoever greets is known by its greeting.
    if (!greeting.empty() || talk.ended() || !talk.say(kGetMetrics)) return found;
    answer = talk.hear(page_or_refusal);
    ended = talk.ended();
  }
  if (answer.starts_with("HTTP/")) {
    // Some answer nobody who does not name them.
    if (!is_ok(answer)) {
      const auto named = fmt::format("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address);
      answer = ask(*endpoint, named, deadline_ns, clock, page_or_refusal);
    }
    if (is_metrics_page(answer)) found.kind = "openmetrics";
  } else if (answer.starts_with('-')) {
    const auto pong = ask(*endpoint, "PING\r\n", deadline_ns, clock, has_line);
    if (starts_with_any(pong, {"+PONG", "-NOAUTH", "-LOADING", "-MASTERDOWN"})) found.kind = "redis";
  } else if (starts_with_any(answer, {"ERROR", "CLIENT_ERROR"}) || (answer.empty() && ended)) {
    // Newer memcached closes too when it is spoken to in HTTP; it waits for the end of what is no line.
    const std::int64_t tls_ns = std::min(deadline_ns, clock.monotonic_ns() + kTlsMs * 1'000'000);
    const auto tls = ask(*endpoint, kSslRequest, tls_ns, clock, [](std::string_view text) { return !text.empty(); });
    if (tls == "S" || tls == "N") {
      found.kind = "postgres";
    } else if (ask(*endpoint, "version\r\n", deadline_ns, clock, has_line).starts_with("VERSION ")) {
      found.kind = "memcached";
    }
  }
  return found;
}

}  // namespace qd::observe::discovery
