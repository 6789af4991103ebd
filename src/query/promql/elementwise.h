// Functions and operators that look at one sample at a time.
#pragma once

#include <vector>

#include "base/result.h"
#include "query/promql/functions.h"
#include "query/promql/source.h"

namespace qd::query::promql {

// a op b for two numbers. Comparisons give 1 or 0.
double arithmetic(BinaryOp op, double a, double b);
bool compare(BinaryOp op, double a, double b);

// abs() up to year(): functions of FunctionId's first group except the timestamps. `parameters`: the scalar arguments.
base::Result<SourcePtr> make_function_source(Context& context, FunctionId id, SourcePtr inner, const Grid& grid,
                                             std::vector<RowValues> parameters);

// vector op scalar, or with `scalar_first` scalar op vector; `span` is where that stands.
base::Result<SourcePtr> make_scalar_operator(Context& context, BinaryOp op, bool return_bool, SourcePtr vector,
                                             RowValues scalar, bool scalar_first, Span span, const Grid& grid);

base::Result<SourcePtr> make_negation(Context& context, SourcePtr inner, const Grid& grid);

// timestamp() of what is no selector: the step's own time.
base::Result<SourcePtr> make_step_timestamps(Context& context, SourcePtr inner, const Grid& grid);

}  // namespace qd::query::promql
