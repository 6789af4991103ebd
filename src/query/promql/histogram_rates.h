// rate, increase, delta, irate and idelta of windows of native histograms.
#pragma once

#include <string>
#include <string_view>

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

// Window k of the view holds the samples [low, high), all of them histograms. Null for no result.
model::HistogramPtr histogram_rate(FunctionId id, const WindowView& view, std::size_t low, std::size_t high,
                                   std::size_t k, const Remarker& remarker);
// The last two of them: irate and idelta.
model::HistogramPtr histogram_instant_rate(FunctionId id, const WindowView& view, std::size_t high,
                                           const Remarker& remarker);
// With anchored or `smoothed`. [low, high) reaches to the neighbours of the window that count: see extended_bounds.
model::HistogramPtr extended_histogram_rate(FunctionId id, const WindowView& view, std::size_t low, std::size_t high,
                                            std::size_t k, bool smoothed, const Remarker& remarker);

}  // namespace qd::query::promql
