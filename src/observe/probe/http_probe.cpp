#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/build.h"
#include "base/files.h"
#include "base/strings.h"
#include "connect/http/exchange.h"
#include "observe/probe/families.h"
#include "observe/probe/job.h"

namespace qd::observe::probe {
namespace {

using base::ErrorCode;
using connect::http::Exchange;
using connect::http::ExchangeRequest;
using connect::http::UrlParts;

constexpr int kRedirectsMax = 10;
// Of a body that regular expressions are to look at.
constexpr std::size_t kMatchedBytesMax = 10 << 20;
constexpr std::size_t kRequestBytesMax = 10 << 20;

// RFC 9110, section 5.6.7: "Wed, 21 Oct 2015 07:28:00 GMT".
std::optional<double> http_date(std::string_view text) {
  std::tm time{};
  const std::string copy(text);
  const char* const end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return static_cast<double>(::timegm(&time));
}

std::string without_port(const std::string& host) {
  const auto colon = host.rfind(':');
  if (colon == std::string::npos || host.ends_with(']')) return host;
  return host.substr(0, colon);
}

std::string shown_version(double version) {
  return fmt::format("HTTP/{:.1f}", version);
}

class HttpProbe {
 public:
  HttpProbe(const HttpModule& module, Job& job) : module_(module), job_(job), exchanger_(job.clock) {}

  base::Status run() {
    for (const auto* family : {&kHttpContentLength, &kHttpBodyLength, &kHttpRedirects, &kHttpSsl, &kHttpStatusCode,
                               &kHttpVersion, &kFailedDueToRegex})
      job_.samples.set(*family, 0);
    QD_TRY(prepare());
    Exchange done;
    QD_TRY(follow(done));
    tell(done);
    QD_TRY(judge(done));
    return {};
  }

 private:
  base::Status prepare() {
    std::string url = job_.target;
    if (!url.starts_with("http://") && !url.starts_with("https://")) url = "http://" + url;
    QD_ASSIGN(first_, connect::http::url_parts(url));
    request_.url = std::move(url);
    request_.method = module_.method.empty() ? "GET" : module_.method;
    request_.version = module_.http2 ? connect::http::HttpVersion::kTwoWithTls : connect::http::HttpVersion::kOne;
    request_.tls = module_.tls;
    request_.proxy_url = module_.proxy_url;
    request_.no_proxy = module_.no_proxy;
    request_.unpack = !module_.compression.empty() && module_.compression != "identity";
    request_.body_bytes_max = module_.body_bytes_max;
    const bool matches = !module_.fail_if_body_matches.empty() || !module_.fail_if_body_not_matches.empty();
    request_.body_kept_bytes = matches ? kMatchedBytesMax : 0;
    request_.deadline_ns = job_.deadline_ns;
    request_.cancel = job_.cancel;
    request_.body = module_.body;
    if (!module_.body_file.empty()) {
      base::PosixFiles files;
      QD_ASSIGN(request_.body, base::read_file(files, module_.body_file, kRequestBytesMax));
    }
    for (const auto& [name, value] : module_.headers) {
      if (connect::http::equal_ignoring_case(name, "Host")) {
        host_ = value;
      } else {
        request_.headers.add(name, value);
      }
    }
    if (!job_.hostname.empty()) {
      if (!host_.empty() && host_ != job_.hostname) {
        return base::fail(ErrorCode::kInvalid,
                          fmt::format("the module has the header Host {:?}, and the probe asks for hostname {:?}",
                                      host_, job_.hostname));
      }
      host_ = job_.hostname;
    }
    if (!request_.headers.has("User-Agent"))
      request_.headers.add("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
    if (!module_.compression.empty() && !request_.headers.has("Accept-Encoding"))
      request_.headers.add("Accept-Encoding", module_.compression);
    return credentials();
  }

  base::Status credentials() {
    if (module_.basic_auth) {
      std::string password = module_.basic_auth->password;
      if (!module_.basic_auth->password_file.empty()) {
        QD_ASSIGN(password, read_secret(module_.basic_auth->password_file));
      }
      authorization_ = "Basic " + base64(module_.basic_auth->username + ":" + password);
    } else if (!module_.authorization_type.empty()) {
      std::string secret = module_.authorization;
      if (!module_.authorization_file.empty()) {
        QD_ASSIGN(secret, read_secret(module_.authorization_file));
      }
      authorization_ = fmt::format("{} {}", module_.authorization_type, secret);
    }
    return {};
  }

  static std::string base64(std::string_view bytes) {
    static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      std::uint32_t group = 0;
      for (std::size_t j = 0; j < 3; ++j)
        group = (group << 8) | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
      for (std::size_t j = 0; j < 4; ++j) out += i + j > bytes.size() ? '=' : kDigits[(group >> (18 - 6 * j)) & 63U];
    }
    return out;
  }

  // The request, and where its answers point to, each step with what belongs to its host.
  base::Status follow(Exchange& done) {
    UrlParts url = first_;
    bool to_first = true;
    for (int redirects = 0;; ++redirects) {
      QD_TRY(resolve(url));
      ExchangeRequest step = request_;
      if (to_first) {
        if (!host_.empty()) {
          step.headers.add("Host", host_);
          if (step.tls.server_name.empty()) step.tls.server_name = without_port(host_);
        }
        if (!authorization_.empty()) step.headers.add("Authorization", authorization_);
      } else {
        // What is the first host's business.
        step.headers = without_credentials(step.headers);
        step.tls.server_name.clear();
      }
      job_.journal.info("Making HTTP request", {{"url", url.shown}, {"method", step.method}});
      done = exchanger_.exchange(step);
      add_times(done);
      if (done.error && !done.answered) {
        job_.journal.error("Error for HTTP request", {{"err", done.error->message()}});
        return base::fail(*done.error);
      }
      job_.journal.info("Received HTTP response", {{"status_code", std::to_string(done.status)}});
      if (done.redirect_url.empty()) return {};
      job_.samples.set(kHttpRedirects, redirects + 1);
      if (!module_.follow_redirects || redirects >= kRedirectsMax) {
        if (module_.follow_redirects) job_.journal.error("Too many redirects");
        return {};
      }
      QD_TRY(redirect(done, url));
      to_first = url.host == first_.host && !(first_.scheme == "https" && url.scheme == "http");
    }
  }

  base::Status redirect(const Exchange& done, UrlParts& url) {
    job_.journal.info("Following redirect", {{"status_code", std::to_string(done.status)}});
    QD_ASSIGN(url, connect::http::url_parts(done.redirect_url));
    request_.url = done.redirect_url;
    // RFC 9110, sections 15.4.2 to 15.4.4, as clients have it; 307 and 308 keep the method.
    if (done.status == 301 || done.status == 302 || done.status == 303) {
      if (request_.method != "GET" && request_.method != "HEAD") request_.method = "GET";
      request_.body.clear();
    }
    return {};
  }

  static connect::http::Headers without_credentials(const connect::http::Headers& headers) {
    connect::http::Headers kept;
    for (const auto& header : headers) {
      const bool secret = connect::http::equal_ignoring_case(header.name, "Authorization") ||
                          connect::http::equal_ignoring_case(header.name, "Cookie") ||
                          connect::http::equal_ignoring_case(header.name, "WWW-Authenticate");
      if (!secret) kept.add(header.name, header.value);
    }
    return kept;
  }

  base::Status resolve(const UrlParts& url) {
    request_.connect_to.reset();
    if (!module_.proxy_url.empty() && module_.skip_resolve_with_proxy) return {};
    double lookup_s = 0;
    const auto address = choose_address(url.host, url.port, module_.ip, job_, lookup_s);
    job_.samples.add(kHttpDuration, lookup_s, {{"phase", "resolve"}});
    if (!address) return base::fail(address.error());
    request_.connect_to = *address;
    return {};
  }

  void add_times(const Exchange& done) {
    const auto add = [&](const char* phase, double s) { job_.samples.add(kHttpDuration, s, {{"phase", phase}}); };
    add("connect", done.times.connect_s);
    add("tls", done.times.tls_s);
    add("processing", done.times.processing_s);
    add("transfer", done.times.transfer_s);
  }

  void tell(const Exchange& done) {
    Samples& samples = job_.samples;
    samples.set(kHttpStatusCode, done.status);
    samples.set(kHttpContentLength, static_cast<double>(done.content_length));
    samples.set(kHttpBodyLength, static_cast<double>(done.body_bytes));
    samples.set(kHttpVersion, done.version);
    samples.set(kHttpSsl, done.tls ? 1 : 0);
    if (done.tls) tell_tls(*done.tls, true, samples);
    if (const auto modified = done.headers.get("Last-Modified")) {
      if (const auto time = http_date(*modified)) samples.set(kHttpLastModified, *time);
    }
  }

  base::Status failed(std::string what) {
    job_.journal.error(what);
    return base::fail(ErrorCode::kUnavailable, fmt::format("{}: {}", first_.shown, what));
  }

  base::Status judge(const Exchange& done) {
    const auto& codes = module_.valid_status_codes;
    const bool valid = codes.empty() ? done.status / 100 == 2 : std::ranges::find(codes, done.status) != codes.end();
    if (!valid) {
      return failed(fmt::format("the status is {}, which valid_status_codes does not allow{}", done.status,
                                codes.empty() ? " (2xx)" : ""));
    }
    if (!module_.fail_if_header_matches.empty() || !module_.fail_if_header_not_matches.empty())
      QD_TRY(judge_regexp(judge_headers(done)));
    if (done.error) {
      job_.journal.error("Failed to read HTTP response body", {{"err", done.error->message()}});
      return base::fail(*done.error);
    }
    if (request_.unpack) {
      const auto coding = done.headers.get("Content-Encoding");
      if (!coding || !connect::http::equal_ignoring_case(*coding, module_.compression))
        return failed(fmt::format("the body is not compressed by {}, as `compression` has it", module_.compression));
    }
    if (!module_.fail_if_body_matches.empty() || !module_.fail_if_body_not_matches.empty()) {
      if (done.body_bytes > done.body.size()) {
        return failed(fmt::format("the body has more than {} bytes, which is too much for regular expressions",
                                  kMatchedBytesMax));
      }
      QD_TRY(judge_regexp(judge_body(done.body)));
    }
    const auto& versions = module_.valid_http_versions;
    if (!versions.empty() && std::ranges::find(versions, shown_version(done.version)) == versions.end()) {
      return failed(
          fmt::format("the version is {}, which valid_http_versions does not allow", shown_version(done.version)));
    }
    if (done.tls && module_.fail_if_ssl) return failed("the answer came with TLS, and fail_if_ssl is set");
    if (!done.tls && module_.fail_if_not_ssl) return failed("the answer came without TLS, and fail_if_not_ssl is set");
    return {};
  }

  base::Status judge_regexp(std::string why) {
    job_.samples.set(kFailedDueToRegex, why.empty() ? 0 : 1);
    return why.empty() ? base::Status() : failed(std::move(why));
  }

  // Empty when all is well.
  std::string judge_headers(const Exchange& done) const {
    const auto values = [&](const std::string& name) {
      std::vector<std::string_view> all;
      for (const auto& header : done.headers)
        if (connect::http::equal_ignoring_case(header.name, name)) all.emplace_back(header.value);
      return all;
    };
    for (const auto& rule : module_.fail_if_header_matches) {
      const auto all = values(rule.header);
      if (all.empty() && !rule.allow_missing) return fmt::format("the header {} is missing", rule.header);
      for (const auto value : all)
        if (rule.regexp.matches(value))
          return fmt::format("the header {} matches {:?}", rule.header, rule.regexp.text());
    }
    for (const auto& rule : module_.fail_if_header_not_matches) {
      const auto all = values(rule.header);
      if (all.empty()) {
        if (rule.allow_missing) continue;
        return fmt::format("the header {} is missing", rule.header);
      }
      if (std::ranges::none_of(all, [&](auto value) { return rule.regexp.matches(value); }))
        return fmt::format("the header {} does not match {:?}", rule.header, rule.regexp.text());
    }
    return {};
  }

  std::string judge_body(std::string_view body) const {
    for (const auto& pattern : module_.fail_if_body_matches)
      if (pattern.matches(body)) return fmt::format("the body matches {:?}", pattern.text());
    for (const auto& pattern : module_.fail_if_body_not_matches)
      if (!pattern.matches(body)) return fmt::format("the body does not match {:?}", pattern.text());
    return {};
  }

  const HttpModule& module_;
  Job& job_;
  connect::http::Exchanger exchanger_;
  ExchangeRequest request_;
  UrlParts first_;
  std::string host_;           // to be asked for in place of the URL's
  std::string authorization_;  // of the first host
};

}  // namespace

base::Status probe_http(const HttpModule& module, Job& job) {
  return HttpProbe(module, job).run();
}

}  // namespace qd::observe::probe
