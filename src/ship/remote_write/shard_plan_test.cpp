#include "ship/remote_write/shard_plan.h"

#include <gtest/gtest.h>

namespace qd::ship::remote_write {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// A receiver that takes 100 ms for 1,000 samples, and so many samples a second.
class ShardPlanTest : public testing::Test {
 protected:
  std::size_t look(std::uint64_t in_per_s, std::uint64_t out_per_s, std::uint64_t waiting, std::size_t current,
                   std::int64_t oldest_ms = 0, std::size_t max = 50) {
    now_ns_ += 10 * kSecondNs;
    seen_.samples_in += in_per_s * 10;
    seen_.samples_out += out_per_s * 10;
    seen_.busy_ns += static_cast<std::int64_t>(out_per_s * 10) * 100'000;
    seen_.waiting = waiting;
    seen_.oldest_ms = oldest_ms;
    return plan_.update(now_ns_, seen_, current, 1, max);
  }
  ShardPlanTest() { EXPECT_EQ(plan_.update(now_ns_, seen_, 1, 1, 50), 1U); }

  ShardPlan plan_;
  ShardPlan::Seen seen_;
  std::int64_t now_ns_ = 0;
};

TEST_F(ShardPlanTest, what_keeps_up_has_one) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(look(5'000, 5'000, 0, 1), 1U);
}

TEST_F(ShardPlanTest, more_than_one_can_carry_gets_as_many_as_carry_it) {
  EXPECT_EQ(look(45'000, 10'000, 0, 1), 5U);
  EXPECT_DOUBLE_EQ(plan_.desired(), 4.5);
}

TEST_F(ShardPlanTest, what_waits_is_caught_up_with) {
  // 0.1 ms a sample, 5,000 come each second and 5% of a million on top.
  EXPECT_EQ(look(5'000, 10'000, 1'000'000, 1), 6U);
  EXPECT_EQ(look(5'000, 10'000, 100'000'000, 1, 0, 20), 20U) << "but no more than allowed";
}

TEST_F(ShardPlanTest, small_differences_change_nothing) {
  EXPECT_EQ(look(45'000, 45'000, 0, 4), 4U);
  EXPECT_EQ(look(45'000, 45'000, 0, 6), 6U);
}

TEST_F(ShardPlanTest, there_are_fewer_only_when_nothing_is_behind) {
  EXPECT_EQ(look(5'000, 5'000, 1'000, 8, 60'000), 8U);
  EXPECT_EQ(look(5'000, 5'000, 1'000, 8, 0), 1U);
}

TEST_F(ShardPlanTest, a_receiver_that_is_away_changes_nothing) {
  EXPECT_EQ(look(50'000, 0, 10'000'000, 3), 3U);
}

TEST_F(ShardPlanTest, looks_every_ten_seconds_only) {
  now_ns_ += 9 * kSecondNs;
  seen_ = {.samples_in = 900'000, .samples_out = 90'000, .busy_ns = 9 * kSecondNs};
  EXPECT_EQ(plan_.update(now_ns_, seen_, 1, 1, 50), 1U);
  now_ns_ += kSecondNs;
  EXPECT_GT(plan_.update(now_ns_, seen_, 1, 1, 50), 1U);
}

}  // namespace
}  // namespace qd::ship::remote_write
