// How an HTTP server is to be spoken to, as Prometheus's files say it (`http_config` and what stands beside a job's
// targets): who asks, by which proxy, with which certificates.
//
//   ConfiguredClient client(http, clock);
//   const auto cancel = client.fetch(config, {.url = …}, [](base::Result<ClientResponse> response) { … });
//
// Files with secrets are read at each request, so that a rotated one is taken up at once. Tokens of OAuth 2.0 (RFC
// 6749, section 4.4, client credentials) are fetched when first needed, kept until shortly before they expire, and
// fetched anew after a 401.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "connect/http/client.h"

namespace qd::connect::http {

struct BasicAuthConfig {
  std::string username;
  std::string username_file;
  std::string password;
  std::string password_file;
  bool operator==(const BasicAuthConfig&) const = default;
};

struct AuthorizationConfig {
  std::string type = "Bearer";
  std::string credentials;
  std::string credentials_file;
  bool operator==(const AuthorizationConfig&) const = default;
};

struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string ca;  // PEM, in place of its file
  std::string cert;
  std::string key;
  std::string server_name;
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kUsual;
  TlsVersion max_version = TlsVersion::kUsual;
  bool operator==(const TlsConfig&) const = default;
};

struct ProxyConfig {
  std::string url;
  std::string no_proxy;           // hosts, addresses and networks, separated by commas
  bool from_environment = false;  // HTTP_PROXY and its like
  std::map<std::string, std::vector<std::string>> connect_headers;
  bool operator==(const ProxyConfig&) const = default;
};

struct HeaderConfig {
  std::string name;
  std::vector<std::string> values;  // secrets too
  std::vector<std::string> files;
  bool operator==(const HeaderConfig&) const = default;
};

struct OAuth2Config {
  std::string client_id;
  std::string client_secret;
  std::string client_secret_file;
  std::string token_url;
  std::vector<std::string> scopes;
  std::map<std::string, std::string> endpoint_params;
  TlsConfig tls;
  ProxyConfig proxy;
  bool operator==(const OAuth2Config&) const = default;
};

struct HttpConfig {
  // At most one of them.
  std::optional<BasicAuthConfig> basic_auth;
  std::optional<AuthorizationConfig> authorization;
  std::optional<OAuth2Config> oauth2;
  TlsConfig tls;
  ProxyConfig proxy;
  std::vector<HeaderConfig> headers;
  bool follow_redirects = true;
  bool enable_http2 = true;
  bool operator==(const HttpConfig&) const = default;
};

// Reads what `config` names and puts it into `request`; OAuth 2.0 is left to ConfiguredClient. kUnavailable names a
// file that cannot be read, kLimit one that is too long.
base::Status apply(const HttpConfig& config, ClientRequest& request);

// A URL as logs may show it: without user, password and query.
std::string shown_url(std::string_view url);

// An exchange as HttpConfig wants it; tests stand in for it. Returns what cancels it (may be empty).
using ConfiguredFetch = std::function<std::function<void()>(const HttpConfig&, ClientRequest, Client::Then)>;

// Thread-safe. `client` outlives it, or the call of close.
class ConfiguredClient {
 public:
  ConfiguredClient(Client& client, const base::Clock& clock);
  ~ConfiguredClient();
  ConfiguredClient(const ConfiguredClient&) = delete;
  ConfiguredClient& operator=(const ConfiguredClient&) = delete;

  // As Client::fetch, but `then` may also run inside the call, when a file cannot be read. Getting a token and using it
  // both fit in the request's deadline.
  std::function<void()> fetch(const HttpConfig& config, ClientRequest request, Client::Then then);
  ConfiguredFetch as_fetch();
  // From now on nothing is fetched any more: `then` gets kCancelled. What runs goes on.
  void close();

  class Core;

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace qd::connect::http
