#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/glob.h"
#include "cli/data_dir.h"
#include "observe/config.h"
#include "observe/host/config.h"
#include "observe/scrape/settings.h"
#include "query/promql/settings.h"
#include "store/metrics/settings.h"

namespace qd::cli {

namespace {

using base::ErrorCode;
using model::config::Schema;

constexpr std::size_t kMatchingFilesMax = 10'000;  // of one pattern
constexpr std::string_view kDefaultRulesName = "built-in";

void declare_rules(Schema& schema, RuleSettings& rules) {
  schema.section("judge.rules", "Recording and alerting rules.");
  schema.flag("judge.rules.defaults", rules.defaults, "Whether the rules for hosts that come with Quarterdeck are on.");
  schema
      .strings("judge.rules.files", rules.files, "Rule files of Prometheus; the last part of a path may be a pattern.")
      .example("[/etc/quarterdeck/rules/*.yaml]");
  schema.duration_ms("judge.rules.evaluation_interval", rules.evaluation_interval_ms,
                     "How often groups that name no interval are evaluated.", 1000);
  schema.duration_ms("judge.rules.query_offset", rules.query_offset_ms,
                     "How far in the past groups that name no query_offset are evaluated.");
  schema
      .duration_ms("judge.rules.for_outage_tolerance", rules.restore.outage_tolerance_ms,
                   "How long ago an alert may have been pending or firing last to go on after a restart.")
      .only_at_start();
  schema
      .duration_ms("judge.rules.for_grace_period", rules.restore.grace_period_ms,
                   "How long after a restart a pending alert that goes on waits at least. Alerts whose `for` is "
                   "shorter begin to wait again.")
      .only_at_start();
  schema
      .integer("judge.rules.concurrent_evaluations", rules.concurrent_evaluations,
               "Rules that may be evaluated beside those that run anyway, where rules of a group share nothing.", 0,
               1000)
      .only_at_start();
}

// What remote_write of a Prometheus file says, behind our own destinations.
base::Status add_destinations(const observe::scrape::PrometheusFile& file,
                              std::vector<ship::remote_write::Destination>& destinations) {
  std::vector<ship::remote_write::Destination> theirs;
  for (const auto& one : file.remote_write) {
    auto& made = theirs.emplace_back();
    made.url = one.url;
    made.name = one.name;
    made.timeout_ms = one.timeout_ms;
    if (one.version_2) made.protobuf_message = "io.prometheus.write.v2.Request";
    made.send_exemplars = one.send_exemplars;
    made.send_native_histograms = one.send_native_histograms;
    made.headers = one.headers;
    made.http = one.http;
    // A redirect is told, not followed: the body would not go along.
    made.http.follow_redirects = false;
    made.queue = {.min_shards = static_cast<std::int64_t>(one.queue.min_shards),
                  .max_shards = static_cast<std::int64_t>(one.queue.max_shards),
                  .max_samples_per_send = static_cast<std::int64_t>(one.queue.max_samples_per_send),
                  .batch_send_deadline_ms = one.queue.batch_send_deadline_ms,
                  .min_backoff_ms = one.queue.min_backoff_ms,
                  .max_backoff_ms = one.queue.max_backoff_ms};
    made.metadata = {.send = one.queue.send_metadata, .send_interval_ms = one.queue.metadata_interval_ms};
    QD_ASSIGN(made.relabel, model::Relabeller::compile(one.write_relabel_configs, file.global.format.name_scheme));
  }
  QD_TRY(ship::remote_write::complete(theirs, ship::remote_write::DestinationSource::kPrometheusFile));
  for (auto& one : theirs) {
    const auto same = [&](const auto& other) { return other.name == one.name; };
    if (std::ranges::find_if(destinations, same) != destinations.end())
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("remote_write: ship.remote_write has a destination {} too: give "
                                    "each its own name",
                                    one.name));
    destinations.push_back(std::move(one));
  }
  return {};
}

base::Status check_external_labels(const std::map<std::string, std::string>& labels) {
  for (const auto& [name, value] : labels) {
    if (!model::valid_label_name(name) || name.starts_with("__"))
      return base::fail(ErrorCode::kInvalid, fmt::format("\"{}\" is no name for a label of one's own", name));
  }
  return {};
}

base::Result<std::vector<judge::rules::Group>> load_groups(Settings& settings, base::Files& files) {
  std::vector<judge::rules::Group> groups;
  const auto take = [&](std::string_view text, const std::string& name) -> base::Status {
    QD_ASSIGN(auto some, judge::rules::parse_rule_file(text, name, {.experimental = settings.query.experimental}));
    for (auto& group : some) groups.push_back(std::move(group));
    return {};
  };
  if (settings.rules.defaults) QD_TRY(take(judge::rules::default_rules_yaml(), std::string(kDefaultRulesName)));
  for (const auto* list : {&settings.rules.files, &settings.prometheus.rule_files}) {
    for (const auto& pattern : *list) {
      QD_ASSIGN(const auto names, matching_files(pattern));
      for (const auto& name : names) {
        // Prometheus starts without a rule file that is not there; one that our own configuration names must be.
        if (list == &settings.prometheus.rule_files && !files.exists(name).value_or(true)) {
          settings.warnings.push_back(fmt::format("{}: rule_files: there is no {}", settings.prometheus_file, name));
          continue;
        }
        QD_ASSIGN(const auto text, base::read_file(files, name, kFileBytesMax));
        QD_TRY(take(text, name));
      }
    }
  }
  return groups;
}

}  // namespace

void declare(Settings& settings) {
  auto& schema = settings.schema;
  schema.text("store.dir", settings.data_dir, "The data directory. One process at a time works in it.").only_at_start();
  schema.check("store.dir", [&settings]() -> base::Status {
    if (!settings.data_dir.empty()) return {};
    return base::fail(ErrorCode::kInvalid, "it is empty: name a directory, like \"./data\"");
  });
  schema
      .text("serve.external_url", settings.external_url,
            "How others reach this server: the beginning of links in notifications. Its own address when empty.")
      .only_at_start();
  serve::declare(schema, settings.serve);
  observe::declare(schema, settings.observe);
  schema
      .text_map("observe.external_labels", settings.external_labels,
                "Labels of this Quarterdeck among several: on what the built-in collectors give, and in alerts.")
      .only_at_start();
  schema.check("observe.external_labels", [&settings] { return check_external_labels(settings.external_labels); });
  schema.text("observe.prometheus_file", settings.prometheus_file,
              "A configuration file of Prometheus: what it scrapes and its rules.");
  schema.flag("observe.watch_files", settings.watch_files,
              "Whether this file, the Prometheus file, what it names and rule files are read anew when they change, as "
              "at a SIGHUP. One that is broken changes nothing and is told in the log.");
  observe::host::declare(schema, settings.host);
  observe::scrape::declare(schema, settings.scrape);
  declare(schema, settings.observers);
  serve::prometheus::declare(schema, settings.exporters);
  store::metrics::declare(schema, settings.store);
  schema
      .text("store.metrics.prometheus_dir", settings.prometheus_dir,
            "The data directory of a Prometheus, whose samples are served beside our own. Nothing is written there.")
      .only_at_start();
  query::promql::declare(schema, settings.query);
  query::running::declare(schema, settings.queries);
  declare_rules(schema, settings.rules);
  act::notify::declare(schema, settings.notify);
  ship::remote_write::declare(schema, settings.forward);
  ship::remote_write::declare(schema, settings.ship);
  serve::otlp::declare(schema, settings.otlp);
  ship::objects::declare(schema, settings.objects);
}

base::Result<std::vector<std::string>> matching_files(const std::string& pattern) {
  QD_ASSIGN(auto names, base::files_like(pattern, kMatchingFilesMax + 1));
  if (names.size() > kMatchingFilesMax)
    return base::fail(ErrorCode::kLimit, fmt::format("more than {} files are like {}: name fewer by one pattern",
                                                     kMatchingFilesMax, pattern));
  // A pattern may match nothing yet; a file that is named must be there.
  if (names.empty() && pattern.find_first_of("*?[") == std::string::npos) names.push_back(pattern);
  return names;
}

base::Result<std::shared_ptr<Settings>> load_settings(const Invocation& invocation, base::Files& files) {
  auto settings = std::make_shared<Settings>();
  declare(*settings);
  model::config::Sources sources;
  sources.files = &files;
  sources.environment = invocation.environment;
  sources.other_environment_names = {"QUARTERDECK_TOKEN"};  // of `quarterdeck query`
  sources.sets = invocation.sets;
  sources.flags = invocation.flags;
  if (!invocation.config_file.empty()) {
    QD_ASSIGN(const auto text, base::read_file(files, invocation.config_file, kFileBytesMax));
    QD_ASSIGN(sources.file, model::config::parse_yaml(text, invocation.config_file));
  }
  QD_TRY(settings->schema.load(sources));
  QD_ASSIGN(const DataPlace place, locate_data(files, settings->data_dir, settings->prometheus_dir));
  settings->data_dir = place.dir;
  settings->prometheus_dir = place.prometheus;
  QD_TRY(serve::check_exposure(settings->serve));
  const auto& forward = settings->forward;
  QD_TRY(ship::remote_write::check_files({forward.ca_file, forward.cert_file, forward.key_file}, "forward.tls", files));
  for (const auto& one : settings->ship.remote_write)
    QD_TRY(ship::remote_write::check_files({one.http.tls.ca_file, one.http.tls.cert_file, one.http.tls.key_file},
                                           fmt::format("ship.remote_write {}: tls_config", one.name), files));
  if (settings->exporters.ports != "off")
    QD_TRY(serve::check_reach(settings->serve, "exporters.bind", settings->exporters.bind + ":9100"));
  model::LabelBuilder labels;
  if (!settings->prometheus_file.empty()) {
    QD_ASSIGN(settings->prometheus, observe::scrape::load_prometheus_file(settings->prometheus_file));
    for (const auto& [name, value] : settings->prometheus.global.external_labels) labels.set(name, value);
    for (const auto& warning : settings->prometheus.warnings) settings->warnings.push_back(warning);
    if (const auto added = add_destinations(settings->prometheus, settings->ship.remote_write); !added)
      return base::fail(added.error().within(settings->prometheus_file));
    // The file's interval is for its rules as Prometheus has it, unless ours says otherwise.
    if (!settings->schema.is_set("judge.rules.evaluation_interval"))
      settings->rules.evaluation_interval_ms = settings->prometheus.global.evaluation_interval_ms;
    if (!settings->schema.is_set("judge.rules.query_offset"))
      settings->rules.query_offset_ms = settings->prometheus.global.rule_query_offset_ms;
  }
  for (const auto& [name, value] : settings->external_labels) labels.set(name, value);
  settings->observe.external_labels = labels.build();
  QD_ASSIGN(settings->groups, load_groups(*settings, files));
  QD_TRY(observe::probe::load(settings->observers.blackbox, files));
  return settings;
}

std::vector<std::string> keep_start_only(Settings& next, const Settings& running) {
  next.data_dir = running.data_dir;
  next.prometheus_dir = running.prometheus_dir;
  next.external_url = running.external_url;
  next.external_labels = running.external_labels;
  next.serve = running.serve;
  next.host = running.host;
  next.scrape = running.scrape;
  next.observers.containers = running.observers.containers;
  next.observers.gpu = running.observers.gpu;
  next.observers.discovery = running.observers.discovery;
  next.exporters = running.exporters;
  next.rules.restore = running.rules.restore;
  next.rules.concurrent_evaluations = running.rules.concurrent_evaluations;
  next.objects = running.objects;
  next.observe.instance = running.observe.instance;
  next.observe.external_labels = running.observe.external_labels;
  next.store.seal_interval_ms = running.store.seal_interval_ms;
  // Credentials and certificates belong to the receiver that they were checked with: those of the next one wait with
  // it.
  if (next.forward.url != running.forward.url) {
    next.forward = running.forward;
    auto changed = next.schema.keep_start_only(running.schema, "forward");
    // The schema compares what is shown, and of a URL that is not all.
    if (std::ranges::find(changed, "forward.url") == changed.end()) changed.emplace_back("forward.url");
    return changed;
  }
  next.forward.host = running.forward.host;
  next.forward.queue_bytes = running.forward.queue_bytes;
  return next.schema.keep_start_only(running.schema);
}

}  // namespace qd::cli
