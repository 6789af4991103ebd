// The steps a query is evaluated at, and a row: one value a step, a number or a histogram.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/histogram.h"
#include "model/sample.h"

namespace qd::query::promql {

struct Grid {
  model::TimestampMs start_ms = 0;
  std::int64_t step_ms = 1;
  std::size_t count = 1;

  model::TimestampMs at(std::size_t k) const { return start_ms + static_cast<std::int64_t>(k) * step_ms; }
  model::TimestampMs end_ms() const { return at(count - 1); }
};

// The first of [from, n) that is after `time`. Where samples are regular it is `stride` further on, or beside that, and
// nothing between is looked at.
inline std::size_t first_after(const model::TimestampMs* times, std::size_t from, std::size_t n,
                               model::TimestampMs time, std::size_t stride) {
  const std::size_t guess = from + stride;
  if (stride > 2 && guess <= n) {
    if (times[guess - 1] <= time) {
      from = guess;
    } else if (times[guess - 2] <= time) {
      return guess - 1;
    }
  }
  while (from < n && times[from] <= time) ++from;
  return from;
}

// A row has no value at a step: the stale marker, which no sample that a query sees can be.
inline constexpr double kAbsent = std::bit_cast<double>(model::kStaleNanBits);
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline bool is_absent(double value) {
  return std::bit_cast<std::uint64_t>(value) == model::kStaleNanBits;
}

using RowValues = std::vector<double>;

// The histograms of a row: empty where it has none, else one a step, null where there is none. The value of a step with
// a histogram is kAbsent, so that whoever looks at numbers alone passes over it, as PromQL does.
using HistogramColumn = std::vector<model::HistogramPtr>;
inline bool has_histogram(const HistogramColumn& column, std::size_t k) {
  return !column.empty() && column[k] != nullptr;
}

}  // namespace qd::query::promql
