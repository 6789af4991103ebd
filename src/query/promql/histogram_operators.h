// Operators and functions of one sample where it is a native histogram.
#pragma once

#include <atomic>
#include <memory>

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

// An operator of a query, where histograms may be among its operands. It tells once, not for every sample, that two do
// not go together. Any thread.
class HistogramOperator {
 public:
  HistogramOperator(Context& context, BinaryOp op, bool return_bool, Span span)
      : context_(context), op_(op), return_bool_(return_bool), span_(span) {}

  // left op right: a number, a histogram, or nothing.
  SampleValue apply(const SampleValue& left, const SampleValue& right) const;
  // Tells of two that have no result.
  void refuse(bool left_histogram, bool right_histogram) const;

 private:
  Context& context_;
  const BinaryOp op_;
  const bool return_bool_;
  const Span span_;
  mutable std::atomic<unsigned> told_{0};  // a bit for each pair of operands
};

// What map_source does with the histograms of `vector op scalar`, or with `scalar_first` of `scalar op vector`.
MapHistograms histograms_by_scalar(std::shared_ptr<const HistogramOperator> op, RowValues scalar, bool scalar_first);

// histogram_count and its like: a number of each histogram, nothing of a number.
base::Result<SourcePtr> make_histogram_function(Context& context, FunctionId id, SourcePtr inner, const Grid& grid);

}  // namespace qd::query::promql
