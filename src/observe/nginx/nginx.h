// The nginx collector: what one nginx does, under the metric names of the field's exporters (families.h).
//
// Up to three sources, each of which may be absent and fails alone: the page of stub_status, the access log (what came
// since the last pass), and the JSON page of nginx-module-vts. nginx_up says whether the status page could be read, or
// where there is none, the VTS page; trouble() says why not, with the lines for nginx's configuration that cure it.
//
// A pass waits for the pages until its deadline at most. It takes about a microsecond for each line of the log.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "observe/collector.h"
#include "observe/nginx/fetch.h"
#include "observe/nginx/log_counts.h"
#include "observe/nginx/log_tail.h"
#include "observe/nginx/stub_status.h"
#include "observe/nginx/url.h"

namespace qd::observe::nginx {

struct Options {
  std::string status_url;     // http://127.0.0.1/stub_status; of the three one is enough
  std::string access_log;     // /var/log/nginx/access.log
  std::string vts_url;        // http://127.0.0.1/status/format/json
  std::string user;           // for both pages
  std::string password;       // never shown
  bool legacy_names = false;  // of nginx-vts-exporter, beside the current ones

  bool operator==(const Options&) const = default;
};

// host:port of status_url, else of vts_url, else the log's path.
std::string instance(const Options& options);

class NginxCollector final : public Collector {
 public:
  // `clock` outlives it. A URL that cannot be right is told by trouble().
  NginxCollector(Options options, Fetch fetch, const base::Clock& clock);

  std::string_view name() const override { return "nginx"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  static constexpr std::uint64_t kStatusBytesMax = 64 << 10;
  static constexpr std::uint64_t kVtsBytesMax = 16 << 20;

  // The kinds of nginx_scrape_errors_total.
  enum Fault { kNetwork, kHttp, kParse, kFaults };

  void read_log(std::int64_t deadline_ns);
  void collect_status(std::int64_t deadline_ns, Sink& sink);
  void collect_vts(std::int64_t deadline_ns, Sink& sink);
  base::Result<connect::http::ClientResponse> ask(const Url& url, std::uint64_t bytes_max, std::int64_t deadline_ns);
  void tell_up(bool up, Sink& sink) const;
  void add_trouble(base::Error error);

  Options options_;
  Fetch fetch_;
  const base::Clock& clock_;
  std::optional<Url> status_url_;
  std::optional<Url> vts_url_;
  std::optional<base::Error> url_error_;
  std::unique_ptr<LogTail> tail_;
  LogCounts counts_;
  std::array<std::uint64_t, kFaults> faults_{};
  bool format_unknown_ = false;
  std::optional<base::Error> trouble_;
};

}  // namespace qd::observe::nginx
