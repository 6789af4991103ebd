// info(): adds to each series the labels of the info metrics (target_info and its like) of the same instance and job.
#pragma once

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/rows.h"

namespace qd::query::promql {

// `base_expr` is what gave `base`: info metrics are looked at with the offset and @ of a plain selector there. `wanted`
// names info metrics and labels, null for every label of target_info.
base::Result<Rows> add_info_labels(Context& context, const Expr& base_expr, Rows base, const VectorSelector* wanted,
                                   const Grid& grid);

}  // namespace qd::query::promql
