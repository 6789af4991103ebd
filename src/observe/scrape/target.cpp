#include "observe/scrape/target.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

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

base::Result<Target> make_target(const Job& job, model::LabelSet discovered, const LabelBuilder& relabelled) {
  const ScrapeConfig& config = *job.config;
  LabelBuilder builder = relabelled;
  const std::string address(builder.get("__address__"));
  if (address.empty())
    return base::fail(ErrorCode::kInvalid, "a target of " + discovered.to_string() + " has no address");
  QD_TRY(check_address(address));
  const model::LabelSet where = builder.build();
  const std::string_view scheme = where.get("__scheme__");
  if (scheme != "http" && scheme != "https") {
    return base::fail(ErrorCode::kInvalid, "scheme \"" + std::string(scheme) + "\" is neither http nor https");
  }
  Target target;
  QD_ASSIGN(target.interval_ms, base::parse_duration_ms(where.get("__scrape_interval__")));
  QD_ASSIGN(target.timeout_ms, base::parse_duration_ms(where.get("__scrape_timeout__")));
  if (target.interval_ms <= 0 || target.timeout_ms <= 0 || target.timeout_ms > target.interval_ms) {
    return base::fail(ErrorCode::kInvalid,
                      "scrape interval and timeout are above zero, and the timeout is not the longer one");
  }
  target.job = config.job_name;
  target.config = job.config;
  target.metric_rules = job.metric_rules;
  target.metric_rules_hash = job.metric_rules_hash;
  target.discovered = std::move(discovered);
  target.url = make_url(where, config);
  for (const model::Label& label : where) {
    if (label.name.starts_with("__")) builder.remove(label.name);
    if (!base::valid_utf8(label.value)) {
      return base::fail(ErrorCode::kInvalid, "the label " + std::string(label.name) + " of a target is not UTF-8");
    }
  }
  if (builder.get("instance").empty()) builder.set("instance", address);
  target.labels = builder.build();
  return target;
}

std::uint64_t hash_of(const std::vector<model::RelabelConfig>& rules) {
  if (rules.empty()) return 0;
  std::string text;
  const auto add = [&](std::string_view part) { text.append(std::to_string(part.size())).append(1, ':').append(part); };
  for (const model::RelabelConfig& rule : rules) {
    for (const std::string& label : rule.source_labels) add(label);
    text.push_back('|');
    for (const std::string_view part : {std::string_view(rule.separator), std::string_view(rule.regex),
                                        std::string_view(rule.target_label), std::string_view(rule.replacement)})
      add(part);
    text.append(std::to_string(rule.modulus)).append(to_string(rule.action));
  }
  return XXH3_64bits(text.data(), text.size());
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
  out.append(std::to_string(metric_rules_hash));
  const FormatConfig& format = config->format;
  out.push_back(format.name_scheme == model::NameScheme::kLegacy ? 'l' : 'u');
  for (const bool flag : {format.scrape_native_histograms, format.always_scrape_classic_histograms,
                          format.convert_classic_histograms_to_nhcb})
    out.push_back(flag ? '1' : '0');
  out.append(fmt::format(" {} {}", config->native_histogram_bucket_limit, config->native_histogram_min_bucket_factor));
  return out;
}

bool Target::operator==(const Target& other) const {
  return discovered == other.discovered && labels == other.labels && url == other.url &&
         interval_ms == other.interval_ms && timeout_ms == other.timeout_ms && fault == other.fault &&
         (config == other.config || *config == *other.config);
}

base::Result<Job> Job::compile(std::shared_ptr<const ScrapeConfig> config) {
  const auto within = [&](const base::Error& error) { return error.within("scrape job \"" + config->job_name + "\""); };
  auto target_rules = model::Relabeller::compile(config->relabel_configs, config->format.name_scheme);
  if (!target_rules) return base::fail(within(target_rules.error()));
  auto metric_rules = model::Relabeller::compile(config->metric_relabel_configs, config->format.name_scheme);
  if (!metric_rules) return base::fail(within(metric_rules.error()));
  Job job;
  job.metric_rules_hash = hash_of(config->metric_relabel_configs);
  job.target_rules = std::move(*target_rules);
  job.metric_rules = std::move(*metric_rules);
  job.config = std::move(config);
  return job;
}

sd::TargetGroups Job::static_groups() const {
  sd::TargetGroups groups;
  for (const StaticGroup& group : config->static_configs) {
    sd::TargetGroup& out = groups.emplace_back();
    LabelBuilder labels;
    for (const auto& [name, value] : group.labels) labels.set(name, value);
    out.labels = labels.build();
    for (const std::string& address : group.targets) out.targets.push_back(model::LabelSet{{"__address__", address}});
  }
  return groups;
}

model::LabelSet discovered_labels(const ScrapeConfig& config, const model::LabelSet& target,
                                  const model::LabelSet& group) {
  LabelBuilder builder(group);
  for (const model::Label& label : target) builder.set(label.name, label.value);
  const auto otherwise = [&](std::string_view name, std::string_view value) {
    if (builder.get(name).empty()) builder.set(name, value);
  };
  otherwise("job", config.job_name);
  otherwise("__scheme__", config.scheme);
  otherwise("__metrics_path__", config.metrics_path);
  otherwise("__scrape_interval__", base::format_duration_ms(config.interval_ms));
  otherwise("__scrape_timeout__", base::format_duration_ms(config.timeout_ms));
  for (const auto& [name, values] : config.params) {
    if (!values.empty()) otherwise("__param_" + name, values.front());
  }
  return builder.build();
}

Targets make_targets(const Job& job, const sd::TargetGroups& groups) {
  Targets out;
  std::unordered_set<std::string> seen;
  const ScrapeLimits& limits = job.config->limits;
  const std::uint64_t kept_max = limits.keep_dropped_targets > 0 ? limits.keep_dropped_targets : kDroppedTargetsMax;
  for (const sd::TargetGroup& group : groups) {
    for (const model::LabelSet& one : group.targets) {
      model::LabelSet discovered = discovered_labels(*job.config, one, group.labels);
      LabelBuilder builder(discovered);
      if (!job.target_rules.apply(builder)) {
        ++out.dropped_count;
        if (out.dropped.size() < kept_max) out.dropped.push_back(std::move(discovered));
        continue;
      }
      auto target = make_target(job, std::move(discovered), builder);
      if (!target) {
        if (out.faults.size() < kFaultsMax)
          out.faults.push_back(target.error().within("scrape job \"" + job.config->job_name + "\""));
        continue;
      }
      if (seen.insert(target->identity()).second) out.active.push_back(std::move(*target));
    }
  }
  if (limits.target_limit > 0 && out.active.size() > limits.target_limit) {
    const std::string fault = "target_limit is exceeded: the job has " + std::to_string(out.active.size()) +
                              " targets, and " + std::to_string(limits.target_limit) + " are allowed";
    for (Target& target : out.active) target.fault = fault;
  }
  return out;
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
