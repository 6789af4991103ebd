#include "store/metrics/merge_plan.h"

#include <map>

namespace qd::store::metrics {

using model::TimestampMs;

TimestampMs window_start(TimestampMs time_ms, std::int64_t width_ms) {
  const std::int64_t into = time_ms % width_ms;
  return time_ms - (into < 0 ? into + width_ms : into);
}

namespace {

constexpr std::int64_t kGrowth = 4;
constexpr std::int64_t kWidthMaxMs = 31LL * 24 * 60 * 60 * 1000;
constexpr std::int64_t kLateWindowsMax = 8;
// Late segments wait until they hold this part of what they lie over, and at most so many side by side.
constexpr std::uint64_t kLatePart = 8;
constexpr std::size_t kLateSegmentsMax = 4;

std::int64_t width_max_ms(std::int64_t retention_ms) {
  return retention_ms > 0 ? retention_ms / 10 : kWidthMaxMs;
}

// What to merge of the segments of one window; fewer than two is nothing.
std::vector<std::size_t> worth_merging(std::span<const SegmentInfo> segments, const std::vector<std::size_t>& places) {
  std::vector<std::size_t> late;
  std::uint64_t late_samples = 0;
  std::uint64_t samples = 0;
  for (const std::size_t i : places) {
    if (segments[i].late()) {
      late.push_back(i);
      late_samples += segments[i].samples;
    } else {
      samples += segments[i].samples;
    }
  }
  const bool one_below = places.size() == late.size() + 1;
  if (late.empty() || !one_below || late_samples * kLatePart >= samples) return places;
  return late.size() >= kLateSegmentsMax ? late : std::vector<std::size_t>{};
}

}  // namespace

bool is_final(std::int64_t span_ms, const MergeOptions& options) {
  std::int64_t width = options.seal_interval_ms;
  while (width * kGrowth <= width_max_ms(options.retention_ms)) width *= kGrowth;
  return span_ms > width / kGrowth;
}

std::int64_t late_window_ms(std::int64_t seal_interval_ms, std::int64_t retention_ms, std::int64_t span_ms) {
  std::int64_t width = seal_interval_ms;
  while (span_ms / width > kLateWindowsMax && width * kGrowth <= width_max_ms(retention_ms)) width *= kGrowth;
  return width;
}

std::vector<std::size_t> plan_merge(std::span<const SegmentInfo> segments, const MergeOptions& options) {
  const std::int64_t width_max = width_max_ms(options.retention_ms);
  for (std::int64_t width = options.seal_interval_ms * kGrowth; width <= width_max; width *= kGrowth) {
    std::map<TimestampMs, std::vector<std::size_t>> windows;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const TimestampMs start = window_start(segments[i].min_ms, width);
      if (segments[i].max_ms < start + width && start + width <= options.sealed_until_ms) windows[start].push_back(i);
    }
    for (auto& [start, places] : windows) {
      if (auto plan = worth_merging(segments, places); plan.size() > 1) return plan;
    }
  }
  return {};
}

}  // namespace qd::store::metrics
