// Histograms folded into a group's row by sum and avg, one series after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/histogram_arithmetic.h"
#include "query/promql/ast.h"
#include "query/promql/context.h"
#include "query/promql/grid.h"

namespace qd::query::promql {

// A sum a step. Costs nothing until a histogram comes.
class HistogramFold {
 public:
  // `metric` names the series in annotations.
  base::Status add(Context& context, const HistogramColumn& column, std::string_view metric, Span span);
  // That of a later part of the same group, which is used up.
  void absorb(Context& context, HistogramFold&& later, Span span);

  bool has(std::size_t k) const { return !steps_.empty() && steps_[k] != nullptr; }
  // REQUIRES: has(k). The sum divided by `divisor`; null where histograms of the step did not go together.
  model::HistogramPtr divided(Context& context, std::size_t k, double divisor, Span span) const;
  // How many histograms step k has.
  std::size_t size(std::size_t k) const { return has(k) ? steps_[k]->sum.size() : 0; }
  // A sum passed the largest double.
  bool overflowed() const;

 private:
  struct Step {
    model::HistogramSum sum;
    bool compatible = true;
    std::uint64_t charged = 0;  // in samples
  };
  base::Status charge(Context& context, Step& step, const model::Histogram& added);
  void mixed(Context& context, Step& step, std::string_view metric, Span span) const;

  std::vector<std::shared_ptr<Step>> steps_;
  std::string metric_;
  std::shared_ptr<Charge> charge_;
};

// The averages of steps whose sums pass the largest double.
class HistogramMeans {
 public:
  void add(const HistogramColumn& column);
  // Null where there are none, or none that go together.
  model::HistogramPtr value(std::size_t k) const;

 private:
  std::vector<std::shared_ptr<model::HistogramMean>> steps_;
};

}  // namespace qd::query::promql
