#include "connect/http/exchange.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <utility>

#include "base/strings.h"
#include "connect/http/client_easy.h"
#include "connect/tls_authorities.h"

namespace qd::connect::http {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kHeaderBytesMax = 256 * 1024;
constexpr std::size_t kUrlBytesMax = 64 * 1024;

using Url = std::unique_ptr<CURLU, CurlFree>;

struct ShareFree {
  void operator()(CURLSH* share) const { curl_share_cleanup(share); }
};

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
}

// "127.0.0.1:80", "[::1]:80".
std::string text_of(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.bytes);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.bytes);
  ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
  return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
}

long ssl_version(const TlsOptions& tls) {
  static constexpr std::array<long, 5> kMin = {CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_0,
                                               CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_TLSv1_2,
                                               CURL_SSLVERSION_TLSv1_3};
  static constexpr std::array<long, 5> kMax = {CURL_SSLVERSION_MAX_DEFAULT, CURL_SSLVERSION_MAX_TLSv1_0,
                                               CURL_SSLVERSION_MAX_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_2,
                                               CURL_SSLVERSION_MAX_TLSv1_3};
  return kMin.at(static_cast<std::size_t>(tls.min_version)) | kMax.at(static_cast<std::size_t>(tls.max_version));
}

CURLcode trust_system(CURL* /*easy*/, void* context, void* /*user*/) {
  return trust_system_authorities(static_cast<ssl_ctx_st*>(context)) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

bool appended(CurlList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return false;
  static_cast<void>(list.release());
  list.reset(longer);
  return true;
}

// What `location` means in an answer to `from` (RFC 9110, section 10.2.2). What is no URL stays as it is, for whoever
// wants to go there to refuse.
std::string redirect_of(const std::string& from, const std::string& location) {
  const Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, from.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    return location;
  return part(url, CURLUPART_URL);
}

double seconds(CURL* easy, CURLINFO info) {
  curl_off_t us = 0;
  curl_easy_getinfo(easy, info, &us);
  return static_cast<double>(us) / 1e6;
}

}  // namespace

base::Result<UrlParts> url_parts(std::string_view text) {
  const auto wrong = [](std::string_view why) {
    // The text may hold a password, so it is not repeated.
    return base::fail(
        ErrorCode::kInvalid,
        fmt::format("that is no URL that can be fetched ({}); write http://HOST[:PORT]/PATH or https://…", why));
  };
  if (text.size() > kUrlBytesMax) return wrong(fmt::format("it has more than {} bytes", kUrlBytesMax));
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return wrong("it has control bytes");
  const Url url(curl_url());
  const CURLUcode bad = curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0);
  if (bad != CURLUE_OK) return wrong(curl_url_strerror(bad));
  UrlParts parts{.scheme = part(url, CURLUPART_SCHEME), .host = part(url, CURLUPART_HOST)};
  if (parts.scheme != "http" && parts.scheme != "https") return wrong("another scheme");
  if (parts.host.empty()) return wrong("it has no host");
  if (parts.host.starts_with('[') && parts.host.ends_with(']'))
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  const auto port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), parts.port);
  parts.has_port = !part(url, CURLUPART_PORT).empty();
  parts.shown = fmt::format("{}://{}{}{}{}", parts.scheme, bracketed(parts.host), parts.has_port ? ":" : "",
                            part(url, CURLUPART_PORT), part(url, CURLUPART_PATH));
  return parts;
}

struct Exchanger::Handle {
  explicit Handle(const base::Clock& c) : clock(c), share(curl_share_init()) {
    curl_share_setopt(share.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
  }

  bool prepare(const UrlParts& url);
  bool set_target(const UrlParts& url);
  void set_tls();
  bool set_headers(const UrlParts& url);
  bool take_line(std::string_view line);
  void look_at_tls();
  base::Error explain(CURLcode code) const;
  void take_times();

  static std::size_t take_body(char* bytes, std::size_t size, std::size_t n, void* self);
  static std::size_t take_header(char* bytes, std::size_t size, std::size_t n, void* self);
  static int watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t);

  const base::Clock& clock;
  std::unique_ptr<CURLSH, ShareFree> share;  // the cookies; it outlives the handle
  EasyHandle easy;
  const ExchangeRequest* request = nullptr;
  std::string shown;
  CurlList headers;
  CurlList connect_to;
  std::array<char, CURL_ERROR_SIZE> says{};
  Exchange done;
  std::uint64_t header_bytes = 0;
  bool body_too_large = false;
  bool header_too_large = false;
  bool other_name = false;  // the URL that curl sees has the TLS server name for its host
};

Exchanger::Exchanger(const base::Clock& clock) : handle_(std::make_unique<Handle>(clock)) {}
Exchanger::~Exchanger() = default;

Exchange Exchanger::exchange(const ExchangeRequest& request) {
  Handle& handle = *handle_;
  handle.request = &request;
  handle.done = {};
  handle.says[0] = '\0';
  handle.header_bytes = 0;
  handle.body_too_large = false;
  handle.header_too_large = false;
  handle.other_name = false;
  // The checks of the asynchronous client: method, headers, URL.
  const auto checked =
      EasyTransfer::check({.url = request.url, .method = request.method, .headers = request.headers, .deadline_ms = 1});
  const auto url = url_parts(request.url);
  if (!checked || !url) {
    handle.done.error = !checked ? checked.error() : url.error();
    return std::move(handle.done);
  }
  handle.shown = url->shown;
  handle.easy.reset(curl_easy_init());
  if (!handle.easy || !handle.prepare(*url)) {
    handle.done.error.emplace(ErrorCode::kInternal, fmt::format("{}: out of memory for a request", handle.shown));
    return std::move(handle.done);
  }
  const CURLcode code = curl_easy_perform(handle.easy.get());
  handle.take_times();
  CURL* const easy = handle.easy.get();
  if (code != CURLE_OK) {
    handle.done.error = handle.explain(code);
  } else {
    char* redirect = nullptr;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &redirect);
    if (redirect != nullptr) handle.done.redirect_url = redirect;
    // curl has seen the server name in the URL; a Location without a host means the host that was asked for.
    const auto location = handle.done.headers.get("Location");
    if (redirect != nullptr && handle.other_name && location)
      handle.done.redirect_url = redirect_of(request.url, std::string(*location));
  }
  handle.headers.reset();
  handle.connect_to.reset();
  handle.request = nullptr;
  return std::move(handle.done);
}

bool Exchanger::Handle::prepare(const UrlParts& url) {
  CURL* const curl = easy.get();
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, says.data());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(curl, CURLOPT_SHARE, share.get());
  curl_easy_setopt(curl, CURLOPT_COOKIEFILE, "");  // no file, but cookies are on
  curl_easy_setopt(curl, CURLOPT_PROXY, request->proxy_url.c_str());
  if (!request->no_proxy.empty()) curl_easy_setopt(curl, CURLOPT_NOPROXY, request->no_proxy.c_str());
  const long version = request->version == HttpVersion::kOne          ? CURL_HTTP_VERSION_1_1
                       : request->version == HttpVersion::kTwoWithTls ? CURL_HTTP_VERSION_2TLS
                       : url.scheme == "https"                        ? CURL_HTTP_VERSION_2TLS
                                                                      : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, version);
  const std::int64_t remaining_ms = (request->deadline_ns - clock.monotonic_ns()) / 1'000'000;
  const long limit_ms = static_cast<long>(std::max<std::int64_t>(remaining_ms, 1));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit_ms);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, limit_ms);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Handle::take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Handle::take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Handle::watch);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  if (request->unpack) {
    // Which codings are asked for is a header of the caller's; this only has curl undo them.
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip, deflate, br");
  }
  if (request->method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request->method == "POST" || !request->body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request->body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.data());
  }
  if (request->method != "HEAD" && (request->method != "GET" || !request->body.empty()))
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method.c_str());
  set_tls();
  return set_target(url) && set_headers(url);
}

// A TLS server name that is not the URL's host becomes the URL's host, and the connection is sent to where it was.
bool Exchanger::Handle::set_target(const UrlParts& url) {
  CURL* const curl = easy.get();
  std::string host = url.host;
  if (!request->tls.server_name.empty() && url.scheme == "https") host = request->tls.server_name;
  if (host == url.host) {
    curl_easy_setopt(curl, CURLOPT_URL, request->url.c_str());
  } else {
    const Url other(curl_url());
    curl_url_set(other.get(), CURLUPART_URL, request->url.c_str(), 0);
    if (curl_url_set(other.get(), CURLUPART_HOST, bracketed(host).c_str(), 0) != CURLUE_OK) host = url.host;
    curl_easy_setopt(curl, CURLOPT_URL, part(other, CURLUPART_URL).c_str());
  }
  other_name = host != url.host;
  std::string to;
  if (request->connect_to && request->proxy_url.empty()) {
    to = text_of(*request->connect_to);
  } else if (other_name) {
    to = fmt::format("{}:{}", bracketed(url.host), url.port);
  }
  if (to.empty()) return true;
  if (!appended(connect_to, fmt::format("{}:{}:{}", bracketed(host), url.port, to))) return false;
  curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to.get());
  return true;
}

void Exchanger::Handle::set_tls() {
  CURL* const curl = easy.get();
  const TlsOptions& tls = request->tls;
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, ssl_version(tls));
  // OpenSSL has no cipher for them above that level.
  if (tls.min_version == TlsVersion::kTls10 || tls.min_version == TlsVersion::kTls11)
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "DEFAULT@SECLEVEL=0");
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);  // else the system's authorities are trusted beside ca_file
  if (!tls.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, tls.ca_file.c_str());
  } else {
    // curl would read them for each request.
    curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, &trust_system);
  }
  if (!tls.cert_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLKEY, tls.key_file.c_str());
}

bool Exchanger::Handle::set_headers(const UrlParts& url) {
  // What curl sends by itself.
  for (const auto* name : {"Accept", "Content-Type", "Expect", "Accept-Encoding"}) {
    if (!request->headers.has(name) && !appended(headers, fmt::format("{}:", name))) return false;
  }
  const bool other_host = !request->tls.server_name.empty() && url.scheme == "https";
  if (other_host && !request->headers.has("Host") &&
      !appended(headers, url.has_port ? fmt::format("Host: {}:{}", bracketed(url.host), url.port)
                                      : fmt::format("Host: {}", bracketed(url.host))))
    return false;
  for (const auto& header : request->headers) {
    // "Name:" would take a header away; "Name;" sends it empty.
    const bool empty = base::trim(header.value).empty();
    if (!appended(headers, empty ? header.name + ";" : fmt::format("{}: {}", header.name, header.value))) return false;
  }
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  return true;
}

std::size_t Exchanger::Handle::take_body(char* bytes, std::size_t size, std::size_t n, void* self) {
  auto& handle = *static_cast<Handle*>(self);
  const std::size_t count = size * n;
  auto& done = handle.done;
  const std::uint64_t max = handle.request->body_bytes_max;
  if (max != 0 && done.body_bytes + count > max) {
    done.body_bytes = max;
    handle.body_too_large = true;
    return 0;
  }
  done.body_bytes += count;
  // Nothing may be thrown through curl.
  try {
    const std::size_t room = handle.request->body_kept_bytes - done.body.size();
    done.body.append(bytes, std::min(room, count));
  } catch (const std::exception&) {
    return 0;
  }
  return count;
}

std::size_t Exchanger::Handle::take_header(char* bytes, std::size_t size, std::size_t n, void* self) {
  auto& handle = *static_cast<Handle*>(self);
  try {
    return handle.take_line({bytes, size * n}) ? size * n : 0;
  } catch (const std::exception&) {
    return 0;
  }
}

bool Exchanger::Handle::take_line(std::string_view line) {
  header_bytes += line.size();
  if (header_bytes > kHeaderBytesMax) {
    header_too_large = true;
    return false;
  }
  if (line.starts_with("HTTP/")) {
    done.headers = {};
    const auto space = line.find(' ');
    const auto version = base::parse_float(line.substr(5, space == std::string_view::npos ? 0 : space - 5));
    done.version = version.value_or(0);
    look_at_tls();
    return true;
  }
  if (base::trim(line).empty()) {
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 1) return true;
    done.status = static_cast<int>(status);
    done.answered = true;
    curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (done.body_bytes == 0) done.content_length = length < 0 && (status == 204 || status == 304) ? 0 : length;
    return true;
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos) {
    done.headers.add(std::string(base::trim(line.substr(0, colon))), std::string(base::trim(line.substr(colon + 1))));
  }
  return true;
}

void Exchanger::Handle::look_at_tls() {
  curl_tlssessioninfo* info = nullptr;
  curl_easy_getinfo(easy.get(), CURLINFO_TLS_SSL_PTR, &info);
  if (info == nullptr || info->backend != CURLSSLBACKEND_OPENSSL || info->internals == nullptr) return;
  done.tls = tls_details(static_cast<ssl_st*>(info->internals));
}

int Exchanger::Handle::watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Handle*>(self)->request->cancel.cancelled() ? 1 : 0;
}

void Exchanger::Handle::take_times() {
  CURL* const curl = easy.get();
  const double name = seconds(curl, CURLINFO_NAMELOOKUP_TIME_T);
  const double connected = seconds(curl, CURLINFO_CONNECT_TIME_T);
  const double secured = seconds(curl, CURLINFO_APPCONNECT_TIME_T);
  const double ready = seconds(curl, CURLINFO_PRETRANSFER_TIME_T);
  const double first = seconds(curl, CURLINFO_STARTTRANSFER_TIME_T);
  const double total = seconds(curl, CURLINFO_TOTAL_TIME_T);
  // A phase that was not reached has the time 0.
  const auto between = [](double from, double to) { return to > from ? to - from : 0; };
  done.times.connect_s = between(name, connected);
  if (secured > 0) done.times.tls_s = between(connected, secured);
  if (ready > 0 && done.answered) {
    done.times.processing_s = between(ready, first);
    done.times.transfer_s = between(first, total);
  }
}

base::Error Exchanger::Handle::explain(CURLcode code) const {
  const auto error = [&](ErrorCode kind, std::string_view what) {
    return base::Error(kind, fmt::format("{} {}: {}", request->method, shown, what));
  };
  const std::string_view said = says[0] != '\0' ? says.data() : curl_easy_strerror(code);
  if (request->cancel.cancelled()) return error(ErrorCode::kCancelled, "given up");
  if (body_too_large) {
    return error(ErrorCode::kLimit,
                 fmt::format("the answer has more than {} bytes, unpacked (body_size_limit)", request->body_bytes_max));
  }
  if (header_too_large)
    return error(ErrorCode::kLimit, fmt::format("the answer's header has more than {} bytes", kHeaderBytesMax));
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t connected = 0;
      curl_easy_getinfo(easy.get(), CURLINFO_CONNECT_TIME_T, &connected);
      return error(ErrorCode::kTimeout, done.answered
                                            ? fmt::format("no whole answer in time ({} bytes came)", done.body_bytes)
                                        : connected != 0 ? "connected, and no answer in time"
                                                         : "no connection in time; does the host answer?");
    }
    case CURLE_PEER_FAILED_VERIFICATION:
      return error(ErrorCode::kPermission,
                   fmt::format("the server's certificate does not verify: {}; set ca_file to the authority that signed "
                               "it, or server_name to the name in it",
                               said));
    case CURLE_SSL_CACERT_BADFILE:
      return error(ErrorCode::kInvalid,
                   fmt::format("cannot read the authorities in {}: {}", request->tls.ca_file, said));
    case CURLE_SSL_CERTPROBLEM:
      return error(ErrorCode::kInvalid, fmt::format("cannot use the client certificate {} with key {}: {}",
                                                    request->tls.cert_file, request->tls.key_file, said));
    case CURLE_COULDNT_CONNECT:
      return error(ErrorCode::kUnavailable, fmt::format("{}; does anything listen there?", said));
    default:
      return error(ErrorCode::kUnavailable, said);
  }
}

}  // namespace qd::connect::http
