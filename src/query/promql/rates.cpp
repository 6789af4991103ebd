// rate, increase, delta and their relatives.
//
// A rate is extrapolated to the edges of its window as Prometheus does it (documentation, "rate()"; the reasoning is in
// Björn Rabenstein's and Julius Volz's talks): all the way where the first or last sample is near the edge, else by
// half a sample interval, and never below zero for a counter.
#include <algorithm>
#include <cmath>

#include "model/histogram_arithmetic.h"
#include "query/promql/kernels.h"
#include "query/promql/rate_block.h"
#include "query/promql/remarks.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

namespace {

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

double extrapolated(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, Rate rate,
                    double change) {
  return change * extrapolation_factor(view, low, high, k, {rate.counter, rate.per_second, view.values[low], change});
}

// With start times: a sample that began to be counted inside the window grew from zero since then, so nothing is
// extrapolated before it, and one such sample is enough.
void rate_since_start(FunctionId id, const WindowView& view, std::span<double> out, const Remarker& remarker) {
  const Rate rate = rate_of(id);
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t k) {
    double change = view.values[high - 1] - view.values[low];
    for (std::size_t i = low + 1; rate.counter && i < high; ++i) {
      check_overlap(view, i, remarker);
      if (view.values[i] < view.values[i - 1] || started_anew(view, i)) change += view.values[i - 1];
    }
    const auto start = rate.counter ? start_inside(view, low, k) : std::nullopt;
    if (!start) return high - low < 2 ? kAbsent : extrapolated(view, low, high, k, rate, change);
    change += view.values[low];
    return change * factor_since(view, low, high, k, *start, rate.per_second);
  });
}

void rate(FunctionId id, const WindowView& view, std::span<double> out) {
  const Rate rate = rate_of(id);
  const bool resets = rate.counter && kernels().falls(view.values, view.n);
  const double range_s = seconds(view.range_ms);
  RateBlock block;
  std::size_t begin = 0;
  const auto flush = [&](std::size_t end) {
    block.compute(end - begin, rate.counter, rate.per_second, range_s, out.data() + begin);
    begin = end;
  };
  for_windows(view, [&](std::size_t low, std::size_t high, std::size_t k) {
    if (high - low < 2) {
      block.set_absent(k - begin);
    } else {
      double change = view.values[high - 1] - view.values[low];
      if (resets) change = with_resets(change, view.values, low, high);
      block.set(k - begin, {.sampled_ms = static_cast<double>(view.times[high - 1] - view.times[low]),
                            .intervals = static_cast<double>(high - 1 - low),
                            .to_start_ms = static_cast<double>(view.times[low] - view.begin(k)),
                            .to_end_ms = static_cast<double>(view.end(k) - view.times[high - 1]),
                            .first = view.values[low],
                            .change = change});
    }
    if (k + 1 - begin == RateBlock::kSteps) flush(k + 1);
  });
  flush(view.grid.count);
}

void instant_rate(FunctionId id, const WindowView& view, std::span<double> out) {
  const bool per_second = id == FunctionId::kIrate;
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    if (high - low < 2) return kAbsent;
    const double last = view.values[high - 1];
    const double before = view.values[high - 2];
    if (!per_second) return last - before;
    const bool reset = last < before || (view.starts != nullptr && started_anew(view, high - 1));
    const double change = reset ? last : last - before;
    return change / seconds(view.times[high - 1] - view.times[high - 2]);
  });
}

// How often something happens between neighbours, by a count that follows the window: each pair is looked at once when
// it comes in and once when it goes, however many windows it is in.
template <typename Happens>
void count_pairs(const WindowView& view, std::span<double> out, Happens&& happens) {
  // `seen` is of the pairs (i - 1, i) with `first` < i < `end`.
  std::size_t first = 0;
  std::size_t end = 0;
  std::size_t seen = 0;
  slide(view, out, [&](std::size_t low, std::size_t high, std::size_t) {
    if (low >= end) {
      seen = 0;
      end = low + 1;
    } else {
      for (std::size_t i = first + 1; i <= low; ++i) seen -= happens(i) ? 1 : 0;
    }
    first = low;
    for (; end < high; ++end) seen += happens(end) ? 1 : 0;
    return static_cast<double>(seen);
  });
}

// Between samples i - 1 and i.
bool changed(const WindowView& view, std::size_t i) {
  if (view.histograms != nullptr) {
    const model::HistogramPtr& before = view.histograms[i - 1];
    const model::HistogramPtr& after = view.histograms[i];
    if (before != nullptr && after != nullptr) return !model::same_value(*before, *after);
    if (before != after) return true;
  }
  const double before = view.values[i - 1];
  const double after = view.values[i];
  return before != after && !(std::isnan(before) && std::isnan(after));
}
bool was_reset(const WindowView& view, std::size_t i) {
  if (view.starts != nullptr && started_anew(view, i)) return true;
  if (view.histograms != nullptr) {
    const model::HistogramPtr& before = view.histograms[i - 1];
    const model::HistogramPtr& after = view.histograms[i];
    if (before != nullptr && after != nullptr) return model::was_reset(*before, *after);
    if (before != after) return true;
  }
  return view.values[i] < view.values[i - 1];
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

bool started_anew(const WindowView& view, std::size_t i) {
  const model::TimestampMs start = view.starts[i];
  const model::TimestampMs before = view.times[i - 1];
  // Not known, or known as the sample's own time, which is another way to say that.
  if (start == 0 || start >= view.times[i] || start < before) return false;
  if (start > before) return true;
  // It begins at the sample before it: a delta, unless that one's start is unknown.
  const model::TimestampMs before_start = view.starts[i - 1];
  return before_start != 0 && before_start < before;
}

void check_overlap(const WindowView& view, std::size_t i, const Remarker& remarker) {
  const model::TimestampMs start = view.starts[i];
  if (start == 0 || start >= view.times[i - 1] || start == view.starts[i - 1]) return;
  remarker.warn(remarks::start_time_overlap(remarker.metric()));
}

std::optional<model::TimestampMs> start_inside(const WindowView& view, std::size_t low, std::size_t k) {
  const model::TimestampMs start = view.starts == nullptr ? 0 : view.starts[low];
  if (start == 0 || start <= view.begin(k) || start >= view.times[low]) return std::nullopt;
  return start;
}

double factor_since(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, model::TimestampMs start,
                    bool per_second) {
  const double sampled = seconds(view.times[high - 1] - start);
  const double interval =
      high - low < 2 ? 0 : seconds(view.times[high - 1] - view.times[low]) / static_cast<double>(high - 1 - low);
  double to_end = seconds(view.end(k) - view.times[high - 1]);
  if (to_end >= interval * kNearEdge) to_end = interval / 2;
  const double factor = (sampled + to_end) / sampled;
  return per_second ? factor / seconds(view.range_ms) : factor;
}

double extrapolation_factor(const WindowView& view, std::size_t low, std::size_t high, std::size_t k,
                            const Extrapolation& rate) {
  const double sampled = seconds(view.times[high - 1] - view.times[low]);
  const double interval = sampled / static_cast<double>(high - 1 - low);
  double to_start = seconds(view.times[low] - view.begin(k));
  double to_end = seconds(view.end(k) - view.times[high - 1]);
  if (to_start >= interval * kNearEdge) to_start = interval / 2;
  if (rate.counter && rate.change > 0 && rate.first >= 0) {
    to_start = std::min(to_start, sampled * (rate.first / rate.change));
  }
  if (to_end >= interval * kNearEdge) to_end = interval / 2;
  const double factor = (sampled + to_start + to_end) / sampled;
  return rate.per_second ? factor / seconds(view.range_ms) : factor;
}

void rate_windows(FunctionId id, const WindowView& view, std::span<double> out, const Remarker& remarker) {
  switch (id) {
    case FunctionId::kIrate:
    case FunctionId::kIdelta:
      instant_rate(id, view, out);
      return;
    case FunctionId::kChanges:
      count_pairs(view, out, [&](std::size_t i) { return changed(view, i); });
      return;
    case FunctionId::kResets:
      count_pairs(view, out, [&](std::size_t i) { return was_reset(view, i); });
      return;
    default:
      if (view.starts != nullptr) {
        rate_since_start(id, view, out, remarker);
      } else {
        rate(id, view, out);
      }
      return;
  }
}

void extended_windows(FunctionId id, const Extension& extension, const WindowView& view, std::span<double> out) {
  const Rate rate = rate_of(id);
  std::fill(out.begin(), out.end(), kAbsent);
  for_extended_windows(view, extension, [&](std::size_t from, std::size_t to, std::size_t k) {
    if (id == FunctionId::kChanges || id == FunctionId::kResets) {
      double seen = 0;
      for (std::size_t i = from + 1; i < to; ++i) {
        if (id == FunctionId::kChanges ? changed(view, i) : was_reset(view, i)) ++seen;
      }
      out[k] = seen;
      return;
    }
    const double change = extended_change(view, from, to, k, extension.smoothed, rate.counter);
    out[k] = rate.per_second ? change / seconds(view.range_ms) : change;
  });
}

}  // namespace qd::query::promql
