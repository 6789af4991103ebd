// Where the buckets of a native histogram are, and how one layout is turned into another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/histogram.h"

namespace qd::model {

// The upper bound of bucket `index` of the positive side, which the negative side mirrors. Of the last buckets that fit
// a double: the largest finite number, then +Inf.
double exponential_bound(std::int64_t index, std::int32_t schema);
// -Inf below the first bucket, +Inf from the last one on.
double custom_bound(std::int64_t index, std::span<const double> bounds);
// That bound by the schema of the histogram.
double upper_bound(const Histogram& histogram, std::int64_t index);

// f(index, count) for each bucket of a side, in rising order of the index.
template <typename Counts, typename F>
void for_each_bucket(std::span<const BucketSpan> spans, Counts&& counts, F&& f) {
  std::int64_t index = 0;
  std::size_t at = 0;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length && at < counts.size(); ++i) f(index++, counts[at++]);
  }
}

// Buckets put together in rising order of their index; the same index again is added up.
class SideBuilder {
 public:
  void add(std::int64_t index, double count);
  void finish(std::vector<BucketSpan>& spans, std::vector<double>& counts) {
    spans = std::move(spans_);
    counts = std::move(counts_);
  }

 private:
  std::vector<BucketSpan> spans_;
  std::vector<double> counts_;
  std::int64_t last_ = 0;
};

bool same_layout(const Histogram& a, const Histogram& b);
bool same_buckets(std::span<const BucketSpan> a, std::span<const BucketSpan> b);

// The least zero threshold from `threshold` on that ends inside no bucket with observations in it.
double clear_threshold(const Histogram& histogram, double threshold);
// Moves all buckets that begin below `threshold` into the zero bucket. REQUIRES: a clear threshold of the histogram.
void widen_zero_bucket(Histogram& histogram, double threshold);
// Keeps of the custom bounds those in `bounds`, a subset of them.
void reduce_bounds(Histogram& histogram, const std::vector<double>& bounds);
std::vector<double> common_bounds(std::span<const double> a, std::span<const double> b);
// The buckets that either has.
std::vector<BucketSpan> united(std::span<const BucketSpan> a, std::span<const BucketSpan> b);
// Gives a side the buckets of `wider`, which has all of its own: the new ones are empty.
void spread(std::vector<BucketSpan>& spans, std::vector<double>& counts, const std::vector<BucketSpan>& wider);

}  // namespace qd::model
