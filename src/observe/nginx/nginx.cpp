#include "observe/nginx/nginx.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "observe/nginx/families.h"
#include "observe/nginx/vts.h"

namespace qd::observe::nginx {
namespace {

using base::Error;
using base::ErrorCode;

// Who may read a page, as nginx sees Quarterdeck. Only of loopback it is known which address that is.
std::string allow_line(const Url& url) {
  if (!url.unix_socket.empty()) return "allow unix:;";
  if (url.host == "localhost") return "allow 127.0.0.1; allow ::1;";
  if (url.host.starts_with("127.")) return "allow 127.0.0.1;";
  if (url.host == "::1") return "allow ::1;";
  return "allow ADDRESS_OF_QUARTERDECK;";
}

std::string where_to(const Url& url) {
  return fmt::format("into the server block that answers at {}, then nginx -s reload", url.instance);
}

std::string status_location(const Url& url) {
  return fmt::format("`location = {} {{ stub_status; {} deny all; }}`", url.path, allow_line(url));
}

// The module's own directive has the form in the path's last two parts.
std::string vts_location(const Url& url) {
  std::string_view path = url.path;
  constexpr std::string_view kForm = "/format/json";
  if (path.ends_with(kForm)) path.remove_suffix(kForm.size());
  return fmt::format(
      "`vhost_traffic_status_zone;` into the http block and `location {} {{ vhost_traffic_status_display; "
      "vhost_traffic_status_display_format json; {} deny all; }}`",
      path, allow_line(url));
}

ErrorCode code_of(int status) {
  if (status == 401 || status == 403) return ErrorCode::kPermission;
  if (status == 404) return ErrorCode::kNotFound;
  return ErrorCode::kInvalid;
}

// What an answer that is not 200 asks for; `location` is the block that has to be there.
Error refusal(const Url& url, int status, std::string_view location) {
  std::string message = fmt::format("{} answered {}: ", url.shown, status);
  if (status == 401) {
    message += "it wants a password: set `user` and `password` of this nginx";
  } else if (status == 403) {
    message += fmt::format("nginx does not let Quarterdeck read it: the location needs the allow line in {} {}",
                           location, where_to(url));
  } else if (status == 404) {
    message += fmt::format("nginx has no such page: put {} {}", location, where_to(url));
  } else {
    message += fmt::format("a status page is wanted there: put {} {}", location, where_to(url));
  }
  return {code_of(status), std::move(message)};
}

constexpr std::string_view kLogFormat =
    R"(`log_format quarterdeck escape=json '{"status":"$status","request_method":"$request_method",)"
    R"("server_name":"$server_name","request_time":"$request_time","request_length":"$request_length",)"
    R"("body_bytes_sent":"$body_bytes_sent","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status",)"
    R"("upstream_response_time":"$upstream_response_time"}';`)";

}  // namespace

std::string instance(const Options& options) {
  for (const std::string* text : {&options.status_url, &options.vts_url}) {
    if (text->empty()) continue;
    const auto url = parse_url(*text);
    return url ? url->instance : *text;
  }
  return options.access_log;
}

NginxCollector::NginxCollector(Options options, Fetch fetch, const base::Clock& clock)
    : options_(std::move(options)), fetch_(std::move(fetch)), clock_(clock) {
  const auto take = [this](const std::string& text, std::optional<Url>& into) {
    if (text.empty()) return;
    auto url = parse_url(text);
    if (url) {
      into = std::move(*url);
    } else if (!url_error_) {
      url_error_ = url.error();
    }
  };
  take(options_.status_url, status_url_);
  take(options_.vts_url, vts_url_);
  if (!options_.access_log.empty()) tail_ = std::make_unique<LogTail>(options_.access_log);
}

base::Status NginxCollector::collect(std::int64_t deadline_ns, Sink& sink) {
  trouble_.reset();
  if (url_error_) add_trouble(*url_error_);
  const bool pages = status_url_ || vts_url_;
  const std::int64_t left_ns = std::max<std::int64_t>(deadline_ns - clock_.monotonic_ns(), 0);
  // The log first: a server that hangs takes what is left, every time.
  if (tail_) read_log(pages ? deadline_ns - left_ns / 2 : deadline_ns);
  if (status_url_) collect_status(vts_url_ ? deadline_ns - left_ns / 4 : deadline_ns, sink);
  if (vts_url_) collect_vts(deadline_ns, sink);
  if (tail_) counts_.tell(sink);
  return {};
}

// Of several troubles the code is that of the gravest: a server that does not answer is down, whatever else is wrong.
void NginxCollector::add_trouble(Error error) {
  const auto gravity = [](ErrorCode code) {
    if (code == ErrorCode::kTimeout) return 2;
    return code == ErrorCode::kUnavailable ? 1 : 0;
  };
  if (!trouble_) {
    trouble_ = std::move(error);
  } else {
    const ErrorCode code = std::max(trouble_->code(), error.code(),
                                    [&](ErrorCode one, ErrorCode other) { return gravity(one) < gravity(other); });
    trouble_ = Error(code, trouble_->message() + "; " + error.message());
  }
}

void NginxCollector::read_log(std::int64_t deadline_ns) {
  const std::uint64_t lines = counts_.lines();
  const std::uint64_t errors = counts_.parse_errors();
  const auto read = tail_->read(deadline_ns, clock_, counts_);
  if (!read) add_trouble(read.error());
  if (tail_->bytes_behind() > 0) {
    add_trouble(Error(ErrorCode::kLimit,
                      fmt::format("the access log {} grows faster than it is read: {} bytes wait; observe nginx more "
                                  "often (observe.interval)",
                                  options_.access_log, tail_->bytes_behind())));
  }
  if (counts_.lines() != lines) {
    format_unknown_ = false;
  } else if (counts_.parse_errors() != errors) {
    format_unknown_ = true;
  }
  if (format_unknown_) {
    add_trouble(Error(ErrorCode::kInvalid,
                      fmt::format("the lines of the access log {} are neither JSON nor in nginx's combined format: put "
                                  "{} into the http block, and `access_log {} quarterdeck;`",
                                  options_.access_log, kLogFormat, options_.access_log)));
  }
}

base::Result<connect::http::ClientResponse> NginxCollector::ask(const Url& url, std::uint64_t bytes_max,
                                                                std::int64_t deadline_ns) {
  connect::http::ClientRequest request;
  request.url = url.fetched;
  request.unix_socket_path = url.unix_socket;
  request.body_bytes_max = bytes_max;
  request.deadline_ms = (deadline_ns - clock_.monotonic_ns()) / 1'000'000;
  if (request.deadline_ms <= 0)
    return base::fail(ErrorCode::kTimeout, fmt::format("{} was not asked: no time was left", url.shown));
  if (!options_.user.empty() || !options_.password.empty())
    request.basic_auth = connect::http::BasicAuth{options_.user, options_.password};
  return fetch_(std::move(request));
}

void NginxCollector::tell_up(bool up, Sink& sink) const {
  begin(sink, family::kUp);
  sink.sample(up ? 1 : 0);
}

void NginxCollector::collect_status(std::int64_t deadline_ns, Sink& sink) {
  const std::int64_t begun_ns = clock_.monotonic_ns();
  const auto response = ask(*status_url_, kStatusBytesMax, deadline_ns);
  const double seconds = static_cast<double>(clock_.monotonic_ns() - begun_ns) / 1e9;
  std::optional<StubStatus> status;
  if (!response) {
    ++faults_[kNetwork];
    add_trouble(response.error());
  } else if (response->status != 200) {
    ++faults_[kHttp];
    add_trouble(refusal(*status_url_, response->status, status_location(*status_url_)));
  } else if (status = parse_stub_status(response->body); !status) {
    ++faults_[kParse];
    add_trouble(Error(ErrorCode::kCorrupt,
                      fmt::format("{} answers with another page than stub_status: put {} {}", status_url_->shown,
                                  status_location(*status_url_), where_to(*status_url_))));
  }

  tell_up(status.has_value(), sink);
  begin(sink, family::kScrapeSuccess);
  sink.sample(status ? 1 : 0);
  begin(sink, family::kScrapeDuration);
  sink.sample(seconds);
  if (std::ranges::any_of(faults_, [](std::uint64_t count) { return count > 0; })) {
    constexpr std::array<std::string_view, kFaults> kNames{"network", "http", "parse"};
    begin(sink, family::kScrapeErrors);
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (faults_[i] > 0) sink.sample({{"type", kNames[i]}}, static_cast<double>(faults_[i]));
    }
  }
  if (status) tell(*status, sink);
}

void NginxCollector::collect_vts(std::int64_t deadline_ns, Sink& sink) {
  const auto response = ask(*vts_url_, kVtsBytesMax, deadline_ns);
  std::optional<VtsPage> page;
  if (!response) {
    add_trouble(response.error());
  } else if (response->status != 200) {
    add_trouble(refusal(*vts_url_, response->status, vts_location(*vts_url_)));
  } else if (auto parsed = VtsPage::parse(response->body); parsed) {
    page = std::move(*parsed);
  } else {
    add_trouble(Error(parsed.error().code(),
                      fmt::format("{} answers with another page than nginx-module-vts: {}; put {} {}", vts_url_->shown,
                                  parsed.error().message(), vts_location(*vts_url_), where_to(*vts_url_))));
  }
  // The module knows what stub_status says.
  if (!status_url_) {
    tell_up(page.has_value(), sink);
    if (page) nginx::tell(page->connections(), sink);
  }
  if (!page) return;
  if (page->cut()) {
    add_trouble(Error(ErrorCode::kLimit, fmt::format("{} has more than {} zones of a kind: the others are not told",
                                                     vts_url_->shown, kZonesMax)));
  }
  page->tell(sink, options_.legacy_names);
}

}  // namespace qd::observe::nginx
