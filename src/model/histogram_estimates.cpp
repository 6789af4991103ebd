#include "model/histogram_estimates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/kahan.h"
#include "base/strings.h"
#include "model/histogram_arithmetic.h"
#include "model/histogram_layout.h"

namespace qd::model {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

HistogramBucket zero_bucket(const Histogram& h) {
  return {-h.zero_threshold, h.zero_threshold, true, true, h.zero_count};
}

HistogramBucket positive_bucket(const Histogram& h, std::int64_t index, double count) {
  HistogramBucket bucket{upper_bound(h, index - 1), upper_bound(h, index), false, true, count};
  if (has_custom_bounds(h)) {
    bucket.lower_inclusive = index == 0;
  } else if (bucket.lower < h.zero_threshold) {
    bucket.lower = std::min(h.zero_threshold, bucket.upper);
  }
  return bucket;
}

HistogramBucket negative_bucket(const Histogram& h, std::int64_t index, double count) {
  HistogramBucket bucket{-upper_bound(h, index), -upper_bound(h, index - 1), true, false, count};
  if (bucket.upper > -h.zero_threshold) bucket.upper = std::max(-h.zero_threshold, bucket.lower);
  return bucket;
}

bool is_zero_bucket(const Histogram& h, const HistogramBucket& bucket) {
  return !has_custom_bounds(h) && bucket.lower <= 0 && bucket.upper >= 0;
}

// Where its observations are taken to lie. The zero bucket of a histogram with positive buckets alone has none below
// zero, and the other way round; the first custom bucket begins at zero if it ends above.
HistogramBucket assumed(const Histogram& h, HistogramBucket bucket) {
  if (has_custom_bounds(h)) {
    if (bucket.lower == -kInfinity && bucket.upper > 0 && bucket.upper < kInfinity) bucket.lower = 0;
  } else if (bucket.lower < 0 && bucket.upper > 0) {
    if (h.negative.empty() && !h.positive.empty()) bucket.lower = 0;
    if (h.positive.empty() && !h.negative.empty()) bucket.upper = 0;
  }
  return bucket;
}

// The part of the bucket's observations below `value`, which is inside it.
double part_below(const Histogram& h, const HistogramBucket& bucket, double value) {
  const bool linear = has_custom_bounds(h) || is_zero_bucket(h, bucket);
  if (linear) return (value - bucket.lower) / (bucket.upper - bucket.lower);
  if (std::isinf(bucket.lower)) return 1;
  if (std::isinf(bucket.upper)) return 0;
  const double width = std::log2(std::fabs(bucket.upper)) - std::log2(std::fabs(bucket.lower));
  return (std::log2(std::fabs(value)) - std::log2(std::fabs(bucket.lower))) / width;
}

// The value that `part` of the bucket's observations lies below.
double value_at(const Histogram& h, const HistogramBucket& bucket, double part) {
  if (has_custom_bounds(h) || is_zero_bucket(h, bucket)) return bucket.lower + (bucket.upper - bucket.lower) * part;
  const double lower = std::log2(std::fabs(bucket.lower));
  const double upper = std::log2(std::fabs(bucket.upper));
  const double value = std::exp2(lower + (upper - lower) * part);
  return bucket.lower > 0 ? value : -value;
}

// What an observation between the two counts as.
double middle(const Histogram& h, bool linear, double lower, double upper) {
  if (has_custom_bounds(h) || linear) {
    if (std::isinf(lower)) return upper;
    if (std::isinf(upper)) return lower;
    return (lower + upper) / 2;
  }
  if (std::isinf(upper)) return lower;
  if (std::isinf(lower)) return upper;
  const double value = std::sqrt(lower * upper);
  return upper <= 0 ? -value : value;
}

// --- trimming

// What is left of a bucket: `count` observations that count as `value` each.
struct Rest {
  double count = 0;
  double value = 0;
};

Rest rest_below(const Histogram& h, const HistogramBucket& whole, double bound) {
  const HistogramBucket bucket = assumed(h, whole);
  const bool linear = is_zero_bucket(h, whole);
  if (bucket.upper <= bound) return {whole.count, middle(h, linear, bucket.lower, bucket.upper)};
  // Nothing is known of how observations lie in a bucket without an end.
  if (bucket.lower >= bound || bucket.upper == kInfinity) return {};
  if (bucket.lower == -kInfinity) return {whole.count, bound};
  return {whole.count * part_below(h, bucket, bound), middle(h, linear, bucket.lower, bound)};
}

Rest rest_above(const Histogram& h, const HistogramBucket& whole, double bound) {
  const HistogramBucket bucket = assumed(h, whole);
  const bool linear = is_zero_bucket(h, whole);
  // The first custom bucket may reach below the bound, whatever is assumed inside it.
  const bool reaches_below = whole.lower == -kInfinity && bound > -kInfinity && (bucket.lower != 0 || bound < 0);
  if (reaches_below || bucket.upper <= bound) return {};
  if (bucket.lower >= bound) return {whole.count, middle(h, linear, bucket.lower, bucket.upper)};
  if (bucket.upper == kInfinity) return {whole.count, bound};
  return {whole.count * (1 - part_below(h, bucket, bound)), middle(h, linear, bound, bucket.upper)};
}

class Trimmer {
 public:
  Trimmer(const Histogram& histogram, double bound, bool below) : from_(histogram), bound_(bound), below_(below) {}

  Histogram run() {
    Histogram out = from_;
    out.is_integer = false;
    side(out.positive_spans, out.positive, positive_bucket);
    side(out.negative_spans, out.negative, negative_bucket);
    if (out.zero_count != 0) out.zero_count = left(zero_bucket(from_));
    if (!changed_) return from_;
    out.count = count_.value();
    out.sum = sum_.value();
    compact(out);
    return out;
  }

 private:
  using MakeBucket = HistogramBucket (*)(const Histogram&, std::int64_t, double);

  void side(const std::vector<BucketSpan>& spans, std::vector<double>& counts, MakeBucket make) {
    for_each_bucket(spans, counts, [&](std::int64_t index, double& count) {
      if (count != 0) count = left(make(from_, index, count));
    });
  }

  double left(const HistogramBucket& bucket) {
    Rest rest;
    if (!std::isnan(bound_)) rest = below_ ? rest_below(from_, bucket, bound_) : rest_above(from_, bucket, bound_);
    changed_ = changed_ || rest.count != bucket.count;
    count_.add(rest.count);
    if (rest.count != 0) sum_.add(rest.count * rest.value);
    return rest.count;
  }

  const Histogram& from_;
  const double bound_;
  const bool below_;
  bool changed_ = false;
  base::KahanSum count_;
  base::KahanSum sum_;
};

}  // namespace

std::vector<HistogramBucket> populated_buckets(const Histogram& histogram) {
  std::vector<HistogramBucket> out;
  for_each_bucket(histogram.negative_spans, histogram.negative, [&](std::int64_t index, double count) {
    if (count != 0) out.push_back(negative_bucket(histogram, index, count));
  });
  std::reverse(out.begin(), out.end());
  if (histogram.zero_count != 0) out.push_back(zero_bucket(histogram));
  for_each_bucket(histogram.positive_spans, histogram.positive, [&](std::int64_t index, double count) {
    if (count != 0) out.push_back(positive_bucket(histogram, index, count));
  });
  return out;
}

bool has_nan_observations(const Histogram& histogram) {
  return std::isnan(histogram.sum) && histogram.count > 0;
}

double quantile(double q, const Histogram& histogram) {
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  if (std::isnan(q) || histogram.count == 0) return kNan;
  std::vector<HistogramBucket> buckets = populated_buckets(histogram);
  // From the near end, which loses less; but observations of NaN are beyond all buckets.
  const bool from_above = !std::isnan(histogram.sum) && q >= 0.5;
  if (from_above) std::reverse(buckets.begin(), buckets.end());
  const double wanted = (from_above ? 1 - q : q) * histogram.count;
  double passed = 0;
  HistogramBucket bucket;
  for (const HistogramBucket& next : buckets) {
    bucket = next;
    passed += next.count;
    if (passed >= wanted) break;
  }
  if (passed < wanted || buckets.empty()) return kNan;
  passed = std::min(passed, histogram.count);
  if (has_custom_bounds(histogram)) {
    if (bucket.lower == -kInfinity && bucket.upper <= 0) return bucket.upper;
    if (bucket.upper == kInfinity) return bucket.lower == -kInfinity ? 0 : bucket.lower;
  }
  const double inside = from_above ? passed - wanted : wanted - (passed - bucket.count);
  return value_at(histogram, assumed(histogram, bucket), inside / bucket.count);
}

double fraction(double lower, double upper, const Histogram& histogram) {
  if (histogram.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNan;
  if (lower >= upper) return 0;
  const std::vector<HistogramBucket> buckets = populated_buckets(histogram);
  const auto below = [&](double value) {
    double passed = 0;
    for (const HistogramBucket& whole : buckets) {
      const HistogramBucket bucket = assumed(histogram, whole);
      if (bucket.lower >= value) break;
      if (bucket.upper > value) {
        if (bucket.upper == kInfinity) break;
        passed += bucket.lower == -kInfinity ? bucket.count : bucket.count * part_below(histogram, bucket, value);
        break;
      }
      passed += bucket.count;
    }
    return std::min(passed, histogram.count);
  };
  return (below(upper) - below(lower)) / histogram.count;
}

double variance(const Histogram& histogram) {
  const double mean = histogram.sum / histogram.count;
  base::KahanSum squares;
  for (const HistogramBucket& bucket : populated_buckets(histogram)) {
    double value = 0;
    if (has_custom_bounds(histogram)) {
      value = (bucket.lower + bucket.upper) / 2;
    } else if (!is_zero_bucket(histogram, bucket)) {
      value = std::sqrt(bucket.lower * bucket.upper);
      if (bucket.upper < 0) value = -value;
    }
    squares.add(bucket.count * (value - mean) * (value - mean));
  }
  return squares.value() / histogram.count;
}

Histogram trimmed(const Histogram& histogram, double bound, bool below) {
  return Trimmer(histogram, bound, below).run();
}

std::string to_string(const Histogram& histogram) {
  std::string out =
      fmt::format("{{count:{}, sum:{}", base::format_float(histogram.count), base::format_float(histogram.sum));
  for (const HistogramBucket& bucket : populated_buckets(histogram)) {
    out += fmt::format(", {}{},{}{}:{}", bucket.lower_inclusive ? '[' : '(', base::format_float(bucket.lower),
                       base::format_float(bucket.upper), bucket.upper_inclusive ? ']' : ')',
                       base::format_float(bucket.count));
  }
  return out + "}";
}

}  // namespace qd::model
