#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace qd::base {
namespace {

TEST(SystemClock, agrees_with_the_system_in_its_units) {
  const SystemClock clock;
  const std::int64_t seconds = std::time(nullptr);
  EXPECT_NEAR(static_cast<double>(clock.wall_ms()), static_cast<double>(seconds) * 1000, 5000);
  const std::int64_t first_ns = clock.monotonic_ns();
  timespec monotonic{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  const std::int64_t last_ns = clock.monotonic_ns();
  const std::int64_t between_ns = static_cast<std::int64_t>(monotonic.tv_sec) * 1'000'000'000 + monotonic.tv_nsec;
  EXPECT_LE(first_ns, between_ns);
  EXPECT_LE(between_ns, last_ns);
}

TEST(ManualClock, a_jump_of_the_wall_leaves_intervals_alone) {
  ManualClock clock(1000);
  clock.advance_ms(5);
  clock.jump_wall_ms(-100);
  EXPECT_EQ(clock.wall_ms(), 905);
  EXPECT_EQ(clock.monotonic_ns(), 5'000'000);
}

}  // namespace
}  // namespace qd::base
