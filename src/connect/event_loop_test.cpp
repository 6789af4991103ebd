#include "connect/event_loop.h"

#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <mutex>
#include <vector>

namespace qd::connect {
namespace {

TEST(EventLoop, timers_fire_in_order_of_time_and_not_before) {
  EventLoop loop;
  std::mutex mutex;
  std::vector<int> order;
  std::promise<void> done;
  const std::int64_t start_ns = loop.clock().monotonic_ns();
  const auto note = [&](int n) {
    const std::lock_guard lock(mutex);
    order.push_back(n);
  };
  loop.after_ms(40, [&] {
    note(2);
    done.set_value();
  });
  loop.after_ms(20, [&] { note(1); });
  loop.at(0, [&] { note(0); });
  ASSERT_TRUE(loop.start(1));
  done.get_future().wait();
  EXPECT_GE(loop.clock().monotonic_ns() - start_ns, 40'000'000);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(EventLoop, a_cancelled_timer_never_fires_and_one_that_fired_cannot_be_cancelled) {
  EventLoop loop;
  std::atomic<bool> fired{false};
  std::promise<void> done;
  const auto never = loop.after_ms(20, [&] { fired = true; });
  const auto once = loop.after_ms(1, [] {});
  loop.after_ms(40, [&] { done.set_value(); });
  EXPECT_TRUE(loop.cancel(never));
  EXPECT_FALSE(loop.cancel(never));
  EXPECT_FALSE(loop.cancel(0));
  ASSERT_TRUE(loop.start(2));
  done.get_future().wait();
  EXPECT_FALSE(fired);
  EXPECT_FALSE(loop.cancel(once));
}

TEST(EventLoop, runs_tasks_on_several_threads_at_once) {
  EventLoop loop;
  ASSERT_TRUE(loop.start(2));
  std::promise<void> first_runs, second_runs;
  std::promise<void> done;
  loop.post([&] {
    first_runs.set_value();
    second_runs.get_future().wait();  // would never come on a single thread
    done.set_value();
  });
  first_runs.get_future().wait();
  loop.post([&] { second_runs.set_value(); });
  done.get_future().wait();
}

TEST(EventLoop, calls_the_handler_of_a_signal_each_time) {
  EventLoop loop;
  std::promise<void> first, second;
  std::atomic<int> count{0};
  ASSERT_TRUE(loop.on_signal(SIGUSR2, [&] { (++count == 1 ? first : second).set_value(); }));
  EXPECT_FALSE(loop.on_signal(100'000, [] {}));
  ASSERT_TRUE(loop.start(1));
  std::raise(SIGUSR2);
  first.get_future().wait();
  std::raise(SIGUSR2);
  second.get_future().wait();
  EXPECT_EQ(count, 2);
}

TEST(EventLoop, destroys_what_never_ran_even_when_that_posts_again) {
  const auto alive = std::make_shared<int>(0);
  {
    EventLoop loop;
    struct PostsAtItsEnd {
      EventLoop& loop;
      std::shared_ptr<int> alive;
      ~PostsAtItsEnd() {
        loop.post([kept = alive] {});
        loop.after_ms(1, [kept = alive] {});
      }
    };
    const auto task = std::make_shared<PostsAtItsEnd>(loop, alive);
    loop.post([task] {});
    loop.after_ms(1'000'000, [task] {});
  }
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace qd::connect
