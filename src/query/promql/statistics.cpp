#include "query/promql/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qd::query::promql {

double quantile(double q, std::vector<double>& values) {
  if (values.empty() || std::isnan(q)) return std::numeric_limits<double>::quiet_NaN();
  if (q < 0) return -std::numeric_limits<double>::infinity();
  if (q > 1) return std::numeric_limits<double>::infinity();
  const auto less = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; };
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto lower = static_cast<std::size_t>(std::floor(rank));
  const std::size_t upper = std::min(values.size() - 1, lower + 1);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(lower);
  std::nth_element(values.begin(), middle, values.end(), less);
  const double below = *middle;
  const double above = upper == lower ? below : *std::min_element(middle + 1, values.end(), less);
  const double weight = rank - std::floor(rank);
  return below * (1 - weight) + above * weight;
}

}  // namespace qd::query::promql
