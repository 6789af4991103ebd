// Whether an answer to a part of a range query may be put together with answers to its other parts.
#pragma once

#include "query/promql/ast.h"

namespace qd::query::running {

// True where the value at a step is the same whatever range it is asked in, and depends on no sample newer than the
// step. Not so: @ (start() and end() are those of the whole query, a fixed time may lie ahead), a negative offset,
// experimental syntax and functions, and what fails for two series that look the same although at no step both have a
// value: label_replace, label_join, and a window function over several metrics.
bool cacheable(const promql::Expr& expr);

}  // namespace qd::query::running
