// Functions of a range vector: a window slides over a series' columns, one result a step.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "query/promql/functions.h"
#include "query/promql/selectors.h"
#include "query/promql/source.h"

namespace qd::query::promql {

// One series' samples and where the windows are. Window k holds the samples in (end(k) - range_ms, end(k)].
struct WindowView {
  const model::TimestampMs* times;
  const double* values;
  std::size_t n;
  const Grid& grid;
  const Moment& moment;
  std::int64_t range_ms;
  // Null where the series has none in these columns (store/metrics/querier.h).
  const model::HistogramPtr* histograms = nullptr;
  const model::TimestampMs* starts = nullptr;

  model::TimestampMs end(std::size_t k) const { return moment.at(grid, k); }
  model::TimestampMs begin(std::size_t k) const { return end(k) - range_ms; }
};

// Calls f(low, high, k) for every step with the samples [low, high) of its window, which may be none.
template <typename F>
void for_windows(const WindowView& view, F&& f) {
  std::size_t low = 0;
  std::size_t high = 0;
  std::size_t low_stride = 0;
  std::size_t high_stride = 0;
  for (std::size_t k = 0; k < view.grid.count; ++k) {
    const model::TimestampMs end = view.end(k);
    const std::size_t high_before = high;
    high = first_after(view.times, high, view.n, end, high_stride);
    high_stride = high - high_before;
    const std::size_t low_before = low;
    low = first_after(view.times, low, high, end - view.range_ms, low_stride);
    low_stride = low - low_before;
    f(low, high, k);
  }
}

// Calls f(low, high, k) for the samples [low, high) of each window that has any; f gives the value or kAbsent.
template <typename F>
void slide(const WindowView& view, std::span<double> out, F&& f) {
  for_windows(
      view, [&](std::size_t low, std::size_t high, std::size_t k) { out[k] = low < high ? f(low, high, k) : kAbsent; });
}

// anchored and smoothed reach beyond a window: to the newest sample before it, and smoothed to the first one behind it,
// as far as the lookback goes.
struct Extension {
  bool smoothed = false;
  std::int64_t lookback_ms = 0;
};
// Calls f(low, high, k) for the samples [low, high) of each window and its neighbours, where there is something to
// measure.
template <typename F>
void for_extended_windows(const WindowView& view, const Extension& extension, F&& f) {
  std::size_t low = 0;
  std::size_t high = 0;
  for (std::size_t k = 0; k < view.grid.count; ++k) {
    const model::TimestampMs end = view.end(k);
    const model::TimestampMs begin = view.begin(k);
    while (high < view.n && view.times[high] <= end) ++high;
    while (low < view.n && view.times[low] <= begin) ++low;
    std::size_t from = low;
    std::size_t to = high;
    if (from > 0 && view.times[from - 1] > begin - extension.lookback_ms) --from;
    if (extension.smoothed && (to == 0 || view.times[to - 1] < end) && to < view.n &&
        view.times[to] <= end + extension.lookback_ms) {
      ++to;
    }
    if (from >= to || view.times[to - 1] <= begin || view.times[from] > end) continue;
    f(from, to, k);
  }
}

// Who is told what is odd about a series, under the name that its expression still has.
struct Remarker {
  Context& context;
  Span span;
  const model::LabelSet* labels;  // null for a series without a name

  std::string_view metric() const { return labels == nullptr ? std::string_view() : labels->name(); }
  void warn(std::string message) const { context.annotations().warn(std::move(message), span); }
  void info(std::string message) const { context.annotations().info(std::move(message), span); }
};

// Whether counting began anew between samples i - 1 and i, as their start times tell (view.starts).
bool started_anew(const WindowView& view, std::size_t i);
// Tells it where sample i began to be counted before the one before it was taken.
void check_overlap(const WindowView& view, std::size_t i, const Remarker& remarker);
// Where a rate is extrapolated from: the sample's start time, if that is inside the window.
std::optional<model::TimestampMs> start_inside(const WindowView& view, std::size_t low, std::size_t k);

// By what the change between a window's first and last sample is multiplied, so that it stands for the whole window.
struct Extrapolation {
  bool counter = false;
  bool per_second = false;
  double first = 0;   // the first sample's value, or its count
  double change = 0;  // of that
};
double extrapolation_factor(const WindowView& view, std::size_t low, std::size_t high, std::size_t k,
                            const Extrapolation& rate);
// The same where counting began at `start`.
double factor_since(const WindowView& view, std::size_t low, std::size_t high, std::size_t k, model::TimestampMs start,
                    bool per_second);

// The families, each in a file of its own. `parameters`: the scalar arguments, one value a step each.
using Parameters = std::vector<RowValues>;
void rate_windows(FunctionId id, const WindowView& view, std::span<double> out, const Remarker& remarker);
void extended_windows(FunctionId id, const Extension& extension, const WindowView& view, std::span<double> out);
void over_time_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out,
                       Scratch& scratch);
void trend_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out);

// All of them over a series of numbers. `extension`: for anchored and smoothed.
void number_windows(FunctionId id, const std::optional<Extension>& extension, const WindowView& view,
                    const Parameters& parameters, std::span<double> out, Scratch& scratch, const Remarker& remarker);
// All of them over a series that has histograms among its samples; the results that are histograms go to
// scratch.histograms.
void mixed_windows(FunctionId id, const std::optional<Extension>& extension, const WindowView& view,
                   const Parameters& parameters, std::span<double> out, Scratch& scratch, const Remarker& remarker);

// `span` is where the argument stands, for annotations.
base::Result<SourcePtr> make_window_source(Context& context, FunctionId id, Windows windows, const Grid& grid,
                                           Parameters parameters, Span span);

}  // namespace qd::query::promql
