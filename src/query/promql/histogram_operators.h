// Operators and functions of one sample where it is a native histogram.
#pragma once

#include "base/result.h"
#include "model/histogram.h"
#include "query/promql/ast.h"
#include "query/promql/functions.h"
#include "query/promql/grid.h"
#include "query/promql/map_source.h"
#include "query/promql/source.h"

namespace qd::query::promql {

// A sample's value: a histogram, or a number where that is null.
struct SampleValue {
  double number = kAbsent;
  model::HistogramPtr histogram = nullptr;
};

// left op right, of which at least one is a histogram: a number, a histogram, or nothing. What does not go together is
// told as an annotation.
SampleValue histogram_operation(Context& context, BinaryOp op, bool return_bool, Span span, const SampleValue& left,
                                const SampleValue& right);

// What map_source does with the histograms of `vector op scalar`, or with `scalar_first` of `scalar op vector`.
MapHistograms histograms_by_scalar(Context& context, BinaryOp op, bool return_bool, Span span, RowValues scalar,
                                   bool scalar_first);

// histogram_count and its like: a number of each histogram, nothing of a number.
base::Result<SourcePtr> make_histogram_function(Context& context, FunctionId id, SourcePtr inner, const Grid& grid);

}  // namespace qd::query::promql
