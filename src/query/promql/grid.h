// The steps a query is evaluated at, and a row: one value a step.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/sample.h"

namespace qd::query::promql {

struct Grid {
  model::TimestampMs start_ms = 0;
  std::int64_t step_ms = 1;
  std::size_t count = 1;

  model::TimestampMs at(std::size_t k) const { return start_ms + static_cast<std::int64_t>(k) * step_ms; }
  model::TimestampMs end_ms() const { return at(count - 1); }
};

// A row has no value at a step: the stale marker, which no sample that a query sees can be.
inline constexpr double kAbsent = std::bit_cast<double>(model::kStaleNanBits);
inline bool is_absent(double value) {
  return std::bit_cast<std::uint64_t>(value) == model::kStaleNanBits;
}

using RowValues = std::vector<double>;

}  // namespace qd::query::promql
