// rate, increase, delta, irate and idelta of windows of native histograms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/histogram.h"
#include "query/promql/functions.h"
#include "query/promql/window_functions.h"

namespace qd::query::promql {

// Two neighbours.
struct HistogramPair {
  const model::HistogramPtr& left;
  model::TimestampMs left_ms;
  const model::HistogramPtr& right;
  model::TimestampMs right_ms;
};
// On the line between them; a `counter` that was reset between them begins at zero. Null, and told, where they do not
// go together.
model::HistogramPtr interpolate_histograms(const Remarker& remarker, const HistogramPair& pair, model::TimestampMs time,
                                           bool counter);

// What the windows of a series would each look for again: once for all of its samples.
struct HistogramTraits {
  explicit HistogramTraits(const WindowView& view);

  std::vector<bool> resets;  // counting began anew between samples i - 1 and i, both of them histograms
  bool any_gauge = false;
  bool one_kind = true;  // all have exponential buckets, or all have custom ones
  bool one_schema = true;
};

// Window k of the view holds the samples [low, high), all of them histograms. Null for no result.
model::HistogramPtr histogram_rate(FunctionId id, const WindowView& view, const HistogramTraits& traits,
                                   std::size_t low, std::size_t high, std::size_t k, const Remarker& remarker);
// The last two of them: irate and idelta.
model::HistogramPtr histogram_instant_rate(FunctionId id, const WindowView& view, std::size_t high,
                                           const Remarker& remarker);
// With anchored or `smoothed`. [low, high) reaches to the neighbours of the window that count: see extended_bounds.
model::HistogramPtr extended_histogram_rate(FunctionId id, const WindowView& view, std::size_t low, std::size_t high,
                                            std::size_t k, bool smoothed, const Remarker& remarker);

}  // namespace qd::query::promql
