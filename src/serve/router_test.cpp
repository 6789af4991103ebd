#include "serve/router.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <optional>

#include "base/temp_directory.h"

namespace qd::serve {
namespace {

using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;

class ServeTest : public testing::Test {
 protected:
  ServeTest() : database_(*store::state::Database::open(directory_ / "state.db")), tokens_(*database_) {
    secret_ = *tokens_.add("deploy", 1);
    settings_.auth_users = {{.name = "ops", .password = "pass:word"}};
    settings_.hosts = {"deck.example.org"};
  }

  static Request request(std::string path, std::string method = "GET") {
    Request r;
    r.method = std::move(method);
    r.path = std::move(path);
    r.host = "localhost:9090";
    r.peer_address = "127.0.0.1";
    r.peer_is_loopback = true;
    return r;
  }
  static Request from_beyond(std::string path, std::string method = "GET") {
    auto r = request(std::move(path), std::move(method));
    r.peer_address = "203.0.113.9";
    r.peer_is_loopback = false;
    return r;
  }
  static Request with(Request r, std::string header, std::string value) {
    r.headers.add(std::move(header), std::move(value));
    return r;
  }
  Principal::Kind kind(const Request& r) {
    const auto principal = Authenticator(settings_, tokens_).identify(r);
    return principal ? principal->kind : Principal::Kind::kNobody;
  }
  Response ask(const Router& router, Request r) {
    std::promise<Response> answer;
    router.handle(std::move(r), Reply::to([&](Response response) { answer.set_value(std::move(response)); }));
    return answer.get_future().get();
  }
  static std::string body(const Response& response) { return std::get<std::string>(response.body); }

  base::TempDirectory directory_;
  std::unique_ptr<store::state::Database> database_;
  store::state::Tokens tokens_;
  std::string secret_;
  ServeSettings settings_;
  base::Registry registry_;
};

TEST_F(ServeTest, knows_who_asks) {
  using Kind = Principal::Kind;
  EXPECT_EQ(kind(request("/")), Kind::kLoopback);
  EXPECT_EQ(kind(from_beyond("/")), Kind::kNobody);
  EXPECT_EQ(kind(with(request("/"), "X-Forwarded-For", "203.0.113.9")), Kind::kNobody);
  EXPECT_EQ(kind(with(from_beyond("/"), "Authorization", "Bearer " + secret_)), Kind::kToken);
  EXPECT_EQ(kind(with(from_beyond("/"), "Authorization", "bearer " + secret_)), Kind::kToken);
  EXPECT_EQ(kind(with(from_beyond("/"), "Authorization", "Basic b3BzOnBhc3M6d29yZA==")), Kind::kUser);  // ops:pass:word
  auto unix_peer = request("/");
  unix_peer.peer_is_loopback = false;
  unix_peer.unix_socket = true;
  unix_peer.unix_uid = 0;
  EXPECT_EQ(kind(unix_peer), Kind::kUnixPeer);
  unix_peer.unix_uid = ::geteuid() + 12345;
  EXPECT_EQ(kind(unix_peer), Kind::kLoopback);
  settings_.auth_loopback_open = false;
  EXPECT_EQ(kind(request("/")), Kind::kNobody);
}

TEST_F(ServeTest, wrong_credentials_are_an_error_even_on_loopback) {
  const Authenticator authenticator(settings_, tokens_);
  for (const auto* header : {"Bearer qd_wrong", "Basic b3BzOndyb25n", "Basic !!!", "Basic ", "Digest x", "Bearer"}) {
    const auto principal = authenticator.identify(with(request("/"), "Authorization", header));
    ASSERT_FALSE(principal) << header;
    EXPECT_EQ(principal.error().code(), base::ErrorCode::kPermission) << header;
  }
}

TEST_F(ServeTest, only_known_hosts_and_own_pages_may_call) {
  const Authenticator authenticator(settings_, tokens_);
  const auto allowed = [&](std::string host, std::string origin = "") {
    auto r = request("/");
    r.host = std::move(host);
    if (!origin.empty()) r.headers.add("Origin", origin);
    return authenticator.check_site(r).has_value();
  };
  for (const auto* host : {"localhost", "LOCALHOST:9090", "127.0.0.1:9090", "[::1]:9090", "10.1.2.3", "a.localhost:1",
                           "deck.example.org", "Deck.Example.org.:443"})
    EXPECT_TRUE(allowed(host)) << host;
  for (const auto* host : {"", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "xdeck.example.org"})
    EXPECT_FALSE(allowed(host)) << host;
  EXPECT_TRUE(allowed("localhost:9090", "http://localhost:9090"));
  EXPECT_TRUE(allowed("deck.example.org", "https://deck.example.org"));
  EXPECT_FALSE(allowed("localhost:9090", "http://evil.example"));
  EXPECT_FALSE(allowed("localhost:9090", "http://localhost:8080"));
  EXPECT_FALSE(allowed("localhost:9090", "null"));
}

TEST_F(ServeTest, exposure_needs_authentication_and_tls) {
  ServeSettings plain;
  EXPECT_TRUE(check_exposure(plain));
  plain.listen = {"[::1]:9090", "localhost:0", "127.8.9.1:1"};
  EXPECT_TRUE(check_exposure(plain));
  for (const auto* address : {"0.0.0.0:9090", ":9090", "[::]:9090", "192.0.2.1:80", "127.0.0.1.example:9090"}) {
    plain.listen = {"127.0.0.1:9090", address};
    EXPECT_FALSE(check_exposure(plain)) << address;
  }
  for (const auto* address :
       {"", "foo", "::::", "5", "127.0.0.1:99999", "127.0.0.1:x", "[::1:9090", "http://localhost:80"}) {
    plain.listen = {address};
    EXPECT_NE(check_exposure(plain).error().message().find("is no address"), std::string::npos) << address;
  }
  plain.listen = {};
  EXPECT_NE(check_exposure(plain).error().message().find("nobody could reach"), std::string::npos);
  plain.listen = {"0.0.0.0:9090"};
  plain.auth_tokens = true;
  EXPECT_NE(check_exposure(plain).error().message().find("needs serve.tls"), std::string::npos);
  plain.tls_cert_file = "c";
  EXPECT_FALSE(check_exposure(plain));
  plain.tls_key_file = "k";
  EXPECT_TRUE(check_exposure(plain));
}

TEST_F(ServeTest, the_router_finds_checks_and_refuses) {
  const Authenticator authenticator(settings_, tokens_);
  base::ThreadPool pool(1, 10);
  Router router(authenticator, pool, base::Log::silent(), registry_);
  const auto echo = [](Call call) {
    call.reply.send(Response::text(200, call.path_parameter + "|" + call.principal.to_string()));
  };
  router.add({.methods = {"GET"}, .path = "/api/v1/label/{name}/values", .computes = true, .handler = echo});
  router.add({.methods = {"POST"}, .path = "/-/reload", .access = Access::kAct, .handler = echo});
  router.add({.methods = {"GET"}, .path = "/-/healthy", .access = Access::kOpen, .handler = echo});
  router.add({.methods = {"GET"}, .path = "/*", .access = Access::kOpen, .handler = echo});

  EXPECT_EQ(body(ask(router, request("/api/v1/label/job/values"))), "job|loopback");
  EXPECT_EQ(body(ask(router, request("/api/v1/label/a/b/values"))), "api/v1/label/a/b/values|loopback");
  EXPECT_EQ(ask(router, request("/api/v1/label/job/values", "HEAD")).status, 200);
  EXPECT_EQ(ask(router, request("/api/v1/label/job/values", "PUT")).status, 405);
  EXPECT_EQ(body(ask(router, from_beyond("/-/healthy"))), "|nobody");

  const auto unknown = ask(router, from_beyond("/api/v1/label/job/values"));
  EXPECT_EQ(unknown.status, 401);
  EXPECT_NE(body(unknown).find("\"errorType\":\"unauthorized\""), std::string::npos);
  EXPECT_EQ(ask(router, request("/-/reload", "POST")).status, 403);
  EXPECT_EQ(ask(router, from_beyond("/-/reload", "POST")).status, 401);
  EXPECT_EQ(body(ask(router, with(from_beyond("/-/reload", "POST"), "Authorization", "Bearer " + secret_))),
            "|token deploy");
  auto foreign = request("/-/healthy");
  foreign.host = "evil.example";
  EXPECT_EQ(ask(router, foreign).status, 403);
}

TEST_F(ServeTest, a_full_pool_answers_that_it_is_busy) {
  std::promise<void> started;
  std::promise<void> release;
  const Authenticator authenticator(settings_, tokens_);
  base::ThreadPool pool(1, 1);
  Router router(authenticator, pool, base::Log::silent(), registry_);
  router.add({.methods = {"GET"}, .path = "/x", .computes = true, .handler = [](Call call) {
                call.reply.send(Response::text(200, "done"));
              }});
  ASSERT_TRUE(pool.submit([&] {
    started.set_value();
    release.get_future().wait();
  }));
  started.get_future().wait();
  ASSERT_TRUE(pool.submit([] {}));
  EXPECT_EQ(ask(router, request("/x")).status, 503);
  release.set_value();
}

}  // namespace
}  // namespace qd::serve
