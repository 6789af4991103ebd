// Operators between two instant vectors: which series meets which, and what comes of it.
//
// Labels do not change over time, so series are matched once, then values step by step. Whether a match is ambiguous is
// still decided at each step, as it depends on which series have a value there.
#pragma once

#include "base/result.h"
#include "query/promql/ast.h"
#include "query/promql/rows.h"

namespace qd::query::promql {

// and, or, unless
base::Result<Rows> set_operation(Context& context, const BinaryExpr& expr, Rows left, Rows right, const Grid& grid);

// Arithmetic and comparisons; kInvalid names the label set where more than one series matches.
base::Result<Rows> match_vectors(Context& context, const BinaryExpr& expr, Rows left, Rows right, const Grid& grid);

}  // namespace qd::query::promql
