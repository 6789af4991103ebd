#include "model/histogram_scale.h"

#include <gtest/gtest.h>

namespace qd::model {
namespace {

TEST(HistogramScale, halving_the_resolution_merges_the_two_buckets_that_end_in_one) {
  // Schema 1: bucket 1 ends at sqrt 2, 2 at 2, 3 at 2 sqrt 2, 4 at 4. Schema 0: 1 ends at 2, 2 at 4.
  Histogram h{.schema = 1, .count = 10, .positive_spans = {{1, 4}}, .positive = {1, 2, 3, 4}};
  coarsen(h, 0);
  EXPECT_EQ(h.schema, 0);
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{1, 2}}));
  EXPECT_EQ(h.positive, (std::vector<double>{3, 7}));
  EXPECT_TRUE(validate(h));
}

TEST(HistogramScale, buckets_below_one_merge_toward_their_own_bound) {
  // Schema 1: bucket 0 ends at 1, -1 at 1/sqrt 2, -2 at 1/2. Schema 0: 0 ends at 1, -1 at 1/2.
  Histogram h{.schema = 1, .count = 7, .negative_spans = {{-2, 3}}, .negative = {1, 2, 4}};
  coarsen(h, 0);
  EXPECT_EQ(h.negative_spans, (std::vector<BucketSpan>{{-1, 2}}));
  EXPECT_EQ(h.negative, (std::vector<double>{1, 6}));
}

TEST(HistogramScale, far_apart_buckets_stay_apart_and_near_ones_share_a_span) {
  Histogram h{.schema = 2, .count = 4, .positive_spans = {{1, 1}, {15, 1}, {400, 2}}, .positive = {1, 1, 1, 1}};
  coarsen(h, 0);
  EXPECT_EQ(h.positive, (std::vector<double>{1, 1, 2}));
  EXPECT_EQ(h.positive_spans, (std::vector<BucketSpan>{{1, 1}, {3, 1}, {99, 1}}));
  EXPECT_TRUE(validate(h));
}

TEST(HistogramScale, the_finest_on_the_wire_becomes_the_finest_that_is_stored) {
  Histogram h{
      .schema = kSchemaOnWireMax, .count = 2, .positive_spans = {{-2'000'000'000, 1}, {1, 1}}, .positive = {1, 1}};
  coarsen(h, kSchemaMax);
  EXPECT_EQ(h.positive, (std::vector<double>{2}));
  EXPECT_TRUE(validate(h));
}

}  // namespace
}  // namespace qd::model
