#include "store/metrics/change_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace qd::store::metrics {
namespace {

TEST(ChangeLog, says_the_oldest_time_noted_since) {
  ChangeLog log;
  EXPECT_EQ(log.changed_since(log.generation()), ChangeLog::kUnchanged);
  log.note(10'000);
  const auto first = log.generation();
  log.note(20'000);
  const auto second = log.generation();
  log.note(30'000);
  EXPECT_EQ(log.changed_since(0), 10'000);
  EXPECT_EQ(log.changed_since(first), 20'000);
  EXPECT_EQ(log.changed_since(second), 30'000);
  EXPECT_EQ(log.changed_since(log.generation()), ChangeLog::kUnchanged);
  // One that comes late overrides all that are newer.
  log.note(15'000);
  EXPECT_EQ(log.changed_since(0), 10'000);
  EXPECT_EQ(log.changed_since(second), 15'000);
  log.note(model::kMinTimestampMs);
  EXPECT_EQ(log.changed_since(second), model::kMinTimestampMs);
  log.note(40'000);
  EXPECT_EQ(log.changed_since(second), model::kMinTimestampMs);
}

TEST(ChangeLog, is_never_later_than_true_and_bounded) {
  ChangeLog log;
  std::mt19937 random(7);
  std::vector<model::TimestampMs> noted;
  for (int i = 0; i < 60'000; ++i) {
    const model::TimestampMs at =
        i * 1'500 - (random() % 1000 == 0 ? static_cast<std::int64_t>(random() % 1'000'000) : 0);
    noted.push_back(at);
    log.note(at);
  }
  // The oldest of each ending.
  std::vector<model::TimestampMs> oldest = noted;
  for (std::size_t i = oldest.size() - 1; i-- > 0;) oldest[i] = std::min(oldest[i], oldest[i + 1]);
  std::size_t exact = 0;
  for (std::size_t i = 0; i + 1 < oldest.size(); ++i) {
    const auto said = log.changed_since(i + 1);
    ASSERT_LE(said, oldest[i + 1]) << i;
    exact += said == oldest[i + 1] ? 1 : 0;
  }
  // The newest are told as they are.
  EXPECT_EQ(log.changed_since(noted.size() - 1), noted.back());
  EXPECT_GT(exact, std::size_t{1000});
}

}  // namespace
}  // namespace qd::store::metrics
