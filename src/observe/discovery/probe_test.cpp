#include "observe/discovery/probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

namespace qd::observe::discovery {
namespace {

using namespace std::string_literals;

// A server for one connection after the other. `answer` gets what the client said so far and whether it is the first
// call (nothing said yet); what it returns is sent, and "\x04" closes.
class FakeServer {
 public:
  using Answer = std::function<std::string(const std::string& heard)>;
  static constexpr std::string_view kClose = "\x04";

  FakeServer(std::string greeting, Answer answer)
      : greeting_(std::move(greeting)), answer_(std::move(answer)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&where), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size);
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    stop_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  int connections() const { return connections_; }

 private:
  void serve() {
    while (!stop_) {
      const int peer = ::accept(fd_, nullptr, nullptr);
      if (peer < 0) continue;
      ++connections_;
      ::send(peer, greeting_.data(), greeting_.size(), MSG_NOSIGNAL);
      std::string heard;
      char buffer[4096];
      pollfd one{peer, POLLIN, 0};
      while (!stop_) {
        if (::poll(&one, 1, 20) <= 0) continue;
        const ssize_t n = ::recv(peer, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        heard.append(buffer, static_cast<std::size_t>(n));
        const std::string out = answer_(heard);
        if (out == kClose) break;
        ::send(peer, out.data(), out.size(), MSG_NOSIGNAL);
      }
      ::close(peer);
    }
  }

  const std::string greeting_;
  const Answer answer_;
  const int fd_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

std::string silent(const std::string&) {
  return "";
}

Probed ask(const std::string& address, std::int64_t ms = 5000) {
  const base::SystemClock clock;
  return probe(address, clock.monotonic_ns() + ms * 1'000'000, clock);
}

TEST(Probe, knows_each_kind_by_its_answer) {
  FakeServer mysql("J\0\0\0\x0a"s + "8.0.36\0"s + std::string(63, 'x'), silent);
  EXPECT_EQ(ask(mysql.address()).kind, "mysql");
  FakeServer mariadb("J\0\0\0\x0a"s + "5.5.5-10.11.6-MariaDB\0"s + std::string(63, 'x'), silent);
  EXPECT_EQ(ask(mariadb.address()).kind, "mysql");
  FakeServer blocked("E\0\0\0\xffHost '10.0.0.1' is blocked"s, silent);
  EXPECT_EQ(ask(blocked.address()).kind, "mysql");

  FakeServer redis("", [](const std::string& heard) {
    if (heard == "PING\r\n") return "+PONG\r\n";
    return "-ERR wrong number of arguments for 'get' command\r\n";
  });
  EXPECT_EQ(ask(redis.address()).kind, "redis");
  FakeServer locked("", [](const std::string&) { return "-NOAUTH Authentication required.\r\n"; });
  EXPECT_EQ(ask(locked.address()).kind, "redis");
  FakeServer guarded("-DENIED Redis is running in protected mode\r\n", silent);
  EXPECT_EQ(ask(guarded.address()).kind, "redis");

  FakeServer memcached(
      "", [](const std::string& heard) { return heard == "version\r\n" ? "VERSION 1.6.18\r\n" : "ERROR\r\n"; });
  EXPECT_EQ(ask(memcached.address()).kind, "memcached");
  FakeServer newer_memcached("", [](const std::string& heard) {
    if (heard.starts_with("GET ")) return std::string(FakeServer::kClose);
    return std::string(heard == "version\r\n" ? "VERSION 1.6.18\r\n" : "");
  });
  EXPECT_EQ(ask(newer_memcached.address()).kind, "memcached");
  EXPECT_LE(newer_memcached.connections(), 3);

  FakeServer postgres("", [](const std::string& heard) {
    return heard == "\0\0\0\x08\x04\xd2\x16\x2f"s ? "N" : std::string(FakeServer::kClose);
  });
  EXPECT_EQ(ask(postgres.address()).kind, "postgres");
  EXPECT_LE(postgres.connections(), 2);

  FakeServer metrics("", [](const std::string& heard) {
    return heard.starts_with("GET /metrics HTTP/1.0\r\n")
               ? "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n# HELP up Up.\n# TYPE up gauge\nup 1\n"
               : "";
  });
  EXPECT_EQ(ask(metrics.address()).kind, "openmetrics");
  FakeServer proud("", [](const std::string& heard) {
    return heard.find("Host: 127.0.0.1:") == std::string::npos
               ? "HTTP/1.1 400 Bad Request\r\n\r\n"
               : "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n# HELP up Up.\n# TYPE up gauge\nup 1\n";
  });
  EXPECT_EQ(ask(proud.address()).kind, "openmetrics");
}

TEST(Probe, takes_what_is_like_a_kind_for_nothing) {
  for (const std::string answer : {"HTTP/1.1 404 Not Found\r\n\r\n# HELP none\n",
                                   "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p># HELP</p>", "-ERR what\r\n",
                                   "ERROR\r\n", "+OK\r\n", "\x15\x03\x01\x00\x02\x02\x46", "\n\n\n", "S"}) {
    FakeServer server("", [&](const std::string&) { return answer; });
    const Probed probed = ask(server.address(), 600);
    EXPECT_TRUE(probed.connected);
    EXPECT_EQ(probed.kind, "") << answer;
  }
  for (const std::string& greeting : {"SSH-2.0-OpenSSH_9.2\r\n"s, "220 mail ESMTP\r\n"s, "+OK POP3\r\n"s,
                                      "J\0\0\0\x0axyz\0 not a version"s, std::string(100'000, '\0')}) {
    FakeServer server(greeting, silent);
    EXPECT_EQ(ask(server.address(), 2000).kind, "") << greeting.substr(0, 20);
  }
}

TEST(Probe, keeps_its_deadline_whatever_the_server_does) {
  const auto began = std::chrono::steady_clock::now();
  FakeServer says_nothing("", silent);
  EXPECT_TRUE(ask(says_nothing.address(), 300).connected);
  FakeServer endless("", [](const std::string&) { return "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, 'x'); });
  EXPECT_EQ(ask(endless.address(), 1000).kind, "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(4));
}

TEST(Probe, of_nobody_is_no_connection) {
  std::string address;
  {
    FakeServer gone("", silent);
    address = gone.address();
  }
  EXPECT_FALSE(ask(address).connected);
  for (const char* bad : {"", "x", "127.0.0.1", "127.0.0.1:x", "example.org:80", "[::1:80", "127.0.0.1:99999"})
    EXPECT_FALSE(ask(bad).connected) << bad;
}

TEST(MetricsPage, is_known_by_type_or_text) {
  EXPECT_TRUE(is_metrics_page("HTTP/1.1 200 OK\r\n\r\n# TYPE a gauge\na 1\n"));
  EXPECT_TRUE(is_metrics_page("HTTP/1.0 200 OK\r\n\r\na 1\n# HELP b c\n"));
  EXPECT_TRUE(is_metrics_page("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0\r\n\r\n"));
  EXPECT_FALSE(is_metrics_page("HTTP/1.1 200 OK\r\n# TYPE: x\r\n\r\n"));
  EXPECT_FALSE(is_metrics_page("HTTP/1.1 500 No\r\n\r\n# TYPE a gauge\n"));
  EXPECT_FALSE(is_metrics_page("# TYPE a gauge\n"));
}

}  // namespace
}  // namespace qd::observe::discovery
