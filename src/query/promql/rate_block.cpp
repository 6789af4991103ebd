#include "query/promql/rate_block.h"

#include "query/promql/kernels.h"

namespace qd::query::promql {

void RateBlock::compute(std::size_t n, bool counter, bool per_second, double range_s, double* out) const {
  const RateColumns windows = {
      .present = present_.data(),
      .sampled_ms = sampled_ms_.data(),
      .intervals = intervals_.data(),
      .to_start_ms = to_start_ms_.data(),
      .to_end_ms = to_end_ms_.data(),
      .first = first_.data(),
      .change = change_.data(),
  };
  kernels().rates(windows, n, counter, per_second ? range_s : 1, out);
}

}  // namespace qd::query::promql
