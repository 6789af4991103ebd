// What dashboards and alerts for a Prometheus server read of its store and its configuration, under Prometheus's names,
// with its types and meanings, where we have a figure that means the same. (Scraping, discovery, rules, queries,
// notifications and remote write show theirs themselves.)
#pragma once

#include <functional>

#include "base/counters.h"
#include "model/sample.h"
#include "store/metrics/store.h"

namespace qd::cli {

struct ReloadFigures {
  bool succeeded = true;
  model::TimestampMs succeeded_ms = 0;  // the last that did
};

// How often blocks and log of a Prometheus directory were read anew.
struct DirectoryReadings {
  explicit DirectoryReadings(base::Registry& registry);
  base::Counter& all;
  base::Counter& failed;
};

// Everything outlives what `registry` is shown by. `reload` may be called from any thread.
void add_prometheus_names(base::Registry& registry, const store::metrics::Store& store,
                          const std::function<ReloadFigures()>& reload);

}  // namespace qd::cli
