#include "observe/gpu/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "observe/gpu/driver_for_test.h"

namespace qd::observe::gpu {
namespace {

constexpr std::int64_t kPatienceMs = 5'000;

// Work is run by the test.
struct Pool {
  std::vector<std::function<void()>> tasks;
  bool full = false;
  base::Status submit(std::function<void()> task) {
    if (full) return base::fail(base::ErrorCode::kLimit, "the pool is full");
    tasks.push_back(std::move(task));
    return {};
  }
  void run() {
    for (auto& task : std::exchange(tasks, {})) task();
  }
};

class GpuWatch : public testing::Test {
 protected:
  Driver driver_;
  base::ManualScheduler scheduler_{*driver_.clock};
  Pool pool_;
  std::vector<std::unique_ptr<GpuCollector>> found_;
  int made_ = 0;
  Watch watch_{scheduler_,
               [this](auto task) { return pool_.submit(std::move(task)); },
               base::Log::silent(),
               [this] {
                 ++made_;
                 return driver_.collector();
               },
               [this](auto collector) { found_.push_back(std::move(collector)); },
               kPatienceMs};
};

TEST_F(GpuWatch, a_driver_that_is_there_is_found_at_once_and_only_once) {
  driver_.script(kOneGpu);
  watch_.start();
  pool_.run();
  ASSERT_EQ(found_.size(), 1U);
  RecordingSink sink;
  EXPECT_TRUE(found_.front()->collect(driver_.within_ms(20'000), sink));
  EXPECT_EQ(sink.types().count("DCGM_FI_DEV_XID_ERRORS"), 1U);
  scheduler_.advance_ms(10 * Watch::kLookEveryMs);
  pool_.run();
  EXPECT_EQ(found_.size(), 1U);
  EXPECT_EQ(made_, 1);
}

TEST_F(GpuWatch, a_driver_that_comes_later_is_found_within_five_minutes) {
  driver_.options.library = driver_.at("libnvidia-ml.so.1");
  watch_.start();
  pool_.run();
  EXPECT_TRUE(found_.empty());
  scheduler_.advance_ms(Watch::kLookEveryMs - 1);
  EXPECT_TRUE(pool_.tasks.empty());
  driver_.script(kOneGpu);
  std::filesystem::create_symlink(kStandIn, driver_.options.library);
  scheduler_.advance_ms(1);
  pool_.run();
  EXPECT_EQ(found_.size(), 1U);
}

TEST_F(GpuWatch, a_driver_that_does_not_work_has_a_collector_that_says_so) {
  driver_.script("init 18\n");
  watch_.start();
  pool_.run();
  ASSERT_EQ(found_.size(), 1U);
  RecordingSink sink;
  EXPECT_FALSE(found_.front()->collect(driver_.within_ms(20'000), sink));
}

TEST(GpuWatchPatience, a_driver_that_does_not_answer_has_a_collector_that_says_so) {
  Driver driver;
  base::ManualScheduler scheduler(*driver.clock);
  Pool pool;
  std::unique_ptr<GpuCollector> found;
  driver.script("hang nvmlInit_v2\n");
  Watch watch(
      scheduler, [&](auto task) { return pool.submit(std::move(task)); }, base::Log::silent(),
      [&] { return driver.collector(); }, [&](auto collector) { found = std::move(collector); }, 50);
  watch.start();
  pool.run();
  ASSERT_NE(found, nullptr);
  RecordingSink sink;
  const auto status = found->collect(driver.within_ms(50), sink);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), base::ErrorCode::kTimeout);
  EXPECT_THAT(status.error().message(), testing::HasSubstr("nvmlInit_v2"));
  driver.script("gpus 0\n");
  found.reset();
  driver.wait_until_closed();
}

TEST_F(GpuWatch, a_full_pool_is_asked_again) {
  driver_.script(kOneGpu);
  pool_.full = true;
  watch_.start();
  pool_.full = false;
  scheduler_.advance_ms(Watch::kLookEveryMs);
  pool_.run();
  EXPECT_EQ(found_.size(), 1U);
}

TEST_F(GpuWatch, after_its_end_nothing_is_looked_for) {
  driver_.options.library = driver_.at("libnvidia-ml.so.1");
  watch_.start();
  pool_.run();
  watch_.stop();
  scheduler_.advance_ms(Watch::kLookEveryMs);
  pool_.run();
  EXPECT_EQ(made_, 1);
}

}  // namespace
}  // namespace qd::observe::gpu
