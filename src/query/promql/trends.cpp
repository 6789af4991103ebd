// deriv, predict_linear and double_exponential_smoothing.
#include <cmath>
#include <limits>

#include "query/promql/kahan.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

struct Line {
  double slope;
  double intercept;
};

// Least squares through the samples, with x in seconds from `origin`.
Line fit(const WindowView& view, std::size_t low, std::size_t high, model::TimestampMs origin) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  KahanSum x_sum;
  KahanSum y_sum;
  KahanSum xy_sum;
  KahanSum xx_sum;
  bool constant = true;
  for (std::size_t i = low; i < high; ++i) {
    const double x = static_cast<double>(view.times[i] - origin) / 1000;
    const double y = view.values[i];
    constant = constant && y == view.values[low];
    x_sum.add(x);
    y_sum.add(y);
    xy_sum.add(x * y);
    xx_sum.add(x * x);
  }
  if (constant) {
    if (std::isinf(view.values[low])) return {kNan, kNan};
    return {0, view.values[low]};
  }
  const auto n = static_cast<double>(high - low);
  const double x = x_sum.sum + x_sum.compensation;
  const double y = y_sum.sum + y_sum.compensation;
  const double covariance = xy_sum.sum + xy_sum.compensation - x * y / n;
  const double variance = xx_sum.sum + xx_sum.compensation - x * x / n;
  const double slope = covariance / variance;
  return {slope, y / n - slope * x / n};
}

// Holt's linear trend (double exponential smoothing).
double smooth(const double* first, const double* last, double level_factor, double trend_factor) {
  double before = 0;
  double level = first[0];
  double trend = first[1] - first[0];
  for (const double* at = first + 1; at != last; ++at) {
    if (at != first + 1) trend = trend_factor * (level - before) + (1 - trend_factor) * trend;
    const double next = level_factor * *at + (1 - level_factor) * (level + trend);
    before = level;
    level = next;
  }
  return level;
}

}  // namespace

void trend_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out) {
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t k) {
    if (high - low < 2) return kAbsent;
    if (id == FunctionId::kDeriv) return fit(view, low, high, view.times[low]).slope;
    if (id == FunctionId::kPredictLinear) {
      // From the time of evaluation, whatever @ and offset are.
      const Line line = fit(view, low, high, view.grid.at(k));
      return line.slope * parameters[0][k] + line.intercept;
    }
    return smooth(view.values + low, view.values + high, parameters[0][k], parameters[1][k]);
  });
}

}  // namespace qd::query::promql
