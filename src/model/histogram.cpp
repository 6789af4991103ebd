#include "model/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace qd::model {
namespace {

using base::ErrorCode;

// Integers add up exactly; sums of fractions may end a little beside.
constexpr double kRelativeSlack = 1e-12;

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return same(x, y); });
}

base::Status check_spans(const char* side, std::span<const BucketSpan> spans, std::span<const double> counts) {
  std::uint64_t told = 0;
  std::int64_t index = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0 && spans[i].offset < 0) {
      return base::fail(ErrorCode::kInvalid, fmt::format("span {} of the {} buckets begins {} before the end of the "
                                                         "span in front of it",
                                                         i + 1, side, -static_cast<std::int64_t>(spans[i].offset)));
    }
    index += spans[i].offset;
    index += spans[i].length;
    told += spans[i].length;
    if (index > std::numeric_limits<std::int32_t>::max()) {
      return base::fail(ErrorCode::kInvalid, fmt::format("the {} buckets end beyond any index", side));
    }
  }
  if (told != counts.size()) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the spans of the {} side are of {} buckets, and {} are given",
                                                       side, told, counts.size()));
  }
  if (counts.size() > kHistogramBucketsMax) {
    return base::fail(ErrorCode::kLimit, fmt::format("{} buckets on the {} side: there may be {}", counts.size(), side,
                                                     kHistogramBucketsMax));
  }
  const auto bad = std::ranges::find_if(counts, [](double count) { return count < 0; });
  if (bad != counts.end()) {
    return base::fail(ErrorCode::kInvalid, fmt::format("bucket {} of the {} side has a negative count: {}",
                                                       bad - counts.begin() + 1, side, *bad));
  }
  return {};
}

base::Status check_custom_bounds(const Histogram& histogram) {
  if (histogram.zero_count != 0 || histogram.zero_threshold != 0 || !histogram.negative.empty() ||
      !histogram.negative_spans.empty()) {
    return base::fail(ErrorCode::kInvalid, "a histogram of custom bounds has a zero bucket or a negative side");
  }
  const std::vector<double>& bounds = histogram.custom_bounds;
  if (bounds.size() > kHistogramBucketsMax) {
    return base::fail(ErrorCode::kLimit,
                      fmt::format("{} custom bounds: there may be {}", bounds.size(), kHistogramBucketsMax));
  }
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (!std::isfinite(bounds[i]))
      return base::fail(ErrorCode::kInvalid, fmt::format("custom bound {} is {}: +Inf is not told", i + 1, bounds[i]));
    if (i > 0 && bounds[i] <= bounds[i - 1]) {
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("custom bounds do not rise: {} comes after {}", bounds[i], bounds[i - 1]));
    }
  }
  std::int64_t end = 0;
  for (const BucketSpan& span : histogram.positive_spans) {
    if (end == 0 && span.offset < 0)
      return base::fail(ErrorCode::kInvalid, "a histogram of custom bounds has buckets before the first bound");
    end += span.offset;
    end += span.length;
  }
  if (end > static_cast<std::int64_t>(bounds.size()) + 1) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} custom bounds make {} buckets, and the spans reach to bucket {}", bounds.size(),
                                  bounds.size() + 1, end));
  }
  return {};
}

}  // namespace

bool Histogram::operator==(const Histogram& other) const {
  return schema == other.schema && is_integer == other.is_integer && same(zero_threshold, other.zero_threshold) &&
         same(zero_count, other.zero_count) && same(count, other.count) && same(sum, other.sum) &&
         positive_spans == other.positive_spans && negative_spans == other.negative_spans &&
         same(positive, other.positive) && same(negative, other.negative) && same(custom_bounds, other.custom_bounds);
}

base::Status validate(const Histogram& histogram) {
  if (histogram.schema == kCustomBounds) {
    QD_TRY(check_custom_bounds(histogram));
  } else if (histogram.schema < kSchemaMin || histogram.schema > kSchemaMax) {
    return base::fail(ErrorCode::kInvalid, fmt::format("schema {} of a histogram: there are {} to {}, and {}",
                                                       histogram.schema, kSchemaMin, kSchemaMax, kCustomBounds));
  } else if (!histogram.custom_bounds.empty()) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("a histogram of schema {} has custom bounds as well", histogram.schema));
  }
  if (!(histogram.zero_threshold >= 0) || std::isinf(histogram.zero_threshold)) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("the zero bucket of a histogram reaches to {}", histogram.zero_threshold));
  }
  if (histogram.zero_count < 0 || histogram.count < 0) {
    return base::fail(ErrorCode::kInvalid, fmt::format("a negative count: {} observations, {} in the zero bucket",
                                                       histogram.count, histogram.zero_count));
  }
  QD_TRY(check_spans("positive", histogram.positive_spans, histogram.positive));
  QD_TRY(check_spans("negative", histogram.negative_spans, histogram.negative));
  const double in_buckets =
      std::accumulate(histogram.negative.begin(), histogram.negative.end(),
                      std::accumulate(histogram.positive.begin(), histogram.positive.end(), histogram.zero_count));
  // Observations of NaN are in no bucket.
  const double most = histogram.count * (1 + (histogram.is_integer ? 0 : kRelativeSlack));
  if (in_buckets > most || (!std::isnan(histogram.sum) && histogram.is_integer && in_buckets != histogram.count)) {
    return base::fail(ErrorCode::kInvalid,
                      fmt::format("{} observations are in buckets, and the count is {}", in_buckets, histogram.count));
  }
  return {};
}

}  // namespace qd::model
