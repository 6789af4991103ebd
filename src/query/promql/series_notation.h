// Series as test scripts write them: `up{job="a"} 1+2x10 _ _x5 stale`.
//
//   1 2 NaN Inf   values, one an interval
//   1+2x3         1 3 5 7; 1-2x3 and 1x3 (the same value four times) likewise
//   _  _x5        nothing, five times nothing
//   stale         a stale marker
//   {{...}}       a native histogram: known, not read in this release
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"

namespace qd::query::promql {

// More values than this in one line are refused.
inline constexpr std::size_t kNotationValuesMax = 1'000'000;

struct NotatedSeries {
  model::LabelSet labels;
  std::vector<double> values;     // kAbsent (grid.h) for none; `stale` says which of those are markers
  std::vector<bool> stale;        // as long as values
  bool has_histograms = false;    // some values are native histograms, left out
  bool start_timestamps = false;  // the line gives start timestamps (name@st), which are not read
};

base::Result<model::LabelSet> parse_metric(std::string_view text);
base::Result<NotatedSeries> parse_series(std::string_view line);

}  // namespace qd::query::promql
