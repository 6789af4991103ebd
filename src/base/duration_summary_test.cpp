#include "base/duration_summary.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qd::base {
namespace {

TEST(DurationSummary, quantiles_are_near) {
  const base::ManualClock clock;
  DurationSummary summary(clock);
  for (int ms = 1; ms <= 1000; ++ms) summary.observe(ms * 1'000'000LL);
  EXPECT_NEAR(summary.quantile(0.5), 0.5, 0.05 * 0.5);
  EXPECT_NEAR(summary.quantile(0.99), 0.99, 0.05 * 0.99);
  EXPECT_EQ(summary.count(), 1000U);
  EXPECT_NEAR(summary.sum(), 500.5, 1e-6);
}

TEST(DurationSummary, forgets_after_ten_minutes) {
  base::ManualClock clock;
  DurationSummary summary(clock);
  EXPECT_TRUE(std::isnan(summary.quantile(0.5)));
  summary.observe(1'000'000);
  clock.advance_ms(7 * 60'000);
  EXPECT_NEAR(summary.quantile(0.5), 0.001, 0.0001);
  summary.observe(100'000'000);
  clock.advance_ms(4 * 60'000);
  EXPECT_NEAR(summary.quantile(0.01), 0.1, 0.01);
  clock.advance_ms(20 * 60'000);
  EXPECT_TRUE(std::isnan(summary.quantile(0.5)));
  EXPECT_EQ(summary.count(), 2U);
}

TEST(DurationSummary, takes_extremes) {
  const base::ManualClock clock;
  DurationSummary summary(clock);
  summary.observe(0);
  EXPECT_LT(summary.quantile(0.5), 1e-5);
  summary.observe(1'000'000'000'000'000);
  EXPECT_GT(summary.quantile(0.99), 1000);
}

}  // namespace
}  // namespace qd::base
