#include "observe/scrape/histograms.h"

#include <gtest/gtest.h>

#include <limits>

namespace qd::observe::scrape {
namespace {

using model::BucketSpan;
using model::Histogram;

Histogram fine() {
  Histogram h;
  h.schema = 1;
  h.count = 15;
  // Buckets -2, -1, 0 and 3, 4.
  h.positive_spans = {{-2, 3}, {2, 2}};
  h.positive = {1, 2, 3, 4, 5};
  return h;
}

TEST(BringDown, merges_neighbours_until_there_are_few_enough) {
  Histogram h = fine();
  ASSERT_TRUE(bring_down(h, 4, 0));
  EXPECT_EQ(h.schema, 0);
  // -2 is in -1, -1 and 0 are in 0, 3 and 4 are in 2.
  EXPECT_EQ(h.positive, (std::vector<double>{1, 5, 9}));
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{-1, 2}, {1, 1}}));
  EXPECT_TRUE(model::validate(h));
  h = fine();
  ASSERT_TRUE(bring_down(h, 2, 0));
  EXPECT_EQ(h.schema, -1);
  EXPECT_EQ(h.positive, (std::vector<double>{6, 9}));
}

TEST(BringDown, stops_at_the_coarsest) {
  Histogram h;
  h.schema = -4;
  h.positive_spans = {{-100, 1}, {100, 1}};
  h.positive = {1, 1};
  EXPECT_EQ(bring_down(h, 1, 0).error().code(), base::ErrorCode::kLimit);
}

TEST(BringDown, takes_what_is_finer_than_is_stored) {
  Histogram h;
  h.schema = 10;
  h.count = 4;
  h.positive_spans = {{1, 4}};
  h.positive = {1, 1, 1, 1};
  ASSERT_TRUE(bring_down(h, 0, 0));
  EXPECT_EQ(h.schema, 8);
  EXPECT_EQ(h.positive, (std::vector<double>{4}));
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{1, 1}}));
}

TEST(BringDown, keeps_to_the_smallest_factor) {
  Histogram h = fine();
  ASSERT_TRUE(bring_down(h, 0, 1.5));
  EXPECT_EQ(h.schema, 0);
  ASSERT_TRUE(bring_down(h, 0, 2));
  EXPECT_EQ(h.schema, 0);
  ASSERT_TRUE(bring_down(h, 0, 3));
  EXPECT_EQ(h.schema, -1);
}

TEST(BringDown, refuses_a_schema_that_is_none) {
  Histogram h = fine();
  h.schema = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(bring_down(h, 1, 1.1).error().code(), base::ErrorCode::kInvalid);
  h.schema = -5;
  EXPECT_EQ(bring_down(h, 1, 1.1).error().code(), base::ErrorCode::kInvalid);
}

TEST(BringDown, refuses_spans_that_do_not_fit) {
  Histogram h = fine();
  h.positive.pop_back();
  EXPECT_FALSE(bring_down(h, 1, 0));
  h = fine();
  h.positive.push_back(1);
  EXPECT_FALSE(bring_down(h, 1, 0));
  h = fine();
  h.schema = model::kCustomBounds;
  h.custom_bounds = {1, 2, 3, 4};
  EXPECT_EQ(bring_down(h, 3, 0).error().code(), base::ErrorCode::kLimit);
  EXPECT_TRUE(bring_down(h, 5, 0));
}

}  // namespace
}  // namespace qd::observe::scrape
