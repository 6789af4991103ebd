// Scrape targets for bench/: serves metrics as a service would, so cheaply that it is never what is measured.
//
// usage: target_server [TARGETS [SERIES [INTERVAL_MS]]]
//
// Listens on TARGETS free ports of 127.0.0.1, prints each on a line of its own, and serves until its standard input
// ends. Each target has SERIES series: half of them counters (half of those whole numbers, half sums of amounts with
// two decimals), a quarter gauges (random walks of two decimals), a quarter histogram buckets; about 79 bytes a line.
// Values move on once an INTERVAL_MS, at most, whoever asks: all scrapers of one interval read the same body.

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int kMetricsOfAKind = 10;
constexpr const char* kCodes[] = {"200", "301", "404", "500", "503"};
constexpr const char* kQueues[] = {"inbound", "outbound", "retries", "deadline", "archive"};
constexpr const char* kBounds[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"};

enum class Kind { kCounter, kAmount, kGauge, kBucket };

struct Line {
  std::string head;  // "# TYPE …" where a family begins, then name, labels and a blank
  Kind kind;
  std::int64_t value = 0;     // hundredths for amounts and gauges
  bool first_bucket = false;  // of its histogram
};

class Target {
 public:
  Target(int series, std::chrono::milliseconds interval, std::uint64_t seed) : interval_(interval), random_(seed) {
    add_counters(series / 2);
    add_gauges(series / 4);
    add_buckets(series - series / 2 - series / 4);
  }

  // The response of this interval.
  std::shared_ptr<const std::string> response() {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (response_ == nullptr || now >= next_) {
      response_ = render();
      next_ = next_ + interval_ > now ? next_ + interval_ : now + interval_;
    }
    return response_;
  }

 private:
  static std::string type(const std::string& name, const char* type, bool begins) {
    return begins ? fmt::format("# TYPE {} {}\n", name, type) : std::string();
  }
  std::int64_t below(std::uint64_t bound) { return static_cast<std::int64_t>(random_() % bound); }

  void add_counters(int count) {
    for (int i = 0; i < count; ++i) {
      const int metric = static_cast<int>(static_cast<std::int64_t>(i) * kMetricsOfAKind / count);
      const bool begins = lines_.empty() || i == 0 ||
                          metric != static_cast<int>(static_cast<std::int64_t>(i - 1) * kMetricsOfAKind / count);
      const std::string name = fmt::format("app_http_requests_total_{}", metric);
      const Kind kind = metric % 2 == 0 ? Kind::kCounter : Kind::kAmount;
      lines_.push_back({fmt::format("{}{}{{code=\"{}\",path=\"/api/v1/resources/{:06}\"}} ",
                                    type(name, "counter", begins), name, kCodes[i % 5], i / 5),
                        kind, below(1'000'000)});
    }
  }
  void add_gauges(int count) {
    for (int i = 0; i < count; ++i) {
      const int metric = static_cast<int>(static_cast<std::int64_t>(i) * kMetricsOfAKind / count);
      const bool begins =
          i == 0 || metric != static_cast<int>(static_cast<std::int64_t>(i - 1) * kMetricsOfAKind / count);
      const std::string name = fmt::format("app_queue_depth_{}", metric);
      lines_.push_back({fmt::format("{}{}{{queue=\"{}\",path=\"/api/v1/resources/{:06}/jobs\"}} ",
                                    type(name, "gauge", begins), name, kQueues[i % 5], i / 5),
                        Kind::kGauge, below(100'000)});
    }
  }
  void add_buckets(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "app_request_duration_seconds";
      lines_.push_back({fmt::format("{}{}_bucket{{le=\"{}\",path=\"/api/v1/resources/{:06}\"}} ",
                                    type(name, "histogram", i == 0), name, kBounds[i % 10], i / 10),
                        Kind::kBucket, 0, i % 10 == 0});
    }
  }

  static void append_hundredths(std::string& out, std::int64_t value) {
    char digits[24];
    if (value < 0) out.push_back('-');
    const std::int64_t magnitude = value < 0 ? -value : value;
    const auto whole = std::to_chars(digits, std::end(digits), magnitude / 100);
    out.append(digits, whole.ptr);
    if (const auto rest = static_cast<int>(magnitude % 100); rest != 0) {
      out.push_back('.');
      out.push_back(static_cast<char>('0' + rest / 10));
      if (rest % 10 != 0) out.push_back(static_cast<char>('0' + rest % 10));
    }
  }

  std::shared_ptr<const std::string> render() {
    std::string body;
    body.reserve(bytes_ + bytes_ / 8);
    std::int64_t rise = 0;  // of the bucket before: cumulative buckets rise at least as much
    std::uint64_t more = 0;
    char digits[24];
    for (Line& line : lines_) {
      switch (line.kind) {
        case Kind::kCounter:
          line.value += below(21);
          break;
        case Kind::kAmount:
          line.value += below(101);
          break;
        case Kind::kGauge:
          line.value += below(301) - 150;
          break;
        case Kind::kBucket:
          // Most requests are fast: each bucket gets half as many more as the one before.
          if (line.first_bucket) {
            rise = 0;
            more = 32;
          }
          rise += below(more + 1);
          more /= 2;
          line.value += rise;
          break;
      }
      body.append(line.head);
      if (line.kind == Kind::kAmount || line.kind == Kind::kGauge) {
        append_hundredths(body, line.value);
      } else {
        const auto end = std::to_chars(digits, std::end(digits), line.value);
        body.append(digits, end.ptr);
      }
      body.push_back('\n');
    }
    bytes_ = body.size();
    return std::make_shared<const std::string>(
        fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                    "Content-Length: {}\r\n\r\n{}",
                    body.size(), body));
  }

  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::mt19937_64 random_;
  std::vector<Line> lines_;
  std::size_t bytes_ = 0;
  std::chrono::steady_clock::time_point next_;
  std::shared_ptr<const std::string> response_;
};

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// One scraper's connection; each request is a head without a body.
void serve(int fd, Target& target) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  std::string head;
  char buffer[4096];
  for (;;) {
    const auto got = ::recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    head.append(buffer, static_cast<std::size_t>(got));
    const auto end = head.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (head.size() > 64 * 1024) break;
      continue;
    }
    head.erase(0, end + 4);
    if (!send_all(fd, *target.response())) break;
  }
  ::close(fd);
}

// A listening socket on a free port of loopback; prints the port.
int listen_somewhere() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 64) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("target_server: cannot listen on 127.0.0.1");
    std::exit(1);
  }
  std::printf("%d\n", ntohs(address.sin_port));
  return fd;
}

int argument(int count, char** arguments, int index, int otherwise) {
  return index < count ? std::max(1, std::atoi(arguments[index])) : otherwise;
}

}  // namespace

int main(int count, char** arguments) {
  const int targets = argument(count, arguments, 1, 4);
  const int series = argument(count, arguments, 2, 10'000);
  const std::chrono::milliseconds interval(argument(count, arguments, 3, 1000));
  for (int i = 0; i < targets; ++i) {
    const int listener = listen_somewhere();
    std::thread([listener, series, interval, i] {
      Target target(series, interval, static_cast<std::uint64_t>(i) + 1);
      for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) std::thread(serve, fd, std::ref(target)).detach();
      }
    }).detach();
  }
  std::fflush(stdout);
  char ignored[64];
  while (::read(STDIN_FILENO, ignored, sizeof(ignored)) > 0) {
  }
  std::_Exit(0);
}
