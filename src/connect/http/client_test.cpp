#include "connect/http/client.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/un.h>

#include <atomic>
#include <future>
#include <mutex>
#include <new>
#include <thread>

#include "base/temp_directory.h"
#include "connect/http/encoding.h"
#include "connect/http/http_test_support.h"

namespace qd::connect::http {
namespace {

using base::ErrorCode;
using testing::eventually;
using testing::metric;
using testing::TestServer;
using testing::write_certificate;

// A server and a client on the same loop.
struct Pair : TestServer {
  explicit Pair(Handler handler, ServerOptions server_options = {}, const ClientOptions& client_options = {})
      : TestServer(std::move(handler), std::move(server_options)),
        client(std::move(*Client::create(loop, client_options, registry))) {}

  base::Result<ClientResponse> fetch(ClientRequest request) {
    std::promise<base::Result<ClientResponse>> result;
    client->fetch(std::move(request),
                  [&](base::Result<ClientResponse> response) { result.set_value(std::move(response)); });
    return result.get_future().get();
  }
  base::Result<ClientResponse> fetch(std::string_view path) { return fetch(ClientRequest{.url = url(path)}); }

  std::unique_ptr<Client> client;
};

void reflect(const Request& request, Reply reply) {
  std::string text = request.method + " " + request.target + "\n";
  for (const auto& header : request.headers) text += header.name + ": " + header.value + "\n";
  auto response = Response::text(200, text + "\n" + request.body);
  response.headers.add("X-One", "1");
  reply.send(std::move(response));
}

// Sends a byte now and then, for ever.
void drip(const Request&, Reply reply) {
  reply.send({.content_type = "application/octet-stream", .body = [n = 0](std::string& out) mutable {
                if (++n % 2 == 0) out = "x";
                return true;
              }});
}

TEST(Client, fetches_and_keeps_the_connection) {
  Pair pair(reflect);
  for (int i = 0; i < 10; ++i) {
    const auto response = pair.fetch("/path?q=1");
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_EQ(response->status, 200);
    EXPECT_TRUE(response->body.starts_with("GET /path?q=1\n"));
    EXPECT_EQ(response->headers.get("x-one"), "1");
    EXPECT_GT(response->duration_ns, 0);
  }
  EXPECT_EQ(metric(pair.registry, "quarterdeck_http_connections_total"), 1);
  EXPECT_EQ(metric(pair.registry, "quarterdeck_http_client_transfers_total", "ok"), 10);
}

TEST(Client, sends_method_headers_body_and_credentials) {
  Pair pair(reflect);
  ClientRequest request{.url = pair.url("/"), .method = "POST", .body = std::string("a\0b", 3)};
  request.headers.add("X-Two", "2");
  request.headers.add("X-Empty", "");
  request.headers.add("Content-Type", "application/json");
  request.basic_auth = BasicAuth{"user", "pass word"};
  auto response = pair.fetch(request);
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->body.starts_with("POST /\n"));
  EXPECT_NE(response->body.find("X-Two: 2\n"), std::string::npos);
  EXPECT_NE(response->body.find("X-Empty: \n"), std::string::npos);
  EXPECT_NE(response->body.find("Content-Type: application/json\n"), std::string::npos);
  EXPECT_NE(response->body.find("Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\n"), std::string::npos);
  EXPECT_TRUE(response->body.ends_with(std::string("\n\na\0b", 5)));
  for (const auto* method : {"PUT", "DELETE", "PATCH", "OPTIONS"}) {
    response = pair.fetch(ClientRequest{.url = pair.url("/"), .method = method, .body = "x", .bearer_token = "t0"});
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->body.starts_with(method));
    EXPECT_NE(response->body.find("Authorization: Bearer t0\n"), std::string::npos);
    EXPECT_EQ(response->body.find("dXNlcjpwYXNzIHdvcmQ"), std::string::npos);  // of the transfer before
  }
  response = pair.fetch(ClientRequest{.url = pair.url("/"), .method = "HEAD"});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "");
  EXPECT_TRUE(response->headers.has("Content-Length"));
}

TEST(Client, unpacks_gzip) {
  const std::string text(100'000, 'x');
  std::atomic<bool> packed{false};
  Pair pair([&](const Request& request, Reply reply) {
    packed = request.headers.lists("Accept-Encoding", "gzip");
    reply.send(Response::text(200, text));
  });
  EXPECT_EQ(pair.fetch("/")->body, text);
  EXPECT_TRUE(packed);
  EXPECT_LT(metric(pair.registry, "quarterdeck_http_client_received_bytes_total"), 10'000);
  EXPECT_EQ(pair.fetch(ClientRequest{.url = pair.url("/"), .accept_gzip = false})->body, text);
  EXPECT_FALSE(packed);
}

TEST(Client, a_byte_now_and_then_does_not_pass_the_deadline) {
  Pair pair(drip);
  const auto started = std::chrono::steady_clock::now();
  const auto response = pair.fetch(ClientRequest{.url = pair.url("/"), .deadline_ms = 200});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), ErrorCode::kTimeout);
  EXPECT_NE(response.error().message().find("200 ms"), std::string::npos) << response.error().message();
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
  EXPECT_TRUE(eventually([&] { return metric(pair.registry, "quarterdeck_http_connections") == 0; }));
}

TEST(Client, refuses_a_body_beyond_the_bound_also_when_it_is_packed) {
  const auto bomb = std::make_shared<std::string>(gzip(std::string(50 << 20, '\0')));
  Pair pair([&](const Request& request, Reply reply) {
    if (request.path == "/bomb") return reply.send({.body = SharedBody{.owner = bomb, .gzip = *bomb}});
    if (request.path == "/endless") {
      return reply.send({.body = [](std::string& out) {
        out.assign(65536, 'x');
        return true;
      }});
    }
    reply.send(Response::text(200, std::string(1000, 'x')));
  });
  for (const auto* path : {"/bomb", "/endless"}) {
    const auto response = pair.fetch(ClientRequest{.url = pair.url(path), .body_bytes_max = 1 << 20});
    ASSERT_FALSE(response) << path;
    EXPECT_EQ(response.error().code(), ErrorCode::kLimit);
    EXPECT_NE(response.error().message().find("1048576 bytes"), std::string::npos) << response.error().message();
  }
  EXPECT_TRUE(pair.fetch(ClientRequest{.url = pair.url("/"), .body_bytes_max = 1000}));
  EXPECT_FALSE(pair.fetch(ClientRequest{.url = pair.url("/"), .body_bytes_max = 999}));
}

TEST(Client, says_what_was_wrong) {
  Pair pair(reflect);
  std::uint16_t free_port = 0;
  {
    TestServer gone(reflect);
    free_port = gone.port();
  }
  auto refused =
      pair.fetch(ClientRequest{.url = fmt::format("http://user:secret@127.0.0.1:{}/metrics?token=secret", free_port)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message().find(fmt::format("GET http://127.0.0.1:{}/metrics: ", free_port)),
            std::string::npos)
      << refused.error().message();
  EXPECT_EQ(refused.error().message().find("secret"), std::string::npos);
  EXPECT_NE(refused.error().message().find("listen"), std::string::npos);
  const auto unknown = pair.fetch(ClientRequest{.url = "http://no.such.host.invalid/"});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kUnavailable);
}

TEST(Client, refuses_requests_that_cannot_be_right) {
  Pair pair(reflect);
  std::vector<ClientRequest> bad;
  for (const auto* url : {"", "no url", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://",
                          "http://a b/", "http://127.0.0.1:99999/", "http://127.0.0.1/\r\nX: y"})
    bad.push_back({.url = url});
  bad.push_back({.url = pair.url("/"), .method = "GET /evil HTTP/1.1\r\nX:"});
  bad.push_back({.url = pair.url("/"), .deadline_ms = 0});
  bad.push_back({.url = pair.url("/"), .bearer_token = "token\n"});
  bad.push_back({.url = pair.url("/")});
  bad.back().headers.add("X", "a\r\nY: b");
  bad.push_back({.url = pair.url("/")});
  bad.back().headers.add("X Y", "a");
  bad.push_back({.url = pair.url("/"), .tls = {.server_name = "a b"}});
  for (const auto& request : bad) {
    const auto response = pair.fetch(request);
    ASSERT_FALSE(response) << request.url;
    EXPECT_EQ(response.error().code(), ErrorCode::kInvalid) << response.error().message();
  }
  EXPECT_EQ(metric(pair.registry, "quarterdeck_http_connections_total"), 0);
}

TEST(Client, follows_redirects_within_bounds_and_keeps_credentials_at_home) {
  TestServer other(reflect);
  Pair pair([&](const Request& request, Reply reply) {
    Response response{.status = 302};
    if (request.path == "/loop") response.headers.add("Location", "/loop");
    if (request.path == "/away") response.headers.add("Location", other.url("/there"));
    if (request.path == "/file") response.headers.add("Location", "file:///etc/passwd");
    reply.send(std::move(response));
  });
  const auto away = pair.fetch(ClientRequest{.url = pair.url("/away"), .bearer_token = "secret"});
  ASSERT_TRUE(away) << away.error().message();
  EXPECT_TRUE(away->body.starts_with("GET /there\n"));
  EXPECT_EQ(away->body.find("secret"), std::string::npos);
  const auto with_basic = pair.fetch(ClientRequest{.url = pair.url("/away"), .basic_auth = BasicAuth{"u", "p"}});
  ASSERT_TRUE(with_basic);
  EXPECT_EQ(with_basic->body.find("Authorization"), std::string::npos);
  EXPECT_EQ(pair.fetch("/loop").error().code(), ErrorCode::kLimit);
  EXPECT_FALSE(pair.fetch("/file"));
  const auto not_followed = pair.fetch(ClientRequest{.url = pair.url("/away"), .follow_redirects = false});
  EXPECT_EQ(not_followed->status, 302);
}

TEST(Client, a_response_that_breaks_off_or_is_no_http_is_an_error) {
  EventLoop loop;
  base::Registry registry;
  ASSERT_TRUE(loop.start(1));
  const auto client = std::move(*Client::create(loop, {}, registry));
  for (const std::string_view answer : {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "nonsense", "",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof where;
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
    ASSERT_EQ(::listen(fd, 1), 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&where), &length);
    std::promise<base::Result<ClientResponse>> result;
    client->fetch({.url = fmt::format("http://127.0.0.1:{}/", ntohs(where.sin_port))},
                  [&](base::Result<ClientResponse> response) { result.set_value(std::move(response)); });
    const int peer = ::accept(fd, nullptr, nullptr);
    char buffer[4096];
    EXPECT_GT(::recv(peer, buffer, sizeof buffer, 0), 0);
    ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::shutdown(peer, SHUT_RDWR);
    const auto response = result.get_future().get();
    ::close(peer);
    ::close(fd);
    ASSERT_FALSE(response) << answer;
    EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable) << response.error().message();
  }
}

TEST(Client, cancels_what_runs_and_what_waits) {
  Pair pair(drip, {}, {.concurrent_max = 1});
  std::promise<base::Result<ClientResponse>> first, second;
  auto running = pair.client->fetch({.url = pair.url("/")}, [&](auto result) { first.set_value(std::move(result)); });
  auto waiting = pair.client->fetch({.url = pair.url("/")}, [&](auto result) { second.set_value(std::move(result)); });
  EXPECT_TRUE(eventually([&] { return metric(pair.registry, "quarterdeck_http_connections") == 1; }));
  waiting.cancel();
  EXPECT_EQ(second.get_future().get().error().code(), ErrorCode::kCancelled);
  running.cancel();
  EXPECT_EQ(first.get_future().get().error().code(), ErrorCode::kCancelled);
  running.cancel();
  EXPECT_TRUE(eventually([&] { return metric(pair.registry, "quarterdeck_http_connections") == 0; }));
  EXPECT_EQ(metric(pair.registry, "quarterdeck_http_client_transfers_waiting"), 0);
  pair.client.reset();
  running.cancel();
}

TEST(Client, transfers_that_wait_meet_their_deadline_and_a_full_queue_refuses) {
  Pair pair(drip, {}, {.concurrent_max = 1, .queue_max = 1});
  std::promise<base::Result<ClientResponse>> first, second;
  auto running = pair.client->fetch({.url = pair.url("/")}, [&](auto result) { first.set_value(std::move(result)); });
  pair.client->fetch({.url = pair.url("/"), .deadline_ms = 50},
                     [&](auto result) { second.set_value(std::move(result)); });
  const auto third = pair.fetch("/");
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::kLimit);
  EXPECT_NE(third.error().message().find("queue_max"), std::string::npos);
  EXPECT_EQ(second.get_future().get().error().code(), ErrorCode::kTimeout);
  running.cancel();
  first.get_future().wait();
}

TEST(Client, a_thousand_transfers_run_at_once) {
  constexpr int kTransfers = 1000;
  std::mutex mutex;
  std::vector<Reply> replies;
  Pair pair(
      [&](const Request&, Reply reply) {
        // Nobody is answered before all are here.
        std::vector<Reply> ready;
        {
          const std::lock_guard lock(mutex);
          replies.push_back(std::move(reply));
          if (replies.size() == kTransfers) ready.swap(replies);
        }
        for (auto& one : ready) one.send(Response::text(200, std::string(3000, 'x')));
      },
      {.requests_in_flight_max = kTransfers});
  std::atomic<int> good{0}, all{0};
  for (int i = 0; i < kTransfers; ++i) {
    pair.client->fetch({.url = pair.url("/"), .deadline_ms = 60'000},
                       [&](const base::Result<ClientResponse>& response) {
                         if (response && response->body.size() == 3000) ++good;
                         ++all;
                       });
  }
  for (int i = 0; i < 6 && all < kTransfers; ++i) eventually([&] { return all == kTransfers; });
  EXPECT_EQ(good, kTransfers);
  EXPECT_EQ(metric(pair.registry, "quarterdeck_http_connections_total"), kTransfers);
}

TEST(Client, every_callback_comes_exactly_once_however_it_ends) {
  for (int round = 0; round < 10; ++round) {
    Pair pair([](const Request& request, Reply reply) {
      if (request.path == "/drip") return drip(request, std::move(reply));
      reply.send(Response::text(200, "x"));
    });
    std::atomic<int> calls{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          auto transfer =
              pair.client->fetch({.url = pair.url(i % 2 == 0 ? "/" : "/drip")}, [&](const auto&) { ++calls; });
          if (i % 3 == 0) transfer.cancel();
        }
      });
    }
    for (auto& thread : threads) thread.join();
    pair.client.reset();
    EXPECT_EQ(calls, 200);
  }
}

TEST(Client, verifies_certificates_unless_told_not_to) {
  base::TempDirectory dir;
  const std::string cert = dir / "cert.pem", key = dir / "key.pem", other_cert = dir / "o.pem",
                    other_key = dir / "ok.pem";
  write_certificate(cert, key, "localhost");
  write_certificate(other_cert, other_key, "elsewhere.test");
  Pair pair([](const Request& request, Reply reply) { reply.send(Response::text(200, request.tls ? "tls" : "plain")); },
            {.tls = ServerTls{.cert_file = cert, .key_file = key}});
  const auto url = fmt::format("https://127.0.0.1:{}/", pair.port());

  const auto unknown = pair.fetch(ClientRequest{.url = url});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kPermission) << unknown.error().message();
  EXPECT_NE(unknown.error().message().find("ca_file"), std::string::npos);
  EXPECT_FALSE(pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = other_cert}}));
  EXPECT_EQ(pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = dir / "none.pem"}}).error().code(),
            ErrorCode::kInvalid);
  const auto known = pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = cert}});
  ASSERT_TRUE(known) << known.error().message();
  EXPECT_EQ(known->body, "tls");
  const auto skipped = pair.fetch(ClientRequest{.url = url, .tls = {.insecure_skip_verify = true}});
  ASSERT_TRUE(skipped) << skipped.error().message();

  // Another certificate from now on, for another name.
  write_certificate(cert, key, "elsewhere.test");
  const auto renewed = pair.server->prepare_tls();
  ASSERT_TRUE(renewed) << renewed.error().message();
  const auto before = pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = cert, .server_name = "elsewhere.test"}});
  EXPECT_FALSE(before) << "what is prepared only is not in force";
  (*renewed)();
  pair.client = std::move(*Client::create(pair.loop, {}, pair.registry));
  EXPECT_FALSE(pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = cert}}));
  const auto named = pair.fetch(ClientRequest{.url = url, .tls = {.ca_file = cert, .server_name = "elsewhere.test"}});
  ASSERT_TRUE(named) << named.error().message();

  std::ofstream(cert) << "damaged";
  const auto reloaded = pair.server->prepare_tls();
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(reloaded.error().message().find(cert), std::string::npos);
  EXPECT_TRUE(pair.fetch(ClientRequest{.url = url, .tls = {.insecure_skip_verify = true}}));
}

TEST(Client, moves_large_bodies_over_tls_both_ways) {
  base::TempDirectory dir;
  write_certificate(dir / "c.pem", dir / "k.pem", "localhost");
  Pair pair([](Request request, Reply reply) { reply.send(Response::text(200, std::move(request.body))); },
            {.tls = ServerTls{.cert_file = dir / "c.pem", .key_file = dir / "k.pem"}});
  std::string text;
  for (int i = 0; text.size() < 5 << 20; ++i) text += std::to_string(i);
  for (int i = 0; i < 3; ++i) {
    const auto response = pair.fetch(ClientRequest{.url = fmt::format("https://localhost:{}/", pair.port()),
                                                   .method = "POST",
                                                   .body = text,
                                                   .tls = {.ca_file = dir / "c.pem"},
                                                   .accept_gzip = i == 0});
    ASSERT_TRUE(response) << response.error().message();
    EXPECT_EQ(response->body, text);
  }
}

TEST(Client, the_server_speaks_no_tls_before_1_2_and_drops_clients_that_speak_none) {
  base::TempDirectory dir;
  write_certificate(dir / "c.pem", dir / "k.pem", "localhost");
  TestServer test(reflect, {.tls = ServerTls{.cert_file = dir / "c.pem", .key_file = dir / "k.pem"}});
  testing::RawClient plain(test.port());
  plain.send(testing::get("/"));
  plain.rest();
  EXPECT_TRUE(plain.closed());
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(context, 0);
  for (const int version : {TLS1_1_VERSION, TLS1_2_VERSION}) {
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, version);
    SSL* const ssl = SSL_new(context);
    BIO* const bio = BIO_new_connect(fmt::format("127.0.0.1:{}", test.port()).c_str());
    SSL_set_bio(ssl, bio, bio);
    EXPECT_EQ(SSL_connect(ssl) == 1, version == TLS1_2_VERSION);
    SSL_free(ssl);
  }
  SSL_CTX_free(context);
  EXPECT_TRUE(
      eventually([&] { return metric(test.registry, "quarterdeck_http_refused_total", "tls_handshake") == 2; }));
}

// What the transfer's own callbacks saw.
struct Stream {
  std::mutex mutex;
  std::string body;
  std::promise<base::Result<ClientResponse>> end;

  std::string seen() {
    const std::lock_guard lock(mutex);
    return body;
  }
  std::function<bool(std::string_view)> until(std::string last) {
    return [this, last = std::move(last)](std::string_view piece) {
      const std::lock_guard lock(mutex);
      body += piece;
      return last.empty() || body.find(last) == std::string::npos;
    };
  }
  Client::Then then() {
    return [this](auto result) { end.set_value(std::move(result)); };
  }
};

TEST(Client, a_stream_gives_pieces_as_they_come_and_passes_its_deadline) {
  std::atomic<int> told{0};
  Pair pair([&](const Request&, Reply reply) {
    reply.send({.content_type = "application/json", .body = [&, sent = 0](std::string& out) mutable {
                  if (sent < told) out = fmt::format("event {}\n", ++sent);
                  return sent < 3;
                }});
  });
  Stream stream;
  pair.client->fetch({.url = pair.url("/"),
                      .deadline_ms = 300,
                      .body_bytes_max = 4,
                      .accept_gzip = false,
                      .on_body = stream.until("")},
                     stream.then());
  told = 1;
  EXPECT_TRUE(eventually([&] { return stream.seen() == "event 1\n"; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  told = 3;
  const auto response = stream.end.get_future().get();
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(stream.seen(), "event 1\nevent 2\nevent 3\n");
}

TEST(Client, a_stream_ends_when_its_taker_has_enough_or_throws) {
  Pair pair(drip);
  Stream stream;
  pair.client->fetch({.url = pair.url("/"), .on_body = stream.until("xxx")}, stream.then());
  const auto stopped = stream.end.get_future().get();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(stream.seen().starts_with("xxx"));
  Stream throws;
  pair.client->fetch({.url = pair.url("/"), .on_body = [](std::string_view) -> bool { throw std::bad_alloc(); }},
                     throws.then());
  EXPECT_FALSE(throws.end.get_future().get());
  EXPECT_TRUE(eventually([&] { return metric(pair.registry, "quarterdeck_http_connections") == 0; }));
}

TEST(Client, a_stream_that_is_refused_gives_the_refusal_whole) {
  Pair pair([](const Request&, Reply reply) { reply.send(Response::json(400, R"({"message":"no"})")); });
  Stream stream;
  pair.client->fetch({.url = pair.url("/"), .on_body = stream.until("")}, stream.then());
  const auto response = stream.end.get_future().get();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(response->body, R"({"message":"no"})");
  EXPECT_EQ(stream.seen(), "");
}

TEST(Client, a_stream_whose_header_does_not_come_meets_its_deadline) {
  std::vector<Reply> held;
  Pair pair([&](const Request&, Reply reply) { held.push_back(std::move(reply)); }, {}, {.concurrent_max = 1});
  Stream running, waiting;
  pair.client->fetch({.url = pair.url("/"), .deadline_ms = 200, .on_body = running.until("")}, running.then());
  pair.client->fetch({.url = pair.url("/"), .deadline_ms = 100, .on_body = waiting.until("")}, waiting.then());
  for (Stream* stream : {&waiting, &running}) {
    const auto response = stream->end.get_future().get();
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code(), ErrorCode::kTimeout) << response.error().message();
  }
}

TEST(Client, says_what_is_wrong_with_a_unix_socket) {
  Pair pair(reflect);
  base::TempDirectory dir;
  const std::string path = dir / "engine.sock";
  const auto absent = pair.fetch(ClientRequest{.url = "http://engine/", .unix_socket_path = path});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code(), ErrorCode::kNotFound) << absent.error().message();
  EXPECT_NE(absent.error().message().find(path), std::string::npos) << absent.error().message();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  ::close(fd);
  const auto silent = pair.fetch(ClientRequest{.url = "http://engine/", .unix_socket_path = path});
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code(), ErrorCode::kUnavailable) << silent.error().message();
  EXPECT_NE(silent.error().message().find(path), std::string::npos) << silent.error().message();
}

}  // namespace
}  // namespace qd::connect::http
