#include "observe/nginx/nginx.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/counters.h"
#include "base/temp_directory.h"
#include "connect/event_loop.h"
#include "observe/nginx/families.h"
#include "observe/recording_sink.h"

namespace qd::observe::nginx {
namespace {

using connect::http::ClientRequest;
using connect::http::ClientResponse;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kStub =
    "Active connections: 4 \nserver accepts handled requests\n 26 25 24 \nReading: 1 Writing: 2 Waiting: 3 \n";

constexpr std::int64_t kSecond = 1'000'000'000;

// Every family that a pass told stands in the table with its type, help and labels.
void expect_in_table(const RecordingSink& sink, bool legacy = false) {
  EXPECT_THAT(sink.faults(), IsEmpty());
  std::map<std::string, FamilyInfo, std::less<>> table;
  for (const auto& info : families()) table.emplace(info.name, info);
  if (legacy) {
    for (const auto& info : legacy_families()) table.emplace(info.name, info);
  }
  for (const auto& [name, type] : sink.types()) {
    const auto found = table.find(name);
    if (found == table.end()) {
      ADD_FAILURE() << name << " is not in the table";
      continue;
    }
    EXPECT_EQ(found->second.type, type) << name;
    EXPECT_EQ(found->second.help, sink.helps().find(name)->second) << name;
    const std::string labels = "," + std::string(found->second.labels) + ",";
    for (const auto& [key, value] : sink.values()) {
      for (const std::string_view suffix : {"", "_bucket", "_sum", "_count"}) {
        if (!key.starts_with(name + std::string(suffix) + "{")) continue;
        for (std::size_t at = key.find('{') + 1; at < key.size();) {
          const std::size_t equals = key.find("=\"", at);
          if (equals == std::string::npos) break;
          EXPECT_THAT(labels, HasSubstr("," + key.substr(at, equals - at) + ",")) << key;
          at = key.find("\",", equals);
          if (at == std::string::npos) break;
          at += 2;
        }
      }
    }
  }
}

class NginxTest : public ::testing::Test {
 protected:
  Fetch fetch() {
    return [this](const ClientRequest& request) -> base::Result<ClientResponse> {
      requests_.push_back(request);
      if (error_) return base::fail(*error_);
      ClientResponse response;
      response.status = status_;
      response.body = request.url.find("format/json") == std::string::npos ? body_ : vts_body_;
      return response;
    };
  }
  NginxCollector make(Options options) { return {std::move(options), fetch(), clock_}; }
  RecordingSink collect(NginxCollector& collector, bool legacy = false) {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(clock_.monotonic_ns() + 2 * kSecond, sink));
    expect_in_table(sink, legacy);
    return sink;
  }
  void log(const std::string& text) { std::ofstream(log_path_, std::ios::app) << text; }

  base::ManualClock clock_;
  base::TempDirectory directory_;
  std::string log_path_ = (directory_.path() / "access.log").string();
  int status_ = 200;
  std::string body_{kStub};
  std::string vts_body_;
  std::optional<base::Error> error_;
  std::vector<ClientRequest> requests_;
};

TEST_F(NginxTest, tells_what_stub_status_says) {
  auto collector = make({.status_url = "http://127.0.0.1:8080/stub_status", .user = "joe", .password = "secret"});
  const auto sink = collect(collector);
  EXPECT_EQ(sink.value("nginx_up"), 1);
  EXPECT_EQ(sink.value("nginx_connections_active"), 4);
  EXPECT_EQ(sink.value("nginx_connections_accepted"), 26);
  EXPECT_EQ(sink.value("nginx_connections_handled"), 25);
  EXPECT_EQ(sink.value("nginx_http_requests_total"), 24);
  EXPECT_EQ(sink.value("nginx_connections_reading"), 1);
  EXPECT_EQ(sink.value("nginx_connections_writing"), 2);
  EXPECT_EQ(sink.value("nginx_connections_waiting"), 3);
  EXPECT_EQ(sink.value("nginx_scrape_success"), 1);
  EXPECT_FALSE(sink.value("nginx_scrape_errors_total{type=\"http\"}"));
  EXPECT_EQ(collector.trouble(), nullptr);
  ASSERT_EQ(requests_.size(), 1);
  EXPECT_EQ(requests_[0].url, "http://127.0.0.1:8080/stub_status");
  EXPECT_EQ(requests_[0].deadline_ms, 2000);
  ASSERT_TRUE(requests_[0].basic_auth);
  EXPECT_EQ(requests_[0].basic_auth->password, "secret");
}

TEST_F(NginxTest, says_which_location_is_missing) {
  auto collector = make({.status_url = "http://127.0.0.1/my_status?x=1"});
  for (const int status : {404, 403, 500}) {
    status_ = status;
    const auto sink = collect(collector);
    EXPECT_EQ(sink.value("nginx_up"), 0);
    EXPECT_FALSE(sink.value("nginx_connections_active"));
    ASSERT_NE(collector.trouble(), nullptr);
    EXPECT_THAT(collector.trouble()->message(),
                HasSubstr("http://127.0.0.1/my_status answered " + std::to_string(status)));
    EXPECT_THAT(collector.trouble()->message(),
                HasSubstr("`location = /my_status { stub_status; allow 127.0.0.1; deny all; }`"));
  }
  EXPECT_EQ(collect(collector).value("nginx_scrape_errors_total{type=\"http\"}"), 4);
  status_ = 200;
  body_ = "<html>welcome</html>";
  EXPECT_EQ(collect(collector).value("nginx_up"), 0);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("another page than stub_status"));
  status_ = 401;
  collect(collector);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("`user` and `password`"));
  error_ = base::Error(base::ErrorCode::kUnavailable, "http://127.0.0.1/my_status: connection refused");
  const auto sink = collect(collector);
  EXPECT_EQ(sink.value("nginx_up"), 0);
  EXPECT_EQ(sink.value("nginx_scrape_success"), 0);
  EXPECT_EQ(sink.value("nginx_scrape_errors_total{type=\"network\"}"), 1);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("connection refused"));
}

TEST_F(NginxTest, a_hostile_status_page_is_another_page) {
  auto collector = make({.status_url = "http://[::1]:81/s"});
  const std::string head = "Active connections: 1 \nserver accepts handled requests\n";
  const std::string tail = "\nReading: 0 Writing: 0 Waiting: 0 \n";
  const std::string too_large = "99999999999999999999999";
  for (const std::string& body : std::vector<std::string>{
           "", std::string(60'000, '\0'), "Active connections: ", "Active connections: -1 \n", head,
           head + " 1 1 " + too_large + tail, head + " 1 1 " + tail, std::string(kStub.substr(0, kStub.size() - 6))}) {
    body_ = body;
    EXPECT_EQ(collect(collector).value("nginx_up"), 0) << body;
    EXPECT_THAT(collector.trouble()->message(), HasSubstr("allow ::1;"));
  }
  body_ =
      "Active connections: 1 \nserver accepts handled requests request_time\n 3 2 1 77\nReading: 0 Writing: 1 "
      "Waiting: 0 \n";
  EXPECT_EQ(collect(collector).value("nginx_http_requests_total"), 1);
}

TEST_F(NginxTest, counts_the_access_log_by_method_status_host_and_upstream) {
  log("an old line\n");
  auto collector = make({.access_log = log_path_});
  auto sink = collect(collector);
  EXPECT_EQ(sink.value("nginx_parse_errors_total"), 0);
  EXPECT_FALSE(sink.value("nginx_up"));
  log(R"({"status":"200","request_method":"GET","request_time":"0.030","body_bytes_sent":"100","request_length":"10",)"
      R"("server_name":"a","upstream_addr":"10.0.0.1:80, 10.0.0.2:80","upstream_status":"502, 200",)"
      R"("upstream_response_time":"0.004, 0.026","upstream_connect_time":"0.000, 0.001"})"
      "\n"
      R"({"status":"200","request_method":"GET","request_time":"12","body_bytes_sent":"50","request_length":"20",)"
      R"("server_name":"a","upstream_addr":"10.0.0.2:80","upstream_response_time":"11.5"})"
      "\n"
      R"({"status":"499","request_method":"BREW","request_time":"0.005","server_name":"b","upstream_addr":"-",)"
      R"("upstream_response_time":"-"})"
      "\n"
      "no line at all\n");
  sink = collect(collector);
  EXPECT_EQ(sink.value(R"(nginx_http_response_count_total{host="a",method="GET",status="200"})"), 2);
  EXPECT_EQ(sink.value(R"(nginx_http_response_count_total{host="b",method="other",status="499"})"), 1);
  EXPECT_EQ(sink.value(R"(nginx_http_response_size_bytes{host="a",method="GET",status="200"})"), 150);
  EXPECT_EQ(sink.value(R"(nginx_http_request_size_bytes{host="a",method="GET",status="200"})"), 30);
  const std::string time = "nginx_http_response_time_seconds_hist";
  EXPECT_EQ(sink.value(time + R"(_bucket{host="a",le="0.025",method="GET",status="200"})"), 0);
  EXPECT_EQ(sink.value(time + R"(_bucket{host="a",le="0.05",method="GET",status="200"})"), 1);
  EXPECT_EQ(sink.value(time + R"(_bucket{host="a",le="10",method="GET",status="200"})"), 1);
  EXPECT_EQ(sink.value(time + R"(_bucket{host="a",le="+Inf",method="GET",status="200"})"), 2);
  EXPECT_EQ(sink.value(time + R"(_count{host="a",method="GET",status="200"})"), 2);
  EXPECT_EQ(sink.value(time + R"(_sum{host="a",method="GET",status="200"})"), 12.03);
  EXPECT_EQ(sink.value(time + R"(_bucket{host="b",le="0.005",method="other",status="499"})"), 1);
  const std::string upstream = "nginx_http_upstream_time_seconds_hist";
  EXPECT_EQ(sink.value(upstream + R"(_count{status="502",upstream_addr="10.0.0.1:80"})"), 1);
  EXPECT_EQ(sink.value(upstream + R"(_count{status="200",upstream_addr="10.0.0.2:80"})"), 2);
  EXPECT_EQ(sink.value(upstream + R"(_bucket{le="0.05",status="200",upstream_addr="10.0.0.2:80"})"), 1);
  EXPECT_EQ(
      sink.value(R"(nginx_http_upstream_connect_time_seconds_hist_count{status="200",upstream_addr="10.0.0.2:80"})"),
      1);
  EXPECT_EQ(sink.value("nginx_parse_errors_total"), 1);
  EXPECT_EQ(collector.trouble(), nullptr);
}

TEST_F(NginxTest, what_clients_choose_makes_a_bounded_number_of_series) {
  LogCounts counts;
  for (int i = 0; i < 20'000; ++i) {
    counts.line(R"({"status":")" + std::to_string(100 + i % 900) + R"(","host":"h)" + std::to_string(i) +
                R"(","request_method":"M)" + std::to_string(i) + R"(","upstream_addr":"u)" + std::to_string(i) +
                R"(","upstream_response_time":"0.1"})");
  }
  counts.line("{\"status\":\"200\",\"host\":\"bad\xff\"}");
  counts.line(R"({"status":"200","host":"a\"b"})");
  counts.line(R"({"status":"200","host":")" + std::string(300, 'h') + R"("})");
  RecordingSink sink;
  counts.tell(sink);
  expect_in_table(sink);
  double responses = 0;
  double tries = 0;
  std::size_t rows = 0;
  for (const auto& [key, value] : sink.values()) {
    if (key.starts_with("nginx_http_response_count_total{")) {
      responses += value;
      ++rows;
    }
    if (key.starts_with("nginx_http_upstream_time_seconds_hist_count{")) tries += value;
  }
  EXPECT_EQ(responses, 20'003);
  EXPECT_EQ(tries, 20'000);
  EXPECT_LE(rows, LogCounts::kRequestRowsMax);
  EXPECT_LE(sink.values().size(), 3 * LogCounts::kRequestRowsMax + 14 * LogCounts::kUpstreamRowsMax + 1);
  EXPECT_GE(*sink.value(R"(nginx_http_response_count_total{host="other",method="other",status="other"})"), 3);
}

TEST_F(NginxTest, rows_past_the_bound_are_one_row) {
  LogCounts counts;
  for (int i = 0; i < 64 * 64; ++i) {
    counts.line(R"({"status":")" + std::to_string(100 + i / 64) + R"(","request_method":"GET","host":"h)" +
                std::to_string(i % 64) + R"(","upstream_addr":"u)" + std::to_string(i % 64) +
                R"(","upstream_response_time":"0.1"})");
  }
  RecordingSink sink;
  counts.tell(sink);
  EXPECT_THAT(sink.faults(), IsEmpty());
  const auto rows = [&sink](const std::string& name) {
    return std::ranges::count_if(sink.values(), [&](const auto& one) { return one.first.starts_with(name + "{"); });
  };
  EXPECT_EQ(rows("nginx_http_response_count_total"), LogCounts::kRequestRowsMax);
  EXPECT_EQ(rows("nginx_http_upstream_time_seconds_hist_count"), LogCounts::kUpstreamRowsMax);
  EXPECT_EQ(sink.value(R"(nginx_http_response_count_total{host="other",method="other",status="other"})"),
            64 * 64 - static_cast<int>(LogCounts::kRequestRowsMax) + 1);
  EXPECT_EQ(sink.value(R"(nginx_http_upstream_time_seconds_hist_count{status="other",upstream_addr="other"})"),
            64 * 64 - static_cast<int>(LogCounts::kUpstreamRowsMax) + 1);
}

TEST_F(NginxTest, numbers_that_cannot_be_are_left_out) {
  LogCounts counts;
  for (const std::string_view value : {"-1", "1e400", "nan", "inf", "18446744073709551616", "1x", "0x10", " "}) {
    counts.line(R"({"status":"200","request_time":")" + std::string(value) + R"(","bytes_sent":")" +
                std::string(value) + R"("})");
  }
  RecordingSink sink;
  counts.tell(sink);
  EXPECT_EQ(sink.value(R"(nginx_http_response_count_total{method="other",status="200"})"), 8);
  EXPECT_EQ(sink.value(R"(nginx_http_response_size_bytes{method="other",status="200"})"), 0);
  EXPECT_FALSE(sink.value(R"(nginx_http_response_time_seconds_hist_count{method="other",status="200"})"));
}

TEST_F(NginxTest, says_what_is_wrong_with_the_log_and_goes_on_with_the_page) {
  auto collector = make({.status_url = "http://localhost/s", .access_log = log_path_});
  EXPECT_EQ(collect(collector).value("nginx_up"), 1);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr(log_path_));
  log("26 Nov 10:00:00 custom format 200\n");
  collect(collector);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("log_format quarterdeck escape=json"));
  collect(collector);
  ASSERT_NE(collector.trouble(), nullptr);
  log("1.1.1.1 - - [t] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n");
  collect(collector);
  EXPECT_EQ(collector.trouble(), nullptr);
  status_ = 404;
  std::filesystem::remove(log_path_);
  std::filesystem::create_directory(log_path_);
  collect(collector);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kInvalid);
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("is no regular file"));
  EXPECT_THAT(collector.trouble()->message(), HasSubstr("allow 127.0.0.1; allow ::1;"));
  error_ = base::Error(base::ErrorCode::kTimeout, "http://localhost/s: nothing came");
  collect(collector);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kTimeout);
}

TEST_F(NginxTest, an_instance_is_where_its_page_is) {
  EXPECT_EQ(instance({.status_url = "http://127.0.0.1/stub_status", .access_log = "/a"}), "127.0.0.1:80");
  EXPECT_EQ(instance({.status_url = "https://[::1]/s"}), "[::1]:443");
  EXPECT_EQ(instance({.vts_url = "http://web:8080"}), "web:8080");
  EXPECT_EQ(instance({.status_url = "unix:/run/nginx.sock:/stub_status"}), "/run/nginx.sock");
  EXPECT_EQ(instance({.access_log = "/var/log/nginx/access.log"}), "/var/log/nginx/access.log");
}

TEST_F(NginxTest, urls) {
  auto url = parse_url("unix:/run/nginx.sock:/stub_status?a");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->fetched, "http://localhost/stub_status?a");
  EXPECT_EQ(url->unix_socket, "/run/nginx.sock");
  EXPECT_EQ(url->path, "/stub_status");
  url = parse_url("http://web.example?key=secret");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->shown, "http://web.example/");
  EXPECT_EQ(url->host, "web.example");
  for (const auto* text : {"", "stub_status", "ftp://a/", "http://", "http://:80/", "http://a:0/", "http://a:99999/",
                           "http://a:b/", "unix:", "unix:relative:/x"})
    EXPECT_FALSE(parse_url(text)) << text;
  url = parse_url("http://joe:secret@a/");
  ASSERT_FALSE(url);
  EXPECT_THAT(url.error().message(), HasSubstr("`password`"));
  EXPECT_THAT(url.error().message(), Not(HasSubstr("secret")));
  auto collector = make({.status_url = "http://joe:secret@a/"});
  collect(collector);
  ASSERT_NE(collector.trouble(), nullptr);
}

// Sends what it is told to whoever connects, and then nothing, or closes.
class Server {
 public:
  Server(std::string answer, std::size_t times, bool closes)
      : answer_(std::move(answer)), times_(times), closes_(closes) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    socklen_t size = sizeof(address);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    if (held_ >= 0) ::close(held_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/stub_status"; }

 private:
  void run() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    char request[4096];
    [[maybe_unused]] const auto got = ::recv(fd, request, sizeof(request), 0);
    for (std::size_t i = 0; i < times_; ++i) {
      if (::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL) < 0) break;
    }
    if (closes_) {
      ::close(fd);
    } else {
      held_ = fd;
    }
  }
  std::string answer_;
  std::size_t times_;
  bool closes_;
  int listener_ = -1;
  int held_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(NginxServer, one_that_does_anything_takes_no_longer_than_the_deadline) {
  connect::EventLoop loop;
  ASSERT_TRUE(loop.start(1));
  base::Registry registry;
  auto client = connect::http::Client::create(loop, {}, registry);
  ASSERT_TRUE(client);
  const base::SystemClock clock;
  struct Case {
    std::string answer;
    std::size_t times;
    bool closes;
    bool up;
  };
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
  const std::string whole = head + "Content-Length: " + std::to_string(kStub.size()) + "\r\n\r\n" + std::string(kStub);
  for (const Case& one : std::vector<Case>{{whole, 1, true, true},
                                           {"", 1, false, false},                                // says nothing
                                           {"", 1, true, false},                                 // closes at once
                                           {whole.substr(0, whole.size() - 9), 1, true, false},  // in mid-answer
                                           {whole.substr(0, 40), 1, false, false},
                                           {head + "\r\n" + std::string(1 << 20, 'x'), 1000, true, false},
                                           {head + "\r\n" + std::string(1000, '\0'), 1, true, false},
                                           {std::string(1 << 16, 'h'), 1000, true, false},
                                           {"\xff\xfe\n\n", 1, true, false}}) {
    const Server server(one.answer, one.times, one.closes);
    NginxCollector collector({.status_url = server.url()}, fetch_by(**client), clock);
    const std::int64_t begun = clock.monotonic_ns();
    RecordingSink sink;
    ASSERT_TRUE(collector.collect(begun + kSecond / 2, sink));
    EXPECT_LT(clock.monotonic_ns() - begun, 2 * kSecond);
    EXPECT_EQ(sink.value("nginx_up"), one.up ? 1 : 0) << one.answer.substr(0, 60);
    EXPECT_EQ(collector.trouble() == nullptr, one.up);
    if (!one.up) EXPECT_THAT(collector.trouble()->message(), HasSubstr(server.url()));
  }
}

}  // namespace
}  // namespace qd::observe::nginx
