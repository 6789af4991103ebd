#include "query/promql/histogram_rates.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "model/histogram_arithmetic.h"
#include "query/promql/remarks.h"

namespace qd::query::promql {

namespace {

using model::CounterReset;
using model::Histogram;
using model::HistogramPtr;
using model::TimestampMs;

bool is_gauge(const Histogram& histogram) {
  return histogram.reset == CounterReset::kGauge;
}

// Rates are gauges.
HistogramPtr finished(Histogram histogram) {
  histogram.reset = CounterReset::kGauge;
  histogram.is_integer = false;
  model::compact(histogram);
  return std::make_shared<const Histogram>(std::move(histogram));
}

// Histograms of a window, added up and told about. False where they do not go together. What they say of each other's
// resets is no conflict here: rates look at each reset themselves.
bool subtract(Histogram& from, const Histogram& other, const Remarker& remarker) {
  const model::Joined joined = model::subtract(from, other);
  if (!joined.compatible) remarker.warn(remarks::mixed_exponential_and_custom(remarker.metric()));
  if (joined.bounds_reconciled) remarker.info(remarks::custom_buckets_reconciled("subtraction"));
  return joined.compatible;
}
bool add(Histogram& to, const Histogram& other, const Remarker& remarker) {
  const model::Joined joined = model::add(to, other);
  if (!joined.compatible) remarker.warn(remarks::mixed_exponential_and_custom(remarker.metric()));
  if (joined.bounds_reconciled) remarker.info(remarks::custom_buckets_reconciled("addition"));
  return joined.compatible;
}

bool reset_at(const WindowView& view, std::size_t i, const Histogram& before) {
  return (view.starts != nullptr && started_anew(view, i)) || model::was_reset(before, *view.histograms[i]);
}

// No observations, in the buckets of `like`.
Histogram nothing(const Histogram& like) {
  Histogram out;
  out.schema = like.schema;
  out.custom_bounds = like.custom_bounds;
  return out;
}

class Window {
 public:
  Window(const WindowView& view, const HistogramTraits& traits, std::size_t low, std::size_t high, bool counter,
         const Remarker& remarker)
      : view_(view), traits_(traits), low_(low), high_(high), counter_(counter), remarker_(remarker) {}

  // From the first sample to the last, with what the counter lost at its resets.
  bool change(Histogram& out) const {
    tell_of_hints();
    // Where counting began anew behind the first sample, that one's buckets do not matter.
    const bool reset_first = counter_ && traits_.resets[low_ + 1];
    const Histogram instead = reset_first ? nothing(at(low_ + 1)) : Histogram();
    const Histogram& first = reset_first ? instead : at(low_);
    if (!traits_.one_kind && !same_kind(first)) return false;
    out = at(high_ - 1);
    out.is_integer = false;
    if (!traits_.one_schema && !model::has_custom_bounds(out)) model::reduce_schema(out, coarsest(first));
    if (!subtract(out, first, remarker_)) return false;
    if (!counter_) return true;
    for (std::size_t i = low_ + 1; i < high_; ++i) {
      if (view_.starts != nullptr) check_overlap(view_, i, remarker_);
      const bool counts = traits_.resets[i] && (i > low_ + 1 || !reset_first);
      if (counts && !add(out, at(i - 1), remarker_)) return false;
    }
    return true;
  }

 private:
  const Histogram& at(std::size_t i) const { return *view_.histograms[i]; }

  void tell_of_hints() const {
    if (!counter_) {
      if (!is_gauge(at(low_)) || !is_gauge(at(high_ - 1))) remarker_.warn(remarks::not_a_gauge(remarker_.metric()));
      return;
    }
    for (std::size_t i = low_; traits_.any_gauge && i < high_; ++i) {
      if (!is_gauge(at(i))) continue;
      remarker_.warn(remarks::not_a_counter(remarker_.metric()));
      return;
    }
  }

  // All samples that count have exponential buckets, or all have custom ones.
  bool same_kind(const Histogram& first) const {
    const bool custom = model::has_custom_bounds(first);
    for (std::size_t i = counter_ ? low_ + 1 : high_ - 1; i < high_; ++i) {
      if (model::has_custom_bounds(at(i)) == custom) continue;
      remarker_.warn(remarks::mixed_exponential_and_custom(remarker_.metric()));
      return false;
    }
    return true;
  }

  std::int32_t coarsest(const Histogram& first) const {
    std::int32_t schema = std::min(first.schema, at(high_ - 1).schema);
    for (std::size_t i = low_ + 1; counter_ && i < high_; ++i) schema = std::min(schema, at(i).schema);
    return schema;
  }

  const WindowView& view_;
  const HistogramTraits& traits_;
  const std::size_t low_;
  const std::size_t high_;
  const bool counter_;
  const Remarker& remarker_;
};

// --- anchored and smoothed

class ExtendedWindow {
 public:
  ExtendedWindow(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, bool smoothed, bool counter,
                 const Remarker& remarker)
      : view_(view),
        first_(low),
        last_(high - 1),
        begin_(view.begin(k)),
        end_(view.end(k)),
        smoothed_(smoothed),
        counter_(counter),
        remarker_(remarker) {}

  bool change(Histogram& out) const {
    if (!fits()) return false;
    const HistogramPtr left = smoothed_ && view_.times[first_] < begin_ ? between(first_, begin_) : at(first_);
    const HistogramPtr right =
        smoothed_ && last_ > first_ && view_.times[last_] > end_ ? between(last_ - 1, end_) : at(last_);
    if (left == nullptr || right == nullptr) return false;
    if (!counter_ && (!is_gauge(*left) || !is_gauge(*right))) remarker_.warn(remarks::not_a_gauge(remarker_.metric()));
    out = *right;
    if (!subtract(out, *left, remarker_)) return false;
    return !counter_ || add_resets(*left, *right, out);
  }

 private:
  const HistogramPtr& at(std::size_t i) const { return view_.histograms[i]; }

  HistogramPtr between(std::size_t i, TimestampMs time) const {
    return interpolate_histograms(remarker_, {at(i), view_.times[i], at(i + 1), view_.times[i + 1]}, time, counter_);
  }

  bool fits() const {
    bool gauge = false;
    for (std::size_t i = first_; i <= last_; ++i) {
      if (model::has_custom_bounds(*at(i)) != model::has_custom_bounds(*at(first_))) {
        remarker_.warn(remarks::mixed_exponential_and_custom(remarker_.metric()));
        return false;
      }
      gauge = gauge || is_gauge(*at(i));
    }
    if (counter_ && gauge) remarker_.warn(remarks::not_a_counter(remarker_.metric()));
    return true;
  }

  // The samples at the edges stand in `left` and `right`, and what was interpolated over a reset has that in it
  // already.
  bool add_resets(const Histogram& left, const Histogram& right, Histogram& out) const {
    if (first_ == last_) return true;
    std::size_t next = first_ + 1;
    const Histogram* before = &left;
    if (smoothed_ && view_.times[first_] < begin_ && model::was_reset(*at(first_), *at(next))) {
      before = at(next).get();
      ++next;
    }
    if (next > last_) return true;
    for (; next < last_; ++next) {
      if (model::was_reset(*before, *at(next)) && !add(out, *before, remarker_)) return false;
      before = at(next).get();
    }
    return !model::was_reset(*before, right) || add(out, *before, remarker_);
  }

  const WindowView& view_;
  const std::size_t first_;
  const std::size_t last_;
  const TimestampMs begin_;
  const TimestampMs end_;
  const bool smoothed_;
  const bool counter_;
  const Remarker& remarker_;
};

}  // namespace

HistogramPtr interpolate_histograms(const Remarker& remarker, const HistogramPair& pair, TimestampMs time,
                                    bool counter) {
  if (time == pair.left_ms) return pair.left;
  if (time == pair.right_ms) return pair.right;
  if (model::has_custom_bounds(*pair.left) != model::has_custom_bounds(*pair.right)) {
    remarker.warn(remarks::mixed_exponential_and_custom(remarker.metric()));
    return nullptr;
  }
  const double part = static_cast<double>(time - pair.left_ms) / static_cast<double>(pair.right_ms - pair.left_ms);
  Histogram out = *pair.right;
  if (counter && model::was_reset(*pair.left, *pair.right)) {
    model::multiply(out, part);
    return std::make_shared<const Histogram>(std::move(out));
  }
  if (!subtract(out, *pair.left, remarker)) return nullptr;
  model::multiply(out, part);
  if (!add(out, *pair.left, remarker)) return nullptr;
  return std::make_shared<const Histogram>(std::move(out));
}

HistogramTraits::HistogramTraits(const WindowView& view) : resets(view.n) {
  const Histogram* first = nullptr;
  for (std::size_t i = 0; i < view.n; ++i) {
    const Histogram* now = view.histograms[i].get();
    if (now == nullptr) continue;
    if (first == nullptr) first = now;
    any_gauge = any_gauge || is_gauge(*now);
    one_kind = one_kind && model::has_custom_bounds(*now) == model::has_custom_bounds(*first);
    one_schema = one_schema && now->schema == first->schema;
    if (i > 0 && view.histograms[i - 1] != nullptr) resets[i] = reset_at(view, i, *view.histograms[i - 1]);
  }
}

HistogramPtr histogram_rate(FunctionId id, const WindowView& view, const HistogramTraits& traits, std::size_t low,
                            std::size_t high, std::size_t k, const Remarker& remarker) {
  const bool counter = id != FunctionId::kDelta;
  const bool per_second = id == FunctionId::kRate;
  const auto start = counter ? start_inside(view, low, k) : std::nullopt;
  if (high - low < 2 && !start) return nullptr;
  Histogram change = nothing(*view.histograms[low]);
  if (high - low > 1 && !Window(view, traits, low, high, counter, remarker).change(change)) return nullptr;
  double factor = 0;
  if (start) {
    if (!add(change, *view.histograms[low], remarker)) return nullptr;
    factor = factor_since(view, low, high, k, *start, per_second);
  } else {
    factor = extrapolation_factor(view, low, high, k, {counter, per_second, view.histograms[low]->count, change.count});
  }
  model::multiply(change, factor);
  return finished(std::move(change));
}

HistogramPtr histogram_instant_rate(FunctionId id, const WindowView& view, std::size_t high, const Remarker& remarker) {
  const bool per_second = id == FunctionId::kIrate;
  const Histogram& before = *view.histograms[high - 2];
  const Histogram& last = *view.histograms[high - 1];
  if (per_second && (is_gauge(before) || is_gauge(last))) remarker.warn(remarks::not_a_counter(remarker.metric()));
  if (!per_second && (!is_gauge(before) || !is_gauge(last))) remarker.warn(remarks::not_a_gauge(remarker.metric()));
  Histogram out = last;
  if (!per_second || !reset_at(view, high - 1, before)) {
    if (!subtract(out, before, remarker)) return nullptr;
  }
  if (per_second) model::divide(out, static_cast<double>(view.times[high - 1] - view.times[high - 2]) / 1000);
  return finished(std::move(out));
}

HistogramPtr extended_histogram_rate(FunctionId id, const WindowView& view, std::size_t low, std::size_t high,
                                     std::size_t k, bool smoothed, const Remarker& remarker) {
  Histogram change;
  const bool counter = id != FunctionId::kDelta;
  if (!ExtendedWindow(view, low, high, k, smoothed, counter, remarker).change(change)) return nullptr;
  if (id == FunctionId::kRate) model::divide(change, static_cast<double>(view.range_ms) / 1000);
  return finished(std::move(change));
}

}  // namespace qd::query::promql
