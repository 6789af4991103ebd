// Series as test scripts write them: `up{job="a"} 1+2x10 _ _x5 stale`.
//
//   1 2 NaN Inf   values, one an interval
//   1+2x3         1 3 5 7; 1-2x3 and 1x3 (the same value four times) likewise
//   _  _x5        nothing, five times nothing
//   stale         a stale marker
//   {{...}}       a native histogram (histogram_notation.h); {{...}}x3, {{...}}+{{...}}x3 and {{...}}-{{...}}x3 as
//   above
//
// up{job="a"}@st -1m -1m30s-1mx2 tells when samples of that series began to be counted, before their own times.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/histogram.h"
#include "model/labels.h"

namespace qd::query::promql {

// More values than this in one line are refused.
inline constexpr std::size_t kNotationValuesMax = 1'000'000;

struct NotatedSeries {
  model::LabelSet labels;
  std::vector<double> values;  // kAbsent (grid.h) for none; `stale` says which of those are markers
  std::vector<bool> stale;     // as long as values
  // Empty, or as long as values: null where the value is none. `hints` says which give the counter_reset_hint.
  std::vector<model::HistogramPtr> histograms;
  std::vector<bool> hints;
  // The line gives start times: `values` are those, as milliseconds from each sample's own time.
  bool start_times = false;

  const model::Histogram* histogram(std::size_t i) const {
    return i < histograms.size() ? histograms[i].get() : nullptr;
  }
};

base::Result<model::LabelSet> parse_metric(std::string_view text);
base::Result<NotatedSeries> parse_series(std::string_view line);

}  // namespace qd::query::promql
