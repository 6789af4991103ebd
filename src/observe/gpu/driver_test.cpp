// What GPUs and drivers do wrong: lost, hanging, old, absent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "observe/gpu/driver_for_test.h"
#include "observe/gpu/gpu.h"
#include "observe/gpu/session.h"

namespace qd::observe::gpu {
namespace {

using base::ErrorCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(GpuDriver, a_lost_gpu_loses_its_own_samples_and_keeps_its_last_error) {
  Driver driver;
  const std::string two = "gpus 2\n0 uuid GPU-a\n0 temp 40\n1 uuid GPU-b\n1 temp 50\n";
  const std::string temp_a = "DCGM_FI_DEV_GPU_TEMP{Hostname=\"deck\",UUID=\"GPU-a\",device=\"nvidia0\",gpu=\"0\"}";
  const std::string temp_b = "DCGM_FI_DEV_GPU_TEMP{Hostname=\"deck\",UUID=\"GPU-b\",device=\"nvidia1\",gpu=\"1\"}";
  const std::string error_b =
      "DCGM_FI_DEV_XID_ERRORS{Hostname=\"deck\",UUID=\"GPU-b\",device=\"nvidia1\",err_code=\"79\",err_msg=\"GPU has "
      "fallen off the bus\",gpu=\"1\"}";
  driver.script(two);
  auto collector = driver.collector();
  Pass before;
  collect(*collector, driver, before);
  EXPECT_EQ(before.sink.value(temp_b), 50);

  for (const char* function :
       {"nvmlDeviceGetClockInfo", "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMigMode", "*"}) {
    driver.script(two + "1 xid 79\n1 fails " + function + " 15\n");
    Pass told;
    collect(*collector, driver, told);
    ASSERT_TRUE(told.status) << function;
    EXPECT_EQ(told.sink.value(temp_a), 40) << function;
    EXPECT_EQ(told.sink.value(temp_b), std::nullopt) << function;
    EXPECT_EQ(told.sink.value(error_b), 79) << function;
    ASSERT_TRUE(told.trouble) << function;
    EXPECT_EQ(told.trouble->code(), ErrorCode::kUnavailable);
    EXPECT_THAT(told.trouble->message(), AllOf(HasSubstr("GPU 1 (GPU-b)"), HasSubstr("fallen off the bus")));
  }
}

TEST(GpuDriver, a_gpu_that_was_reset_is_back_within_five_minutes) {
  Driver driver;
  driver.script(std::string(kOneGpu) + "0 temp 41\n0 lost\n0 xid 79\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  EXPECT_TRUE(told.trouble);
  driver.script(std::string(kOneGpu) + "0 temp 41\n");
  driver.clock->advance_ms(1'000);
  Pass still;
  collect(*collector, driver, still);
  EXPECT_TRUE(still.trouble) << "the driver looks for it only when it is opened";
  driver.clock->advance_ms(Session::kRetryNs / 1'000'000);
  Pass last;
  collect(*collector, driver, last);
  Pass back;
  collect(*collector, driver, back);
  EXPECT_EQ(back.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  EXPECT_FALSE(back.trouble) << back.trouble->message();
}

TEST(GpuDriver, a_gpu_that_may_not_be_read_says_so) {
  Driver driver;
  driver.script("gpus 2\n0 uuid GPU-a\n0 temp 40\n1 fails nvmlDeviceGetHandleByIndex_v2 4\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  ASSERT_TRUE(told.trouble);
  EXPECT_EQ(told.trouble->code(), ErrorCode::kPermission);
  EXPECT_THAT(told.trouble->message(), AllOf(HasSubstr("GPU 1"), HasSubstr("/dev/nvidia")));
  EXPECT_EQ(told.sink.value("DCGM_FI_DEV_GPU_TEMP{Hostname=\"deck\",UUID=\"GPU-a\",device=\"nvidia0\",gpu=\"0\"}"), 40);
}

TEST(GpuDriver, more_gpus_than_the_limit_are_told_of) {
  Driver driver;
  std::string script = "gpus 70\n";
  for (int i = 0; i < 70; ++i)
    script += std::to_string(i) + " uuid GPU-" + std::to_string(i) + "\n" + std::to_string(i) + " temp 40\n";
  driver.script(script);
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  ASSERT_TRUE(told.trouble);
  EXPECT_EQ(told.trouble->code(), ErrorCode::kLimit);
  std::size_t count = 0;
  for (const auto& [key, value] : told.sink.values()) count += key.starts_with("DCGM_FI_DEV_GPU_TEMP") ? 1 : 0;
  EXPECT_EQ(count, Session::kDevicesMax);
}

TEST(GpuDriver, a_call_that_hangs_holds_nobody_beyond_the_deadline) {
  Driver driver;
  const std::string two = "gpus 2\n0 uuid GPU-a\n0 temp 40\n1 uuid GPU-b\n1 temp 50\n";
  const std::string temp_a = "DCGM_FI_DEV_GPU_TEMP{Hostname=\"deck\",UUID=\"GPU-a\",device=\"nvidia0\",gpu=\"0\"}";
  driver.script(two + "hang nvmlDeviceGetTemperature 1\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told, 300);
  // What was read before it hung is told.
  ASSERT_TRUE(told.status);
  EXPECT_EQ(told.sink.value(temp_a), 40);
  ASSERT_TRUE(told.trouble);
  EXPECT_EQ(told.trouble->code(), ErrorCode::kTimeout);
  EXPECT_THAT(told.trouble->message(), HasSubstr("nvmlDeviceGetTemperature of GPU 1"));

  driver.clock->advance_ms(7'000);
  const auto begun = std::chrono::steady_clock::now();
  Pass next;
  collect(*collector, driver, next);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5)) << "it waited for what hangs";
  ASSERT_FALSE(next.status);
  EXPECT_EQ(next.status.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(next.status.error().message(), HasSubstr("for 7.0 s"));
  EXPECT_THAT(next.sink.values(), IsEmpty());

  driver.script(two);
  for (int i = 0; i < 2'000; ++i) {
    Pass after;
    collect(*collector, driver, after);
    if (after.status) {
      EXPECT_EQ(after.sink.value(temp_a), 40);
      EXPECT_FALSE(after.trouble);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ADD_FAILURE() << "it never came back";
}

TEST(GpuDriver, what_a_hanging_pass_reads_late_is_not_told) {
  Driver driver;
  const std::string three = "gpus 3\n0 uuid GPU-a\n1 uuid GPU-b\n1 temp 50\n2 uuid GPU-c\n";
  driver.script(three + "hang nvmlDeviceGetTemperature 1\nhang nvmlDeviceGetTemperature 2\n");
  auto collector = driver.collector();
  Pass first;
  collect(*collector, driver, first, 200);
  driver.script(three + "hang nvmlDeviceGetTemperature 2\n");
  for (int i = 0; i < 4'000; ++i) {
    Pass told;
    collect(*collector, driver, told);
    ASSERT_FALSE(told.status);
    ASSERT_THAT(told.sink.values(), IsEmpty());
    if (told.status.error().message().find("GPU 2") != std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Pass late;
  collect(*collector, driver, late);
  EXPECT_THAT(late.status.error().message(), HasSubstr("of GPU 2"));
  EXPECT_THAT(late.sink.values(), IsEmpty());
  driver.script("gpus 0\n");
  collector.reset();
  driver.wait_until_closed();
}

TEST(GpuDriver, a_collector_goes_while_its_driver_hangs) {
  Driver driver;
  driver.script("gpus 1\n0 uuid GPU-a\nhang nvmlDeviceGetUUID 0\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told, 100);
  ASSERT_FALSE(told.status);
  EXPECT_EQ(told.status.error().code(), ErrorCode::kTimeout);
  const auto begun = std::chrono::steady_clock::now();
  collector.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  // The thread ends with its call, and closes what is left.
  driver.script("gpus 0\n");
  driver.wait_until_closed();
}

TEST(GpuDriver, an_old_driver_tells_what_it_has) {
  Driver driver;
  driver.options.library = QD_NVML_OLD;
  driver.script(std::string(kOneGpu) + "0 temp 41\n0 memory 81559 600 40000\n0 reasons 1\n0 process compute 1 1\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_USED")), 40600);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_RESERVED")), std::nullopt);
  EXPECT_EQ(told.sink.types().count("DCGM_FI_DEV_XID_ERRORS"), 0U);
  EXPECT_EQ(told.sink.types().count("DCGM_EXP_CLOCK_EVENTS_COUNT"), 1U);
  EXPECT_FALSE(told.trouble) << told.trouble->message();
}

TEST(GpuDriver, a_library_that_is_no_nvml_says_what_it_lacks) {
  Driver driver;
  driver.options.library = "libm.so.6";
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  ASSERT_FALSE(told.status);
  EXPECT_EQ(told.status.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(told.status.error().message(), AllOf(HasSubstr("libm.so.6"), HasSubstr("nvmlInit_v2")));
}

TEST(GpuDriver, a_driver_that_is_absent_is_looked_for_every_five_minutes) {
  Driver driver;
  driver.options.library = driver.at("libnvidia-ml.so.1");
  auto automatic = driver.collector();
  driver.options.enabled = "on";
  auto wanted = driver.collector();
  const auto look = [&](GpuCollector& collector) {
    Pass told;
    collect(collector, driver, told);
    EXPECT_FALSE(told.trouble);
    return std::pair(told.status, told.sink.values().size());
  };
  EXPECT_TRUE(look(*automatic).first);
  const auto refused = look(*wanted);
  ASSERT_FALSE(refused.first);
  EXPECT_EQ(refused.first.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(refused.first.error().message(),
              AllOf(HasSubstr(driver.options.library), HasSubstr("observe.gpu.library")));

  driver.script(std::string(kOneGpu) + "0 temp 41\n");
  std::filesystem::create_symlink(kStandIn, driver.options.library);
  driver.clock->advance_ms(299'000);
  EXPECT_EQ(look(*automatic).second, 0U);
  EXPECT_FALSE(look(*wanted).first);
  driver.clock->advance_ms(1'000);
  EXPECT_GT(look(*automatic).second, 0U);
  EXPECT_GT(look(*wanted).second, 0U);
}

TEST(GpuDriver, a_driver_that_is_not_loaded_is_absent_and_one_that_does_not_work_is_told) {
  Driver driver;
  driver.script("init 9\n");
  auto absent = driver.collector();
  Pass told;
  collect(*absent, driver, told);
  EXPECT_TRUE(told.status);
  driver.script("init 18\n");
  auto broken = driver.collector();
  Pass mismatch;
  collect(*broken, driver, mismatch);
  ASSERT_FALSE(mismatch.status);
  EXPECT_THAT(mismatch.status.error().message(), HasSubstr("different versions"));
  driver.script("init 4\n");
  auto denied = driver.collector();
  Pass refused;
  collect(*denied, driver, refused);
  ASSERT_FALSE(refused.status);
  EXPECT_EQ(refused.status.error().code(), ErrorCode::kPermission);
}

TEST(GpuDriver, a_driver_that_goes_away_is_opened_anew_when_it_is_back) {
  Driver driver;
  const std::string one = std::string(kOneGpu) + "0 temp 41\n";
  driver.script(one);
  auto collector = driver.collector();
  Pass before;
  collect(*collector, driver, before);
  ASSERT_TRUE(before.status);
  driver.script(one + "count fails 9\n");
  Pass gone;
  collect(*collector, driver, gone);
  ASSERT_FALSE(gone.status);
  EXPECT_THAT(gone.status.error().message(), HasSubstr("the driver is not loaded"));
  driver.script(one);
  driver.clock->advance_ms(Session::kRetryNs / 1'000'000);
  Pass back;
  collect(*collector, driver, back);
  ASSERT_TRUE(back.status) << back.status.error().message();
  EXPECT_EQ(back.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
}

}  // namespace
}  // namespace qd::observe::gpu
