// rate, increase, delta and their relatives.
//
// A rate is extrapolated to the edges of its window as Prometheus does it (documentation, "rate()"; the reasoning is in
// Björn Rabenstein's and Julius Volz's talks): all the way where the first or last sample is near the edge, else by
// half a sample interval, and never below zero for a counter.
#include <algorithm>
#include <cmath>

#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

// A sample is "near the edge" within this many mean sample intervals.
constexpr double kNearEdge = 1.1;

double seconds(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

struct Rate {
  bool counter;
  bool per_second;
};

Rate rate_of(FunctionId id) {
  return {id != FunctionId::kDelta, id == FunctionId::kRate};
}

// `change` and what a counter lost at its resets in [low, high). Each loss is added to the change itself: summed up
// first, a small one would vanish beside a huge one that the change takes back.
double with_resets(double change, const double* values, std::size_t low, std::size_t high) {
  for (std::size_t i = low + 1; i < high; ++i) {
    if (values[i] < values[i - 1]) change += values[i - 1];
  }
  return change;
}

bool has_reset(const WindowView& view) {
  bool any = false;
  for (std::size_t i = 1; i < view.n; ++i) any |= view.values[i] < view.values[i - 1];
  return any;
}

double extrapolated(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, Rate rate,
                    double change) {
  const double sampled = seconds(view.times[high - 1] - view.times[low]);
  const double interval = sampled / static_cast<double>(high - 1 - low);
  double to_start = seconds(view.times[low] - view.begin(k));
  double to_end = seconds(view.end(k) - view.times[high - 1]);
  if (to_start >= interval * kNearEdge) to_start = interval / 2;
  if (rate.counter && change > 0 && view.values[low] >= 0) {
    to_start = std::min(to_start, sampled * (view.values[low] / change));
  }
  if (to_end >= interval * kNearEdge) to_end = interval / 2;
  double factor = (sampled + to_start + to_end) / sampled;
  if (rate.per_second) factor /= seconds(view.range_ms);
  return change * factor;
}

void rate(FunctionId id, const WindowView& view, std::span<double> out) {
  const Rate rate = rate_of(id);
  const bool resets = rate.counter && has_reset(view);
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t k) {
    if (high - low < 2) return kAbsent;
    double change = view.values[high - 1] - view.values[low];
    if (resets) change = with_resets(change, view.values, low, high);
    return extrapolated(view, low, high, k, rate, change);
  });
}

void instant(FunctionId id, const WindowView& view, std::span<double> out) {
  const bool per_second = id == FunctionId::kIrate;
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    if (high - low < 2) return kAbsent;
    const double last = view.values[high - 1];
    const double before = view.values[high - 2];
    if (!per_second) return last - before;
    const double change = last < before ? last : last - before;
    return change / seconds(view.times[high - 1] - view.times[high - 2]);
  });
}

// How often something happens between neighbours, by a running count: each window costs the same, however wide.
template <typename Happens>
void count_pairs(const WindowView& view, std::span<double> out, Scratch& scratch, Happens&& happens) {
  std::vector<std::size_t>& before = scratch.indices;
  before.resize(view.n);
  std::size_t seen = 0;
  for (std::size_t i = 0; i < view.n; ++i) {
    if (i > 0 && happens(view.values[i - 1], view.values[i])) ++seen;
    before[i] = seen;
  }
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    return static_cast<double>(before[high - 1] - before[low]);
  });
}

bool changed(double before, double after) {
  return before != after && !(std::isnan(before) && std::isnan(after));
}
bool was_reset(double before, double after) {
  return after < before;
}

// The value at `time` on the line from sample i to i + 1.
double interpolate(const WindowView& view, std::size_t i, model::TimestampMs time, bool counter) {
  const double right = view.values[i + 1];
  const double left = counter && right < view.values[i] ? 0 : view.values[i];
  return left + (right - left) * static_cast<double>(time - view.times[i]) /
                    static_cast<double>(view.times[i + 1] - view.times[i]);
}

// increase(foo[5m] anchored | smoothed): from the value at the left edge to the value at the right edge. [low, high)
// are the samples that count: for anchored one before the window at most, for smoothed one on either side.
double extended_change(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, bool smoothed,
                       bool counter) {
  const model::TimestampMs begin = view.begin(k);
  const model::TimestampMs end = view.end(k);
  const bool left_between = smoothed && view.times[low] < begin;
  const bool right_between = smoothed && high - low > 1 && view.times[high - 1] > end;
  const double left = left_between ? interpolate(view, low, begin, counter) : view.values[low];
  const double right = right_between ? interpolate(view, high - 2, end, counter) : view.values[high - 1];
  double change = right - left;
  if (!counter) return change;
  double previous = left;
  for (std::size_t i = low; i < high; ++i) {
    if (view.times[i] <= begin || view.times[i] >= end) continue;
    if (view.values[i] < previous) change += previous;
    previous = view.values[i];
  }
  if (right < previous) change += previous;
  return change;
}

}  // namespace

void rate_windows(FunctionId id, const WindowView& view, std::span<double> out, Scratch& scratch) {
  switch (id) {
    case FunctionId::kIrate:
    case FunctionId::kIdelta:
      instant(id, view, out);
      return;
    case FunctionId::kChanges:
      count_pairs(view, out, scratch, changed);
      return;
    case FunctionId::kResets:
      count_pairs(view, out, scratch, was_reset);
      return;
    default:
      rate(id, view, out);
      return;
  }
}

void extended_windows(FunctionId id, bool smoothed, std::int64_t lookback_ms, const WindowView& view,
                      std::span<double> out) {
  const Rate rate = rate_of(id);
  std::size_t low = 0;
  std::size_t high = 0;
  for (std::size_t k = 0; k < view.grid.count; ++k) {
    out[k] = kAbsent;
    const model::TimestampMs end = view.end(k);
    const model::TimestampMs begin = view.begin(k);
    while (high < view.n && view.times[high] <= end) ++high;
    while (low < view.n && view.times[low] <= begin) ++low;
    // [from, to): the window's own samples, then their neighbours as far as they count.
    std::size_t from = low;
    std::size_t to = high;
    if (from > 0 && view.times[from - 1] > begin - lookback_ms) --from;
    if (smoothed && (to == 0 || view.times[to - 1] < end) && to < view.n && view.times[to] <= end + lookback_ms) ++to;
    if (from >= to || view.times[to - 1] <= begin || view.times[from] > end) continue;
    if (id == FunctionId::kChanges || id == FunctionId::kResets) {
      double seen = 0;
      for (std::size_t i = from + 1; i < to; ++i) {
        const bool hit = id == FunctionId::kChanges ? changed(view.values[i - 1], view.values[i])
                                                    : was_reset(view.values[i - 1], view.values[i]);
        if (hit) ++seen;
      }
      out[k] = seen;
      continue;
    }
    const double change = extended_change(view, from, to, k, smoothed, rate.counter);
    out[k] = rate.per_second ? change / seconds(view.range_ms) : change;
  }
}

}  // namespace qd::query::promql
