// The HTTP API of Prometheus, /api/v1, as Grafana and others speak it: parameters, JSON and error codes are the same.
//
// Source: Prometheus documentation, "HTTP API"; held to its OpenAPI description by the end-to-end tests.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/sample.h"
#include "query/promql/options.h"
#include "serve/prometheus/admin_api.h"
#include "serve/router.h"

namespace qd::judge::rules {
class Manager;
}
namespace qd::observe {
class CollectorRunner;
namespace probe {
class Probes;
}
namespace scrape {
class Manager;
}
}  // namespace qd::observe
namespace qd::query::running {
class Gate;
class Runner;
}  // namespace qd::query::running
namespace qd::store::metrics {
class Querier;
class Store;
}  // namespace qd::store::metrics

namespace qd::serve::prometheus {

// What the API shows. Everything outlives the router that it was added to; functions are called from any thread.
struct Sources {
  store::metrics::Store& store;
  const store::metrics::Querier& querier;  // what is asked for samples: the store, and what is read beside it
  query::running::Runner& queries;
  query::running::Gate& gate;
  const judge::rules::Manager& rules;
  const observe::scrape::Manager& scrapes;
  observe::CollectorRunner& collectors;
  observe::probe::Probes& probes;
  const base::Clock& clock;
  std::function<query::promql::QueryOptions()> query_options;
  std::function<std::string()> config_yaml;  // in force, without secrets
  std::vector<std::pair<std::string, std::string>> flags;
  std::function<std::uint64_t()> damaged_parts;                     // of the store, found since the start
  std::function<std::string()> retention;                           // "15d", "15d or 10GiB"
  std::function<std::vector<std::string>()> alertmanagers;          // URLs that alerts are posted to
  std::function<std::vector<std::string>()> dropped_alertmanagers;  // and those that relabelling dropped
  std::function<base::Status(const Principal&)> reload;
  std::function<bool()> reload_succeeded;
  TakeSnapshot snapshot;
  std::function<model::TimestampMs()> last_reload_ms;
  std::function<bool()> ready;
  model::TimestampMs started_ms = 0;
  std::string address = {};  // "http://127.0.0.1:9090", known once the server listens
};

// The points of one series that a range query may ask for.
inline constexpr std::int64_t kPointsMax = 11'000;

void add_query_routes(Router& router, const Sources& sources);
void add_exemplar_routes(Router& router, const Sources& sources);
void add_series_routes(Router& router, const Sources& sources);
void add_rule_routes(Router& router, const Sources& sources);
void add_target_routes(Router& router, const Sources& sources);
void add_status_routes(Router& router, const Sources& sources);
// /-/healthy, /-/ready, /-/reload.
void add_management_routes(Router& router, const Sources& sources);
// /metrics, /exporters/<name>/metrics and /exporters/blackbox/probe.
void add_exporter_routes(Router& router, const Sources& sources);

void add_routes(Router& router, const Sources& sources);

}  // namespace qd::serve::prometheus
