#include "query/promql/rate_block.h"

#include <limits>

#include "query/promql/grid.h"

namespace qd::query::promql {

namespace {

constexpr double kMsPerSecond = 1000;

}  // namespace

// The same operations in the same order as extrapolation_factor: the same bits.
void RateBlock::compute(std::size_t n, bool counter, bool per_second, double range_s, double* out) const {
  // As numbers, so that no branch stands in the loop: a counter is looked at where its first value is at least this,
  // and the factor is divided by this.
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double first_min = counter ? 0 : kInfinity;
  const double divisor = per_second ? range_s : 1;
  for (std::size_t i = 0; i < n; ++i) {
    const double sampled = sampled_ms_[i] / kMsPerSecond;
    const double interval = sampled / intervals_[i];
    const double near = interval * kNearEdge;
    const double half = interval / 2;
    const double start_gap = to_start_ms_[i] / kMsPerSecond;
    const double end_gap = to_end_ms_[i] / kMsPerSecond;
    double to_zero = sampled * (first_[i] / change_[i]);
    to_zero = change_[i] > 0 ? to_zero : kInfinity;
    to_zero = first_[i] >= first_min ? to_zero : kInfinity;
    double to_start = start_gap >= near ? half : start_gap;
    to_start = to_zero < to_start ? to_zero : to_start;
    const double to_end = end_gap >= near ? half : end_gap;
    const double factor = (sampled + to_start + to_end) / sampled / divisor;
    const double value = change_[i] * factor;
    out[i] = present_[i] != 0 ? value : kAbsent;
  }
}

}  // namespace qd::query::promql
