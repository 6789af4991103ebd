#include "observe/sd/http_sd.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counters.h"
#include "base/strings.h"
#include "observe/sd/groups_text.h"

namespace qd::observe::sd {

using base::ErrorCode;

namespace {

base::Result<TargetGroups> ask(const HttpSdConfig& config, const Surroundings& surroundings) {
  connect::http::ClientRequest request{.url = config.url};
  request.deadline_ms = std::min(config.refresh_interval_ms, kDeadlineMsMax);
  request.headers.add("Accept", "application/json");
  request.headers.add("User-Agent", surroundings.user_agent);
  request.headers.add("X-Prometheus-Refresh-Interval-Seconds",
                      base::format_float(static_cast<double>(config.refresh_interval_ms) / 1000));
  QD_ASSIGN(const auto response, fetch_and_wait(surroundings.fetch, config.http, std::move(request)));
  const auto wrong = [&](const std::string& what) {
    return base::fail(ErrorCode::kUnavailable,
                      fmt::format("the list of targets at {}: {}", connect::http::shown_url(config.url), what));
  };
  if (response.status != 200) return wrong(fmt::format("it answered {}", response.status));
  const std::string type(response.headers.get("Content-Type").value_or(""));
  const std::string_view bare = base::trim(std::string_view(type).substr(0, type.find(';')));
  if (!connect::http::equal_ignoring_case(bare, "application/json"))
    return wrong(fmt::format("its Content-Type is {}, and application/json is needed", base::quote(type)));
  auto groups = read_json_groups(response.body, config.url, "__meta_url");
  if (groups) return groups;
  // The error names where the text came from, which may hold a password.
  std::string message = groups.error().message();
  if (const std::size_t at = message.find(config.url); at != std::string::npos)
    message.replace(at, config.url.size(), connect::http::shown_url(config.url));
  return base::fail(groups.error().code(), std::move(message));
}

}  // namespace

base::Result<TargetGroups> look_by_http(const HttpSdConfig& config, const Surroundings& surroundings) {
  auto found = ask(config, surroundings);
  if (!found)
    surroundings.registry
        .counter("prometheus_sd_http_failures_total", "Number of HTTP service discovery refresh failures.")
        .add();
  return found;
}

}  // namespace qd::observe::sd
