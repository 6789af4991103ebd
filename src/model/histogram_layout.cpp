#include "model/histogram_layout.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qd::model {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargest = std::numeric_limits<double>::max();
// 2^1024 is the first power of two beyond the doubles.
constexpr double kExponentMax = 1024;

struct Interval {
  std::int64_t begin;
  std::int64_t end;
};

// `gap` behind the end of the spans, or from index 0 if there are none. The wire allows buckets so far apart that no
// one offset tells it: spans without buckets take the rest.
void append_span(std::vector<BucketSpan>& spans, std::int64_t gap, std::uint32_t length) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  while (gap < kLeast || gap > kMost) {
    const std::int64_t part = std::clamp(gap, kLeast, kMost);
    spans.push_back({static_cast<std::int32_t>(part), 0});
    gap -= part;
  }
  spans.push_back({static_cast<std::int32_t>(gap), length});
}

std::vector<Interval> intervals(std::span<const BucketSpan> spans) {
  std::vector<Interval> out;
  out.reserve(spans.size());
  std::int64_t index = 0;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    if (span.length > 0) out.push_back({index, index + span.length});
    index += span.length;
  }
  return out;
}

// The outer bound of the bucket that `threshold` ends in, if that has observations.
double past_bucket(const Histogram& histogram, std::span<const BucketSpan> spans, std::span<const double> counts,
                   double threshold) {
  double out = threshold;
  for_each_bucket(spans, counts, [&](std::int64_t index, double count) {
    if (count == 0 || exponential_bound(index - 1, histogram.schema) >= threshold) return;
    out = std::max(out, exponential_bound(index, histogram.schema));
  });
  return out;
}

void drop_below(const Histogram& histogram, std::vector<BucketSpan>& spans, std::vector<double>& counts,
                double threshold, double& zero_count) {
  SideBuilder kept;
  for_each_bucket(spans, counts, [&](std::int64_t index, double count) {
    if (exponential_bound(index - 1, histogram.schema) < threshold) {
      zero_count += count;
    } else {
      kept.add(index, count);
    }
  });
  kept.finish(spans, counts);
}

}  // namespace

double exponential_bound(std::int64_t index, std::int32_t schema) {
  const double exponent = std::ldexp(static_cast<double>(index), -schema);
  if (exponent == kExponentMax) return kLargest;
  if (exponent > kExponentMax) return kInfinity;
  const double whole = std::floor(exponent);
  return std::ldexp(std::exp2(exponent - whole), static_cast<int>(std::max(whole, -2000.0)));
}

double custom_bound(std::int64_t index, std::span<const double> bounds) {
  if (index < 0) return -kInfinity;
  return index < static_cast<std::int64_t>(bounds.size()) ? bounds[static_cast<std::size_t>(index)] : kInfinity;
}

double upper_bound(const Histogram& histogram, std::int64_t index) {
  return histogram.schema == kCustomBounds ? custom_bound(index, histogram.custom_bounds)
                                           : exponential_bound(index, histogram.schema);
}

void SideBuilder::add(std::int64_t index, double count) {
  if (spans_.empty()) {
    append_span(spans_, index, 1);
  } else if (index == last_) {
    counts_.back() += count;
    return;
  } else if (index == last_ + 1) {
    ++spans_.back().length;
  } else {
    append_span(spans_, index - last_ - 1, 1);
  }
  counts_.push_back(count);
  last_ = index;
}

bool same_buckets(std::span<const BucketSpan> a, std::span<const BucketSpan> b) {
  if (std::ranges::equal(a, b)) return true;
  // Spans without a length, and spans without a gap before them, say the same in other words.
  const auto merged = [](std::span<const BucketSpan> spans) {
    std::vector<Interval> out;
    for (const Interval& next : intervals(spans)) {
      if (!out.empty() && out.back().end == next.begin) {
        out.back().end = next.end;
      } else {
        out.push_back(next);
      }
    }
    return out;
  };
  return std::ranges::equal(merged(a), merged(b),
                            [](const Interval& x, const Interval& y) { return x.begin == y.begin && x.end == y.end; });
}

bool same_layout(const Histogram& a, const Histogram& b) {
  return a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.positive_spans == b.positive_spans &&
         a.negative_spans == b.negative_spans && a.custom_bounds == b.custom_bounds;
}

double clear_threshold(const Histogram& histogram, double threshold) {
  if (threshold == histogram.zero_threshold) return threshold;
  while (true) {
    const double next = std::max(past_bucket(histogram, histogram.positive_spans, histogram.positive, threshold),
                                 past_bucket(histogram, histogram.negative_spans, histogram.negative, threshold));
    if (next == threshold) return threshold;
    threshold = next;
  }
}

void widen_zero_bucket(Histogram& histogram, double threshold) {
  if (threshold == histogram.zero_threshold) return;
  drop_below(histogram, histogram.positive_spans, histogram.positive, threshold, histogram.zero_count);
  drop_below(histogram, histogram.negative_spans, histogram.negative, threshold, histogram.zero_count);
  histogram.zero_threshold = threshold;
}

void reduce_bounds(Histogram& histogram, const std::vector<double>& bounds) {
  SideBuilder kept;
  std::size_t to = 0;
  for_each_bucket(histogram.positive_spans, histogram.positive, [&](std::int64_t index, double count) {
    const double bound = custom_bound(index, histogram.custom_bounds);
    while (to < bounds.size() && bounds[to] < bound) ++to;
    kept.add(static_cast<std::int64_t>(to), count);
  });
  kept.finish(histogram.positive_spans, histogram.positive);
  histogram.custom_bounds = bounds;
}

std::vector<double> common_bounds(std::span<const double> a, std::span<const double> b) {
  std::vector<double> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

std::vector<BucketSpan> united(std::span<const BucketSpan> a, std::span<const BucketSpan> b) {
  std::vector<Interval> all = intervals(a);
  const std::vector<Interval> others = intervals(b);
  all.insert(all.end(), others.begin(), others.end());
  std::sort(all.begin(), all.end(), [](const Interval& x, const Interval& y) { return x.begin < y.begin; });
  std::vector<BucketSpan> out;
  std::int64_t begin = 0;
  std::int64_t end = 0;  // of what was put out
  const auto put = [&](const Interval& interval) {
    append_span(out, interval.begin - end, static_cast<std::uint32_t>(interval.end - interval.begin));
    begin = interval.begin;
    end = interval.end;
  };
  for (const Interval& interval : all) {
    if (out.empty() || interval.begin > end) {
      put(interval);
    } else if (interval.end > end) {
      end = interval.end;
      out.back().length = static_cast<std::uint32_t>(end - begin);
    }
  }
  return out;
}

void spread(std::vector<BucketSpan>& spans, std::vector<double>& counts, const std::vector<BucketSpan>& wider) {
  if (spans == wider) return;
  std::size_t total = 0;
  for (const BucketSpan& span : wider) total += span.length;
  std::vector<double> out(total, 0);
  const std::vector<Interval> places = intervals(wider);
  std::size_t at = 0;      // the interval that the bucket is in
  std::size_t before = 0;  // buckets in the intervals before it
  for_each_bucket(spans, counts, [&](std::int64_t index, double count) {
    while (index >= places[at].end) {
      before += static_cast<std::size_t>(places[at].end - places[at].begin);
      ++at;
    }
    out[before + static_cast<std::size_t>(index - places[at].begin)] = count;
  });
  spans = wider;
  counts = std::move(out);
}

}  // namespace qd::model
