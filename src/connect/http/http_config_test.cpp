#include "connect/http/http_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "base/temp_directory.h"
#include "connect/http/http_test_support.h"
#include "connect/http/oauth2.h"

namespace qd::connect::http {
namespace {

void reflect(const Request& request, Reply reply) {
  std::string text = request.method + " " + request.target + "\n";
  for (const auto& header : request.headers) text += header.name + ": " + header.value + "\n";
  reply.send(Response::text(200, text));
}

using testing::TestServer;
using testing::write_certificate;

struct Configured : TestServer {
  explicit Configured(Handler handler, ServerOptions options = {})
      : TestServer(std::move(handler), std::move(options)), client(std::move(*Client::create(loop, {}, registry))) {}

  base::Result<ClientResponse> fetch(const HttpConfig& config, ClientRequest request) {
    std::promise<base::Result<ClientResponse>> result;
    configured.fetch(config, std::move(request),
                     [&](base::Result<ClientResponse> response) { result.set_value(std::move(response)); });
    return result.get_future().get();
  }

  std::unique_ptr<Client> client;
  ConfiguredClient configured{*client, loop.clock()};
};

void write(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST(HttpConfig, reads_secrets_anew_at_each_request) {
  const base::TempDirectory dir;
  const auto file = dir.path() / "secret";
  Configured pair(reflect);
  HttpConfig config;
  config.authorization = AuthorizationConfig{.type = "Token", .credentials = {}, .credentials_file = file.string()};
  config.headers = {{.name = "X-Team", .values = {"a", "b"}, .files = {file.string()}}};
  write(file, "one\n");
  auto body = pair.fetch(config, {.url = pair.url("/")})->body;
  EXPECT_NE(body.find("Authorization: Token one\n"), std::string::npos) << body;
  EXPECT_NE(body.find("X-Team: a\nX-Team: b\nX-Team: one\n"), std::string::npos) << body;
  write(file, "two\n");
  EXPECT_NE(pair.fetch(config, {.url = pair.url("/")})->body.find("Token two"), std::string::npos);
  std::filesystem::remove(file);
  const auto failed = pair.fetch(config, {.url = pair.url("/")});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code(), base::ErrorCode::kUnavailable);
  EXPECT_NE(failed.error().message().find(file.string()), std::string::npos);
}

TEST(HttpConfig, gets_a_token_once_and_anew_when_it_is_refused) {
  std::atomic<int> tokens{0};
  std::string valid;
  base::Mutex mutex;
  Configured pair([&](const Request& request, Reply reply) {
    base::MutexLock lock(mutex);
    if (request.path == "/token") {
      // This one wants the client's name in the body.
      if (request.headers.has("Authorization")) return reply.send(Response::json(401, R"({"error":"invalid_client"})"));
      if (request.param("client_secret") != "s p" || request.param("scope") != "read write" ||
          request.param("audience") != "x" || request.param("grant_type") != "client_credentials")
        return reply.send(Response::json(400, R"({"error":"invalid_request","error_description":"no"})"));
      valid = "t" + std::to_string(++tokens);
      return reply.send(Response::json(200, R"({"access_token":")" + valid + R"(","expires_in":3600})"));
    }
    const bool known = request.headers.get("Authorization") == "Bearer " + valid;
    reply.send(Response::text(known ? 200 : 401, known ? "in" : "out"));
  });
  HttpConfig config;
  config.oauth2 = OAuth2Config{.client_id = "me",
                               .client_secret = "s p",
                               .client_secret_file = {},
                               .token_url = pair.url("/token"),
                               .scopes = {"read", "write"},
                               .endpoint_params = {{"audience", "x"}},
                               .tls = {},
                               .proxy = {}};
  EXPECT_EQ(pair.fetch(config, {.url = pair.url("/metrics")})->body, "in");
  EXPECT_EQ(pair.fetch(config, {.url = pair.url("/metrics")})->body, "in");
  EXPECT_EQ(tokens, 1);
  {
    base::MutexLock lock(mutex);
    valid = "other";
  }
  EXPECT_EQ(pair.fetch(config, {.url = pair.url("/metrics")})->status, 401);
  EXPECT_EQ(pair.fetch(config, {.url = pair.url("/metrics")})->status, 200);
  EXPECT_EQ(tokens, 2);

  config.oauth2->client_secret = "wrong";
  const auto refused = pair.fetch(config, {.url = pair.url("/metrics")});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kPermission);
  EXPECT_NE(refused.error().message().find("invalid_request: no"), std::string::npos) << refused.error().message();
}

TEST(HttpConfig, goes_by_the_proxy_and_not_to_whom_it_is_not_for) {
  std::atomic<int> asked{0};
  Configured proxy([&](const Request& request, Reply reply) {
    ++asked;
    // A proxy is asked for the whole URL.
    reply.send(Response::text(200, "proxy " + request.target));
  });
  Configured pair(reflect);
  HttpConfig config;
  config.proxy.url = proxy.url("");
  EXPECT_EQ(pair.fetch(config, {.url = "http://host.invalid/x"})->body, "proxy http://host.invalid/x");
  config.proxy.no_proxy = "127.0.0.1,other";
  const std::string url = pair.url("/direct");
  EXPECT_TRUE(pair.fetch(config, {.url = url})->body.starts_with("GET /direct\n"));
  EXPECT_EQ(asked, 1);
}

TEST(HttpConfig, takes_certificates_as_text_and_bounds_versions) {
  const base::TempDirectory dir;
  const auto cert = (dir.path() / "cert.pem").string();
  const auto key = (dir.path() / "key.pem").string();
  write_certificate(cert, key, "localhost");
  ServerOptions options;
  options.tls = ServerTls{.cert_file = cert, .key_file = key};
  Configured pair(reflect, options);
  std::ifstream in(cert);
  HttpConfig config;
  config.tls.ca.assign(std::istreambuf_iterator<char>(in), {});
  const std::string url = "https://localhost:" + std::to_string(pair.port()) + "/";
  auto response = pair.fetch(config, {.url = url});
  ASSERT_TRUE(response) << response.error().message();
  config.tls.min_version = TlsVersion::kTls13;
  EXPECT_TRUE(pair.fetch(config, {.url = url}));
  // The server speaks 1.2 and newer.
  config.tls.min_version = TlsVersion::kTls10;
  config.tls.max_version = TlsVersion::kTls11;
  EXPECT_FALSE(pair.fetch(config, {.url = url}));
  config.tls = {};
  EXPECT_EQ(pair.fetch(config, {.url = url}).error().code(), base::ErrorCode::kPermission);
}

TEST(ShownUrl, has_no_secrets) {
  EXPECT_EQ(shown_url("http://user:p@ss@h:1/a@b?token=x#y"), "http://h:1/a@b");
  EXPECT_EQ(shown_url("https://h"), "https://h");
  EXPECT_EQ(shown_url("h/x?y"), "h/x");
}

TEST(ReadToken, reads_what_authorities_answer) {
  const auto read = [](int status, std::string body) {
    ClientResponse response;
    response.status = status;
    response.body = std::move(body);
    return read_token(response);
  };
  EXPECT_EQ(read(200, R"({"access_token":"a","expires_in":"60"})")->valid_ms, 50'000);
  EXPECT_EQ(read(200, R"({"access_token":"a"})")->valid_ms, 3'590'000);
  EXPECT_EQ(read(200, R"({"access_token":"a","expires_in":5})")->valid_ms, 0);
  EXPECT_EQ(read(200, "[]").error().code(), base::ErrorCode::kCorrupt);
  EXPECT_EQ(read(200, R"({"token":"a"})").error().code(), base::ErrorCode::kCorrupt);
  EXPECT_EQ(read(500, "<html>").error().code(), base::ErrorCode::kPermission);
}

}  // namespace
}  // namespace qd::connect::http
