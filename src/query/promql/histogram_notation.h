// Native histograms as test scripts write them: {{schema:1 sum:5 count:4 buckets:[1 2 1] offset:-1}}.
//
// Keys, all optional: schema, sum, count, z_bucket (observations in the zero bucket), z_bucket_w (its threshold),
// buckets and n_buckets (counts, side by side), offset and n_offset (the index of the first), custom_values (bounds),
// counter_reset_hint (unknown, reset, not_reset, gauge).
#pragma once

#include <string_view>

#include "base/result.h"
#include "model/histogram.h"

namespace qd::query::promql {

struct NotatedHistogram {
  model::Histogram histogram;
  bool hint_given = false;
};

// `text`: what stands between the braces.
base::Result<NotatedHistogram> parse_histogram(std::string_view text);

}  // namespace qd::query::promql
