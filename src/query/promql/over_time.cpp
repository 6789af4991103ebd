// The *_over_time functions.
#include <algorithm>
#include <cmath>
#include <limits>

#include "query/promql/kahan.h"
#include "query/promql/kernels.h"
#include "query/promql/sliding_sums.h"
#include "query/promql/statistics.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

// The largest (`sign` 1) or smallest (-1) value of each window. A queue of candidates makes the cost of a series its
// samples and steps, not steps times window. NaN only where there is nothing else.
void extreme(const WindowView& view, std::span<double> out, Scratch& scratch, double sign) {
  std::vector<std::size_t>& queue = scratch.indices;
  queue.resize(view.n);
  std::size_t head = 0;
  std::size_t tail = 0;
  std::size_t pushed = 0;
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    for (; pushed < high; ++pushed) {
      const double value = view.values[pushed];
      if (std::isnan(value)) continue;
      while (tail > head && view.values[queue[tail - 1]] * sign <= value * sign) --tail;
      queue[tail++] = pushed;
    }
    while (head < tail && queue[head] < low) ++head;
    return head < tail ? view.values[queue[head]] : std::numeric_limits<double>::quiet_NaN();
  });
}

double mean(const base::KahanSum& sum, const double* first, const double* last) {
  if (std::isfinite(sum.sum)) {
    const auto count = static_cast<double>(last - first);
    return sum.sum / count + sum.compensation / count;
  }
  // Infinite or missing values, or a sum beyond the largest double.
  KahanMean total;
  for (; first != last; ++first) total.add(*first);
  return total.value();
}

struct SummedValues {
  using Sums = base::KahanSum;
  void begin(std::size_t) {}
  void add(Sums& sums, std::size_t i) const { sums.add(values[i]); }

  const double* values;
};

// Calls f(sum, low, high) for each window that has samples; f gives the value.
template <typename F>
void slide_sums(const WindowView& view, std::span<double> out, F&& f) {
  // A window's own samples are summed up so much faster than one by one.
  constexpr std::int64_t kOverlapMin = 24;
  if (view.range_ms / kOverlapMin < view.grid.step_ms || view.n > kSlidingSamplesMax) {
    const Kernels& kernel = kernels();
    slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
      return f(kernel.sum(view.values + low, high - low), low, high);
    });
    return;
  }
  SummedValues samples{view.values};
  SlidingSums sliding(samples);
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) { return f(sliding.of(low, high), low, high); });
}

double variance(const double* first, const double* last) {
  double count = 0;
  KahanSum center;
  KahanSum squares;
  for (; first != last; ++first) {
    ++count;
    const double delta = *first - (center.sum + center.compensation);
    center.add(delta / count);
    squares.add(delta * (*first - (center.sum + center.compensation)));
  }
  return (squares.sum + squares.compensation) / count;
}

double deviation(const double* first, const double* last, std::vector<double>& sorted) {
  sorted.assign(first, last);
  if (std::any_of(first, last, [](double v) { return std::isnan(v); })) return std::numeric_limits<double>::quiet_NaN();
  const double median = quantile(0.5, sorted);
  for (double& value : sorted) value = std::fabs(value - median);
  return quantile(0.5, sorted);
}

// When the last largest (`sign` 1) or smallest (-1) value was.
double time_of_extreme(const WindowView& view, std::size_t low, std::size_t high, double sign) {
  std::size_t best = low;
  for (std::size_t i = low + 1; i < high; ++i) {
    if (view.values[i] * sign >= view.values[best] * sign || std::isnan(view.values[best])) best = i;
  }
  return static_cast<double>(view.times[best]) / 1000;
}

}  // namespace

void over_time_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out,
                       Scratch& scratch) {
  const double* values = view.values;
  const model::TimestampMs* times = view.times;
  using Index = std::size_t;
  switch (id) {
    case FunctionId::kAvgOverTime:
      slide_sums(view, out, [&](const base::KahanSum& sum, Index low, Index high) {
        return mean(sum, values + low, values + high);
      });
      return;
    case FunctionId::kSumOverTime:
      slide_sums(view, out, [](const base::KahanSum& sum, Index, Index) { return sum.value(); });
      return;
    case FunctionId::kCountOverTime:
      slide(view, out, [](Index low, Index high, Index) { return static_cast<double>(high - low); });
      return;
    case FunctionId::kPresentOverTime:
    case FunctionId::kAbsentOverTime:  // turned around once all series are known
      slide(view, out, [](Index, Index, Index) { return 1.0; });
      return;
    case FunctionId::kFirstOverTime:
      slide(view, out, [&](Index low, Index, Index) { return values[low]; });
      return;
    case FunctionId::kLastOverTime:
      slide(view, out, [&](Index, Index high, Index) { return values[high - 1]; });
      return;
    case FunctionId::kMaxOverTime:
      extreme(view, out, scratch, 1);
      return;
    case FunctionId::kMinOverTime:
      extreme(view, out, scratch, -1);
      return;
    case FunctionId::kStdvarOverTime:
      slide(view, out, [&](Index low, Index high, Index) { return variance(values + low, values + high); });
      return;
    case FunctionId::kStddevOverTime:
      slide(view, out, [&](Index low, Index high, Index) { return std::sqrt(variance(values + low, values + high)); });
      return;
    case FunctionId::kMadOverTime:
      slide(view, out,
            [&](Index low, Index high, Index) { return deviation(values + low, values + high, scratch.sorted); });
      return;
    case FunctionId::kQuantileOverTime:
      slide(view, out, [&](Index low, Index high, Index k) {
        scratch.sorted.assign(values + low, values + high);
        return quantile(parameters[0][k], scratch.sorted);
      });
      return;
    case FunctionId::kTsOfFirstOverTime:
      slide(view, out, [&](Index low, Index, Index) { return static_cast<double>(times[low]) / 1000; });
      return;
    case FunctionId::kTsOfLastOverTime:
      slide(view, out, [&](Index, Index high, Index) { return static_cast<double>(times[high - 1]) / 1000; });
      return;
    case FunctionId::kTsOfMaxOverTime:
      slide(view, out, [&](Index low, Index high, Index) { return time_of_extreme(view, low, high, 1); });
      return;
    default:  // kTsOfMinOverTime
      slide(view, out, [&](Index low, Index high, Index) { return time_of_extreme(view, low, high, -1); });
      return;
  }
}

}  // namespace qd::query::promql
