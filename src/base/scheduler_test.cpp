#include "base/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace qd::base {
namespace {

using ::testing::ElementsAre;

TEST(ManualScheduler, runs_tasks_in_order_of_time_with_the_clock_at_their_time) {
  ManualClock clock;
  ManualScheduler scheduler(clock);
  std::vector<std::string> ran;
  const auto note = [&](const char* name) {
    return [&, name] { ran.push_back(name + std::to_string(clock.monotonic_ns() / 1'000'000)); };
  };
  scheduler.after_ms(20, note("late"));
  scheduler.after_ms(10, note("early"));
  scheduler.post(note("posted"));
  scheduler.after_ms(31, note("beyond"));
  EXPECT_TRUE(ran.empty());
  scheduler.run_posted();
  EXPECT_THAT(ran, ElementsAre("posted0"));
  scheduler.advance_ms(30);
  EXPECT_THAT(ran, ElementsAre("posted0", "early10", "late20"));
  EXPECT_EQ(clock.monotonic_ns(), 30'000'000);
}

TEST(ManualScheduler, a_task_that_repeats_itself_runs_once_for_each_interval) {
  ManualClock clock;
  ManualScheduler scheduler(clock);
  int runs = 0;
  std::function<void()> again = [&] {
    ++runs;
    scheduler.after_ms(15, again);
  };
  again();
  scheduler.advance_ms(60);
  EXPECT_EQ(runs, 5);
}

TEST(ManualScheduler, cancel_is_true_only_while_the_task_waits) {
  ManualClock clock;
  ManualScheduler scheduler(clock);
  int runs = 0;
  const auto kept = scheduler.after_ms(1, [&] { ++runs; });
  const auto dropped = scheduler.after_ms(1, [&] { ++runs; });
  EXPECT_TRUE(scheduler.cancel(dropped));
  EXPECT_FALSE(scheduler.cancel(dropped));
  scheduler.advance_ms(1);
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(scheduler.cancel(kept));
  EXPECT_FALSE(scheduler.cancel(0));
}

TEST(ManualScheduler, a_time_between_two_milliseconds_never_runs_early) {
  ManualClock clock;
  ManualScheduler scheduler(clock);
  std::int64_t ran_at_ns = -1;
  scheduler.at(1'500'000, [&] { ran_at_ns = clock.monotonic_ns(); });
  scheduler.advance_ms(1);
  EXPECT_EQ(ran_at_ns, -1);
  scheduler.advance_ms(1);
  EXPECT_EQ(ran_at_ns, 2'000'000);
}

}  // namespace
}  // namespace qd::base
