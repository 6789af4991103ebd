#include "model/histogram_estimates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/histogram_layout.h"

namespace qd::model {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// (0.5, 1] 1, (1, 2] 2, (2, 4] 1
Histogram positive() {
  Histogram h;
  h.count = 4;
  h.sum = 5;
  h.positive_spans = {{0, 3}};
  h.positive = {1, 2, 1};
  return h;
}

Histogram custom() {
  Histogram h;
  h.schema = kCustomBounds;
  h.custom_bounds = {5, 10};
  h.count = 10;
  h.sum = 70;
  h.positive_spans = {{0, 3}};
  h.positive = {4, 4, 2};
  return h;
}

TEST(HistogramEstimates, buckets_come_in_rising_order_with_their_bounds) {
  Histogram h = positive();
  h.negative_spans = {{1, 2}};
  h.negative = {3, 4};
  h.zero_threshold = 0.75;  // covers a part of (0.5, 1]
  h.zero_count = 5;
  const auto buckets = populated_buckets(h);
  ASSERT_EQ(buckets.size(), 6U);
  EXPECT_EQ(buckets[0].lower, -4);
  EXPECT_EQ(buckets[0].upper, -2);
  EXPECT_TRUE(buckets[0].lower_inclusive);
  EXPECT_FALSE(buckets[0].upper_inclusive);
  EXPECT_EQ(buckets[1].count, 3);
  EXPECT_EQ(buckets[2].lower, -0.75);
  EXPECT_TRUE(buckets[2].lower_inclusive && buckets[2].upper_inclusive);
  EXPECT_EQ(buckets[3].lower, 0.75);
  EXPECT_EQ(buckets[3].upper, 1);
  EXPECT_EQ(to_string(positive()), "{count:4, sum:5, (0.5,1]:1, (1,2]:2, (2,4]:1}");
  EXPECT_EQ(to_string(custom()), "{count:10, sum:70, [-Inf,5]:4, (5,10]:4, (10,+Inf]:2}");
}

TEST(HistogramEstimates, bounds_end_with_the_largest_number_and_infinity) {
  EXPECT_EQ(exponential_bound(1024, 0), std::numeric_limits<double>::max());
  EXPECT_EQ(exponential_bound(1025, 0), kInfinity);
  EXPECT_EQ(exponential_bound(3, -1), 64);
  EXPECT_EQ(exponential_bound(-2, 1), 0.5);
  EXPECT_DOUBLE_EQ(exponential_bound(1, 1), std::sqrt(2.0));
  EXPECT_EQ(exponential_bound(-2'000'000'000, 0), 0);
}

TEST(HistogramEstimates, quantiles_lie_evenly_on_a_logarithmic_scale_or_a_linear_one) {
  EXPECT_DOUBLE_EQ(quantile(0.5, positive()), std::sqrt(2.0));
  EXPECT_EQ(quantile(0, positive()), 0.5);
  EXPECT_EQ(quantile(1, positive()), 4);
  EXPECT_EQ(quantile(-1, positive()), -kInfinity);
  EXPECT_EQ(quantile(2, positive()), kInfinity);
  EXPECT_TRUE(std::isnan(quantile(0.5, Histogram())));
  EXPECT_EQ(quantile(0.2, custom()), 2.5);
  EXPECT_EQ(quantile(0.6, custom()), 7.5);
  EXPECT_EQ(quantile(0.9, custom()), 10);  // nothing is known beyond the last bound
  Histogram zero;
  zero.zero_threshold = 1;
  zero.zero_count = zero.count = 4;
  EXPECT_EQ(quantile(0.25, zero), -0.5);
  zero.positive_spans = {{5, 1}};
  zero.positive = {4};
  zero.count = 8;
  EXPECT_EQ(quantile(0.25, zero), 0.5);  // none of them is taken to be below zero
}

TEST(HistogramEstimates, observations_of_nan_are_beyond_all_buckets) {
  Histogram h = positive();
  h.count = 5;
  h.sum = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(has_nan_observations(h));
  EXPECT_TRUE(std::isnan(quantile(0.9, h)));
  EXPECT_DOUBLE_EQ(quantile(0.4, h), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(fraction(-kInfinity, kInfinity, h), 0.8);
}

TEST(HistogramEstimates, fractions) {
  EXPECT_EQ(fraction(1, 2, positive()), 0.5);
  EXPECT_DOUBLE_EQ(fraction(1, std::sqrt(2.0), positive()), 0.25);
  EXPECT_EQ(fraction(2, 2, positive()), 0);
  EXPECT_TRUE(std::isnan(fraction(1, 2, Histogram())));
  EXPECT_DOUBLE_EQ(fraction(2.5, 7.5, custom()), 0.4);
  EXPECT_EQ(fraction(20, 30, custom()), 0);
  EXPECT_DOUBLE_EQ(fraction(20, kInfinity, custom()), 0.2);
}

TEST(HistogramEstimates, variance_takes_the_middles_of_buckets) {
  // 2.5 four times, 7.5 four times (and none beyond) around 5.
  Histogram h = custom();
  h.positive = {4, 4, 0};
  h.count = 8;
  h.sum = 40;
  h.custom_bounds = {0, 5};
  h.positive_spans = {{1, 1}};
  h.positive = {8};
  EXPECT_DOUBLE_EQ(variance(h), 6.25);  // all of them 2.5 from the mean of 5
}

TEST(HistogramEstimates, trimming_estimates_what_is_left) {
  const Histogram low = trimmed(positive(), 2, true);
  EXPECT_EQ(low.count, 3);
  EXPECT_DOUBLE_EQ(low.sum, std::sqrt(0.5) + 2 * std::sqrt(2.0));
  EXPECT_EQ(low.positive, (std::vector<double>{1, 2}));
  const Histogram high = trimmed(positive(), 2, false);
  EXPECT_EQ(high.count, 1);
  EXPECT_EQ(high.positive_spans, (std::vector<BucketSpan>{{2, 1}}));
  // Nothing goes, so what was told stands.
  EXPECT_EQ(trimmed(positive(), 100, true).sum, 5);
  EXPECT_EQ(trimmed(positive(), -kInfinity, false).sum, 5);
  EXPECT_EQ(trimmed(positive(), std::numeric_limits<double>::quiet_NaN(), true).count, 0);
}

TEST(HistogramEstimates, trimming_inside_a_bucket_keeps_a_part_of_it) {
  EXPECT_DOUBLE_EQ(trimmed(positive(), std::sqrt(2.0), true).count, 2);
  EXPECT_DOUBLE_EQ(trimmed(positive(), std::sqrt(2.0), false).count, 2);
  const Histogram low = trimmed(custom(), 7.5, true);
  EXPECT_EQ(low.count, 6);
  EXPECT_EQ(low.sum, 4 * 2.5 + 2 * 6.25);
  // Beyond the last bound all stay, or all go.
  EXPECT_EQ(trimmed(custom(), 50, true).count, 8);
  EXPECT_EQ(trimmed(custom(), 50, false).count, 2);
  EXPECT_EQ(trimmed(custom(), 50, false).sum, 100);
}

}  // namespace
}  // namespace qd::model
