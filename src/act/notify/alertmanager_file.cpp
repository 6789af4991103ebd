#include "act/notify/alertmanager_file.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/mutex.h"
#include "observe/sd/discoveries.h"

namespace qd::act::notify {

namespace {

using model::LabelBuilder;
using model::LabelSet;
using model::Relabeller;
using observe::scrape::AlertingConfig;
using observe::scrape::AlertmanagerConfig;
using observe::sd::TargetGroups;

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kPath = "__alerts_path__";
constexpr std::uint64_t kAnswerBytesMax = 1 << 20;

// "/", "prefix/" and "/prefix" before the API's path.
std::string path_of(std::string_view prefix) {
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  return alerts_url(prefix.empty() ? std::string() : fmt::format("/{}", prefix));
}

std::string url_of(const LabelBuilder& labels) {
  return fmt::format("{}://{}{}", labels.get(kScheme), labels.get(kAddress), labels.get(kPath));
}

// The config's own words, as a discovery would tell them.
TargetGroups static_groups(const AlertmanagerConfig& config) {
  TargetGroups out;
  for (const auto& group : config.static_configs) {
    observe::sd::TargetGroup one;
    LabelBuilder labels;
    for (const auto& [name, value] : group.labels) labels.set(name, value);
    one.labels = labels.build();
    for (const auto& target : group.targets) one.targets.push_back(LabelSet{{kAddress, target}});
    out.push_back(std::move(one));
  }
  return out;
}

AlertmanagerSet::Post post_by(const observe::sd::Surroundings& surroundings, const AlertmanagerConfig& config) {
  return [fetch = surroundings.fetch, user_agent = surroundings.user_agent, http = config.http,
          timeout_ms = config.timeout_ms](const std::string& url, std::string body,
                                          std::function<void(base::Status)> then) {
    connect::http::ClientRequest request{.url = url, .method = "POST", .body = std::move(body)};
    request.headers.add("Content-Type", "application/json");
    request.headers.add("User-Agent", user_agent);
    request.deadline_ms = timeout_ms;
    request.body_bytes_max = kAnswerBytesMax;
    fetch(http, std::move(request),
          [then = std::move(then)](const base::Result<connect::http::ClientResponse>& response) {
            if (!response) return then(base::fail(response.error()));
            if (response->status / 100 == 2) return then({});
            then(base::fail(base::ErrorCode::kUnavailable,
                            fmt::format("it answered {}: {}", response->status, response->body.substr(0, 200))));
          });
  };
}

}  // namespace

FoundAlertmanagers relabelled(const AlertmanagerConfig& config, const TargetGroups& discovered,
                              const Relabeller& rules) {
  FoundAlertmanagers out;
  auto groups = static_groups(config);
  groups.insert(groups.end(), discovered.begin(), discovered.end());
  for (const auto& group : groups) {
    for (const auto& target : group.targets) {
      LabelBuilder labels(group.labels);
      for (const auto& label : target) labels.set(label.name, label.value);
      labels.set(kScheme, config.scheme);
      labels.set(kPath, path_of(config.path_prefix));
      auto before = url_of(labels);
      if (rules.apply(labels) && observe::scrape::check_address(labels.get(kAddress)))
        out.urls.push_back(url_of(labels));
      else
        out.dropped.push_back(std::move(before));
    }
  }
  return out;
}

struct AlertmanagerFile::State {
  State(const observe::sd::Surroundings& s, Alertmanagers& t) : surroundings(s), to(t) {}

  // One group of the file.
  struct Group {
    AlertmanagerConfig config;
    Relabeller targets;
    Relabeller alerts;
    TargetGroups found;
  };

  void tell() QD_REQUIRES(mutex) {
    auto sets = own;
    dropped.clear();
    for (const auto& [name, group] : groups) {
      auto found = relabelled(group.config, group.found, group.targets);
      dropped.insert(dropped.end(), found.dropped.begin(), found.dropped.end());
      sets.push_back({.urls = std::move(found.urls),
                      .relabel = [all = all_alerts, mine = group.alerts](
                                     LabelBuilder& labels) { return all.apply(labels) && mine.apply(labels); },
                      .post = post_by(surroundings, group.config)});
    }
    to.set_alertmanagers(std::move(sets));
  }

  void found(const std::string& name, TargetGroups targets) QD_EXCLUDES(mutex) {
    base::MutexLock lock(mutex);
    const auto group = groups.find(name);
    if (group == groups.end()) return;
    group->second.found = std::move(targets);
    tell();
  }

  // The file was checked when it was read; what does not compile all the same changes nothing and is told.
  Relabeller compiled(const std::vector<model::RelabelConfig>& configs, model::NameScheme scheme) const {
    auto rules = Relabeller::compile(configs, scheme);
    if (rules) return *rules;
    surroundings.log.error("a relabelling for Alertmanagers is left out", {{"error", rules.error()}});
    return {};
  }

  const observe::sd::Surroundings surroundings;
  Alertmanagers& to;
  base::Mutex mutex;
  std::vector<AlertmanagerSet> own QD_GUARDED_BY(mutex);
  Relabeller all_alerts QD_GUARDED_BY(mutex);
  std::map<std::string, Group> groups QD_GUARDED_BY(mutex);  // by the name that discoveries know them by
  std::vector<std::string> dropped QD_GUARDED_BY(mutex);
  std::unique_ptr<observe::sd::Discoveries> discoveries;
};

AlertmanagerFile::AlertmanagerFile(const observe::sd::Surroundings& surroundings, Alertmanagers& to)
    : state_(std::make_shared<State>(surroundings, to)) {
  state_->discoveries = std::make_unique<observe::sd::Discoveries>(
      surroundings,
      [state = state_.get()](const std::string& name, TargetGroups groups) { state->found(name, std::move(groups)); });
}

AlertmanagerFile::~AlertmanagerFile() {
  stop();
}

void AlertmanagerFile::apply(const AlertingConfig& config, model::NameScheme scheme, std::vector<AlertmanagerSet> own) {
  std::vector<observe::sd::Discoveries::Job> jobs;
  {
    base::MutexLock lock(state_->mutex);
    std::map<std::string, State::Group> next;
    for (std::size_t i = 0; i < config.alertmanagers.size(); ++i) {
      const auto& one = config.alertmanagers[i];
      // As Prometheus names them where it tells of its discoveries.
      const auto name = fmt::format("config-{}", i);
      const auto known = state_->groups.find(name);
      const bool same = known != state_->groups.end() && known->second.config.sd_configs == one.sd_configs;
      next[name] = {.config = one,
                    .targets = state_->compiled(one.relabel_configs, scheme),
                    .alerts = state_->compiled(one.alert_relabel_configs, scheme),
                    .found = same ? std::move(known->second.found) : TargetGroups()};
      jobs.push_back({.name = name, .configs = one.sd_configs});
    }
    state_->own = std::move(own);
    state_->all_alerts = state_->compiled(config.alert_relabel_configs, scheme);
    state_->groups = std::move(next);
    state_->tell();
  }
  state_->discoveries->apply(jobs);
}

void AlertmanagerFile::stop() {
  state_->discoveries->stop();
}

std::vector<std::string> AlertmanagerFile::dropped() const {
  base::MutexLock lock(state_->mutex);
  return state_->dropped;
}

}  // namespace qd::act::notify
