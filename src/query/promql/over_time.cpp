// The *_over_time functions.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "query/promql/kahan.h"
#include "query/promql/kernels.h"
#include "query/promql/sliding_sums.h"
#include "query/promql/statistics.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The largest (`sign` 1) or smallest (-1) value of some. NaN only where there is nothing else.
double extreme_of(const double* first, const double* last, double sign) {
  double best = kNan;
  for (; first != last; ++first) {
    if (std::isnan(best) || *first * sign >= best * sign) best = *first;
  }
  return best;
}

// That of each window. A queue of candidates makes the cost of a series its samples and steps, not steps times window.
// A long series has one candidate for several samples, so that no more than kSlidingSamplesMax are held.
void extreme(const WindowView& view, std::span<double> out, Scratch& scratch, double sign) {
  const std::size_t block = 1 + view.n / kSlidingSamplesMax;
  std::vector<double> values;  // of the blocks
  const double* of_blocks = view.values;
  if (block > 1) {
    values.reserve(view.n / block);
    for (std::size_t i = 0; i + block <= view.n; i += block)
      values.push_back(extreme_of(view.values + i, view.values + i + block, sign));
    of_blocks = values.data();
  }
  std::vector<std::size_t>& queue = scratch.indices;
  queue.resize(view.n / block);
  std::size_t head = 0;
  std::size_t tail = 0;
  std::size_t pushed = 0;
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    // Dividing costs more than all the rest.
    const std::size_t first = block == 1 ? low : (low + block - 1) / block;
    const std::size_t last = block == 1 ? high : high / block;
    for (; pushed < last; ++pushed) {
      const double value = of_blocks[pushed];
      if (std::isnan(value)) continue;
      while (tail > head && of_blocks[queue[tail - 1]] * sign <= value * sign) --tail;
      queue[tail++] = pushed;
    }
    while (head < tail && queue[head] < first) ++head;
    const double whole = head < tail ? of_blocks[queue[head]] : kNan;
    if (block == 1) return whole;
    if (first >= last) return extreme_of(view.values + low, view.values + high, sign);
    const double ends[] = {extreme_of(view.values + low, view.values + first * block, sign), whole,
                           extreme_of(view.values + last * block, view.values + high, sign)};
    return extreme_of(std::begin(ends), std::end(ends), sign);
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
  if (std::any_of(first, last, [](double v) { return std::isnan(v); })) return kNan;
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
