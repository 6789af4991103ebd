#include "observe/scrape/histograms.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "model/histogram_arithmetic.h"

namespace qd::observe::scrape {

using base::ErrorCode;
using model::BucketSpan;
using model::Histogram;

namespace {

base::Status check_fit(const std::vector<BucketSpan>& spans, const std::vector<double>& counts) {
  std::uint64_t named = 0;
  for (const BucketSpan& span : spans) named += span.length;
  if (named == counts.size()) return {};
  return base::fail(ErrorCode::kInvalid,
                    fmt::format("its spans name {} buckets, and there are {}", named, counts.size()));
}

}  // namespace

base::Status bring_down(Histogram& histogram, std::uint64_t buckets_max, double factor_min) {
  if (histogram.schema == model::kCustomBounds) {
    if (buckets_max > 0 && histogram.positive.size() > buckets_max)
      return base::fail(ErrorCode::kLimit, "it has more buckets than native_histogram_bucket_limit allows");
    return {};
  }
  if (histogram.schema < model::kSchemaMin || histogram.schema > model::kSchemaOnWireMax)
    return base::fail(ErrorCode::kInvalid, fmt::format("there is no schema {}", histogram.schema));
  QD_TRY(check_fit(histogram.positive_spans, histogram.positive));
  QD_TRY(check_fit(histogram.negative_spans, histogram.negative));
  while (true) {
    const bool too_fine = histogram.schema > model::kSchemaMax && histogram.schema <= model::kSchemaOnWireMax;
    const bool too_near = factor_min > 1 && std::exp2(std::exp2(-histogram.schema)) < factor_min;
    const bool too_many = buckets_max > 0 && histogram.positive.size() + histogram.negative.size() > buckets_max;
    if (!too_fine && !too_many && !too_near) return {};
    if (histogram.schema <= model::kSchemaMin) {
      if (!too_many) return {};
      return base::fail(ErrorCode::kLimit, "it has more buckets than native_histogram_bucket_limit allows");
    }
    model::reduce_schema(histogram, histogram.schema - 1);
  }
}

}  // namespace qd::observe::scrape
