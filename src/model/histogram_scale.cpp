#include "model/histogram_scale.h"

#include "base/assert.h"

namespace qd::model {
namespace {

// Gaps up to so many buckets are told as empty buckets: a span costs more than they do.
constexpr std::int32_t kBridgedMax = 2;

void reduce_side(std::vector<BucketSpan>& spans, std::vector<double>& counts, std::int32_t by) {
  std::vector<BucketSpan> new_spans;
  std::vector<double> new_counts;
  std::int32_t end = 0;
  std::int64_t index = 0;
  std::size_t at = 0;
  std::int32_t merged = 0;  // the bucket that is being summed up
  double sum = 0;
  bool open = false;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index) {
      // Bucket i ends at 2^(i / 2^n): those that end at or before 2^(j / 2^m) and after the one before are one.
      const auto target = static_cast<std::int32_t>(((index - 1) >> by) + 1);
      if (open && target != merged) {
        append_bucket(new_spans, new_counts, end, merged, sum);
        sum = 0;
      }
      open = true;
      merged = target;
      sum += counts[at++];
    }
  }
  if (open) append_bucket(new_spans, new_counts, end, merged, sum);
  spans = std::move(new_spans);
  counts = std::move(new_counts);
}

}  // namespace

void append_bucket(std::vector<BucketSpan>& spans, std::vector<double>& counts, std::int32_t& end, std::int32_t index,
                   double count) {
  if (spans.empty()) {
    spans.push_back({.offset = index, .length = 0});
  } else if (const std::int32_t gap = index - end; gap > kBridgedMax) {
    spans.push_back({.offset = gap, .length = 0});
  } else {
    for (std::int32_t i = 0; i < gap; ++i) {
      ++spans.back().length;
      counts.push_back(0);
    }
  }
  ++spans.back().length;
  counts.push_back(count);
  end = index + 1;
}

void coarsen(Histogram& histogram, std::int32_t schema) {
  const std::int32_t by = histogram.schema - schema;
  QD_ASSERT(by >= 0 && by < 64, std::to_string(by));
  if (by == 0) return;
  reduce_side(histogram.positive_spans, histogram.positive, by);
  reduce_side(histogram.negative_spans, histogram.negative, by);
  histogram.schema = schema;
}

}  // namespace qd::model
