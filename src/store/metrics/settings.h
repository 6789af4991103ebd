// The section store.metrics of quarterdeck.yaml.
#pragma once

#include "model/config/schema.h"
#include "store/metrics/store.h"

namespace qd::store::metrics {

void declare(model::config::Schema& schema, StoreOptions& options);

}  // namespace qd::store::metrics
