// POST and PUT /api/v1/admin/tsdb/…, as Prometheus has them:
//
// - delete_series?match[]=…&start=…&end=…: 204 once they are gone for every reader.
// - clean_tombstones: 204 once no file holds what was deleted.
// - snapshot?skip_head=…: 200, {"status":"success","data":{"name":…}}.
//
// They act on the store, so they need a real principal in place of Prometheus's --web.enable-admin-api. Errors are
// those of the API: 400 bad_data for parameters, 422 execution where a limit is met.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "serve/router.h"

namespace qd::store::metrics {
class Store;
}

namespace qd::serve::prometheus {

// Makes a snapshot and returns its name; called from any thread.
using TakeSnapshot = std::function<base::Result<std::string>(bool skip_head)>;

// The store outlives the router.
void add_admin_routes(Router& router, store::metrics::Store& store, TakeSnapshot snapshot);

}  // namespace qd::serve::prometheus
