#include "observe/scrape/settings.h"

namespace qd::observe::scrape {

void declare(model::config::Schema& schema, ScrapeOptions& options) {
  schema.section("observe.scrape", "How the targets of the Prometheus file are read.");
  schema
      .choice("observe.scrape.openmetrics", options.openmetrics, {"strict", "lenient"},
              "Whether OpenMetrics pages must keep all rules of their format (families in one piece, counters that do "
              "not fall below zero, histograms that add up), or only lines are judged, as Prometheus does.")
      .only_at_start();
}

}  // namespace qd::observe::scrape
