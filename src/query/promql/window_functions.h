// Functions of a range vector: a window slides over a series' columns, one result a step.
#pragma once

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

  model::TimestampMs end(std::size_t k) const { return moment.at(grid, k); }
  model::TimestampMs begin(std::size_t k) const { return end(k) - range_ms; }
};

// Calls f(low, high, k) for the samples [low, high) of each window that has any; f gives the value or kAbsent.
template <typename F>
void slide(const WindowView& view, std::span<double> out, F&& f) {
  std::size_t low = 0;
  std::size_t high = 0;
  for (std::size_t k = 0; k < view.grid.count; ++k) {
    const model::TimestampMs end = view.end(k);
    const model::TimestampMs begin = end - view.range_ms;
    while (high < view.n && view.times[high] <= end) ++high;
    while (low < high && view.times[low] <= begin) ++low;
    out[k] = low < high ? f(low, high, k) : kAbsent;
  }
}

// The families, each in a file of its own. `parameters`: the scalar arguments, one value a step each.
using Parameters = std::vector<RowValues>;
void rate_windows(FunctionId id, const WindowView& view, std::span<double> out, Scratch& scratch);
void extended_windows(FunctionId id, bool smoothed, std::int64_t lookback_ms, const WindowView& view,
                      std::span<double> out);
void over_time_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out,
                       Scratch& scratch);
void trend_windows(FunctionId id, const WindowView& view, const Parameters& parameters, std::span<double> out);

// `span` is where the argument stands, for annotations.
base::Result<SourcePtr> make_window_source(Context& context, FunctionId id, Windows windows, const Grid& grid,
                                           Parameters parameters, Span span);

}  // namespace qd::query::promql
