#include "model/histogram_arithmetic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace qd::model {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

// Buckets from index 1 on.
Histogram exponential(std::int32_t schema, std::vector<double> counts) {
  Histogram h;
  h.schema = schema;
  for (const double count : counts) h.count += count;
  h.sum = h.count;
  h.positive_spans = {{1, static_cast<std::uint32_t>(counts.size())}};
  h.positive = std::move(counts);
  return h;
}

Histogram custom(std::vector<double> bounds, std::vector<double> counts) {
  Histogram h = exponential(kCustomBounds, std::move(counts));
  h.custom_bounds = std::move(bounds);
  h.positive_spans[0].offset = 0;
  return h;
}

TEST(HistogramArithmetic, sums_bring_both_to_the_coarser_schema) {
  Histogram sum = exponential(-1, {1});            // (1, 4]
  const Histogram finer = exponential(0, {2, 3});  // (1, 2], (2, 4]
  const Joined joined = add(sum, finer);
  EXPECT_TRUE(joined.compatible);
  EXPECT_TRUE(same_value(sum, exponential(-1, {6})));
  Histogram other_way = finer;
  add(other_way, exponential(-1, {1}));
  EXPECT_TRUE(same_value(other_way, sum));
}

TEST(HistogramArithmetic, sums_have_the_buckets_of_both) {
  Histogram sum = exponential(0, {1, 0, 1});
  Histogram other = exponential(0, {2});
  other.positive_spans = {{-2, 1}, {6, 0}, {0, 1}};  // indices -2 and 5
  other.positive = {2, 4};
  other.negative_spans = {{0, 1}};
  other.negative = {7};
  other.count = 13;
  add(sum, other);
  EXPECT_EQ(sum.positive_spans, (std::vector<BucketSpan>{{-2, 1}, {2, 3}, {1, 1}}));
  EXPECT_EQ(sum.positive, (std::vector<double>{2, 1, 0, 1, 4}));
  EXPECT_EQ(sum.negative, (std::vector<double>{7}));
  EXPECT_EQ(sum.count, 15);
  compact(sum);
  EXPECT_EQ(sum.positive_spans, (std::vector<BucketSpan>{{-2, 1}, {2, 1}, {1, 1}, {1, 1}}));
}

TEST(HistogramArithmetic, the_wider_zero_bucket_takes_in_what_it_covers) {
  Histogram narrow = exponential(0, {1, 2, 4});  // (1, 2], (2, 4], (4, 8]
  narrow.zero_threshold = 0.001;
  narrow.zero_count = 8;
  narrow.count += 8;
  Histogram wide;
  wide.zero_threshold = 3;  // ends inside (2, 4]: the sum's must reach to 4
  wide.zero_count = 16;
  wide.count = 16;
  for (Histogram sum : {narrow, wide}) {
    add(sum, sum == narrow ? wide : narrow);
    compact(sum);
    EXPECT_EQ(sum.zero_threshold, 4);
    EXPECT_EQ(sum.zero_count, 27);
    EXPECT_EQ(sum.positive, (std::vector<double>{4}));
    EXPECT_EQ(sum.positive_spans, (std::vector<BucketSpan>{{3, 1}}));
  }
}

TEST(HistogramArithmetic, custom_bounds_that_differ_leave_those_that_both_have) {
  Histogram sum = custom({2, 4, 6}, {1, 2, 5, 7});
  const Joined joined = add(sum, custom({1, 2, 3, 4, 5}, {10, 20, 30, 40, 50, 60}));
  EXPECT_TRUE(joined.bounds_reconciled);
  EXPECT_EQ(sum.custom_bounds, (std::vector<double>{2, 4}));
  EXPECT_EQ(sum.positive, (std::vector<double>{31, 72, 122}));
}

TEST(HistogramArithmetic, exponential_and_custom_buckets_do_not_mix) {
  Histogram sum = exponential(0, {1});
  const Histogram before = sum;
  EXPECT_FALSE(add(sum, custom({1}, {1, 1})).compatible);
  EXPECT_EQ(sum, before);
  HistogramSum total;
  EXPECT_TRUE(total.add(before));
  EXPECT_FALSE(total.add(custom({1}, {1, 1})));
  EXPECT_TRUE(same_value(total.value(), before));
}

TEST(HistogramArithmetic, a_difference_may_be_negative) {
  Histogram difference = exponential(0, {1, 2});
  subtract(difference, exponential(0, {3, 2}));
  compact(difference);
  EXPECT_EQ(difference.positive, (std::vector<double>{-2}));
  EXPECT_EQ(difference.count, -2);
}

TEST(HistogramArithmetic, scaling_below_zero_makes_a_gauge_and_dividing_by_zero_drops_the_buckets) {
  Histogram h = exponential(0, {1, 2});
  multiply(h, 2);
  EXPECT_EQ(h.reset, CounterReset::kUnknown);
  EXPECT_EQ(h.positive, (std::vector<double>{2, 4}));
  multiply(h, -1);
  EXPECT_EQ(h.reset, CounterReset::kGauge);
  divide(h, 0);
  EXPECT_TRUE(h.positive.empty());
  EXPECT_TRUE(std::isinf(h.count));
}

TEST(HistogramArithmetic, hints_that_contradict_each_other_are_told) {
  Histogram sum = exponential(0, {1});
  sum.reset = CounterReset::kReset;
  Histogram other = sum;
  other.reset = CounterReset::kNotReset;
  EXPECT_TRUE(add(sum, other).resets_conflict);
  EXPECT_EQ(sum.reset, CounterReset::kUnknown);
  other.reset = CounterReset::kGauge;
  EXPECT_FALSE(add(sum, other).resets_conflict);
  EXPECT_EQ(sum.reset, CounterReset::kGauge);
}

TEST(HistogramArithmetic, buckets_may_be_as_far_apart_as_the_wire_allows) {
  Histogram low = exponential(8, {1, 2});
  low.positive_spans = {{std::numeric_limits<std::int32_t>::min(), 2}};
  Histogram high = exponential(8, {3, 4});
  high.positive_spans = {{std::numeric_limits<std::int32_t>::max() - 2, 2}};
  for (Histogram sum : {low, high}) {
    add(sum, sum == low ? high : low);
    EXPECT_EQ(sum.positive, (std::vector<double>{1, 2, 3, 4}));
    subtract(sum, low);
    compact(sum);
    EXPECT_TRUE(same_value(sum, high));
    add(sum, low);
    reduce_schema(sum, -4);
    compact(sum);
    EXPECT_EQ(sum.positive, (std::vector<double>{1, 2, 7}));  // the first two lie on either side of a bound
  }
}

TEST(HistogramArithmetic, never_more_buckets_than_the_limit) {
  Histogram sum = exponential(8, std::vector<double>(kHistogramBucketsMax, 1));
  Histogram other = sum;
  other.positive_spans[0].offset = -69'999;
  add(sum, other);
  EXPECT_LE(sum.positive.size(), kHistogramBucketsMax);
  EXPECT_EQ(sum.schema, 7);
  double total = 0;
  for (const double count : sum.positive) total += count;
  EXPECT_EQ(total, 2.0 * kHistogramBucketsMax);
}

TEST(HistogramArithmetic, counting_began_anew_where_something_fell) {
  const Histogram before = exponential(0, {1, 2, 3});
  EXPECT_FALSE(was_reset(before, before));
  EXPECT_FALSE(was_reset(before, exponential(0, {1, 2, 3, 4})));
  EXPECT_TRUE(was_reset(before, exponential(0, {1, 1, 9})));
  EXPECT_TRUE(was_reset(before, exponential(0, {9, 9})));
  EXPECT_TRUE(was_reset(before, exponential(1, {9, 9, 9, 9, 9, 9})));  // finer
  EXPECT_FALSE(was_reset(before, exponential(-1, {3, 3})));            // coarser: (1, 4], (4, 16]
  EXPECT_TRUE(was_reset(before, exponential(-1, {2, 9})));
  Histogram wider = exponential(0, {0, 2, 3});
  wider.zero_threshold = 2;
  wider.zero_count = 1;
  wider.count = 6;
  EXPECT_FALSE(was_reset(before, wider));
  EXPECT_TRUE(was_reset(wider, before));  // the zero bucket got narrower
  wider.zero_threshold = 1.5;             // inside (1, 2]
  EXPECT_TRUE(was_reset(before, wider));
  Histogram told = before;
  told.reset = CounterReset::kReset;
  EXPECT_TRUE(was_reset(before, told));
  told = exponential(0, {0});
  told.reset = CounterReset::kNotReset;
  EXPECT_FALSE(was_reset(before, told));
  EXPECT_TRUE(was_reset(before, custom({1}, {9, 9})));
  EXPECT_FALSE(was_reset(custom({1, 2}, {1, 1, 1}), custom({2}, {2, 1})));
  EXPECT_TRUE(was_reset(custom({1, 2}, {1, 1, 1}), custom({2}, {1, 9})));
}

TEST(HistogramArithmetic, values_are_the_same_whatever_the_spans_are) {
  Histogram a = exponential(0, {1, 2});
  Histogram b = a;
  b.positive_spans = {{1, 1}, {0, 0}, {0, 1}};
  b.is_integer = true;
  b.reset = CounterReset::kGauge;
  EXPECT_TRUE(same_value(a, b));
  b.positive_spans = {{1, 1}, {1, 1}};
  EXPECT_FALSE(same_value(a, b));
  a.sum = b.sum = std::numeric_limits<double>::quiet_NaN();
  b.positive_spans = a.positive_spans;
  EXPECT_TRUE(same_value(a, b));
}

TEST(HistogramArithmetic, a_sum_keeps_small_addends_beside_large_ones) {
  HistogramSum total;
  const Histogram large = exponential(0, {1e16});
  Histogram minus = large;
  multiply(minus, -1);
  total.add(large);
  for (int i = 0; i < 10; ++i) total.add(exponential(0, {1}));
  total.add(minus);
  EXPECT_EQ(total.value().positive, (std::vector<double>{10}));
  EXPECT_EQ(total.value().count, 10);
}

TEST(HistogramArithmetic, a_sum_of_parts_is_the_sum_of_all) {
  HistogramSum whole;
  HistogramSum first;
  HistogramSum second;
  for (int i = 0; i < 10; ++i) {
    const Histogram next = exponential(i % 3, {1.0 * i, 2.0, 0.1});
    whole.add(next);
    (i < 4 ? first : second).add(next);
  }
  HistogramSum joined;
  joined.add(first);
  joined.add(second);
  EXPECT_EQ(joined.size(), 10U);
  const Histogram a = whole.value();
  const Histogram b = joined.value();
  EXPECT_EQ(a.schema, 0);
  ASSERT_EQ(a.positive_spans, b.positive_spans);
  for (std::size_t i = 0; i < a.positive.size(); ++i) EXPECT_DOUBLE_EQ(a.positive[i], b.positive[i]);
}

TEST(HistogramArithmetic, a_mean_goes_on_where_its_sum_would_overflow) {
  HistogramMean mean;
  const Histogram large = exponential(0, {kLargest});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(mean.add(large));
  EXPECT_DOUBLE_EQ(mean.value().positive[0], kLargest);
  HistogramMean plain;
  plain.add(exponential(0, {1}));
  plain.add(exponential(0, {2}));
  EXPECT_EQ(plain.value().positive, (std::vector<double>{1.5}));
}

TEST(ReduceSchema, halving_the_resolution_merges_the_two_buckets_that_end_in_one) {
  // Schema 1: bucket 1 ends at sqrt 2, 2 at 2, 3 at 2 sqrt 2, 4 at 4. Schema 0: 1 ends at 2, 2 at 4.
  Histogram h{.schema = 1, .count = 10, .positive_spans = {{1, 4}}, .positive = {1, 2, 3, 4}};
  reduce_schema(h, 0);
  EXPECT_EQ(h.schema, 0);
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{1, 2}}));
  EXPECT_EQ(h.positive, (std::vector<double>{3, 7}));
  EXPECT_TRUE(validate(h));
}

TEST(ReduceSchema, buckets_below_one_merge_toward_their_own_bound) {
  // Schema 1: bucket 0 ends at 1, -1 at 1/sqrt 2, -2 at 1/2. Schema 0: 0 ends at 1, -1 at 1/2.
  Histogram h{.schema = 1, .count = 7, .negative_spans = {{-2, 3}}, .negative = {1, 2, 4}};
  reduce_schema(h, 0);
  EXPECT_EQ(h.negative_spans, (std::vector<BucketSpan>{{-1, 2}}));
  EXPECT_EQ(h.negative, (std::vector<double>{1, 6}));
}

TEST(ReduceSchema, far_apart_buckets_stay_apart) {
  Histogram h{.schema = 2, .count = 4, .positive_spans = {{1, 1}, {15, 1}, {400, 2}}, .positive = {1, 1, 1, 1}};
  reduce_schema(h, 0);
  EXPECT_EQ(h.positive, (std::vector<double>{1, 1, 2}));
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{1, 1}, {3, 1}, {99, 1}}));
  EXPECT_TRUE(validate(h));
}

TEST(ReduceSchema, the_finest_on_the_wire_becomes_the_finest_that_is_stored) {
  Histogram h{
      .schema = kSchemaOnWireMax, .count = 2, .positive_spans = {{-2'000'000'000, 1}, {1, 1}}, .positive = {1, 1}};
  reduce_schema(h, kSchemaMax);
  EXPECT_EQ(h.positive, (std::vector<double>{2}));
  EXPECT_TRUE(validate(h));
}

}  // namespace
}  // namespace qd::model
