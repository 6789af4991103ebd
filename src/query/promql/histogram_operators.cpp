#include "query/promql/histogram_operators.h"

#include <cmath>
#include <utility>

#include "model/histogram_arithmetic.h"
#include "model/histogram_estimates.h"
#include "query/promql/remarks.h"

namespace qd::query::promql {

namespace {

using model::Histogram;
using model::HistogramPtr;

HistogramPtr shared(Histogram histogram) {
  return std::make_shared<const Histogram>(std::move(histogram));
}

SampleValue added_up(Context& context, BinaryOp op, Span span, const Histogram& left, const Histogram& right) {
  const bool adds = op == BinaryOp::kAdd;
  const std::string_view operation = adds ? "addition" : "subtraction";
  Histogram out = left;
  const model::Joined joined = adds ? model::add(out, right) : model::subtract(out, right);
  if (!joined.compatible) {
    context.annotations().warn(remarks::mixed_exponential_and_custom({}), span);
    return {};
  }
  if (joined.resets_conflict) context.annotations().warn(remarks::conflicting_resets(operation), span);
  if (joined.bounds_reconciled) context.annotations().info(remarks::custom_buckets_reconciled(operation), span);
  // A difference may fall, whatever it is one of.
  if (!adds) out.reset = model::CounterReset::kGauge;
  model::compact(out);
  return {kAbsent, shared(std::move(out))};
}

SampleValue compared(BinaryOp op, bool return_bool, const SampleValue& left, const SampleValue& right) {
  const bool same = left.histogram == right.histogram || model::same_value(*left.histogram, *right.histogram);
  const bool holds = same == (op == BinaryOp::kEql);
  if (return_bool) return {holds ? 1.0 : 0.0};
  return holds ? left : SampleValue{};
}

SampleValue scaled(BinaryOp op, const Histogram& histogram, double number) {
  Histogram out = histogram;
  if (op == BinaryOp::kMul) {
    model::multiply(out, number);
  } else {
    model::divide(out, number);
  }
  model::compact(out);
  return {kAbsent, shared(std::move(out))};
}

double number_of(FunctionId id, const Histogram& histogram) {
  switch (id) {
    case FunctionId::kHistogramCount:
      return histogram.count;
    case FunctionId::kHistogramSum:
      return histogram.sum;
    case FunctionId::kHistogramAvg:
      return histogram.sum / histogram.count;
    case FunctionId::kHistogramStddev:
      return std::sqrt(model::variance(histogram));
    default:  // kHistogramStdvar
      return model::variance(histogram);
  }
}

}  // namespace

void HistogramOperator::refuse(bool left_histogram, bool right_histogram) const {
  const unsigned bit = 1U << ((left_histogram ? 2U : 0U) + (right_histogram ? 1U : 0U));
  if ((told_.load(std::memory_order_relaxed) & bit) != 0) return;
  told_.fetch_or(bit, std::memory_order_relaxed);
  context_.annotations().info(remarks::incompatible_types(op_, left_histogram, right_histogram), span_);
}

SampleValue HistogramOperator::apply(const SampleValue& left, const SampleValue& right) const {
  const bool both = left.histogram != nullptr && right.histogram != nullptr;
  switch (op_) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      if (both) return added_up(context_, op_, span_, *left.histogram, *right.histogram);
      break;
    case BinaryOp::kEql:
    case BinaryOp::kNeq:
      if (both) return compared(op_, return_bool_, left, right);
      break;
    case BinaryOp::kMul:
      if (both) break;
      return left.histogram != nullptr ? scaled(op_, *left.histogram, right.number)
                                       : scaled(op_, *right.histogram, left.number);
    case BinaryOp::kDiv:
      if (right.histogram == nullptr) return scaled(op_, *left.histogram, right.number);
      break;
    case BinaryOp::kTrimUpper:
    case BinaryOp::kTrimLower:
      if (right.histogram == nullptr) {
        return {kAbsent, shared(model::trimmed(*left.histogram, right.number, op_ == BinaryOp::kTrimUpper))};
      }
      break;
    default:
      break;
  }
  refuse(left.histogram != nullptr, right.histogram != nullptr);
  return {};
}

MapHistograms histograms_by_scalar(std::shared_ptr<const HistogramOperator> op, RowValues scalar, bool scalar_first) {
  return [op = std::move(op), scalar_first, numbers = std::move(scalar)](HistogramColumn& histograms,
                                                                         std::span<double>) {
    bool any = false;
    for (std::size_t k = 0; k < histograms.size(); ++k) {
      if (histograms[k] == nullptr) continue;
      const SampleValue number{numbers[k]};
      const SampleValue histogram{kAbsent, std::move(histograms[k])};
      histograms[k] = scalar_first ? op->apply(number, histogram).histogram : op->apply(histogram, number).histogram;
      any = any || histograms[k] != nullptr;
    }
    return any;
  };
}

base::Result<SourcePtr> make_histogram_function(Context& context, FunctionId id, SourcePtr inner, const Grid& grid) {
  return map_source(
      context, std::move(inner), grid, true, [](double, std::size_t) { return kAbsent; },
      [id](HistogramColumn& histograms, std::span<double> out) {
        bool any = false;
        for (std::size_t k = 0; k < histograms.size(); ++k) {
          if (histograms[k] == nullptr) continue;
          out[k] = number_of(id, *histograms[k]);
          any = true;
        }
        histograms.clear();
        return any;
      });
}

}  // namespace qd::query::promql
