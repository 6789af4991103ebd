#include "query/promql/histogram_fold.h"

#include <algorithm>
#include <utility>

#include "query/promql/remarks.h"

namespace qd::query::promql {

base::Status HistogramFold::charge(Context& context, Step& step, const model::Histogram& added) {
  // A sum and its compensation, each at least as large as the largest of what was added.
  const std::uint64_t samples = 2 * model::memory_bytes(added) / kBytesPerSample;
  if (samples <= step.charged) return {};
  QD_ASSIGN(Charge more, context.charge(samples - step.charged));
  step.charged = samples;
  if (charge_ == nullptr) charge_ = std::make_shared<Charge>();
  charge_->absorb(std::move(more));
  return {};
}

void HistogramFold::mixed(Context& context, Step& step, std::string_view metric, Span span) const {
  step.compatible = false;
  context.annotations().warn(remarks::mixed_exponential_and_custom(metric), span);
}

base::Status HistogramFold::add(Context& context, const HistogramColumn& column, std::string_view metric, Span span) {
  if (steps_.empty()) {
    steps_.resize(column.size());
    metric_ = metric;
  }
  for (std::size_t k = 0; k < column.size(); ++k) {
    if (column[k] == nullptr) continue;
    if (steps_[k] == nullptr) steps_[k] = std::make_shared<Step>();
    Step& step = *steps_[k];
    if (!step.compatible) continue;
    QD_TRY(charge(context, step, *column[k]));
    if (!step.sum.add(*column[k])) mixed(context, step, metric, span);
  }
  return {};
}

void HistogramFold::absorb(Context& context, HistogramFold&& later, Span span) {
  if (steps_.empty()) {
    *this = std::move(later);
    return;
  }
  for (std::size_t k = 0; k < later.steps_.size(); ++k) {
    if (later.steps_[k] == nullptr) continue;
    if (steps_[k] == nullptr) {
      steps_[k] = std::move(later.steps_[k]);
      continue;
    }
    Step& step = *steps_[k];
    step.compatible = step.compatible && later.steps_[k]->compatible;
    if (step.compatible && !step.sum.add(later.steps_[k]->sum)) mixed(context, step, later.metric_, span);
  }
  if (later.charge_ == nullptr) return;
  if (charge_ == nullptr) charge_ = std::make_shared<Charge>();
  charge_->absorb(std::move(*later.charge_));
}

model::HistogramPtr HistogramFold::divided(Context& context, std::size_t k, double divisor, Span span) const {
  const Step& step = *steps_[k];
  if (!step.compatible) return nullptr;
  if (step.sum.resets_conflict()) context.annotations().warn(remarks::conflicting_resets("aggregation"), span);
  if (step.sum.bounds_reconciled()) context.annotations().info(remarks::custom_buckets_reconciled("aggregation"), span);
  return std::make_shared<const model::Histogram>(step.sum.divided(divisor));
}

bool HistogramFold::overflowed() const {
  return std::any_of(steps_.begin(), steps_.end(),
                     [](const auto& step) { return step != nullptr && step->compatible && step->sum.overflowed(); });
}

void HistogramMeans::add(const HistogramColumn& column) {
  if (steps_.empty()) steps_.resize(column.size());
  for (std::size_t k = 0; k < column.size(); ++k) {
    if (column[k] == nullptr) continue;
    if (steps_[k] == nullptr) steps_[k] = std::make_shared<model::HistogramMean>();
    // What does not go together has been told already.
    steps_[k]->add(*column[k]);
  }
}

model::HistogramPtr HistogramMeans::value(std::size_t k) const {
  if (steps_.empty() || steps_[k] == nullptr) return nullptr;
  return std::make_shared<const model::Histogram>(steps_[k]->value());
}

}  // namespace qd::query::promql
