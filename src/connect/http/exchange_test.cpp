#include "connect/http/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/temp_directory.h"
#include "connect/fake_server_for_test.h"
#include "connect/http/http_test_support.h"

namespace qd::connect::http {
namespace {

using base::ErrorCode;
using ::testing::HasSubstr;
using ::testing::Not;

const base::SystemClock kClock;

std::int64_t in_ms(std::int64_t ms) {
  return kClock.monotonic_ns() + ms * 1'000'000;
}

Exchange get(ExchangeRequest request) {
  if (request.deadline_ns == 0) request.deadline_ns = in_ms(5000);
  return Exchanger(kClock).exchange(request);
}

// Says `answer` to whoever has sent the header of a request, and closes.
FakeServer::Talk saying(std::string answer) {
  return [answer = std::move(answer)](FakePeer& peer) {
    std::string line;
    while (peer.read_line(line) && !line.empty()) {
    }
    peer.send(answer);
  };
}

std::string url_of(const FakeServer& server, std::string_view path = "/") {
  return fmt::format("http://{}{}", server.address(), path);
}

TEST(Exchange, an_answer_is_measured) {
  testing::TestServer server([](const Request& request, Reply reply) {
    std::string body = request.method + " " + request.target + "\n";
    for (const auto& header : request.headers) body += header.name + ": " + header.value + "\n";
    reply.send(Response::text(200, body + request.body));
  });
  ExchangeRequest request{.url = server.url("/x?y=1"), .method = "POST", .body = "content", .body_kept_bytes = 10'000};
  request.headers.add("X-One", "1");
  const auto done = get(request);
  ASSERT_FALSE(done.error) << done.error->message();
  EXPECT_TRUE(done.answered);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.version, 1.1);
  EXPECT_EQ(done.content_length, static_cast<std::int64_t>(done.body.size()));
  EXPECT_EQ(done.body_bytes, done.body.size());
  EXPECT_TRUE(done.body.starts_with("POST /x?y=1\n")) << done.body;
  EXPECT_THAT(done.body, HasSubstr("X-One: 1\n"));
  EXPECT_THAT(done.body, Not(HasSubstr("Accept")));
  EXPECT_TRUE(done.body.ends_with("content"));
  EXPECT_GT(done.times.connect_s, 0);
  EXPECT_GT(done.times.processing_s, 0);
  EXPECT_EQ(done.times.tls_s, 0);
  EXPECT_FALSE(done.tls);
}

TEST(Exchange, a_redirect_is_not_followed_and_told) {
  const FakeServer server(saying("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"));
  const auto done = get({.url = url_of(server)});
  ASSERT_FALSE(done.error) << done.error->message();
  EXPECT_EQ(done.status, 302);
  EXPECT_EQ(done.redirect_url, url_of(server, "/there"));
  EXPECT_EQ(server.connections(), 1);
}

TEST(Exchange, cookies_go_back_to_the_site_that_set_them) {
  std::atomic<int> with_cookie = 0;
  testing::TestServer server([&](const Request& request, Reply reply) {
    if (request.headers.get("Cookie") == "a=1") ++with_cookie;
    auto response = Response::text(200, "x");
    response.headers.add("Set-Cookie", "a=1");
    reply.send(std::move(response));
  });
  Exchanger exchanger(kClock);
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(exchanger.exchange({.url = server.url("/"), .deadline_ns = in_ms(5000)}).error);
  EXPECT_EQ(with_cookie, 1);
  EXPECT_FALSE(get({.url = server.url("/")}).error);
  EXPECT_EQ(with_cookie, 1);
}

TEST(Exchange, bodies_are_counted_bounded_and_kept_only_as_far_as_wanted) {
  const std::string body(200'000, 'x');
  const FakeServer server(saying(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)));
  auto done = get({.url = url_of(server), .body_kept_bytes = 10});
  ASSERT_FALSE(done.error);
  EXPECT_EQ(done.body, "xxxxxxxxxx");
  EXPECT_EQ(done.body_bytes, body.size());
  done = get({.url = url_of(server), .body_bytes_max = 1000});
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code(), ErrorCode::kLimit);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(done.body_bytes, 1000U);
}

TEST(Exchange, a_silent_server_costs_the_deadline) {
  const FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  const std::int64_t from_ns = kClock.monotonic_ns();
  const auto done = get({.url = url_of(server), .deadline_ns = in_ms(150)});
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code(), ErrorCode::kTimeout);
  EXPECT_FALSE(done.answered);
  EXPECT_LT(kClock.monotonic_ns() - from_ns, 3'000'000'000);
}

TEST(Exchange, cancelling_ends_it) {
  const FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  const base::CancelToken cancel;
  std::thread other([&] { cancel.cancel(); });
  const auto done = get({.url = url_of(server), .deadline_ns = in_ms(60'000), .cancel = cancel});
  other.join();
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code(), ErrorCode::kCancelled);
}

TEST(Exchange, a_header_without_end_is_refused) {
  const FakeServer server([](FakePeer& peer) {
    std::string line;
    peer.read_line(line);
    peer.send("HTTP/1.1 200 OK\r\n");
    while (peer.send("X: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  const auto done = get({.url = url_of(server)});
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code(), ErrorCode::kLimit) << done.error->message();
}

TEST(Exchange, errors_hide_what_is_secret) {
  std::string address;
  {
    const FakeServer gone([](FakePeer&) {});
    address = gone.address();
  }
  const auto done = get({.url = "http://user:geheim@" + address + "/x?token=geheim"});
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code(), ErrorCode::kUnavailable);
  EXPECT_THAT(done.error->message(), HasSubstr(address + "/x"));
  EXPECT_THAT(done.error->message(), Not(HasSubstr("geheim")));
  for (const char* wrong : {"file:///etc/passwd", "gopher://x/", "http://", "x\r\ny", ""})
    EXPECT_EQ(get({.url = wrong}).error->code(), ErrorCode::kInvalid) << wrong;
}

TEST(Exchange, tls_is_verified_and_told) {
  const base::TempDirectory dir;
  const auto cert = (dir.path() / "cert.pem").string();
  const auto key = (dir.path() / "key.pem").string();
  testing::write_certificate(cert, key, "localhost");
  ServerOptions options;
  options.tls = ServerTls{.cert_file = cert, .key_file = key};
  testing::TestServer server([](const Request& request, Reply reply) { reply.send(Response::text(200, request.host)); },
                             std::move(options));
  const auto url = fmt::format("https://127.0.0.1:{}/", server.port());
  auto done = get({.url = url, .tls = {.ca_file = cert}, .body_kept_bytes = 100});
  ASSERT_FALSE(done.error) << done.error->message();
  ASSERT_TRUE(done.tls);
  EXPECT_EQ(done.tls->dns_names, "localhost");
  EXPECT_TRUE(done.tls->verified_expiry_s);
  EXPECT_GT(done.times.tls_s, 0);
  // Another name is asked for in TLS; the request stays one for the URL's host.
  done = get({.url = url, .tls = {.ca_file = cert, .server_name = "localhost"}, .body_kept_bytes = 100});
  ASSERT_FALSE(done.error) << done.error->message();
  EXPECT_EQ(done.body, fmt::format("127.0.0.1:{}", server.port()));
  done = get({.url = url, .tls = {.ca_file = cert, .server_name = "other.example"}});
  EXPECT_EQ(done.error->code(), ErrorCode::kPermission);
  EXPECT_EQ(get({.url = url}).error->code(), ErrorCode::kPermission);
  done = get({.url = url, .tls = {.insecure_skip_verify = true}});
  ASSERT_FALSE(done.error);
  EXPECT_FALSE(done.tls->verified_expiry_s);
}

TEST(Exchange, a_redirect_stays_with_the_host_that_was_asked_not_with_the_tls_name) {
  const base::TempDirectory dir;
  const auto cert = (dir.path() / "cert.pem").string();
  const auto key = (dir.path() / "key.pem").string();
  testing::write_certificate(cert, key, "web.example");
  ServerOptions options;
  options.tls = ServerTls{.cert_file = cert, .key_file = key};
  testing::TestServer server(
      [](const Request& request, Reply reply) {
        auto response = Response::text(302, "");
        response.headers.add("Location", request.target == "/relative" ? "../b?c=d" : "https://web.example/x");
        reply.send(std::move(response));
      },
      std::move(options));
  const auto base = fmt::format("https://127.0.0.1:{}", server.port());
  const auto redirect = [&](const std::string& path) {
    const auto done = get({.url = base + path, .tls = {.ca_file = cert, .server_name = "web.example"}});
    EXPECT_FALSE(done.error) << done.error->message();
    return done.redirect_url;
  };
  EXPECT_EQ(redirect("/relative"), base + "/b?c=d");
  EXPECT_EQ(redirect("/absolute"), "https://web.example/x");
}

TEST(Exchange, it_connects_where_it_is_told_to) {
  const FakeServer server(saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  const auto where =
      resolve({"127.0.0.1", static_cast<std::uint16_t>(server.port()), ""}, kClock, in_ms(1000))->front();
  const auto done = get({.url = fmt::format("http://no.such.host.invalid:{}/", server.port()), .connect_to = where});
  ASSERT_FALSE(done.error) << done.error->message();
  EXPECT_EQ(done.status, 200);
}

TEST(Exchange, packed_bodies_are_unpacked_only_when_wanted) {
  testing::TestServer server(
      [](const Request&, Reply reply) { reply.send(Response::text(200, std::string(100'000, 'x'))); });
  ExchangeRequest request{.url = server.url("/")};
  request.headers.add("Accept-Encoding", "gzip");
  auto done = get(request);
  EXPECT_LT(done.body_bytes, 10'000U);
  request.unpack = true;
  done = get(request);
  EXPECT_EQ(done.body_bytes, 100'000U);
}

}  // namespace
}  // namespace qd::connect::http
