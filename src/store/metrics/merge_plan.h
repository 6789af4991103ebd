// Which segments to merge next. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/sample.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {

struct MergeOptions {
  std::int64_t seal_interval_ms;
  std::int64_t retention_ms;  // 0 keeps all
  model::TimestampMs sealed_until_ms;
};

// Windows grow by a factor of four from the seal interval up to a tenth of the retention (a month when everything is
// kept). The answer is the places in `segments` of all that lie in the oldest finished window of the smallest size that
// holds more than one; empty when there is nothing to do.
std::vector<std::size_t> plan_merge(std::span<const SegmentInfo> segments, const MergeOptions& options);

// Whether what spans so much time will not be merged again.
bool is_final(std::int64_t span_ms, const MergeOptions& options);

// Late segments lie over others. Where a window holds one other segment, they wait until they are a part of it worth
// writing it anew, and are merged among themselves meanwhile.

// How wide the windows are into which late samples over `span_ms` are sealed: the smallest that makes few of them.
std::int64_t late_window_ms(std::int64_t seal_interval_ms, std::int64_t retention_ms, std::int64_t span_ms);

// Start of the window of `width` that holds `time_ms`.
model::TimestampMs window_start(model::TimestampMs time_ms, std::int64_t width_ms);

}  // namespace qd::store::metrics
