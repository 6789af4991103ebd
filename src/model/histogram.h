// A native histogram: one sample that holds a whole distribution in buckets of exponential or of given bounds.
//
// Source: the specification "Native Histograms" of Prometheus (prometheus.io/docs/specs/native_histograms). Buckets are
// told sparsely: spans say which are there, and the counts follow in their order. A standard schema n has 2^n buckets a
// power of two: bucket i ends at 2^(i / 2^n), inclusive, on the positive side, and mirrored on the negative. With
// kCustomBounds bucket i ends at custom_bounds[i], the last one at +Inf, and there is no zero bucket and no negative
// side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace qd::model {

inline constexpr std::int32_t kSchemaMin = -4;
inline constexpr std::int32_t kSchemaMax = 8;
inline constexpr std::int32_t kCustomBounds = -53;
// Finer ones come from the wire at times: they are to be brought down to kSchemaMax before they are stored.
inline constexpr std::int32_t kSchemaOnWireMax = 52;
inline constexpr std::size_t kHistogramBucketsMax = 65'536;

// Buckets that stand side by side. `offset`: of the first span its first bucket's index, then the gap to the span
// before.
struct BucketSpan {
  std::int32_t offset = 0;
  std::uint32_t length = 0;
  bool operator==(const BucketSpan&) const = default;
};

// What is known of the sample before it.
enum class CounterReset : std::uint8_t {
  kUnknown,
  kReset,     // counting began anew
  kNotReset,  // it counted on
  kGauge,     // it does not count: it may go down
};

struct Histogram {
  std::int32_t schema = 0;
  CounterReset reset = CounterReset::kUnknown;
  // Came with integer counts, and goes out so. The counts are exact in a double up to 2^53.
  bool is_integer = false;
  double zero_threshold = 0;  // observations in [-zero_threshold, zero_threshold] are in the zero bucket
  double zero_count = 0;
  double count = 0;  // of observations, NaN among them
  double sum = 0;
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  // Observations in each bucket, not up to it.
  std::vector<double> positive;
  std::vector<double> negative;
  std::vector<double> custom_bounds;  // rising, finite

  // By bits, so that NaN equals itself; it does not look at `reset`.
  bool operator==(const Histogram& other) const;
};
using HistogramPtr = std::shared_ptr<const Histogram>;

// kInvalid says what breaks the specification: a schema that is none, spans that do not fit their buckets, negative
// counts, more in buckets than `count`, bounds that do not rise; kLimit past kHistogramBucketsMax.
base::Status validate(const Histogram& histogram);

}  // namespace qd::model
