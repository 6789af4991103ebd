#include "ship/remote_write/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

namespace qd::ship::remote_write {

namespace {

using base::ErrorCode;

constexpr std::size_t kPemBytesMax = 4 << 20;
constexpr std::int64_t kTimeoutMsMin = 1'000;
constexpr std::int64_t kTimeoutMsMax = 10LL * 60 * 1000;

struct Url {
  std::string_view scheme;
  std::string_view authority;
  std::string_view host;  // without port and brackets
  std::string_view rest;  // path and query
};

std::optional<Url> split_url(std::string_view text) {
  Url url;
  const auto mark = text.find("://");
  if (mark == std::string_view::npos) return std::nullopt;
  url.scheme = text.substr(0, mark);
  text.remove_prefix(mark + 3);
  url.authority = text.substr(0, text.find_first_of("/?#"));
  url.rest = text.substr(url.authority.size());
  url.host = url.authority;
  std::string_view port;
  if (url.host.starts_with('[')) {
    const auto close = url.host.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    port = url.host.substr(close + 1);
    url.host = url.host.substr(1, close - 1);
  } else if (const auto colon = url.host.find(':'); colon != std::string_view::npos) {
    port = url.host.substr(colon);
    url.host = url.host.substr(0, colon);
  }
  if (!port.empty()) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    if (port.front() != ':' || error != std::errc() || end != port.data() + port.size() || number == 0 ||
        number > 65535)
      return std::nullopt;
  }
  const bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c != '\x7f'; });
  if (url.host.empty() || !plain || url.rest.find('#') != std::string_view::npos) return std::nullopt;
  return url;
}

bool is_loopback(std::string_view host) {
  const bool v4 = std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return host == "localhost" || host == "::1" || (v4 && host.starts_with("127."));
}

std::unexpected<base::Error> wrong(std::string message) {
  return base::fail(ErrorCode::kInvalid, std::move(message));
}

}  // namespace

void declare(model::config::Schema& schema, ForwardSettings& settings) {
  schema.section(
      "forward",
      "Sending what this host observes to another Quarterdeck, or to any receiver of Prometheus remote write.");
  schema
      .text("forward.url", settings.url,
            "Where to: `https://HOST:PORT` of a Quarterdeck, or the full URL of another receiver. Nothing is sent when "
            "empty.")
      .only_at_start()
      .shown_by(shown_url)
      .example("https://deck.example.org:9090");
  schema.secret(
      "forward.token", settings.token,
      "A token of the receiver (`quarterdeck token add NAME --scope send` there), sent as `Authorization: Bearer …`.");
  schema.text("forward.user", settings.user, "A user of the receiver, in the place of a token.");
  schema.secret("forward.password", settings.password, "That user's password.");
  schema
      .text("forward.host", settings.host,
            "The label `host` of everything that is sent, unless `observe.external_labels` has one: the name of this "
            "machine when empty.")
      .only_at_start();
  schema.text("forward.tls.ca_file", settings.ca_file,
              "Authorities that may have signed the receiver's certificate, as PEM; the system's when empty.");
  schema.text("forward.tls.cert_file", settings.cert_file,
              "A certificate of this host, for receivers that ask for one.");
  schema.text("forward.tls.key_file", settings.key_file, "That certificate's private key, as PEM.");
  schema.text("forward.tls.server_name", settings.server_name,
              "What the receiver's certificate must name, where that is not the host of the URL.");
  schema.flag("forward.tls.insecure_skip_verify", settings.insecure_skip_verify,
              "Take any certificate of the receiver: whoever is on the way can read along and take the token.");
  schema.duration_ms("forward.timeout", settings.timeout_ms, "How long the receiver may take to answer.", kTimeoutMsMin,
                     kTimeoutMsMax);
  schema
      .bytes("forward.queue_bytes", settings.queue_bytes,
             "How much may wait on disk while the receiver is away; what comes when it is full is not sent.",
             kQueueBytesMin)
      .only_at_start();
  schema.check("forward.url", [&settings] { return check(settings); });
}

std::string write_url(const std::string& url) {
  const auto parts = split_url(url);
  if (!parts || (!parts->rest.empty() && parts->rest != "/")) return url;
  return fmt::format("{}://{}/api/v1/write", parts->scheme, parts->authority);
}

std::string shown_url(const std::string& url) {
  std::string shown = url;
  // A fragment is no part of a URL that is taken, but a message about one that is not shows it.
  if (const auto query = shown.find_first_of("?#"); query != std::string::npos)
    shown.replace(query + 1, std::string::npos, "<secret>");
  const auto slashes = shown.find("//");
  const auto begin = slashes == std::string::npos ? 0 : slashes + 2;
  if (const auto at = shown.rfind('@'); at != std::string::npos && at >= begin)
    shown.replace(begin, at - begin, "<secret>");
  return shown;
}

base::Status check(const ForwardSettings& settings) {
  if (!settings.enabled()) {
    for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"forward.token", settings.token},
                                      {"forward.user", settings.user},
                                      {"forward.password", settings.password},
                                      {"forward.tls.ca_file", settings.ca_file},
                                      {"forward.tls.cert_file", settings.cert_file}})
      if (!value.empty())
        return wrong(fmt::format("{} is set and forward.url is not: nothing would be forwarded", name));
    return {};
  }
  const auto url = split_url(settings.url);
  const auto slashes = settings.url.find("//");
  const auto begin = slashes == std::string::npos ? 0 : slashes + 2;
  const auto at = settings.url.find('@', begin);
  if (at < settings.url.find_first_of("/?#", begin))
    return wrong("a user and password do not belong into the URL: use forward.user and forward.password");
  if (!url || (url->scheme != "https" && url->scheme != "http"))
    return wrong(
        fmt::format("\"{}\" is no URL of a receiver: write https://HOST:PORT, or a full URL", shown_url(settings.url)));
  if (!settings.token.empty() && !settings.user.empty())
    return wrong("forward.token and forward.user are both set: the receiver gets one of them");
  if (settings.user.empty() && !settings.password.empty()) return wrong("forward.password is set without forward.user");
  if (settings.cert_file.empty() != settings.key_file.empty())
    return wrong("forward.tls needs both cert_file and key_file");
  const bool credentials = !settings.token.empty() || !settings.user.empty();
  if (credentials && url->scheme == "http" && !is_loopback(url->host))
    return wrong(fmt::format("credentials would go to {} in the clear: use https", url->authority));
  return {};
}

base::Status check_files(const PemFiles& named, std::string_view section, base::Files& files) {
  for (const auto& [name, path] : {std::pair<std::string_view, std::string_view>{"ca_file", named.ca_file},
                                   {"cert_file", named.cert_file},
                                   {"key_file", named.key_file}}) {
    if (path.empty()) continue;
    const auto text = base::read_file(files, std::filesystem::path(path), kPemBytesMax);
    if (!text) return base::fail(text.error().within(fmt::format("{}.{}", section, name)));
    if (text->find("-----BEGIN ") == std::string::npos)
      return wrong(fmt::format("{}.{}: there is no PEM in {}", section, name, path));
  }
  return {};
}

}  // namespace qd::ship::remote_write
