#include "store/metrics/merge_plan.h"

#include <gtest/gtest.h>

namespace qd::store::metrics {
namespace {

SegmentInfo from_to(model::TimestampMs min, model::TimestampMs max) {
  SegmentInfo info;
  info.min_ms = min;
  info.max_ms = max;
  return info;
}

const MergeOptions kOptions = {.seal_interval_ms = 100, .retention_ms = 40'000, .sealed_until_ms = 1600};

TEST(MergePlan, takes_the_oldest_finished_window_of_the_smallest_size) {
  const std::vector<SegmentInfo> segments = {from_to(0, 399),     from_to(400, 499),  from_to(500, 599),
                                             from_to(700, 799),   from_to(800, 899),  from_to(900, 999),
                                             from_to(1600, 1699), from_to(1700, 1799)};
  EXPECT_EQ(plan_merge(segments, kOptions), (std::vector<std::size_t>{1, 2, 3}));
}

TEST(MergePlan, goes_to_larger_windows_once_the_small_ones_hold_one_each) {
  const std::vector<SegmentInfo> segments = {from_to(0, 399), from_to(400, 799), from_to(800, 1199),
                                             from_to(1200, 1599)};
  EXPECT_EQ(plan_merge(segments, kOptions), (std::vector<std::size_t>{0, 1, 2, 3}));
  MergeOptions short_retention = kOptions;
  short_retention.retention_ms = 10'000;
  EXPECT_TRUE(plan_merge(segments, short_retention).empty());
}

TEST(MergePlan, leaves_alone_what_may_still_grow_or_crosses_windows) {
  EXPECT_TRUE(plan_merge(std::vector<SegmentInfo>{from_to(1600, 1699), from_to(1700, 1799)}, kOptions).empty());
  MergeOptions small_windows = kOptions;
  small_windows.retention_ms = 10'000;
  EXPECT_TRUE(plan_merge(std::vector<SegmentInfo>{from_to(300, 450), from_to(500, 599)}, small_windows).empty());
}

TEST(MergePlan, the_largest_windows_are_final) {
  // Windows of 100, 400 and 1600: what is longer than 400 lies in one of the last.
  const MergeOptions options = {.seal_interval_ms = 100, .retention_ms = 20'000, .sealed_until_ms = 0};
  EXPECT_FALSE(is_final(399, options));
  EXPECT_TRUE(is_final(401, options));
  EXPECT_TRUE(is_final(1599, options));
}

TEST(MergePlan, windows_before_the_epoch_are_windows_too) {
  EXPECT_EQ(window_start(-1, 100), -100);
  EXPECT_EQ(window_start(-100, 100), -100);
  EXPECT_EQ(window_start(99, 100), 0);
}

}  // namespace
}  // namespace qd::store::metrics
