// Everything that quarterdeck.yaml and the files that it names say: one immutable value.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "act/notify/settings.h"
#include "base/files.h"
#include "cli/invocation.h"
#include "cli/observers.h"
#include "judge/rules/alert_states.h"
#include "judge/rules/rule.h"
#include "model/config/schema.h"
#include "observe/host/host.h"
#include "observe/runner.h"
#include "observe/scrape/config.h"
#include "observe/scrape/loop.h"
#include "query/promql/options.h"
#include "query/running/settings.h"
#include "serve/auth.h"
#include "serve/otlp/metrics_api.h"
#include "serve/prometheus/drop_in.h"
#include "ship/objects/settings.h"
#include "ship/remote_write/destination.h"
#include "ship/remote_write/settings.h"
#include "store/metrics/store.h"

namespace qd::cli {

struct RuleSettings {
  bool defaults = true;
  std::vector<std::string> files;
  std::int64_t evaluation_interval_ms = 15'000;
  std::int64_t query_offset_ms = 0;
  judge::rules::RestoreOptions restore;
  std::int64_t concurrent_evaluations = 4;
};

struct Settings {
  std::string data_dir = "data";
  std::string prometheus_dir;  // read beside it; empty for none
  std::string external_url;
  std::map<std::string, std::string> external_labels;
  std::string prometheus_file;
  bool watch_files = true;
  serve::ServeSettings serve;
  observe::RunnerOptions observe;
  observe::host::HostOptions host;
  observe::scrape::ScrapeOptions scrape;
  ObserverSettings observers;
  serve::prometheus::ExporterSettings exporters;
  store::metrics::StoreOptions store;
  query::promql::QueryOptions query;
  query::running::RunnerSettings queries;
  RuleSettings rules;
  act::notify::NotifySettings notify;
  ship::remote_write::ForwardSettings forward;
  ship::remote_write::ShipSettings ship;
  serve::otlp::OtlpSettings otlp;
  ship::objects::ObjectSettings objects;

  // What the files named above hold.
  observe::scrape::PrometheusFile prometheus;
  std::vector<judge::rules::Group> groups;
  // What was passed over, as Prometheus does.
  std::vector<std::string> warnings;

  // Every setting as declared and in force.
  model::config::Schema schema;
};

// Declares every section there is; `settings` outlives the loading of its schema.
void declare(Settings& settings);

// Reads everything, checks everything, changes nothing. kInvalid with every fault found.
base::Result<std::shared_ptr<Settings>> load_settings(const Invocation& invocation, base::Files& files);

// For a reload: what only a start applies stays in `next` as it runs. Gives the paths of what differed.
std::vector<std::string> keep_start_only(Settings& next, const Settings& running);

// Names that stand for files: a pattern of the last path component (`*`, `?`, `[…]`), as rule_files has them.
base::Result<std::vector<std::string>> matching_files(const std::string& pattern);

}  // namespace qd::cli
