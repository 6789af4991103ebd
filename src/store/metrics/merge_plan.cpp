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

std::int64_t width_max_of(const MergeOptions& options) {
  return options.retention_ms > 0 ? options.retention_ms / 10 : kWidthMaxMs;
}

}  // namespace

bool is_final(std::int64_t span_ms, const MergeOptions& options) {
  std::int64_t width = options.seal_interval_ms;
  while (width * kGrowth <= width_max_of(options)) width *= kGrowth;
  return span_ms > width / kGrowth;
}

std::vector<std::size_t> plan_merge(std::span<const SegmentInfo> segments, const MergeOptions& options) {
  const std::int64_t width_max = width_max_of(options);
  for (std::int64_t width = options.seal_interval_ms * kGrowth; width <= width_max; width *= kGrowth) {
    std::map<TimestampMs, std::vector<std::size_t>> windows;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const TimestampMs start = window_start(segments[i].min_ms, width);
      if (segments[i].max_ms < start + width && start + width <= options.sealed_until_ms) windows[start].push_back(i);
    }
    for (auto& [start, places] : windows) {
      if (places.size() > 1) return places;
    }
  }
  return {};
}

}  // namespace qd::store::metrics
