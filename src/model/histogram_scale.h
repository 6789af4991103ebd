// Native histograms of another resolution, and buckets as they come from the wire.
//
// Pure functions, any thread. Source: the specification "Native Histograms" of Prometheus, "Schema".
#pragma once

#include <cstdint>
#include <span>

#include "model/histogram.h"

namespace qd::model {

// Merges buckets until `histogram` has the standard schema `schema`: 2^(from - to) of them become one. Nothing is lost
// but resolution. REQUIRES: a standard schema of at least `schema`, spans that fit their buckets.
void coarsen(Histogram& histogram, std::int32_t schema);

// Appends the bucket at `index` to a side that is being built, in rising order of index. `end` is the index behind the
// last one that was added; 0 at first.
void append_bucket(std::vector<BucketSpan>& spans, std::vector<double>& counts, std::int32_t& end, std::int32_t index,
                   double count);

}  // namespace qd::model
