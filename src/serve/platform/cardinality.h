// Where the series come from, for the page and whoever must find what grew: what status/tsdb of the Prometheus API
// tells, and by job and target, for which its description has no place.
//
// GET /api/platform/v1/cardinality?limit=N (10 when it is not there, 10,000 at most):
// {"status":"success","data":{"series",
// "seriesLimit","labelPairs","labelNames","jobs","targets","byMetric","byJob","byPair":[{"name","series"}],
// "byTarget":[{"job","instance","series"}],"byLabel":[{"name","values","bytes"}]}}. The largest first; byLabel has the
// labels with the most values.
#pragma once

#include "serve/router.h"
#include "store/metrics/store.h"

namespace qd::serve::platform {

// The store outlives the router.
void add_cardinality_route(Router& router, const store::metrics::Store& store);

}  // namespace qd::serve::platform
