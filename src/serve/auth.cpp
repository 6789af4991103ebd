#include "serve/auth.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/strings.h"

namespace qd::serve {

namespace {

using base::ErrorCode;
using connect::http::equal_ignoring_case;
using connect::http::Headers;
using connect::http::Request;

// "[::1]:9090" gives "::1", "localhost:9090" gives "localhost".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    return close == std::string_view::npos ? host : host.substr(1, close - 1);
  }
  const auto colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(':') != colon) return host;
  return host.substr(0, colon);
}

bool is_ip_address(std::string_view host) {
  const std::string text(host);
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  return ::inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

bool is_loopback(std::string_view listen) {
  const auto host = without_port(listen);
  if (host == "localhost" || host == "::1") return true;
  return host.starts_with("127.") && is_ip_address(host);
}

bool is_port(std::string_view text) {
  unsigned number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && number <= 65535;
}

// HOST:PORT with a host that may be empty (every interface), a name, or an address, IPv6 in brackets.
bool is_address(std::string_view listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string_view::npos) return false;
  if (!is_port(listen.substr(colon + 1))) return false;
  const auto host = listen.substr(0, colon);
  if (host.starts_with('[')) return host.ends_with(']') && is_ip_address(host.substr(1, host.size() - 2));
  return host.find_first_of(":/ []") == std::string_view::npos;
}

// "127.0.0.1", "127.0.0.1:80", "::1", "[::1]", "[::1]:80": an address of 127.0.0.0/8 or ::1, and nothing beside it.
bool is_loopback_node(std::string_view node) {
  std::string_view host = node;
  std::string_view port;  // with its colon
  if (node.starts_with('[')) {
    const auto close = node.find(']');
    if (close == std::string_view::npos) return false;
    host = node.substr(1, close - 1);
    port = node.substr(close + 1);
  } else if (const auto colon = node.find(':'); colon != std::string_view::npos && colon == node.rfind(':')) {
    host = node.substr(0, colon);
    port = node.substr(colon);
  }
  if (!port.empty() && (port.front() != ':' || !is_port(port.substr(1)))) return false;
  const std::string text(host);
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, text.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

// An element of Forwarded (RFC 7239, section 4): `for="[::1]:123";proto=http`. False when it names nobody, or cannot be
// read.
bool is_loopback_element(std::string_view element) {
  bool named = false;
  for (const auto part : base::split(element, ';')) {
    const auto pair = base::trim(part);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return false;
    if (!equal_ignoring_case(pair.substr(0, equals), "for")) continue;
    auto node = pair.substr(equals + 1);
    if (node.size() >= 2 && node.starts_with('"') && node.ends_with('"')) node = node.substr(1, node.size() - 2);
    if (!is_loopback_node(node)) return false;
    named = true;
  }
  return named;
}

// A proxy on this machine speaks for somebody else, unless every address that it and those before it name is loopback:
// then so was who asked the first of them.
bool speaks_for_others(const Headers& headers) {
  for (const auto& header : headers) {
    const bool list = equal_ignoring_case(header.name, "X-Forwarded-For");
    if (!list && !equal_ignoring_case(header.name, "Forwarded")) continue;
    for (const auto item : base::split(header.value, ','))
      if (!(list ? is_loopback_node(base::trim(item)) : is_loopback_element(item))) return true;
  }
  return false;
}

// Time does not tell where they differ, nor how long the right one is.
bool same_secret(std::string_view given, std::string_view right) {
  const auto digest = [](std::string_view text) {
    std::array<unsigned char, 32> out{};
    EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(), nullptr);
    return out;
  };
  const auto a = digest(given);
  const auto b = digest(right);
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > 4096) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - std::min(padding, static_cast<std::size_t>(size)));
  return out;
}

// The scheme's credentials in "Scheme credentials", scheme without case.
std::optional<std::string_view> credentials(std::string_view header, std::string_view scheme) {
  if (header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  if (!equal_ignoring_case(header.substr(0, scheme.size()), scheme)) return std::nullopt;
  auto rest = header.substr(scheme.size() + 1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return rest;
}

std::string own_host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

}  // namespace

std::string Principal::to_string() const {
  switch (kind) {
    case Kind::kNobody:
      return "nobody";
    case Kind::kLoopback:
      return "loopback";
    case Kind::kUser:
      return "user " + name;
    case Kind::kToken:
      return "token " + name;
    case Kind::kUnixPeer:
      return "unix " + name;
  }
  return {};
}

void declare(model::config::Schema& schema, ServeSettings& settings) {
  schema.section("serve", "Where and to whom Quarterdeck answers.");
  schema
      .strings("serve.listen", settings.listen,
               "Addresses to serve on, `HOST:PORT`. Beyond loopback `serve.auth` and `serve.tls` must be set.")
      .only_at_start();
  schema
      .text("serve.unix_socket", settings.unix_socket,
            "A Unix socket to serve on as well; its peers that are root or the server's own user may do everything.")
      .only_at_start();
  schema
      .strings("serve.hosts", settings.hosts,
               "Host names, beside this machine's own, `localhost` and IP addresses, by which browsers may call it.")
      .only_at_start();
  schema
      .flag("serve.auth.tokens", settings.auth_tokens,
            "Ask callers from beyond loopback for a token (`quarterdeck token add`).")
      .only_at_start();
  schema
      .flag("serve.auth.loopback_open", settings.auth_loopback_open,
            "Let callers on this machine read and send data in without credentials.")
      .only_at_start();
  schema
      .list("serve.auth.users", settings.auth_users,
            "Users that log in with name and password (HTTP basic authentication).",
            [](model::config::Schema& item, User& user) {
              item.text("name", user.name, "The user's name.").required();
              item.secret("password", user.password, "The password.").required();
            })
      .only_at_start();
  schema
      .text("serve.tls.cert_file", settings.tls_cert_file,
            "Certificate chain for HTTPS, as PEM; the file is read again on reload.")
      .only_at_start();
  schema.text("serve.tls.key_file", settings.tls_key_file, "The certificate's private key, as PEM.").only_at_start();
  schema.flag("serve.access_log", settings.access_log, "Log a line for every request.").only_at_start();
}

base::Status check_reach(const ServeSettings& settings, std::string_view setting, const std::string& address) {
  if (!is_address(address))
    return base::fail(ErrorCode::kInvalid, fmt::format("{} \"{}\" is no address: write HOST:PORT, as 127.0.0.1:9090 or "
                                                       "[::1]:9090",
                                                       setting, address));
  const bool tls = !settings.tls_cert_file.empty() && !settings.tls_key_file.empty();
  if (is_loopback(address) || (settings.auth_set() && tls)) return {};
  return base::fail(
      ErrorCode::kPermission,
      fmt::format("{} {} reaches beyond this machine, which needs {}: set {}, or listen on 127.0.0.1", setting, address,
                  settings.auth_set() ? "serve.tls"
                  : tls               ? "serve.auth"
                                      : "serve.auth and serve.tls",
                  settings.auth_set() ? "serve.tls.cert_file and serve.tls.key_file"
                  : tls               ? "serve.auth.tokens or serve.auth.users"
                                      : "serve.auth.tokens (or serve.auth.users), serve.tls.cert_file "
                                        "and serve.tls.key_file"));
}

base::Status check_exposure(const ServeSettings& settings) {
  if (settings.tls_cert_file.empty() != settings.tls_key_file.empty())
    return base::fail(ErrorCode::kInvalid, "serve.tls needs both cert_file and key_file");
  for (const auto& user : settings.auth_users)
    if (user.name.empty() || user.password.empty() || user.name.find(':') != std::string::npos)
      return base::fail(ErrorCode::kInvalid, "serve.auth.users: each user needs a name (without ':') and a password");
  if (settings.listen.empty() && settings.unix_socket.empty())
    return base::fail(ErrorCode::kInvalid,
                      "serve.listen names no address and serve.unix_socket no socket: nobody could reach this server");
  for (const auto& address : settings.listen) QD_TRY(check_reach(settings, "serve.listen", address));
  return {};
}

Authenticator::Authenticator(const ServeSettings& settings, store::state::Tokens& tokens)
    : settings_(settings), host_name_(own_host_name()), tokens_(tokens) {}

bool Authenticator::known_host(std::string_view host) const {
  auto name = without_port(host);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (is_ip_address(name) || equal_ignoring_case(name, "localhost")) return true;
  if (name.size() > 10 && equal_ignoring_case(name.substr(name.size() - 10), ".localhost")) return true;
  if (!host_name_.empty() && equal_ignoring_case(name, host_name_)) return true;
  return std::any_of(settings_.hosts.begin(), settings_.hosts.end(),
                     [&](const std::string& known) { return equal_ignoring_case(name, known); });
}

base::Status Authenticator::check_site(const Request& request) const {
  if (request.unix_socket) return {};
  if (!known_host(request.host))
    return base::fail(ErrorCode::kPermission,
                      fmt::format("the Host header names \"{}\", which is not this server: call it by its address, or "
                                  "add the name to serve.hosts",
                                  request.host.substr(0, 200)));
  const auto origin = request.headers.get("Origin");
  if (!origin) return {};
  const auto own = std::string(request.tls ? "https://" : "http://") + request.host;
  const auto separator = origin->find("://");
  // Behind a proxy that ends TLS the scheme differs; the host and port may not.
  const bool same =
      equal_ignoring_case(*origin, own) ||
      (separator != std::string_view::npos && equal_ignoring_case(origin->substr(separator + 3), request.host));
  if (!same)
    return base::fail(ErrorCode::kPermission,
                      fmt::format("a page of \"{}\" may not call this server from a browser", origin->substr(0, 200)));
  return {};
}

base::Result<Principal> Authenticator::identify(const Request& request) const {
  if (const auto header = request.headers.get("Authorization")) {
    std::string secret;
    std::string user;
    if (const auto bearer = credentials(*header, "Bearer")) {
      secret = *bearer;
    } else if (const auto token = credentials(*header, "Token")) {  // of InfluxDB 2's clients
      secret = *token;
    } else if (const auto basic = credentials(*header, "Basic")) {
      const auto decoded = base64_decode(*basic);
      const auto colon = decoded ? decoded->find(':') : std::string::npos;
      if (colon == std::string::npos)
        return base::fail(ErrorCode::kPermission, "the Authorization header is malformed");
      user = decoded->substr(0, colon);
      secret = decoded->substr(colon + 1);
      for (const auto& known : settings_.auth_users)
        if (same_secret(user, known.name) && same_secret(secret, known.password))
          return Principal{Principal::Kind::kUser, known.name};
    } else {
      return base::fail(ErrorCode::kPermission, "the Authorization header must be Bearer, Token or Basic");
    }
    // A token is taken as a bearer, and as the password of any user for clients that know only that.
    QD_ASSIGN(const auto token, tokens_.find(secret));
    if (token) return Principal{Principal::Kind::kToken, token->name, token->scope};
    return base::fail(ErrorCode::kPermission, "the credentials are wrong, or the token was revoked");
  }
  if (request.unix_socket && request.unix_uid && (*request.unix_uid == 0 || *request.unix_uid == ::geteuid()))
    return Principal{Principal::Kind::kUnixPeer, fmt::format("uid {}", *request.unix_uid)};
  if ((request.peer_is_loopback || request.unix_socket) && settings_.auth_loopback_open &&
      !speaks_for_others(request.headers))
    return Principal{Principal::Kind::kLoopback, ""};
  return Principal{};
}

}  // namespace qd::serve
