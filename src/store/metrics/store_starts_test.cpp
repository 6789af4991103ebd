// Zeros where counters began to count.
#include <gtest/gtest.h>

#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

class StartsTest : public StoreTest {
 protected:
  StartsTest() { options_.created_timestamp_zero_ingestion = true; }

  // Whether there is a zero now, with the sample behind it.
  bool put_started(TimestampMs start, TimestampMs time, double value = 7) {
    auto appender = store_->appender();
    const SeriesRef ref = *appender->series(series_labels(0));
    const bool zero = append_start(*appender, ref, start, time);
    EXPECT_EQ(appender->append(ref, time, value), AppendOutcome::kOk);
    EXPECT_TRUE(appender->commit());
    return zero;
  }
  Samples samples() { return content()[series_labels(0).to_string()]; }
};

TEST_F(StartsTest, stand_only_where_they_are_the_newest_of_their_series) {
  open();
  EXPECT_TRUE(put_started(kStart, kStart + 1000));
  EXPECT_FALSE(put_started(kStart, kStart + 2000)) << "there already";
  EXPECT_FALSE(put_started(kStart + 500, kStart + 3000)) << "older than the newest";
  EXPECT_FALSE(put_started(kStart + 4000, kStart + 4000)) << "no earlier than the sample";
  EXPECT_TRUE(put_started(kStart + 4500, kStart + 5000)) << "counts anew";
  EXPECT_EQ(samples(), (Samples{{kStart, 0},
                                {kStart + 1000, 7},
                                {kStart + 2000, 7},
                                {kStart + 3000, 7},
                                {kStart + 4000, 7},
                                {kStart + 4500, 0},
                                {kStart + 5000, 7}}));
  open();
  EXPECT_EQ(samples().size(), 7U);
}

TEST_F(StartsTest, are_never_late_whatever_else_may_be) {
  options_.out_of_order_window_ms = 3'600'000;
  open();
  for (TimestampMs t = 0; t <= 300'000; t += 10'000) {
    ASSERT_TRUE(put(1, kStart + t, 1));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  // Sealed long ago: a new series as well cannot begin there.
  EXPECT_FALSE(put_started(kStart + 10'000, kStart + 300'000));
  EXPECT_EQ(samples(), (Samples{{kStart + 300'000, 7}}));
}

TEST_F(StartsTest, know_what_the_batch_holds) {
  open();
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(0));
  ASSERT_EQ(appender->append(ref, kStart + 1000, 1), AppendOutcome::kOk);
  EXPECT_FALSE(append_start(*appender, ref, kStart + 500, kStart + 2000));
  EXPECT_TRUE(append_start(*appender, ref, kStart + 1500, kStart + 2000));
  EXPECT_FALSE(append_start(*appender, ref, kStart + 1500, kStart + 2000));
  EXPECT_FALSE(append_start(*appender, ref + 77, kStart + 1500, kStart + 2000)) << "no such series";
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(samples(), (Samples{{kStart + 1000, 1}, {kStart + 1500, 0}}));
}

TEST_F(StartsTest, of_a_histogram_are_one_without_observations) {
  open();
  model::Histogram histogram;
  histogram.schema = 2;
  histogram.is_integer = true;
  histogram.zero_threshold = 0.5;
  histogram.positive_spans = {{0, 1}};
  histogram.positive = {3};
  histogram.count = histogram.sum = 3;
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(0));
  EXPECT_TRUE(append_start(*appender, ref, kStart, kStart + 1000, &histogram));
  EXPECT_EQ(appender->append(ref, kStart + 1000, histogram), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  const auto set = store_->select({}, -kAll, kAll, 10);
  Columns columns;
  ASSERT_TRUE((*set)->read(0, -kAll, kAll, columns));
  ASSERT_EQ(columns.histograms.size(), 2U);
  const model::Histogram& zero = *columns.histograms[0];
  EXPECT_EQ(zero.count, 0);
  EXPECT_TRUE(zero.positive.empty());
  EXPECT_EQ(zero.schema, 2);
  EXPECT_EQ(zero.zero_threshold, 0.5);
  EXPECT_EQ(zero.reset, model::CounterReset::kReset);
}

TEST_F(StartsTest, are_none_where_they_are_not_wanted) {
  options_.created_timestamp_zero_ingestion = false;
  open();
  EXPECT_FALSE(put_started(kStart, kStart + 1000));
  options_.created_timestamp_zero_ingestion = true;
  store_->set_options(options_);
  EXPECT_TRUE(put_started(kStart + 1500, kStart + 2000));
}

}  // namespace
}  // namespace qd::store::metrics
