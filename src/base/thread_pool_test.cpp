#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <numeric>
#include <optional>
#include <vector>

#include "base/bounded_queue.h"

namespace qd::base {
namespace {

TEST(ThreadPool, a_full_queue_refuses_and_does_not_block) {
  std::latch started(1);
  std::latch go(1);
  ThreadPool pool(1, 2);
  ASSERT_TRUE(pool.submit([&] {
    started.count_down();
    go.wait();
  }));
  started.wait();
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_TRUE(pool.submit([] {}));
  const auto refused = pool.submit([] {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kLimit);
  EXPECT_EQ(pool.queued(), 2U);
  go.count_down();
}

TEST(ThreadPool, threads_come_as_they_are_needed) {
  ThreadPool pool(3, 10, ThreadPool::Start::kAsNeeded);
  EXPECT_EQ(pool.threads(), 1U);
  {
    std::latch together(3);
    std::latch over(3);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(pool.submit([&] {
        together.arrive_and_wait();  // only three threads at once get past this
        over.count_down();
      }));
    }
    over.wait();
  }
  EXPECT_EQ(pool.threads(), 3U);
  std::latch over(20);
  for (int i = 0; i < 20; ++i)
    while (!pool.submit([&] { over.count_down(); })) std::this_thread::yield();
  over.wait();
  EXPECT_EQ(pool.threads(), 3U) << "no more than the limit";
}

TEST(ThreadPool, stopping_waits_for_what_runs_and_drops_what_waits) {
  std::atomic<bool> finished{false};
  std::atomic<bool> dropped_ran{false};
  std::latch started(1);
  std::latch go(1);
  std::thread releaser;
  {
    ThreadPool pool(1, 10);
    ASSERT_TRUE(pool.submit([&] {
      started.count_down();
      go.wait();
      // The destructor has begun once the pool refuses as stopping.
      while (true) {
        const auto status = pool.submit([&] { dropped_ran = true; });
        if (!status && status.error().code() == ErrorCode::kCancelled) break;
        std::this_thread::yield();
      }
      finished = true;
    }));
    started.wait();
    releaser = std::thread([&] { go.count_down(); });
  }
  releaser.join();
  EXPECT_TRUE(finished);
  EXPECT_FALSE(dropped_ran);
}

TEST(ThreadPool, parallel_for_calls_every_index_once) {
  ThreadPool pool(3, 100);
  std::vector<std::atomic<int>> calls(10'000);
  pool.parallel_for(calls.size(), [&](std::size_t i) { ++calls[i]; });
  for (const auto& count : calls) ASSERT_EQ(count, 1);
  pool.parallel_for(0, [&](std::size_t) { FAIL(); });
}

TEST(ThreadPool, parallel_for_nests_and_finishes_when_every_thread_is_in_one) {
  ThreadPool pool(2, 4);
  std::atomic<int> calls{0};
  pool.parallel_for(8, [&](std::size_t) {
    pool.parallel_for(8, [&](std::size_t) { pool.parallel_for(8, [&](std::size_t) { ++calls; }); });
  });
  EXPECT_EQ(calls, 512);
}

TEST(ThreadPool, parallel_for_is_done_by_the_caller_when_the_queue_takes_nothing) {
  ThreadPool pool(1, 0);
  std::vector<int> values(100);
  pool.parallel_for(values.size(), [&](std::size_t i) { values[i] = static_cast<int>(i); });
  EXPECT_EQ(std::accumulate(values.begin(), values.end(), 0), 4950);
}

TEST(ThreadPool, what_a_share_throws_reaches_the_caller_when_all_are_done) {
  ThreadPool pool(2, 10);
  std::atomic<int> done{0};
  EXPECT_THROW(pool.parallel_for(100,
                                 [&done](std::size_t i) {
                                   if (i % 10 == 3) throw std::bad_alloc();
                                   ++done;
                                 }),
               std::bad_alloc);
  EXPECT_EQ(done, 90);
}

TEST(CancelToken, copies_share_the_wish) {
  const CancelToken token;
  const CancelToken copy = token;
  EXPECT_FALSE(copy.cancelled());
  token.cancel();
  EXPECT_TRUE(copy.cancelled());
}

TEST(BoundedQueue, refuses_when_full_and_gives_out_nothing_once_closed) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.try_push(1));
  EXPECT_TRUE(queue.try_push(2));
  EXPECT_FALSE(queue.try_push(3));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.size(), 1U);
  queue.close();
  EXPECT_FALSE(queue.try_push(4));
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, close_wakes_who_waits) {
  BoundedQueue<int> queue(1);
  std::thread waiter([&] { EXPECT_EQ(queue.pop(), std::nullopt); });
  queue.close();
  waiter.join();
}

}  // namespace
}  // namespace qd::base
