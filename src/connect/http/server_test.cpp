#include "connect/http/server.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>

#include "base/temp_directory.h"
#include "connect/http/client.h"
#include "connect/http/encoding.h"
#include "connect/http/http_test_support.h"

namespace qd::connect::http {
namespace {

using testing::eventually;
using testing::get;
using testing::metric;
using testing::RawClient;
using testing::TestServer;

Handler says(std::string text) {
  return [text](const Request&, Reply reply) { reply.send(Response::text(200, text)); };
}

// "METHOD path body"
void echo(const Request& request, Reply reply) {
  reply.send(Response::text(200, request.method + " " + request.path + " " + request.body));
}

bool listen_again(std::uint16_t port) {
  EventLoop loop;
  base::Registry registry;
  return Server::start(loop, {.listen = {fmt::format("127.0.0.1:{}", port)}}, says("x"), base::Log::silent(), registry)
      .has_value();
}

int fetch_unix(const std::string& path) {
  EventLoop loop;
  base::Registry registry;
  EXPECT_TRUE(loop.start(1));
  const auto client = Client::create(loop, {}, registry);
  std::promise<int> status;
  (*client)->fetch({.url = "http://localhost/", .unix_socket_path = path},
                   [&](base::Result<ClientResponse> response) { status.set_value(response ? response->status : 0); });
  return status.get_future().get();
}

TEST(Server, answers_many_requests_on_one_connection) {
  TestServer test(echo);
  RawClient client(test.port());
  for (int i = 0; i < 100; ++i) {
    client.send(get(fmt::format("/{}", i)));
    const auto response = client.response();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.body, fmt::format("GET /{} ", i));
    EXPECT_EQ(response.headers.get("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_TRUE(response.headers.has("Date"));
  }
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_connections_total"), 1);
  EXPECT_TRUE(eventually([&] { return metric(test.registry, "quarterdeck_http_requests_total", "2xx") == 100; }));
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_connections"), 1);
}

TEST(Server, answers_pipelined_requests_in_order_though_handlers_answer_late) {
  base::ThreadPool pool(2, 10'000);
  TestServer test([&](Request request, Reply reply) {
    auto shared = std::make_shared<Reply>(std::move(reply));
    ASSERT_TRUE(pool.submit([request = std::move(request), shared] { echo(request, std::move(*shared)); }));
  });
  RawClient client(test.port());
  std::string all;
  for (int i = 0; i < 1000; ++i)
    all += fmt::format("POST /{} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n{:03}", i, i);
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.response().body, fmt::format("POST /{} {:03}", i, i));
  sender.join();
}

TEST(Server, tells_handlers_who_asks_and_for_what) {
  Request seen;
  TestServer test([&](Request request, Reply reply) {
    seen = std::move(request);
    reply.send({});
  });
  RawClient client(test.port());
  client.send(
      "POST /a%2Fb?x=1+2 HTTP/1.1\r\nhOsT: example:1\r\nX-Y: z\r\n"
      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nx=3&y=4");
  EXPECT_EQ(client.response().status, 200);
  EXPECT_EQ(seen.path, "/a/b");
  EXPECT_EQ(seen.target, "/a%2Fb?x=1+2");
  EXPECT_EQ(seen.host, "example:1");
  EXPECT_EQ(seen.headers.get("x-y"), "z");
  EXPECT_EQ(seen.params("x"), (std::vector<std::string_view>{"3", "1 2"}));
  EXPECT_EQ(seen.peer_address, "127.0.0.1");
  EXPECT_GT(seen.peer_port, 0);
  EXPECT_TRUE(seen.peer_is_loopback);
  EXPECT_FALSE(seen.unix_socket);
  EXPECT_FALSE(seen.tls);
}

TEST(Server, keeps_or_closes_as_version_and_header_say) {
  TestServer test(says("x"));
  {
    RawClient client(test.port());
    client.send(get("/", "Connection: close\r\n"));
    EXPECT_EQ(client.response().headers.get("Connection"), "close");
    EXPECT_TRUE(client.closed());
  }
  {
    RawClient client(test.port());
    client.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(client.response().status, 200);
    EXPECT_TRUE(client.closed());
  }
  RawClient client(test.port());
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.response().headers.get("Connection"), "keep-alive");
  }
}

TEST(Server, head_gives_the_header_of_get_without_the_body) {
  TestServer test(says("four"));
  RawClient client(test.port());
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.response(true).headers.get("Content-Length"), "4");
  client.send(get("/"));
  EXPECT_EQ(client.response().body, "four");
}

TEST(Server, sends_100_continue_to_who_waits_for_it) {
  TestServer test(echo);
  RawClient client(test.port());
  client.send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.response().status, 100);
  client.send("ok");
  EXPECT_EQ(client.response().body, "POST /x ok");
}

TEST(Server, takes_a_chunked_body_of_many_pieces) {
  TestServer test([](const Request& request, Reply reply) {
    reply.send(Response::text(200, std::to_string(std::accumulate(request.body.begin(), request.body.end(), 0ull))));
  });
  RawClient client(test.port());
  client.send("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 2000; ++i) client.send("400\r\n" + std::string(1024, 'a') + "\r\n");
  client.send("0\r\n\r\n");
  EXPECT_EQ(client.response().body, std::to_string(2000ull * 1024 * 'a'));
}

// What the last read of a turn brings must not wait for more.
TEST(Server, parses_what_ends_with_its_turn) {
  ServerOptions options;
  options.reads_a_turn = 1;
  TestServer test(echo, options);
  RawClient client(test.port());
  for (int i = 0; i < 3; ++i) {
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok");
    ASSERT_EQ(client.response().body, "POST /x ok") << i;
  }
}

TEST(Server, packs_large_text_for_clients_that_take_gzip) {
  const std::string text(5000, 'x');
  TestServer test([&](const Request& request, Reply reply) {
    auto response = Response::text(200, request.path == "/small" ? "x" : text);
    if (request.path == "/image") response.content_type = "image/png";
    reply.send(std::move(response));
  });
  RawClient client(test.port());
  client.send(get("/", "Accept-Encoding: br, gzip\r\n"));
  auto response = client.response();
  EXPECT_EQ(response.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(response.headers.get("Vary"), "Accept-Encoding");
  EXPECT_EQ(gunzip(response.body, 5000), text);
  for (const auto& plain : {get("/"), get("/", "Accept-Encoding: gzip;q=0\r\n"),
                            get("/image", "Accept-Encoding: gzip\r\n"), get("/small", "Accept-Encoding: gzip\r\n")}) {
    client.send(plain);
    response = client.response();
    EXPECT_FALSE(response.headers.has("Content-Encoding")) << plain;
    EXPECT_TRUE(response.body == text || response.body == "x");
  }
}

TEST(Server, serves_shared_bytes_in_the_encoding_that_the_client_takes) {
  const std::string text(40'000, 'y');
  const auto packed = std::make_shared<std::string>(gzip(text));
  TestServer test([&](const Request& request, Reply reply) {
    SharedBody body{.owner = packed, .gzip = *packed, .brotli = "not really brotli"};
    if (request.path == "/all") body.identity = text;
    reply.send({.content_type = "text/html", .body = body});
  });
  RawClient client(test.port());
  client.send(get("/", "Accept-Encoding: gzip, br\r\n"));
  auto response = client.response();
  EXPECT_EQ(response.headers.get("Content-Encoding"), "br");
  EXPECT_EQ(response.body, "not really brotli");
  client.send(get("/", "Accept-Encoding: gzip\r\n"));
  response = client.response();
  EXPECT_EQ(response.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(response.body, *packed);
  for (const auto* path : {"/", "/all"}) {
    client.send(get(path));
    response = client.response();
    EXPECT_FALSE(response.headers.has("Content-Encoding"));
    EXPECT_EQ(response.body, text);
  }
}

Generator numbers(int n) {
  return [i = 0, n](std::string& out) mutable {
    for (int end = std::min(n, i + 100); i < end; ++i) out += std::to_string(i) + "\n";
    return i < n;
  };
}

std::string numbers_text(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += std::to_string(i) + "\n";
  return text;
}

TEST(Server, streams_what_a_generator_gives) {
  TestServer test(
      [](const Request&, Reply reply) { reply.send({.content_type = "text/plain", .body = numbers(100'000)}); });
  RawClient client(test.port());
  for (int i = 0; i < 2; ++i) {
    client.send(get("/"));
    const auto response = client.response();
    EXPECT_EQ(response.headers.get("Transfer-Encoding"), "chunked");
    EXPECT_EQ(response.body, numbers_text(100'000));
  }
  client.send(get("/", "Accept-Encoding: gzip\r\n"));
  EXPECT_EQ(gunzip(client.response().body, 1 << 20), numbers_text(100'000));
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.response(true).status, 200);
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto old = client.response();
  EXPECT_FALSE(old.headers.has("Transfer-Encoding"));
  EXPECT_EQ(old.headers.get("Connection"), "close");
  EXPECT_EQ(old.body, numbers_text(100'000));
}

TEST(Server, asks_a_generator_again_that_has_nothing_yet_until_the_client_goes) {
  const auto calls = std::make_shared<std::atomic<int>>(0);
  TestServer test([&](const Request&, Reply reply) {
    reply.send({.content_type = "text/plain", .body = [calls](std::string& out) {
                  if (++*calls % 3 == 0) out = "x";
                  return true;
                }});
  });
  {
    RawClient client(test.port());
    client.send(get("/"));
    EXPECT_TRUE(eventually([&] { return *calls > 5; }));
  }
  EXPECT_TRUE(eventually([&] { return metric(test.registry, "quarterdeck_http_connections") == 0; }));
}

TEST(Server, response_headers_cannot_be_broken_out_of) {
  TestServer test([](const Request&, Reply reply) {
    auto response = Response::text(200, "x");
    response.headers.add("Location", "/a\r\nSet-Cookie: evil=1");
    response.headers.add("Content-Length", "9999");
    response.headers.add("X-Fine", "yes");
    reply.send(std::move(response));
  });
  RawClient client(test.port());
  client.send(get("/"));
  const auto response = client.response();
  EXPECT_EQ(response.header.find("evil"), std::string::npos);
  EXPECT_EQ(response.headers.get("Content-Length"), "1");
  EXPECT_EQ(response.headers.get("X-Fine"), "yes");
}

TEST(Server, refuses_malformed_requests_and_closes) {
  TestServer test(echo, {.header_bytes_max = 4096, .body_bytes_max = 1000});
  const std::vector<std::pair<std::string, int>> cases = {
      {"garbage\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: h\n\n", 400},
      {"\x16\x03\x01\x02", 400},  // a TLS client
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n", 400},
      {"GET /" + std::string(8000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", 431},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413},
  };
  for (const auto& [bytes, status] : cases) {
    RawClient client(test.port());
    client.send(bytes);
    client.finish_sending();
    const auto response = client.response();
    if (response.status == 0) {
      EXPECT_LE(bytes.size(), 4u) << bytes;  // too little to be told from a request that broke off
    } else {
      EXPECT_EQ(response.status, status) << bytes.substr(0, 60);
      EXPECT_EQ(response.headers.get("Connection"), "close");
    }
    EXPECT_TRUE(client.closed());
  }
  EXPECT_GE(metric(test.registry, "quarterdeck_http_refused_total"), 6);
}

TEST(Server, a_refused_upload_still_gets_its_answer) {
  TestServer test(echo, {.body_bytes_max = 1000});
  RawClient client(test.port());
  client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 1000; ++i) client.send("400\r\n" + std::string(1024, 'a') + "\r\n");
  const auto response = client.response();
  EXPECT_EQ(response.status, 413);
  EXPECT_NE(response.body.find("1000 bytes"), std::string::npos);
}

TEST(Server, times_out_slow_headers_slow_bodies_and_idle_connections) {
  TestServer test(
      echo,
      {.header_timeout_ms = 100, .body_timeout_ms = 100, .body_bytes_per_s_min = 1'000'000, .idle_timeout_ms = 100});
  RawClient idle(test.port());
  RawClient header(test.port());
  RawClient body(test.port());
  header.send("GET / HTTP/1.1\r\nHost:");
  body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
  std::atomic<bool> over{false};
  std::thread dripping([&] {
    while (!over && header.send("a") && body.send("a")) ::usleep(5'000);
  });
  EXPECT_EQ(header.response().status, 408);
  EXPECT_EQ(body.response().status, 408);
  EXPECT_TRUE(idle.closed());
  over = true;
  dripping.join();
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_refused_total", "timeout"), 2);
}

TEST(Server, a_body_that_keeps_its_rate_may_take_longer_than_the_time_out) {
  TestServer test(
      [](const Request& request, Reply reply) { reply.send(Response::text(200, std::to_string(request.body.size()))); },
      {.body_timeout_ms = 50, .body_bytes_per_s_min = 1000});
  RawClient client(test.port());
  client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    client.send(std::string(1000, 'a'));
    ::usleep(10'000);
  }
  EXPECT_EQ(client.response().body, "20000");
}

TEST(Server, closes_on_a_client_that_does_not_read) {
  TestServer test(says(std::string(20 << 20, 'x')), {.write_timeout_ms = 100});
  RawClient client(test.port(), 4096);
  client.send(get("/"));
  EXPECT_TRUE(eventually([&] { return metric(test.registry, "quarterdeck_http_refused_total", "slow_reader") == 1; }));
  EXPECT_LT(client.rest().size(), 20u << 20);
}

TEST(Server, a_large_response_arrives_whole) {
  std::string text;
  for (int i = 0; text.size() < 20 << 20; ++i) text += std::to_string(i);
  TestServer test(says(text));
  RawClient client(test.port(), 4096);
  client.send(get("/"));
  EXPECT_EQ(client.response().body, text);
}

TEST(Server, an_unanswered_or_throwing_handler_gives_500) {
  TestServer test([](const Request& request, Reply reply) {
    if (request.path == "/throw") throw std::runtime_error("broken");
    if (request.path == "/late") std::thread([kept = std::make_shared<Reply>(std::move(reply))] {}).detach();
  });
  RawClient client(test.port());
  for (const auto* path : {"/drop", "/throw", "/late"}) {
    client.send(get(path));
    EXPECT_EQ(client.response().status, 500) << path;
  }
}

TEST(Server, cancels_the_token_when_the_client_goes) {
  std::mutex mutex;
  std::vector<Reply> replies;
  TestServer test([&](const Request&, Reply reply) {
    const std::lock_guard lock(mutex);
    replies.push_back(std::move(reply));
  });
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return replies.size();
  };
  RawClient closes(test.port()), aborts(test.port()), stays(test.port());
  closes.send(get("/"));
  ASSERT_TRUE(eventually([&] { return count() == 1; }));
  aborts.send(get("/"));
  ASSERT_TRUE(eventually([&] { return count() == 2; }));
  stays.send(get("/"));
  ASSERT_TRUE(eventually([&] { return count() == 3; }));
  closes.finish_sending();
  aborts.abort();
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(eventually([&] { return replies[0].cancel_token().cancelled(); }));
  EXPECT_TRUE(eventually([&] { return replies[1].cancel_token().cancelled(); }));
  EXPECT_FALSE(replies[2].cancel_token().cancelled());
  for (auto& reply : replies) reply.send(Response::text(200, "late"));
  EXPECT_EQ(stays.response().body, "late");
  EXPECT_EQ(closes.response().body, "late");  // it only said that it sends no more
  replies.clear();
}

TEST(Server, sheds_requests_connections_and_bodies_beyond_the_limits) {
  std::mutex mutex;
  std::optional<Reply> held;
  TestServer test(
      [&](const Request& request, Reply reply) {
        const std::lock_guard lock(mutex);
        if (request.path == "/hold") {
          held.emplace(std::move(reply));
        } else {
          reply.send({});
        }
      },
      {.all_bodies_bytes_max = 1000, .connections_max = 3, .requests_in_flight_max = 1});
  const auto holds = [&] {
    const std::lock_guard lock(mutex);
    return held.has_value();
  };
  RawClient first(test.port());
  first.send(get("/hold"));
  ASSERT_TRUE(eventually(holds));
  RawClient second(test.port());
  second.send(get("/"));
  auto response = second.response();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.get("Retry-After"), "1");
  {
    RawClient third(test.port());
    third.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'a'));
    EXPECT_EQ(third.response().status, 503);
    EXPECT_TRUE(third.closed());
  }
  {
    const std::lock_guard lock(mutex);
    held->send({});
  }
  // A place is free again once the server knows that it has sent everything.
  const auto nothing_in_flight = [&] { return metric(test.registry, "quarterdeck_http_requests_in_flight") == 0; };
  EXPECT_EQ(first.response().status, 200);
  ASSERT_TRUE(eventually(nothing_in_flight));
  second.send(get("/"));
  EXPECT_EQ(second.response().status, 200);
  ASSERT_TRUE(eventually(nothing_in_flight));

  ASSERT_TRUE(eventually([&] { return metric(test.registry, "quarterdeck_http_connections") == 2; }));
  RawClient fourth(test.port());
  fourth.send(get("/"));
  EXPECT_EQ(fourth.response().status, 200);
  RawClient fifth(test.port());
  EXPECT_EQ(fifth.response().status, 503);
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_refused_total", "connections"), 1);
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_refused_total", "requests_in_flight"), 1);
  EXPECT_EQ(metric(test.registry, "quarterdeck_http_refused_total", "bodies_full"), 1);
}

TEST(Server, stop_finishes_what_runs_closes_what_idles_and_accepts_no_more) {
  std::promise<Reply> promised;
  TestServer test([&](const Request& request, Reply reply) {
    if (request.path == "/slow") return promised.set_value(std::move(reply));
    reply.send({});
  });
  RawClient idle(test.port()), fresh(test.port()), slow(test.port());
  idle.send(get("/"));
  EXPECT_EQ(idle.response().status, 200);
  slow.send(get("/slow"));
  Reply reply = promised.get_future().get();
  std::thread stopping([&] { test.server->stop(10'000); });
  EXPECT_TRUE(idle.closed());
  EXPECT_TRUE(fresh.closed());
  reply.send(Response::text(200, "done"));
  const auto response = slow.response();
  EXPECT_EQ(response.body, "done");
  EXPECT_EQ(response.headers.get("Connection"), "close");
  stopping.join();
  EXPECT_TRUE(slow.closed());
  EXPECT_TRUE(listen_again(test.port()));
}

TEST(Server, stop_cuts_what_does_not_finish_in_time_and_a_late_answer_does_no_harm) {
  std::promise<Reply> promised;
  std::optional<Reply> late;
  {
    TestServer test([&](const Request&, Reply reply) { promised.set_value(std::move(reply)); });
    RawClient client(test.port());
    client.send(get("/"));
    late.emplace(promised.get_future().get());
    test.server->stop(50);
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(late->cancel_token().cancelled());
  }
  late->send(Response::text(200, "nobody listens"));
}

TEST(Server, the_handler_is_never_called_after_the_server_is_gone) {
  for (int round = 0; round < 20; ++round) {
    const auto alive = std::make_shared<std::atomic<bool>>(true);
    EventLoop loop;
    base::Registry registry;
    auto server = Server::start(
        loop, {.listen = {"127.0.0.1:0"}},
        [alive](const Request&, Reply reply) {
          EXPECT_TRUE(*alive);
          reply.send({});
        },
        base::Log::silent(), registry);
    ASSERT_TRUE(server);
    ASSERT_TRUE(loop.start(2));
    RawClient client((*server)->port());
    std::thread sender([&] {
      while (client.send(get("/")) && client.response().status == 200) {
      }
    });
    ::usleep(2'000);
    server->reset();
    *alive = false;
    sender.join();
  }
}

TEST(Server, a_taken_port_is_named_with_its_cure) {
  TestServer test(says("x"));
  const auto address = test.server->addresses().front();
  const auto second = Server::start(test.loop, {.listen = {address}}, says("y"), base::Log::silent(), test.registry);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), base::ErrorCode::kConflict);
  EXPECT_NE(second.error().message().find(address), std::string::npos);
  EXPECT_NE(second.error().message().find("choose another"), std::string::npos);
}

TEST(Server, addresses_that_make_no_sense_are_refused) {
  TestServer test(says("x"));
  for (const auto* address : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:-1", "::1:80", "[::1:80",
                              "1.2.3.4:0", "no.such.host.invalid:0", ""}) {
    const auto server = Server::start(test.loop, {.listen = {address}}, says("y"), base::Log::silent(), test.registry);
    ASSERT_FALSE(server) << address;
    EXPECT_EQ(server.error().code(), base::ErrorCode::kInvalid) << server.error().message();
  }
}

TEST(Server, listens_on_several_addresses) {
  TestServer test(says("x"), {.listen = {"127.0.0.1:0", "localhost:0", ":0"}});
  ASSERT_EQ(test.server->addresses().size(), 3u);
  for (const auto& address : test.server->addresses()) {
    RawClient client(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    client.send(get("/"));
    EXPECT_EQ(client.response().status, 200);
  }
}

TEST(Server, a_unix_socket_tells_who_is_at_the_other_end) {
  base::TempDirectory dir;
  const std::string path = dir / "qd.sock";
  std::optional<Request> seen;
  TestServer test(
      [&](Request request, Reply reply) {
        seen = std::move(request);
        reply.send({});
      },
      {.unix_socket_path = path});
  EXPECT_EQ(test.port(), 0);
  EXPECT_EQ(fetch_unix(path), 200);
  EXPECT_TRUE(seen->unix_socket);
  EXPECT_FALSE(seen->peer_is_loopback);
  EXPECT_EQ(seen->unix_uid, ::getuid());
  const auto taken =
      Server::start(test.loop, {.unix_socket_path = path}, says("y"), base::Log::silent(), test.registry);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), base::ErrorCode::kConflict);
  test.server->stop();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Server, a_dead_unix_socket_is_replaced_but_no_other_file) {
  base::TempDirectory dir;
  const std::string path = dir / "qd.sock";
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof where.sun_path - 1);
  const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  ::close(dead);
  {
    TestServer test(says("x"), {.unix_socket_path = path});
    EXPECT_EQ(fetch_unix(path), 200);
  }
  std::ofstream(path) << "precious";
  EventLoop loop;
  base::Registry registry;
  EXPECT_FALSE(Server::start(loop, {.unix_socket_path = path}, says("y"), base::Log::silent(), registry));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Server, recovers_when_the_process_runs_out_of_descriptors) {
  TestServer test(says("x"));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  RawClient client(test.port());
  client.send(get("/"));
  ASSERT_EQ(client.response().status, 200);
  const int next_fd = ::dup(0);
  ::close(next_fd);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next_fd) + 1;
  setrlimit(RLIMIT_NOFILE, &tight);
  RawClient waits(test.port());  // takes the last descriptor; the server needs one more
  EXPECT_TRUE(eventually([&] { return metric(test.registry, "quarterdeck_http_accept_errors_total") > 0; }));
  client.send(get("/"));
  EXPECT_EQ(client.response().status, 200);  // who is in is served
  setrlimit(RLIMIT_NOFILE, &before);
  waits.send(get("/"));
  EXPECT_EQ(waits.response().status, 200);
}

TEST(Server, writes_an_access_log_line_for_each_request) {
  base::TempDirectory dir;
  const auto path = dir / "access.log";
  std::FILE* const file = std::fopen(path.c_str(), "w");
  base::SystemClock clock;
  base::Log log(clock, fileno(file), base::LogFormat::kJson, base::LogLevel::kInfo);
  {
    TestServer test(says("x"), {.access_log = &log});
    RawClient client(test.port());
    for (int i = 0; i < 100; ++i) {
      client.send(get("/logged?x=\"1\""));
      client.response();
    }
  }
  std::fclose(file);
  std::ifstream in(path);
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines)
    EXPECT_NE(line.find(R"("target":"/logged?x=\"1\"","status":200)"), std::string::npos) << line;
  EXPECT_EQ(lines, 100);
}

TEST(Server, holds_five_thousand_idle_connections) {
  constexpr std::size_t kConnections = 5000;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit before = limit;
  if (limit.rlim_cur < 2 * kConnections + 200) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * kConnections + 200);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < 2 * kConnections + 200) GTEST_SKIP() << "at most " << limit.rlim_cur << " descriptors here";
  {
    TestServer test(says("x"));
    std::vector<RawClient> clients;
    clients.reserve(kConnections);
    const std::size_t at_start = ::mallinfo2().uordblks;
    for (std::size_t i = 0; i < kConnections; ++i) {
      clients.emplace_back(test.port());
      clients.back().send(get("/"));
      ASSERT_EQ(clients.back().response().status, 200) << i;
    }
    const auto each = (::mallinfo2().uordblks - at_start) / kConnections;
    RecordProperty("bytes_a_connection", static_cast<int>(each));
    EXPECT_LT(each, 2048u);  // a sanitizer's allocator says 0
    EXPECT_EQ(metric(test.registry, "quarterdeck_http_connections"), kConnections);
    for (auto& client : clients) {
      client.send(get("/"));
      ASSERT_EQ(client.response().status, 200);
    }
    EXPECT_EQ(metric(test.registry, "quarterdeck_http_connections_total"), kConnections);
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace qd::connect::http
