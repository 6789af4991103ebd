#include "observe/scrape/histograms.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace qd::observe::scrape {

using base::ErrorCode;
using model::BucketSpan;
using model::Histogram;

namespace {

// Bucket i of a resolution is part of bucket ceil(i / 2) of the next coarser one.
base::Status halve(std::vector<BucketSpan>& spans, std::vector<double>& counts) {
  std::vector<BucketSpan> out_spans;
  std::vector<double> out;
  std::int64_t index = 0;
  std::int64_t last = 0;
  std::size_t at = 0;
  bool first = true;
  for (const BucketSpan& span : spans) {
    index += span.offset;
    if (span.length > counts.size() - at)
      return base::fail(ErrorCode::kInvalid, "its spans name more buckets than there are");
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++at) {
      const std::int64_t coarse = (index + 1) >> 1;  // rounds to -inf, so this is ceil(index / 2)
      if (!first && coarse == last) {
        out.back() += counts[at];
        continue;
      }
      const std::int64_t gap = first ? coarse : coarse - last - 1;
      if (first || gap != 0) out_spans.push_back({.offset = static_cast<std::int32_t>(gap), .length = 0});
      ++out_spans.back().length;
      out.push_back(counts[at]);
      last = coarse;
      first = false;
    }
  }
  if (at != counts.size()) return base::fail(ErrorCode::kInvalid, "its spans name fewer buckets than there are");
  spans = std::move(out_spans);
  counts = std::move(out);
  return {};
}

}  // namespace

base::Status bring_down(Histogram& histogram, std::uint64_t buckets_max, double factor_min) {
  if (histogram.schema == model::kCustomBounds) {
    if (buckets_max > 0 && histogram.positive.size() > buckets_max)
      return base::fail(ErrorCode::kLimit, "it has more buckets than native_histogram_bucket_limit allows");
    return {};
  }
  while (true) {
    const bool too_fine = histogram.schema > model::kSchemaMax && histogram.schema <= model::kSchemaOnWireMax;
    const bool too_near = factor_min > 1 && std::exp2(std::exp2(-histogram.schema)) < factor_min;
    const bool too_many = buckets_max > 0 && histogram.positive.size() + histogram.negative.size() > buckets_max;
    if (!too_fine && !too_many && !too_near) return {};
    if (histogram.schema <= model::kSchemaMin) {
      if (!too_many) return {};
      return base::fail(ErrorCode::kLimit, "it has more buckets than native_histogram_bucket_limit allows");
    }
    QD_TRY(halve(histogram.positive_spans, histogram.positive));
    QD_TRY(halve(histogram.negative_spans, histogram.negative));
    --histogram.schema;
  }
}

}  // namespace qd::observe::scrape
