// The section query of quarterdeck.yaml.
#pragma once

#include "model/config/schema.h"
#include "query/promql/options.h"

namespace qd::query::promql {

void declare(model::config::Schema& schema, QueryOptions& options);

}  // namespace qd::query::promql
