// Several segments into one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/segment.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {

using SegmentCut = std::function<void(std::size_t input, const LabelSet& labels, Columns& columns)>;

// Writes the samples of `segments` at or after `drop_before_ms` to a new segment at `path`, series by series in label
// order; memory is one series and the new index. Where two segments have a sample of one series at the same time, the
// one later in `segments` wins.
// `cut`, if given, takes samples out of what one of them has of a series. The inputs stay as they are: the caller
// removes them once this returns.
// kCorrupt names the damaged input: nothing is written then. kNotFound when no sample is left.
base::Result<SegmentInfo> merge_segments(base::Files& files, std::span<const std::shared_ptr<const Segment>> segments,
                                         const std::filesystem::path& path, model::TimestampMs drop_before_ms,
                                         const SegmentOptions& options, const SegmentCut& cut = {});

}  // namespace qd::store::metrics
