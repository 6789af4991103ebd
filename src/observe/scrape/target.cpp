#include "observe/scrape/target.h"

#include <algorithm>
#include <unordered_set>

#include "base/strings.h"
#include "connect/http/message.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using model::LabelBuilder;

namespace {

std::string make_url(const model::LabelSet& labels, const ScrapeConfig& config) {
  std::string url(labels.get("__scheme__"));
  url.append("://").append(labels.get("__address__"));
  const std::string_view path = labels.get("__metrics_path__");
  if (!path.starts_with('/')) url.push_back('/');
  url.append(path);
  // The first value of a parameter may have been replaced by its label.
  std::map<std::string, std::vector<std::string>> params = config.params;
  for (const model::Label& label : labels) {
    constexpr std::string_view kParam = "__param_";
    if (!label.name.starts_with(kParam)) continue;
    auto& values = params[std::string(label.name.substr(kParam.size()))];
    if (values.empty()) values.emplace_back();
    values.front() = label.value;
  }
  char separator = path.find('?') == std::string_view::npos ? '?' : '&';
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      url.push_back(separator);
      separator = '&';
      url.append(connect::http::percent_encode(name)).push_back('=');
      url.append(connect::http::percent_encode(value));
    }
  }
  return url;
}

base::Result<Target> make_target(const std::shared_ptr<const ScrapeConfig>& config, const StaticGroup& group,
                                 const std::string& address) {
  QD_TRY(check_address(address));
  LabelBuilder builder;
  builder.set("job", config->job_name);
  builder.set("__scheme__", config->scheme);
  builder.set("__metrics_path__", config->metrics_path);
  builder.set("__scrape_interval__", base::format_duration_ms(config->interval_ms));
  builder.set("__scrape_timeout__", base::format_duration_ms(config->timeout_ms));
  for (const auto& [name, values] : config->params) {
    if (!values.empty()) builder.set("__param_" + name, values.front());
  }
  for (const auto& [name, value] : group.labels) builder.set(name, value);
  builder.set("__address__", address);

  Target target;
  target.job = config->job_name;
  target.config = config;
  target.discovered = builder.build();
  const std::string_view scheme = target.discovered.get("__scheme__");
  if (scheme != "http" && scheme != "https") {
    return base::fail(ErrorCode::kInvalid, "scheme \"" + std::string(scheme) + "\" is neither http nor https");
  }
  QD_ASSIGN(target.interval_ms, base::parse_duration_ms(target.discovered.get("__scrape_interval__")));
  QD_ASSIGN(target.timeout_ms, base::parse_duration_ms(target.discovered.get("__scrape_timeout__")));
  if (target.interval_ms <= 0 || target.timeout_ms <= 0 || target.timeout_ms > target.interval_ms) {
    return base::fail(ErrorCode::kInvalid,
                      "scrape interval and timeout are above zero, and the timeout is not the longer one");
  }
  target.url = make_url(target.discovered, *config);
  for (const model::Label& label : target.discovered) {
    if (label.name.starts_with("__")) builder.remove(label.name);
  }
  if (builder.get("instance").empty()) builder.set("instance", address);
  target.labels = builder.build();
  return target;
}

}  // namespace

std::string Target::identity() const {
  const ScrapeLimits& limits = config->limits;
  std::string out = job;
  out.push_back('\0');
  out.append(labels.bytes()).push_back('\0');
  out.append(url).push_back('\0');
  out.push_back(config->honor_labels ? '1' : '0');
  out.push_back(config->honor_timestamps ? '1' : '0');
  out.push_back(config->track_timestamps_staleness ? '1' : '0');
  for (const std::uint64_t limit :
       {limits.label_limit, limits.label_name_length_limit, limits.label_value_length_limit}) {
    out.append(std::to_string(limit)).push_back(' ');
  }
  return out;
}

bool Target::operator==(const Target& other) const {
  return discovered == other.discovered && labels == other.labels && url == other.url &&
         interval_ms == other.interval_ms && timeout_ms == other.timeout_ms && *config == *other.config;
}

base::Result<std::vector<Target>> make_targets(const std::shared_ptr<const ScrapeConfig>& config) {
  const auto within = [&](const base::Error& error) { return error.within("scrape job \"" + config->job_name + "\""); };
  std::vector<Target> targets;
  std::unordered_set<std::string> seen;
  for (const StaticGroup& group : config->static_configs) {
    for (const std::string& address : group.targets) {
      auto target = make_target(config, group, address);
      if (!target) return base::fail(within(target.error()));
      if (seen.insert(target->identity()).second) targets.push_back(std::move(*target));
    }
  }
  const std::uint64_t limit = config->limits.target_limit;
  if (limit > 0 && targets.size() > limit) {
    return base::fail(within({ErrorCode::kLimit, std::to_string(targets.size()) +
                                                     " targets are more than target_limit " + std::to_string(limit)}));
  }
  return targets;
}

std::string global_url(const Target& target, std::string_view host_name) {
  const std::string_view address = target.discovered.get("__address__");
  const std::size_t at = target.url.find("://") + 3;
  for (const std::string_view loopback : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host_name.empty() || !address.starts_with(loopback)) continue;
    const std::string_view rest = address.substr(loopback.size());
    if (!rest.empty() && rest.front() != ':') continue;
    return std::string(target.url).replace(at, loopback.size(), host_name);
  }
  return target.url;
}

std::string_view to_string(Health health) {
  switch (health) {
    case Health::kUp:
      return "up";
    case Health::kDown:
      return "down";
    case Health::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace qd::observe::scrape
