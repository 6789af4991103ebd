// Quantiles as PromQL defines them: by linear interpolation between the nearest ranks, NaN as the smallest value.
#pragma once

#include <vector>

namespace qd::query::promql {

// Reorders `values`. NaN when there are none or `q` is NaN; -Inf and +Inf for `q` outside of 0 to 1.
double quantile(double q, std::vector<double>& values);

}  // namespace qd::query::promql
