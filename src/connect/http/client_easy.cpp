#include "connect/http/client_easy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <exception>

#include "base/strings.h"

namespace qd::connect::http {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kHeaderBytesMax = 256 * 1024;  // of all responses of a transfer, redirects too
constexpr long kRedirectsMax = 10;
constexpr long kAuthoritiesCachedS = 300;  // so that a renewed ca_file is noticed
constexpr std::size_t kUrlBytesMax = 64 * 1024;

bool token(std::string_view text) {
  static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";  // RFC 9110, section 5.6.2
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOthers.find(c) != std::string_view::npos;
  });
}

bool one_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

long version_bounds(TlsVersion least, TlsVersion most) {
  const auto from = [&] {
    switch (least) {
      case TlsVersion::kTls10:
        return CURL_SSLVERSION_TLSv1_0;
      case TlsVersion::kTls11:
        return CURL_SSLVERSION_TLSv1_1;
      case TlsVersion::kTls13:
        return CURL_SSLVERSION_TLSv1_3;
      case TlsVersion::kUsual:
      case TlsVersion::kTls12:
        break;
    }
    return CURL_SSLVERSION_TLSv1_2;
  };
  const auto to = [&] {
    switch (most) {
      case TlsVersion::kTls10:
        return CURL_SSLVERSION_MAX_TLSv1_0;
      case TlsVersion::kTls11:
        return CURL_SSLVERSION_MAX_TLSv1_1;
      case TlsVersion::kTls12:
        return CURL_SSLVERSION_MAX_TLSv1_2;
      case TlsVersion::kTls13:
        return CURL_SSLVERSION_MAX_TLSv1_3;
      case TlsVersion::kUsual:
        break;
    }
    return CURL_SSLVERSION_MAX_DEFAULT;
  };
  return static_cast<long>(from()) | static_cast<long>(to());
}

using Url = std::unique_ptr<CURLU, CurlFree>;

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos || host.starts_with('[') ? host : fmt::format("[{}]", host);
}

base::Result<CurlList> list_of(CurlList list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return base::fail(ErrorCode::kInternal, "out of memory for a request's headers");
  static_cast<void>(list.release());
  return CurlList(longer);
}

}  // namespace

base::Result<std::string> EasyTransfer::check(const ClientRequest& request) {
  if (request.url.size() > kUrlBytesMax)
    return base::fail(ErrorCode::kInvalid, fmt::format("a URL of more than {} bytes", kUrlBytesMax));
  const Url url(curl_url());
  const CURLUcode bad =
      one_line(request.url) ? curl_url_set(url.get(), CURLUPART_URL, request.url.c_str(), 0) : CURLUE_MALFORMED_INPUT;
  const auto scheme = part(url, CURLUPART_SCHEME);
  if (bad != CURLUE_OK || (scheme != "http" && scheme != "https")) {
    // The text may hold a password, so it is not repeated whole.
    const auto head = request.url.substr(0, std::min<std::size_t>(request.url.find("://"), 16));
    return base::fail(
        ErrorCode::kInvalid,
        fmt::format("\"{}…\" is no URL that can be fetched ({}); write http://HOST[:PORT]/PATH or https://…", head,
                    bad != CURLUE_OK ? curl_url_strerror(bad) : "another scheme"));
  }
  auto port = part(url, CURLUPART_PORT);
  auto shown = fmt::format("{}://{}{}{}{}", scheme, part(url, CURLUPART_HOST), port.empty() ? "" : ":", port,
                           part(url, CURLUPART_PATH));
  const auto invalid = [&](std::string_view what) {
    return base::fail(ErrorCode::kInvalid, fmt::format("cannot fetch {}: {}", shown, what));
  };
  if (!token(request.method)) return invalid("the method is no HTTP token");
  if (request.deadline_ms <= 0) return invalid("the deadline must be later than now");
  for (const auto* headers : {&request.headers, &request.proxy.connect_headers}) {
    for (const auto& header : *headers) {
      if (token(header.name) && one_line(header.value)) continue;
      return invalid(fmt::format("the header \"{}\" has a character that headers cannot carry",
                                 one_line(header.name) ? header.name : "?"));
    }
  }
  if (!one_line(request.bearer_token))
    return invalid("the bearer token has a line break in it; look at its file's end");
  return shown;
}

EasyTransfer::EasyTransfer(ClientRequest request, std::string shown_url)
    : request_(std::move(request)), shown_url_(std::move(shown_url)) {}

base::Status EasyTransfer::prepare(EasyHandle easy, std::int64_t remaining_ms, std::int64_t connect_timeout_ms) {
  easy_ = std::move(easy);
  connect_timeout_ms_ = connect_timeout_ms;
  CURL* const curl = easy_.get();
  curl_easy_setopt(curl, CURLOPT_PRIVATE, this);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, curl_says_.data());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // a name server that hangs must not hold the loop
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
                   static_cast<long>(request_.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, streams() ? 0L : static_cast<long>(remaining_ms));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_timeout_ms));
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, request_.follow_redirects ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &EasyTransfer::take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &EasyTransfer::take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
  if (request_.accept_gzip) curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
  if (!request_.unix_socket_path.empty())
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request_.unix_socket_path.c_str());
  if (request_.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request_.method == "POST" || !request_.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request_.body.data());
  }
  if (request_.method != "GET" && request_.method != "HEAD" && request_.method != "POST")
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  if (request_.method == "GET" && !request_.body.empty()) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "GET");
  if (request_.basic_auth) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl, CURLOPT_USERNAME, request_.basic_auth->user.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, request_.basic_auth->password.c_str());
  }
  set_tls();
  QD_TRY(set_proxy());
  QD_TRY(set_target());
  return set_headers();
}

// A TLS server name that is not the URL's host becomes the URL's host, and the connection is sent to where it was.
base::Status EasyTransfer::set_target() {
  CURL* const curl = easy_.get();
  if (request_.tls.server_name.empty()) {
    curl_easy_setopt(curl, CURLOPT_URL, request_.url.c_str());
    return {};
  }
  const Url url(curl_url());
  curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0);
  const auto host = part(url, CURLUPART_HOST);
  const auto port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (curl_url_set(url.get(), CURLUPART_HOST, request_.tls.server_name.c_str(), 0) != CURLUE_OK) {
    return base::fail(
        error(ErrorCode::kInvalid, fmt::format("\"{}\" is no TLS server name", request_.tls.server_name)));
  }
  curl_easy_setopt(curl, CURLOPT_URL, part(url, CURLUPART_URL).c_str());
  const auto route = fmt::format("{}:{}:{}:{}", bracketed(request_.tls.server_name), port, bracketed(host), port);
  QD_ASSIGN(connect_to_, list_of(nullptr, route));
  curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to_.get());
  return {};
}

void EasyTransfer::set_tls() {
  CURL* const curl = easy_.get();
  const ClientTls& tls = request_.tls;
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, version_bounds(tls.min_version, tls.max_version));
  // OpenSSL 3 allows what is older than 1.2 on its lowest level alone.
  if (tls.min_version == TlsVersion::kTls10 || tls.min_version == TlsVersion::kTls11)
    curl_easy_setopt(curl, CURLOPT_SSL_CIPHER_LIST, "DEFAULT:@SECLEVEL=0");
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, kAuthoritiesCachedS);
  if (!tls.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, tls.ca_file.c_str());
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);  // else the system's authorities are trusted beside it
  }
  if (!tls.cert_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key_file.empty()) curl_easy_setopt(curl, CURLOPT_SSLKEY, tls.key_file.c_str());
  const auto set_text = [&](CURLoption option, const std::string& pem) {
    if (pem.empty()) return;
    // The request outlives the transfer, and curl does not write to it.
    curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
    curl_easy_setopt(curl, option, &blob);
  };
  if (!tls.ca.empty()) curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  set_text(CURLOPT_CAINFO_BLOB, tls.ca);
  set_text(CURLOPT_SSLCERT_BLOB, tls.cert);
  set_text(CURLOPT_SSLKEY_BLOB, tls.key);
}

base::Status EasyTransfer::set_proxy() {
  CURL* const curl = easy_.get();
  const ClientProxy& proxy = request_.proxy;
  // An empty text keeps curl from looking at the environment.
  if (!proxy.from_environment || !proxy.url.empty()) curl_easy_setopt(curl, CURLOPT_PROXY, proxy.url.c_str());
  if (!proxy.from_environment || !proxy.no_proxy.empty())
    curl_easy_setopt(curl, CURLOPT_NOPROXY, proxy.no_proxy.c_str());
  if (proxy.connect_headers.begin() == proxy.connect_headers.end()) return {};
  CurlList list;
  for (const auto& header : proxy.connect_headers) {
    QD_ASSIGN(list, list_of(std::move(list), fmt::format("{}: {}", header.name, header.value)));
  }
  proxy_headers_ = std::move(list);
  curl_easy_setopt(curl, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
  curl_easy_setopt(curl, CURLOPT_PROXYHEADER, proxy_headers_.get());
  return {};
}

base::Status EasyTransfer::set_headers() {
  CurlList list;
  // curl would wait for "100 Continue" with larger bodies, which few servers send.
  QD_ASSIGN(list, list_of(std::move(list), "Expect:"));
  const bool posts = request_.method == "POST" || !request_.body.empty();
  if (posts && !request_.headers.has("Content-Type")) {
    QD_ASSIGN(list, list_of(std::move(list), "Content-Type:"));
  }
  if (!request_.tls.server_name.empty() && !request_.headers.has("Host")) {
    const Url url(curl_url());
    curl_url_set(url.get(), CURLUPART_URL, request_.url.c_str(), 0);
    const auto port = part(url, CURLUPART_PORT);
    QD_ASSIGN(list, list_of(std::move(list),
                            fmt::format("Host: {}{}{}", part(url, CURLUPART_HOST), port.empty() ? "" : ":", port)));
  }
  if (!request_.bearer_token.empty()) {
    QD_ASSIGN(list, list_of(std::move(list), "Authorization: Bearer " + request_.bearer_token));
  }
  for (const auto& header : request_.headers) {
    // "Name:" would take a header away; "Name;" sends it empty.
    const bool empty = base::trim(header.value).empty();
    QD_ASSIGN(list,
              list_of(std::move(list), empty ? header.name + ";" : fmt::format("{}: {}", header.name, header.value)));
  }
  headers_ = std::move(list);
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, headers_.get());
  return {};
}

std::size_t EasyTransfer::take_body(char* bytes, std::size_t size, std::size_t n, void* self) {
  auto& transfer = *static_cast<EasyTransfer*>(self);
  if (transfer.streams()) {
    long status = 0;
    curl_easy_getinfo(transfer.easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) return transfer.take_piece({bytes, size * n}) ? size * n : 0;
  }
  auto& body = transfer.response_.body;
  if (body.size() + size * n > transfer.request_.body_bytes_max) {
    transfer.body_too_large_ = true;
    return 0;
  }
  body.append(bytes, size * n);
  return size * n;
}

bool EasyTransfer::take_piece(std::string_view piece) {
  // Nothing may be thrown through curl.
  try {
    stopped_ = !request_.on_body(piece);
  } catch (const std::exception&) {
    stopped_ = true;
  }
  return !stopped_;
}

std::size_t EasyTransfer::take_header(char* bytes, std::size_t size, std::size_t n, void* self) {
  auto& transfer = *static_cast<EasyTransfer*>(self);
  auto& response = transfer.response_;
  transfer.header_bytes_ += size * n;
  if (transfer.header_bytes_ > kHeaderBytesMax) {
    transfer.header_too_large_ = true;
    return 0;
  }
  const std::string_view line(bytes, size * n);
  if (line.starts_with("HTTP/")) {
    response.headers = {};
    transfer.answered_ = false;
    return line.size();
  }
  if (base::trim(line).empty()) {
    long status = 0;
    curl_easy_getinfo(transfer.easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    transfer.answered_ = status / 100 != 1 && status / 100 != 3;
  }
  const auto colon = line.find(':');
  if (colon != std::string_view::npos)
    response.headers.add(std::string(base::trim(line.substr(0, colon))),
                         std::string(base::trim(line.substr(colon + 1))));
  return line.size();
}

base::Result<ClientResponse> EasyTransfer::result(CURLcode code) {
  curl_off_t received = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &received);
  received_bytes_ = static_cast<std::uint64_t>(received);
  if (code != CURLE_OK) return base::fail(explain(code));
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  return std::move(response_);
}

base::Error EasyTransfer::error(ErrorCode code, std::string_view happened) const {
  return {code, fmt::format("{} {}: {}", request_.method, shown_url_, happened)};
}

base::Error EasyTransfer::explain(CURLcode code) const {
  const std::string_view said = curl_says_[0] != '\0' ? curl_says_.data() : curl_easy_strerror(code);
  if (body_too_large_) {
    return error(ErrorCode::kLimit,
                 fmt::format("the answer has more than {} bytes, unpacked", request_.body_bytes_max));
  }
  if (header_too_large_)
    return error(ErrorCode::kLimit, fmt::format("the answer's header has more than {} bytes", kHeaderBytesMax));
  if (stopped_) return error(ErrorCode::kCancelled, "stopped by whoever takes the answer");
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return timed_out();
    case CURLE_TOO_MANY_REDIRECTS:
      return error(ErrorCode::kLimit, fmt::format("redirected more than {} times", kRedirectsMax));
    case CURLE_PEER_FAILED_VERIFICATION:
      return error(ErrorCode::kPermission,
                   fmt::format("the server's certificate does not verify: {}; set ca_file to the authority that signed "
                               "it, or server_name to the name in it",
                               said));
    case CURLE_SSL_CACERT_BADFILE:
      return error(ErrorCode::kInvalid,
                   fmt::format("cannot read the authorities in {}: {}", request_.tls.ca_file, said));
    case CURLE_SSL_CERTPROBLEM:
      return error(ErrorCode::kInvalid, fmt::format("cannot use the client certificate {} with key {}: {}",
                                                    request_.tls.cert_file, request_.tls.key_file, said));
    case CURLE_URL_MALFORMAT:
      return error(ErrorCode::kInvalid, said);
    case CURLE_COULDNT_RESOLVE_HOST:
      return error(ErrorCode::kUnavailable, fmt::format("{}; check the name, or the name server", said));
    case CURLE_COULDNT_CONNECT:
      return explain_unconnected(said);
    default:
      return error(ErrorCode::kUnavailable, said);
  }
}

base::Error EasyTransfer::timed_out() const {
  // Zero as well on a connection that was there already: then the request has gone out.
  curl_off_t connected_us = 0;
  long sent_bytes = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_CONNECT_TIME_T, &connected_us);
  curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &sent_bytes);
  if (connected_us == 0 && sent_bytes == 0) {
    return error(ErrorCode::kTimeout, fmt::format("no connection within {} ms; does the host answer?",
                                                  std::min(connect_timeout_ms_, request_.deadline_ms)));
  }
  return error(ErrorCode::kTimeout,
               fmt::format("no whole {} within {} ms ({} bytes came)", streams() ? "header" : "answer",
                           request_.deadline_ms, response_.body.size()));
}

base::Error EasyTransfer::explain_unconnected(std::string_view said) const {
  const std::string& path = request_.unix_socket_path;
  if (path.empty()) return error(ErrorCode::kUnavailable, fmt::format("{}; does anything listen there?", said));
  long reason = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &reason);
  switch (reason) {
    case EACCES:
    case EPERM:
      return error(ErrorCode::kPermission, fmt::format("this process may not write to the socket {}", path));
    case ENOENT:
      return error(ErrorCode::kNotFound, fmt::format("there is no socket {}", path));
    default:
      return error(ErrorCode::kUnavailable,
                   fmt::format("no connection to the socket {}: {}; does anything listen there?", path,
                               reason == 0 ? said : std::strerror(static_cast<int>(reason))));
  }
}

}  // namespace qd::connect::http
