// A query as the tree that /api/v1/parse_query shows: the names of Prometheus's tree view.
#pragma once

#include "query/promql/ast.h"
#include "serve/json.h"

namespace qd::serve::prometheus {

// One JSON value. A duration that is no literal is 0, as nobody knows it yet.
void write_tree(JsonWriter& json, const query::promql::Expr& expr);

}  // namespace qd::serve::prometheus
