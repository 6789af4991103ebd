#include "observe/nginx/url.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace qd::observe::nginx {
namespace {

constexpr std::string_view kForms =
    "write http://127.0.0.1/stub_status, https://HOST:PORT/PATH or unix:/run/nginx.sock:/stub_status";

base::Result<Url> parse_unix(std::string_view rest) {
  const std::size_t end = rest.find(":/");
  const std::string_view socket = rest.substr(0, end);
  if (!socket.starts_with('/'))
    return base::fail(base::ErrorCode::kInvalid, fmt::format("the path of a Unix socket begins with /: {}", kForms));
  std::string_view path = end == std::string_view::npos ? "/" : rest.substr(end + 1);
  Url url;
  url.unix_socket = socket;
  url.instance = socket;
  url.fetched = fmt::format("http://localhost{}", path);
  path = path.substr(0, path.find_first_of("?#"));
  url.path = path;
  url.shown = fmt::format("unix:{}:{}", socket, path);
  return url;
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

base::Result<Url> parse_url(std::string_view text) {
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  const bool tls = text.starts_with("https://");
  if (!tls && !text.starts_with("http://"))
    return base::fail(base::ErrorCode::kInvalid, fmt::format("it is no URL of a status page: {}", kForms));
  const std::string_view scheme = tls ? "https://" : "http://";
  std::string_view rest = text.substr(scheme.size());
  const std::size_t begin_of_path = rest.find_first_of("/?#");
  const std::string_view authority = rest.substr(0, begin_of_path);
  rest = begin_of_path == std::string_view::npos ? std::string_view() : rest.substr(begin_of_path);
  if (authority.find('@') != std::string_view::npos)
    return base::fail(base::ErrorCode::kInvalid,
                      "a user and password in a URL would be shown: put them into `user` and `password` beside it");

  std::string_view host = authority;
  std::string_view port = tls ? "443" : "80";
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || bracket < colon)) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  }
  if (host.empty() || !is_port(port))
    return base::fail(base::ErrorCode::kInvalid,
                      fmt::format("it has no host, or no port between 1 and 65535: {}", kForms));

  Url url;
  url.fetched = text;
  url.instance = fmt::format("{}:{}", host, port);
  url.path = rest.substr(0, rest.find_first_of("?#"));
  if (url.path.empty()) url.path = "/";
  url.shown = fmt::format("{}{}{}", scheme, authority, url.path);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  url.host = host;
  return url;
}

}  // namespace qd::observe::nginx
