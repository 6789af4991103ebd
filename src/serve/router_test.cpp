#include "serve/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <optional>
#include <vector>

#include "base/temp_directory.h"

namespace qd::serve {
namespace {

using connect::http::Reply;
using connect::http::Request;
using connect::http::Response;
using ::testing::ElementsAre;

class ServeTest : public testing::Test {
 protected:
  ServeTest() : database_(*store::state::Database::open(directory_ / "state.db")), tokens_(*database_) {
    secret_ = *tokens_.add("deploy", store::state::Scope::kAll, 1);
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

TEST_F(ServeTest, a_proxy_counts_as_loopback_only_while_it_names_nobody_else) {
  using Kind = Principal::Kind;
  for (const auto* list :
       {"127.0.0.1", "127.8.9.1:1234", "::1", "[::1]", "[::1]:80", "0:0:0:0:0:0:0:1", "127.0.0.1, ::1 ,[::1]:9"})
    EXPECT_EQ(kind(with(request("/"), "X-Forwarded-For", list)), Kind::kLoopback) << list;
  for (const auto* list : {"203.0.113.9",
                           "127.0.0.1, 203.0.113.9",
                           "203.0.113.9, 127.0.0.1",
                           "",
                           ",",
                           "127.0.0.1,",
                           "unknown",
                           "localhost",
                           "_hidden",
                           "127.0.0.1.evil.example",
                           "127.1",
                           "[::1",
                           "[::1]x",
                           "[::1]:",
                           "::1:80",
                           "127.0.0.1:",
                           "127.0.0.1:x",
                           "127.0.0.1:99999",
                           "::ffff:203.0.113.9",
                           "::2",
                           "for=127.0.0.1",
                           "\"127.0.0.1\"",
                           "127.0.0.1 203.0.113.9"})
    EXPECT_EQ(kind(with(request("/"), "X-Forwarded-For", list)), Kind::kNobody) << list;

  for (const auto* list : {"for=127.0.0.1", "For=\"127.0.0.1:80\"", "for=\"[::1]:123\"",
                           "for=\"[::1]\";proto=http;by=x", "proto=http; for=127.0.0.1, for=127.0.0.2"})
    EXPECT_EQ(kind(with(request("/"), "Forwarded", list)), Kind::kLoopback) << list;
  for (const auto* list :
       {"for=203.0.113.9", "for=127.0.0.1, for=203.0.113.9", "for=127.0.0.1;for=203.0.113.9", "for=unknown", "for=", "",
        "127.0.0.1", "proto=http", "by=127.0.0.1", "for=127.0.0.1, proto=http", "for=\"127.0.0.1", "for=127.0.0.1;x",
        "for=127.0.0.1;x=\", for=203.0.113.9"})
    EXPECT_EQ(kind(with(request("/"), "Forwarded", list)), Kind::kNobody) << list;

  const auto near = with(request("/"), "X-Forwarded-For", "127.0.0.1");
  EXPECT_EQ(kind(with(near, "x-forwarded-for", "::1")), Kind::kLoopback);
  EXPECT_EQ(kind(with(near, "x-forwarded-for", "203.0.113.9")), Kind::kNobody);
  EXPECT_EQ(kind(with(near, "Forwarded", "for=203.0.113.9")), Kind::kNobody);
  EXPECT_EQ(kind(with(from_beyond("/"), "X-Forwarded-For", "127.0.0.1")), Kind::kNobody);
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

TEST_F(ServeTest, a_token_may_what_its_scope_says) {
  using store::state::Scope;
  const Authenticator authenticator(settings_, tokens_);
  base::ThreadPool pool(1, 10);
  Router router(authenticator, pool, base::Log::silent(), registry_);
  const auto echo = [](Call call) { call.reply.send(Response::text(200, call.principal.to_string())); };
  router.add({.methods = {"GET"}, .path = "/look", .access = Access::kRead, .handler = echo});
  router.add({.methods = {"GET"}, .path = "/send", .access = Access::kIngest, .handler = echo});
  router.add({.methods = {"GET"}, .path = "/act", .access = Access::kAct, .handler = echo});
  router.add({.methods = {"GET"}, .path = "/open", .access = Access::kOpen, .handler = echo});
  const auto answers = [&](Scope scope) {
    const auto secret = *tokens_.add(store::state::to_string(scope), scope, 1);
    std::vector<int> statuses;
    for (const char* path : {"/look", "/send", "/act", "/open"})
      statuses.push_back(ask(router, with(from_beyond(path), "Authorization", "Bearer " + secret)).status);
    return statuses;
  };
  EXPECT_THAT(answers(Scope::kAll), ElementsAre(200, 200, 200, 200));
  EXPECT_THAT(answers(Scope::kRead), ElementsAre(200, 403, 403, 200));
  EXPECT_THAT(answers(Scope::kSend), ElementsAre(403, 200, 403, 200));
}

TEST_F(ServeTest, the_most_exact_path_says_which_methods_are_taken) {
  const Authenticator authenticator(settings_, tokens_);
  base::ThreadPool pool(1, 10);
  Router router(authenticator, pool, base::Log::silent(), registry_);
  const auto echo = [](Call call) { call.reply.send(Response::text(200, call.request.path)); };
  router.add({.methods = {"POST", "PUT"}, .path = "/-/reload", .access = Access::kAct, .handler = echo});
  router.add({.methods = {"GET"},
              .path = "/*",
              .takes = [](std::string_view path) { return path == "/explore"; },
              .access = Access::kOpen,
              .handler = echo});

  const auto reload = ask(router, request("/-/reload"));
  EXPECT_EQ(reload.status, 405);
  EXPECT_EQ(reload.headers.get("Allow"), "POST, PUT");
  EXPECT_EQ(body(ask(router, request("/explore"))), "/explore");
  const auto posted = ask(router, request("/explore", "POST"));
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(posted.headers.get("Allow"), "GET, HEAD");
  for (const auto* path : {"/api/v1/nothing", "/federate", "//api/v1/query", "/-/nothing"}) {
    for (const auto* method : {"GET", "HEAD", "POST", "DELETE"}) {
      const auto answer = ask(router, request(path, method));
      EXPECT_EQ(answer.status, 404) << method << ' ' << path;
      EXPECT_FALSE(answer.headers.has("Allow"));
    }
  }
  EXPECT_NE(body(ask(router, request("/api/v1/nothing", "POST"))).find("\"errorType\":\"not_found\""),
            std::string::npos);

  // A browser is shown a page, but not for the API, and not by what fetches data or files.
  router.set_not_found_page([] { return Response::text(404, "the page"); });
  const auto look = [&](std::string path, std::string method, std::string accept) {
    return body(ask(router, with(request(std::move(path), std::move(method)), "Accept", std::move(accept))));
  };
  EXPECT_EQ(look("/nosuch", "GET", "text/html,application/xhtml+xml,*/*;q=0.8"), "the page");
  EXPECT_EQ(look("/nosuch", "GET", "*/*"), "there is nothing at /nosuch\n");
  EXPECT_EQ(look("/nosuch", "POST", "text/html"), "there is nothing at /nosuch\n");
  EXPECT_NE(look("/api/nosuch", "GET", "text/html").find("not_found"), std::string::npos);
}

TEST_F(ServeTest, encoded_bodies_and_broken_parameters_are_refused_in_the_form_of_the_path) {
  const Authenticator authenticator(settings_, tokens_);
  base::ThreadPool pool(1, 10);
  Router router(authenticator, pool, base::Log::silent(), registry_);
  const auto echo = [](Call call) { call.reply.send(Response::text(200, call.request.body)); };
  router.add({.methods = {"POST"}, .path = "/api/v1/query", .handler = echo});
  router.add({.methods = {"POST"}, .path = "/api/v1/write", .takes_encoded_body = true, .handler = echo});
  router.add({.methods = {"POST"}, .path = "/plain", .handler = echo});
  const auto post = [](std::string path, std::string encoding, std::string bytes) {
    auto r = with(request(std::move(path), "POST"), "Content-Encoding", std::move(encoding));
    r.body = std::move(bytes);
    return r;
  };

  const auto refused = ask(router, post("/api/v1/query", "gzip", "x"));
  EXPECT_EQ(refused.status, 415);
  EXPECT_EQ(refused.headers.get("Accept-Encoding"), "identity");
  EXPECT_NE(body(refused).find("\"errorType\":\"bad_data\""), std::string::npos);
  EXPECT_NE(body(refused).find("Content-Encoding gzip: send it as it is"), std::string::npos) << body(refused);
  EXPECT_EQ(ask(router, with(post("/plain", "identity", "x"), "content-encoding", "br")).status, 415);
  EXPECT_EQ(ask(router, post("/plain", "identity, gzip", "x")).status, 415);
  EXPECT_EQ(ask(router, post("/plain", "Identity", "x")).status, 200);
  EXPECT_EQ(ask(router, post("/plain", "gzip", "")).status, 200);
  EXPECT_EQ(body(ask(router, post("/api/v1/write", "snappy", "x"))), "x");

  auto broken = request("/api/v1/query", "POST");
  broken.parameters_error = "a broken percent escape in the query";
  const auto told = ask(router, broken);
  EXPECT_EQ(told.status, 400);
  EXPECT_EQ(body(told), R"({"status":"error","errorType":"bad_data","error":"a broken percent escape in the query"})");
  broken.path = "/plain";
  EXPECT_EQ(body(ask(router, broken)), "a broken percent escape in the query\n");
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
