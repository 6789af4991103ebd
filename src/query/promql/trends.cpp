// deriv, predict_linear and double_exponential_smoothing.
#include <cmath>

#include "query/promql/grid.h"
#include "query/promql/kahan.h"
#include "query/promql/sliding_sums.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

struct Line {
  double slope;
  double intercept;
};

// What a line of least squares is made of, with x in seconds from some origin.
struct LineSums {
  KahanSum x;
  KahanSum y;
  KahanSum xy;
  KahanSum xx;

  void add(double x_value, double y_value) {
    x.add(x_value);
    y.add(y_value);
    xy.add(x_value * y_value);
    xx.add(x_value * x_value);
  }
  void join(const LineSums& other) {
    x.join(other.x);
    y.join(other.y);
    xy.join(other.xy);
    xx.join(other.xx);
  }
  // Of n samples.
  Line fit(double n) const {
    const double x_sum = x.sum + x.compensation;
    const double y_sum = y.sum + y.compensation;
    const double covariance = xy.sum + xy.compensation - x_sum * y_sum / n;
    const double variance = xx.sum + xx.compensation - x_sum * x_sum / n;
    const double slope = covariance / variance;
    return {slope, y_sum / n - slope * x_sum / n};
  }
};

double seconds_since(const WindowView& view, std::size_t i, model::TimestampMs origin) {
  return static_cast<double>(view.times[i] - origin) / 1000;
}

Line fit(const WindowView& view, std::size_t low, std::size_t high, model::TimestampMs origin) {
  LineSums sums;
  for (std::size_t i = low; i < high; ++i) sums.add(seconds_since(view, i, origin), view.values[i]);
  return sums.fit(static_cast<double>(high - low));
}

// The origin stays within a window's width of the samples, as far away as one that moves with the window: it costs no
// digits.
struct LineSamples {
  using Sums = LineSums;
  void begin(std::size_t last) { origin = view.times[last]; }
  void add(Sums& sums, std::size_t i) const { sums.add(seconds_since(view, i, origin), view.values[i]); }

  const WindowView& view;
  model::TimestampMs origin = 0;
};

// deriv (`ahead_s` null: the slope), or predict_linear: where the line is `ahead_s` after the time of evaluation,
// whatever @ and offset are.
void line_windows(const WindowView& view, const RowValues* ahead_s, std::span<double> out) {
  // With fewer windows a sample each is summed up by itself.
  constexpr std::int64_t kOverlapMin = 4;
  const bool overlap = view.range_ms / kOverlapMin >= view.grid.step_ms && view.n <= kSlidingSamplesMax;
  LineSamples samples{view};
  SlidingSums sliding(samples);
  std::size_t seen = 0;
  std::size_t changed = 0;  // the last of the seen samples that differs from the one before it
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t k) {
    for (; seen < high; ++seen) {
      if (seen > 0 && view.values[seen] != view.values[seen - 1]) changed = seen;
    }
    if (high - low < 2) return kAbsent;
    if (changed <= low) {
      if (std::isinf(view.values[low])) return kNan;
      return ahead_s == nullptr ? 0 : view.values[low];
    }
    const model::TimestampMs origin = ahead_s == nullptr ? view.times[low] : view.grid.at(k);
    if (overlap) {
      const LineSums sums = sliding.of(low, high);
      if (std::isfinite(sums.y.sum)) {
        const Line line = sums.fit(static_cast<double>(high - low));
        if (ahead_s == nullptr) return line.slope;
        return line.slope * ((*ahead_s)[k] + static_cast<double>(origin - samples.origin) / 1000) + line.intercept;
      }
    }
    const Line line = fit(view, low, high, origin);
    return ahead_s == nullptr ? line.slope : line.slope * (*ahead_s)[k] + line.intercept;
  });
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
  if (id != FunctionId::kDoubleExponentialSmoothing) {
    return line_windows(view, id == FunctionId::kDeriv ? nullptr : &parameters[0], out);
  }
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t k) {
    if (high - low < 2) return kAbsent;
    return smooth(view.values + low, view.values + high, parameters[0][k], parameters[1][k]);
  });
}

}  // namespace qd::query::promql
