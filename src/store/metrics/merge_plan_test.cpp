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

SegmentInfo of_samples(SegmentInfo info, std::uint64_t samples, bool late) {
  info.samples = samples;
  if (late) info.level = kLateLevel;
  return info;
}

TEST(MergePlan, late_segments_wait_until_they_are_worth_it) {
  const auto below = of_samples(from_to(0, 399), 1000, false);
  const auto late = [](std::uint64_t samples) { return of_samples(from_to(50, 350), samples, true); };
  EXPECT_TRUE(plan_merge(std::vector{below, late(10)}, kOptions).empty());
  EXPECT_TRUE(plan_merge(std::vector{below, late(10), late(10), late(10)}, kOptions).empty());
  // Among themselves.
  EXPECT_EQ(plan_merge(std::vector{late(10), below, late(10), late(10), late(10)}, kOptions),
            (std::vector<std::size_t>{0, 2, 3, 4}));
  // With what they lie over.
  EXPECT_EQ(plan_merge(std::vector{late(100), below, late(25)}, kOptions), (std::vector<std::size_t>{0, 1, 2}));
  // With what is merged anyway, and where there is nothing below.
  EXPECT_EQ(plan_merge(std::vector{of_samples(from_to(0, 99), 1000, false), of_samples(from_to(100, 199), 1000, false),
                                   late(1)},
                       kOptions),
            (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(plan_merge(std::vector{late(1), late(1)}, kOptions), (std::vector<std::size_t>{0, 1}));
}

TEST(MergePlan, late_samples_are_sealed_into_few_windows) {
  EXPECT_EQ(late_window_ms(100, 0, 50), 100);
  EXPECT_EQ(late_window_ms(100, 0, 800), 100);
  EXPECT_EQ(late_window_ms(100, 0, 900), 400);
  EXPECT_EQ(late_window_ms(100, 20'000, 1'000'000), 1600);
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
