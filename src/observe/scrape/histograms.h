// Native histograms brought down to what may be stored. Private to this room.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "model/histogram.h"

namespace qd::observe::scrape {

// Halves the resolution until it is one that is stored, until neighbouring bounds differ by `factor_min` at least (0
// leaves them), and until there are no more than `buckets_max` buckets (0 is no limit). kLimit where no resolution has
// so few, kInvalid where spans do not fit their buckets.
base::Status bring_down(model::Histogram& histogram, std::uint64_t buckets_max, double factor_min);

}  // namespace qd::observe::scrape
