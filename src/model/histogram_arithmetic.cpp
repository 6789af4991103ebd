#include "model/histogram_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <unordered_map>

#include "base/assert.h"
#include "base/kahan.h"
#include "model/histogram_layout.h"

namespace qd::model {

namespace {

std::size_t bucket_count(std::span<const BucketSpan> spans) {
  std::size_t total = 0;
  for (const BucketSpan& span : spans) total += span.length;
  return total;
}

void reduce_side(std::vector<BucketSpan>& spans, std::vector<double>& counts, int shift) {
  SideBuilder kept;
  for_each_bucket(spans, counts,
                  [&](std::int64_t index, double count) { kept.add(((index - 1) >> shift) + 1, count); });
  kept.finish(spans, counts);
}

// A histogram that is read as it came as long as that will do, and copied once it has to be changed.
class Operand {
 public:
  explicit Operand(const Histogram& histogram) : at_(&histogram) {}
  const Histogram& get() const { return *at_; }
  Histogram& change() {
    if (at_ != &copy_) copy_ = *at_;
    at_ = &copy_;
    return copy_;
  }

 private:
  Histogram copy_;
  const Histogram* at_;
};

void for_both(Histogram& first, Histogram* second, const std::function<void(Histogram&)>& f) {
  f(first);
  if (second != nullptr) f(*second);
}

void align_schemas(Histogram& to, Histogram* compensation, Operand& other) {
  if (to.schema > other.get().schema) {
    for_both(to, compensation, [&](Histogram& h) { reduce_schema(h, other.get().schema); });
  } else if (to.schema < other.get().schema) {
    reduce_schema(other.change(), to.schema);
  }
}

void align_zero_buckets(Histogram& to, Histogram* compensation, Operand& other) {
  if (to.zero_threshold == other.get().zero_threshold) return;
  double threshold = std::max(to.zero_threshold, other.get().zero_threshold);
  while (true) {
    const double next = std::max(clear_threshold(to, threshold), clear_threshold(other.get(), threshold));
    if (next == threshold) break;
    threshold = next;
  }
  for_both(to, compensation, [&](Histogram& h) { widen_zero_bucket(h, threshold); });
  if (other.get().zero_threshold != threshold) widen_zero_bucket(other.change(), threshold);
}

// True when the bounds differed.
bool align_bounds(Histogram& to, Histogram* compensation, Operand& other) {
  if (to.custom_bounds == other.get().custom_bounds) return false;
  const std::vector<double> bounds = common_bounds(to.custom_bounds, other.get().custom_bounds);
  for_both(to, compensation, [&](Histogram& h) { reduce_bounds(h, bounds); });
  reduce_bounds(other.change(), bounds);
  return true;
}

void align_buckets(Histogram& to, Histogram* compensation, Operand& other) {
  std::vector<BucketSpan> positive = united(to.positive_spans, other.get().positive_spans);
  std::vector<BucketSpan> negative = united(to.negative_spans, other.get().negative_spans);
  while (to.schema > kSchemaMin &&
         (bucket_count(positive) > kHistogramBucketsMax || bucket_count(negative) > kHistogramBucketsMax)) {
    const std::int32_t coarser = to.schema - 1;
    for_both(to, compensation, [&](Histogram& h) { reduce_schema(h, coarser); });
    reduce_schema(other.change(), coarser);
    positive = united(to.positive_spans, other.get().positive_spans);
    negative = united(to.negative_spans, other.get().negative_spans);
  }
  const auto widen = [&](Histogram& h) {
    spread(h.positive_spans, h.positive, positive);
    spread(h.negative_spans, h.negative, negative);
  };
  for_both(to, compensation, widen);
  if (other.get().positive_spans != positive || other.get().negative_spans != negative) widen(other.change());
}

// Gives both (and `compensation`, laid out as `to`) the same buckets.
Joined align(Histogram& to, Histogram* compensation, Operand& other) {
  Joined out;
  if (same_layout(to, other.get())) return out;
  if (has_custom_bounds(to) != has_custom_bounds(other.get())) {
    out.compatible = false;
    return out;
  }
  if (has_custom_bounds(to)) {
    out.bounds_reconciled = align_bounds(to, compensation, other);
  } else {
    align_schemas(to, compensation, other);
    align_zero_buckets(to, compensation, other);
  }
  align_buckets(to, compensation, other);
  return out;
}

// What is known of a sum's counting from what is known of its parts. True when they contradict each other.
bool join_hints(CounterReset& to, CounterReset other) {
  if (to == other || to == CounterReset::kGauge) return false;
  if (other == CounterReset::kGauge) {
    to = CounterReset::kGauge;
    return false;
  }
  const bool conflict = to != CounterReset::kUnknown && other != CounterReset::kUnknown;
  to = CounterReset::kUnknown;
  return conflict;
}

// Calls f(of a, of b) for each component of two histograms of one layout.
template <typename A, typename B, typename F>
void for_components(A& a, B& b, F&& f) {
  f(a.zero_count, b.zero_count);
  f(a.count, b.count);
  f(a.sum, b.sum);
  for (std::size_t i = 0; i < a.positive.size(); ++i) f(a.positive[i], b.positive[i]);
  for (std::size_t i = 0; i < a.negative.size(); ++i) f(a.negative[i], b.negative[i]);
}

template <typename F>
void for_components(Histogram& h, F&& f) {
  f(h.zero_count);
  f(h.count);
  f(h.sum);
  for (double& count : h.positive) f(count);
  for (double& count : h.negative) f(count);
}

template <typename F>
Joined combine(Histogram& to, const Histogram& other, F&& f) {
  Operand operand(other);
  Joined out = align(to, nullptr, operand);
  if (!out.compatible) return out;
  out.resets_conflict = join_hints(to.reset, other.reset);
  to.is_integer = to.is_integer && other.is_integer;
  for_components(to, operand.get(), f);
  return out;
}

void compact_side(std::vector<BucketSpan>& spans, std::vector<double>& counts) {
  const bool tight = std::none_of(counts.begin(), counts.end(), [](double c) { return c == 0; }) &&
                     std::none_of(spans.begin(), spans.end(), [](const BucketSpan& s) { return s.length == 0; }) &&
                     std::none_of(spans.begin() + (spans.empty() ? 0 : 1), spans.end(),
                                  [](const BucketSpan& s) { return s.offset == 0; });
  if (tight) return;
  SideBuilder kept;
  for_each_bucket(spans, counts, [&](std::int64_t index, double count) {
    if (count != 0) kept.add(index, count);
  });
  kept.finish(spans, counts);
}

// Whether a bucket of `previous` has more in it than the same one of `current`.
bool side_fell(std::span<const BucketSpan> previous_spans, std::span<const double> previous,
               std::span<const BucketSpan> current_spans, std::span<const double> current) {
  if (std::ranges::equal(previous_spans, current_spans)) {
    for (std::size_t i = 0; i < previous.size(); ++i) {
      if (current[i] < previous[i]) return true;
    }
    return false;
  }
  std::unordered_map<std::int64_t, double> now;
  for_each_bucket(current_spans, current, [&](std::int64_t index, double count) { now[index] = count; });
  bool fell = false;
  for_each_bucket(previous_spans, previous, [&](std::int64_t index, double count) {
    const auto found = now.find(index);
    fell = fell || (found == now.end() ? count != 0 : found->second < count);
  });
  return fell;
}

bool fell(const Histogram& previous, const Histogram& current) {
  return current.zero_count < previous.zero_count ||
         side_fell(previous.positive_spans, previous.positive, current.positive_spans, current.positive) ||
         side_fell(previous.negative_spans, previous.negative, current.negative_spans, current.negative);
}

void add_kahan(Histogram& sum, Histogram& compensation, const Histogram& value) {
  const auto step = [](double& s, double& c, double v) {
    base::KahanSum total{s, c};
    total.add(v);
    s = total.sum;
    c = total.compensation;
  };
  step(sum.zero_count, compensation.zero_count, value.zero_count);
  step(sum.count, compensation.count, value.count);
  step(sum.sum, compensation.sum, value.sum);
  for (std::size_t i = 0; i < sum.positive.size(); ++i)
    step(sum.positive[i], compensation.positive[i], value.positive[i]);
  for (std::size_t i = 0; i < sum.negative.size(); ++i)
    step(sum.negative[i], compensation.negative[i], value.negative[i]);
}

Histogram empty_as(const Histogram& histogram) {
  Histogram out = histogram;
  for_components(out, [](double& v) { v = 0; });
  return out;
}

}  // namespace

void reduce_schema(Histogram& histogram, std::int32_t schema) {
  QD_ASSERT(schema <= histogram.schema && schema >= kSchemaMin, "a histogram's resolution only falls");
  if (schema == histogram.schema) return;
  const int shift = histogram.schema - schema;
  reduce_side(histogram.positive_spans, histogram.positive, shift);
  reduce_side(histogram.negative_spans, histogram.negative, shift);
  histogram.schema = schema;
}

Joined add(Histogram& to, const Histogram& other) {
  return combine(to, other, [](double& a, double b) { a += b; });
}

Joined subtract(Histogram& from, const Histogram& other) {
  return combine(from, other, [](double& a, double b) { a -= b; });
}

void multiply(Histogram& histogram, double factor) {
  for_components(histogram, [factor](double& v) { v *= factor; });
  histogram.is_integer = false;
  if (factor < 0) histogram.reset = CounterReset::kGauge;
}

void divide(Histogram& histogram, double divisor) {
  if (divisor == 0) {
    histogram.positive_spans.clear();
    histogram.negative_spans.clear();
    histogram.positive.clear();
    histogram.negative.clear();
  }
  for_components(histogram, [divisor](double& v) { v /= divisor; });
  histogram.is_integer = false;
  if (divisor < 0) histogram.reset = CounterReset::kGauge;
}

void compact(Histogram& histogram) {
  compact_side(histogram.positive_spans, histogram.positive);
  compact_side(histogram.negative_spans, histogram.negative);
}

bool was_reset(const Histogram& previous, const Histogram& current) {
  if (current.reset == CounterReset::kReset) return true;
  if (current.reset == CounterReset::kNotReset) return false;
  if (current.count < previous.count) return true;
  if (same_layout(previous, current)) return fell(previous, current);
  if (has_custom_bounds(previous) != has_custom_bounds(current)) return true;
  Histogram before = previous;
  if (has_custom_bounds(current)) {
    if (before.custom_bounds == current.custom_bounds) return fell(before, current);
    Histogram now = current;
    const std::vector<double> bounds = common_bounds(before.custom_bounds, now.custom_bounds);
    reduce_bounds(before, bounds);
    reduce_bounds(now, bounds);
    return fell(before, now);
  }
  // Finer buckets and a narrower zero bucket come with a new start alone, and so does a zero bucket that ends inside a
  // bucket with observations.
  if (current.schema > before.schema || current.zero_threshold < before.zero_threshold) return true;
  if (clear_threshold(before, current.zero_threshold) != current.zero_threshold) return true;
  widen_zero_bucket(before, current.zero_threshold);
  reduce_schema(before, current.schema);
  return fell(before, current);
}

bool same_value(const Histogram& a, const Histogram& b) {
  if (!same_buckets(a.positive_spans, b.positive_spans) || !same_buckets(a.negative_spans, b.negative_spans)) {
    return false;
  }
  // The rest is what == compares.
  const auto stripped = [](const Histogram& h) {
    Histogram out;
    out.schema = h.schema;
    out.zero_threshold = h.zero_threshold;
    out.zero_count = h.zero_count;
    out.count = h.count;
    out.sum = h.sum;
    out.positive = h.positive;
    out.negative = h.negative;
    out.custom_bounds = h.custom_bounds;
    return out;
  };
  return stripped(a) == stripped(b);
}

std::size_t memory_bytes(const Histogram& histogram) {
  return sizeof(Histogram) + (histogram.positive_spans.size() + histogram.negative_spans.size()) * sizeof(BucketSpan) +
         (histogram.positive.size() + histogram.negative.size() + histogram.custom_bounds.size()) * sizeof(double);
}

// --- HistogramSum

void HistogramSum::note_hint(CounterReset hint) {
  reset_seen_ = reset_seen_ || hint == CounterReset::kReset;
  not_reset_seen_ = not_reset_seen_ || hint == CounterReset::kNotReset;
}

bool HistogramSum::add(const Histogram& value) {
  if (empty()) {
    sum_ = value;
    sum_.is_integer = false;
  } else {
    if (count_ == 1) compensation_ = empty_as(sum_);
    Operand operand(value);
    const Joined joined = align(sum_, &compensation_, operand);
    if (!joined.compatible) return false;
    bounds_reconciled_ = bounds_reconciled_ || joined.bounds_reconciled;
    join_hints(sum_.reset, value.reset);
    add_kahan(sum_, compensation_, operand.get());
  }
  note_hint(value.reset);
  ++count_;
  return true;
}

bool HistogramSum::add(const HistogramSum& other) {
  if (other.empty()) return true;
  if (empty()) {
    *this = other;
    return true;
  }
  if (count_ == 1) compensation_ = empty_as(sum_);
  for (const Histogram* part : {&other.sum_, &other.compensation_}) {
    if (part == &other.compensation_ && other.count_ < 2) continue;
    Operand operand(*part);
    const Joined joined = align(sum_, &compensation_, operand);
    if (!joined.compatible) return false;
    bounds_reconciled_ = bounds_reconciled_ || joined.bounds_reconciled;
    add_kahan(sum_, compensation_, operand.get());
  }
  join_hints(sum_.reset, other.sum_.reset);
  count_ += other.count_;
  bounds_reconciled_ = bounds_reconciled_ || other.bounds_reconciled_;
  reset_seen_ = reset_seen_ || other.reset_seen_;
  not_reset_seen_ = not_reset_seen_ || other.not_reset_seen_;
  return true;
}

bool HistogramSum::overflowed() const {
  const auto infinite = [](double v) { return std::isinf(v); };
  return infinite(sum_.zero_count) || infinite(sum_.count) || infinite(sum_.sum) ||
         std::any_of(sum_.positive.begin(), sum_.positive.end(), infinite) ||
         std::any_of(sum_.negative.begin(), sum_.negative.end(), infinite);
}

Histogram HistogramSum::value() const {
  return divided(1);
}

Histogram HistogramSum::divided(double divisor) const {
  Histogram out = sum_;
  if (count_ > 1) {
    for_components(out, compensation_, [divisor](double& sum, double compensation) {
      sum = std::isinf(sum) ? sum / divisor : sum / divisor + compensation / divisor;
    });
  } else {
    for_components(out, [divisor](double& v) { v /= divisor; });
  }
  compact(out);
  return out;
}

void HistogramSum::scale(double factor) {
  for_components(sum_, [factor](double& v) { v *= factor; });
  if (count_ > 1) for_components(compensation_, [factor](double& v) { v *= factor; });
}

// --- HistogramMean

bool HistogramMean::add(const Histogram& value) {
  count_ += 1;
  if (!running_) {
    if (count_ == 1) return sum_.add(value);
    HistogramSum next = sum_;
    if (!next.add(value)) return false;
    if (!next.overflowed()) {
      sum_ = std::move(next);
      return true;
    }
    running_ = true;
    sum_.scale(1 / (count_ - 1));
  }
  sum_.scale((count_ - 1) / count_);
  Histogram share = value;
  for_components(share, [this](double& v) { v /= count_; });
  return sum_.add(share);
}

Histogram HistogramMean::value() const {
  return sum_.divided(running_ ? 1 : count_);
}

}  // namespace qd::model
