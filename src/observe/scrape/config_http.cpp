#include "observe/scrape/config_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"
#include "connect/http/message.h"

namespace qd::observe::scrape {

using connect::TlsVersion;
using connect::http::AuthorizationConfig;
using connect::http::BasicAuthConfig;
using connect::http::OAuth2Config;
using connect::http::ProxyConfig;
using connect::http::TlsConfig;

namespace {

constexpr std::array kReservedHeaders = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
};

Reader::Take version(Reader& reader, TlsVersion& into) {
  return [&reader, &into](const Reader::Node& n) {
    std::string given;
    reader.choice(given, {"TLS10", "TLS11", "TLS12", "TLS13"})(n);
    if (given == "TLS10") into = TlsVersion::kTls10;
    if (given == "TLS11") into = TlsVersion::kTls11;
    if (given == "TLS12") into = TlsVersion::kTls12;
    if (given == "TLS13") into = TlsVersion::kTls13;
  };
}

// A secret by the name of a secret manager's entry, which only some builds of Prometheus have.
Reader::Take reference(Reader& reader) {
  return [&reader](const Reader::Node& n) {
    std::string given;
    reader.text(given)(n);
    if (!given.empty()) reader.fault(n, "there is no secret manager here to look that up in: name a file");
  };
}

}  // namespace

bool reserved_header(std::string_view name) {
  return std::ranges::any_of(
      kReservedHeaders, [&](std::string_view reserved) { return connect::http::equal_ignoring_case(reserved, name); });
}

void HttpFields::add_to(Reader::Keys& keys) {
  const auto noted = [this](Reader::Take take) -> Reader::Take {
    return [this, take = std::move(take)](const Node& n) {
      given_ = true;
      take(n);
    };
  };
  Reader::Keys own = {
      {"basic_auth", [this](const Node& n) { config_.basic_auth = basic_auth(n); }},
      {"authorization", [this](const Node& n) { config_.authorization = authorization(n); }},
      {"oauth2", [this](const Node& n) { config_.oauth2 = oauth2(n); }},
      {"bearer_token", reader_.text(bearer_token_)},
      {"bearer_token_file", reader_.path(bearer_token_file_)},
      {"tls_config", [this](const Node& n) { tls(n, config_.tls); }},
      {"follow_redirects", reader_.flag(config_.follow_redirects)},
      {"enable_http2", reader_.flag(config_.enable_http2)},
      {"http_headers", [this](const Node& n) { headers(n); }},
  };
  add_proxy(own, config_.proxy);
  for (auto& [name, take] : own) keys[name] = noted(std::move(take));
}

void HttpFields::add_proxy(Reader::Keys& keys, ProxyConfig& proxy) {
  keys["proxy_url"] = reader_.text(proxy.url);
  keys["no_proxy"] = reader_.text(proxy.no_proxy);
  keys["proxy_from_environment"] = reader_.flag(proxy.from_environment);
  keys["proxy_connect_header"] = [this, &proxy](const Node& n) {
    if (!n.is_mapping()) return reader_.fault(n, "proxy_connect_header is a mapping of names to lists of values");
    for (const Node::Entry& entry : n.entries())
      reader_.texts("a header", proxy.connect_headers[entry.key.text()])(entry.value);
  };
}

void HttpFields::check_proxy(const Node& node, const ProxyConfig& proxy) {
  if (!proxy.connect_headers.empty() && !proxy.from_environment && proxy.url.empty())
    reader_.fault(node, "proxy_connect_header goes with proxy_url or proxy_from_environment");
  if (proxy.from_environment && !proxy.url.empty())
    reader_.fault(node, "at most one of proxy_url and proxy_from_environment is given");
  if (proxy.from_environment && !proxy.no_proxy.empty())
    reader_.fault(node, "at most one of no_proxy and proxy_from_environment is given");
  if (proxy.url.empty() && !proxy.no_proxy.empty()) reader_.fault(node, "no_proxy goes with proxy_url");
  if (!proxy.url.empty() && proxy.url.find("://") == std::string::npos)
    reader_.fault(node, "proxy_url is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT");
}

void HttpFields::finish(const Node& node) {
  const bool bearer = !bearer_token_.empty() || !bearer_token_file_.empty();
  if (!bearer_token_.empty() && !bearer_token_file_.empty())
    reader_.fault(node, "at most one of bearer_token and bearer_token_file is given");
  if (bearer + config_.basic_auth.has_value() + config_.authorization.has_value() + config_.oauth2.has_value() > 1)
    reader_.fault(node, "at most one of basic_auth, authorization, oauth2 and bearer_token is given");
  if (bearer) {
    config_.authorization = {.type = "Bearer", .credentials = bearer_token_, .credentials_file = bearer_token_file_};
  }
  check_proxy(node, config_.proxy);
}

BasicAuthConfig HttpFields::basic_auth(const Node& node) {
  BasicAuthConfig auth;
  reader_.mapping(node, "basic_auth",
                  {{"username", reader_.text(auth.username)},
                   {"username_file", reader_.path(auth.username_file)},
                   {"username_ref", reference(reader_)},
                   {"password", reader_.text(auth.password)},
                   {"password_file", reader_.path(auth.password_file)},
                   {"password_ref", reference(reader_)}});
  if (!auth.username.empty() && !auth.username_file.empty())
    reader_.fault(node, "at most one of username and username_file is given");
  if (!auth.password.empty() && !auth.password_file.empty())
    reader_.fault(node, "at most one of password and password_file is given");
  return auth;
}

AuthorizationConfig HttpFields::authorization(const Node& node) {
  AuthorizationConfig auth;
  reader_.mapping(node, "authorization",
                  {{"type", reader_.text(auth.type)},
                   {"credentials", reader_.text(auth.credentials)},
                   {"credentials_file", reader_.path(auth.credentials_file)},
                   {"credentials_ref", reference(reader_)}});
  auth.type = base::trim(auth.type);
  if (auth.type.empty()) auth.type = "Bearer";
  if (connect::http::equal_ignoring_case(auth.type, "basic"))
    reader_.fault(node, "authorization is not for basic authentication; write basic_auth");
  if (!auth.credentials.empty() && !auth.credentials_file.empty())
    reader_.fault(node, "at most one of credentials and credentials_file is given");
  return auth;
}

OAuth2Config HttpFields::oauth2(const Node& node) {
  OAuth2Config config;
  std::string grant = "client_credentials";
  Reader::Keys keys = {
      {"client_id", reader_.text(config.client_id)},
      {"client_secret", reader_.text(config.client_secret)},
      {"client_secret_file", reader_.path(config.client_secret_file)},
      {"client_secret_ref", reference(reader_)},
      {"token_url", reader_.text(config.token_url)},
      {"scopes", reader_.texts("scopes", config.scopes)},
      {"endpoint_params", reader_.text_map("endpoint_params", config.endpoint_params)},
      {"tls_config", [&](const Node& n) { tls(n, config.tls); }},
      {"grant_type", reader_.text(grant)},
  };
  add_proxy(keys, config.proxy);
  reader_.mapping(node, "oauth2", keys);
  if (!grant.empty() && grant != "client_credentials")
    reader_.fault(node, "the grant_type of oauth2 is client_credentials; another is not supported in this release");
  if (config.client_id.empty()) reader_.fault(node, "oauth2 has no client_id");
  if (config.token_url.empty()) reader_.fault(node, "oauth2 has no token_url");
  if (config.client_secret.empty() && config.client_secret_file.empty())
    reader_.fault(node, "oauth2 has neither client_secret nor client_secret_file");
  if (!config.client_secret.empty() && !config.client_secret_file.empty())
    reader_.fault(node, "at most one of client_secret and client_secret_file is given");
  check_proxy(node, config.proxy);
  return config;
}

void HttpFields::tls(const Node& node, TlsConfig& config) {
  read_tls(reader_, node, config);
}

void read_tls(Reader& reader, const Reader::Node& node, TlsConfig& config) {
  reader.mapping(node, "tls_config",
                 {{"ca", reader.text(config.ca)},
                  {"cert", reader.text(config.cert)},
                  {"key", reader.text(config.key)},
                  {"ca_file", reader.path(config.ca_file)},
                  {"cert_file", reader.path(config.cert_file)},
                  {"key_file", reader.path(config.key_file)},
                  {"ca_ref", reference(reader)},
                  {"cert_ref", reference(reader)},
                  {"key_ref", reference(reader)},
                  {"server_name", reader.text(config.server_name)},
                  {"insecure_skip_verify", reader.flag(config.insecure_skip_verify)},
                  {"min_version", version(reader, config.min_version)},
                  {"max_version", version(reader, config.max_version)}});
  if (!config.ca.empty() && !config.ca_file.empty()) reader.fault(node, "at most one of ca and ca_file is given");
  if (!config.cert.empty() && !config.cert_file.empty())
    reader.fault(node, "at most one of cert and cert_file is given");
  if (!config.key.empty() && !config.key_file.empty()) reader.fault(node, "at most one of key and key_file is given");
  const bool cert = !config.cert.empty() || !config.cert_file.empty();
  const bool key = !config.key.empty() || !config.key_file.empty();
  if (cert != key) reader.fault(node, "cert_file and key_file go together");
  if (config.max_version != TlsVersion::kUsual && config.max_version < config.min_version)
    reader.fault(node, "max_version is older than min_version");
}

void HttpFields::headers(const Node& node) {
  if (!node.is_mapping()) return reader_.fault(node, "http_headers is a mapping of names to their values");
  for (const Node::Entry& entry : node.entries()) {
    connect::http::HeaderConfig& header = config_.headers.emplace_back();
    header.name = entry.key.text();
    if (reserved_header(header.name))
      reader_.fault(entry.key, fmt::format("the header {} cannot be set by http_headers", header.name));
    std::vector<std::string> secrets;
    reader_.mapping(entry.value, "a header",
                    {{"values", reader_.texts("values", header.values)},
                     {"secrets", reader_.texts("secrets", secrets)},
                     {"files", [&](const Node& n) {
                        reader_.each(n, "files",
                                     [&](const Node& item) { reader_.path(header.files.emplace_back())(item); });
                      }}});
    for (std::string& secret : secrets) header.values.push_back(std::move(secret));
  }
}

}  // namespace qd::observe::scrape
