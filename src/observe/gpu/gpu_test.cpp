#include "observe/gpu/gpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "base/strings.h"
#include "observe/gpu/device.h"
#include "observe/gpu/driver_for_test.h"
#include "observe/gpu/families.h"

namespace qd::observe::gpu {

const char* const kStandIn = QD_NVML_NEW;

namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Gpu, a_gpu_is_told_in_the_units_of_dcgm) {
  Driver driver;
  driver.script(std::string(kOneGpu) +
                "0 sm_clock 1980\n0 mem_clock 2619\n0 temp 41\n0 power 312345\n0 util 97\n0 mem_util 40\n0 enc 3\n"
                "0 dec 4\n0 memory 81559 600 40000\n0 licensed\n0 reasons 0x21\n0 field 82 55\n"
                "0 field 83 123456789\n0 field 94 7\n0 field 74 1000\n0 field 75 1001\n0 field 76 1002\n"
                "0 field 77 1003\n0 field 78 1004\n0 field 79 1005\n0 field 3 11\n0 field 4 12\n0 field 5 13\n"
                "0 field 6 14\n0 field 29 15\n0 field 30 16\n0 field 31 1\n0 field 38 21\n0 field 45 22\n"
                "0 field 52 23\n0 field 59 24\n0 field 142 31\n0 field 143 32\n0 field 145 0\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  ASSERT_TRUE(told.status) << told.status.error().message();
  EXPECT_FALSE(told.trouble) << told.trouble->message();
  const std::map<std::string, double> expected = {
      {"DCGM_FI_DEV_SM_CLOCK", 1980},
      {"DCGM_FI_DEV_MEM_CLOCK", 2619},
      {"DCGM_FI_DEV_MEMORY_TEMP", 55},
      {"DCGM_FI_DEV_GPU_TEMP", 41},
      {"DCGM_FI_DEV_POWER_USAGE", 312.345},
      {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 123456789},
      {"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 7},
      {"DCGM_FI_DEV_GPU_UTIL", 97},
      {"DCGM_FI_DEV_MEM_COPY_UTIL", 40},
      {"DCGM_FI_DEV_ENC_UTIL", 3},
      {"DCGM_FI_DEV_DEC_UTIL", 4},
      {"DCGM_FI_DEV_POWER_VIOLATION", 1000},
      {"DCGM_FI_DEV_THERMAL_VIOLATION", 1001},
      {"DCGM_FI_DEV_SYNC_BOOST_VIOLATION", 1002},
      {"DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", 1003},
      {"DCGM_FI_DEV_LOW_UTIL_VIOLATION", 1004},
      {"DCGM_FI_DEV_RELIABILITY_VIOLATION", 1005},
      {"DCGM_FI_DEV_FB_FREE", 81559 - 600 - 40000},
      {"DCGM_FI_DEV_FB_USED", 40000},
      {"DCGM_FI_DEV_FB_RESERVED", 600},
      {"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 11},
      {"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 12},
      {"DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", 13},
      {"DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", 14},
      {"DCGM_FI_DEV_RETIRED_SBE", 15},
      {"DCGM_FI_DEV_RETIRED_DBE", 16},
      {"DCGM_FI_DEV_RETIRED_PENDING", 1},
      {"DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 21},
      {"DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", 22},
      {"DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", 23},
      {"DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", 24},
      {"DCGM_FI_DEV_VGPU_LICENSE_STATUS", 1},
      {"DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 31},
      {"DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 32},
      {"DCGM_FI_DEV_ROW_REMAP_FAILURE", 0},
  };
  std::map<std::string, double> got;
  for (const auto& [key, value] : told.sink.values()) {
    const std::string name = key.substr(0, key.find('{'));
    if (name.starts_with("DCGM_FI_DEV_") && name != kXidErrors.name) got[name] = value;
    if (expected.contains(name)) {
      EXPECT_EQ(key, of_gpu(name));
    }
  }
  EXPECT_EQ(got, expected);
  const std::string window = "window_size_in_ms=\"300000\"";
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_XID_ERRORS", "err_code=\"0\",err_msg=\"No Error\"")), 0);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_XID_ERRORS_COUNT", window)), 0);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_CLOCK_EVENTS_COUNT", "clock_event=\"gpu_idle\"," + window)), 1);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_CLOCK_EVENTS_COUNT", "clock_event=\"sw_thermal\"," + window)), 1);
}

TEST(Gpu, every_metric_of_dcgm_exporter_is_given_or_left_out_for_a_reason) {
  std::ifstream list(QD_SOURCE_DIR "/../shared/conformance/exporters/dcgm.tsv");
  if (!list) GTEST_SKIP() << "there is no ../shared/conformance";
  // Rates, and counts over a window, which fall: the list has them as counters.
  const std::set<std::string, std::less<>> falls = {"DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
                                                    "DCGM_FI_DEV_NVLINK_BANDWIDTH_L0", "DCGM_EXP_XID_ERRORS_COUNT",
                                                    "DCGM_EXP_CLOCK_EVENTS_COUNT", "DCGM_EXP_P2P_STATUS"};
  std::map<std::string, model::MetricType, std::less<>> given;
  for (const FamilyInfo& family : families()) given.emplace(family.name, family.type);
  std::set<std::string, std::less<>> missing;
  for (const LeftOut& one : left_out()) {
    EXPECT_FALSE(given.contains(one.name)) << one.name;
    EXPECT_FALSE(one.reason.empty()) << one.name;
    missing.emplace(one.name);
  }
  std::size_t seen = 0;
  for (std::string line; std::getline(list, line);) {
    const auto columns = base::split(line, '\t');
    ASSERT_GE(columns.size(), 2U) << line;
    ++seen;
    if (columns[1] == "label") {
      EXPECT_NE(std::ranges::find(label_fields(), columns[0]), label_fields().end()) << columns[0];
    }
    if (missing.contains(columns[0])) continue;
    const auto found = given.find(columns[0]);
    ASSERT_NE(found, given.end()) << columns[0];
    EXPECT_EQ(model::to_string(found->second), falls.contains(columns[0]) ? "gauge" : columns[1]) << columns[0];
  }
  EXPECT_GT(seen, 50U);
}

TEST(Gpu, memory_and_counters_of_a_divided_gpu_are_told_for_each_instance) {
  Driver driver;
  driver.script(std::string(kOneGpu) +
                "0 temp 41\n0 memory 81559 600 40000\n0 instance 3 0 1g.10gb 9728 28 12\n"
                "0 instance 5 0 1c.3g.40gb 40192 28 1000\n0 instance 5 1 2c.3g.40gb 40192 28 1000\n"
                "0 gpm.3 2 25\n0 gpm.5 2 50\n0 process compute 42 900 5\n");
  auto collector = driver.collector();
  Pass first;
  collect(*collector, driver, first);
  driver.clock->advance_ms(5'000);
  Pass told;
  collect(*collector, driver, told);
  ASSERT_TRUE(told.status);
  EXPECT_FALSE(told.trouble) << told.trouble->message();
  const std::string small = "GPU_I_ID=\"3\",GPU_I_PROFILE=\"1g.10gb\"";
  const std::string large = "GPU_I_ID=\"5\",GPU_I_PROFILE=\"3g.40gb\"";
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_USED", small)), 12);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_FREE", small)), 9728 - 28 - 12);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_USED", large)), 1000);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_FB_USED")), std::nullopt);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_PROF_SM_ACTIVE", small)), 0.25);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_PROF_SM_ACTIVE", large)), 0.5);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_PROCESS_FB_USED", large + ",pid=\"42\"")), 900);

  // Instances that are gone end, and the GPU is told whole again.
  driver.script(std::string(kOneGpu) + "0 memory 81559 600 40000\n");
  Pass whole;
  collect(*collector, driver, whole);
  EXPECT_EQ(whole.sink.value(of_gpu("DCGM_FI_DEV_FB_USED")), 40000);
  EXPECT_EQ(whole.sink.value(of_gpu("DCGM_FI_DEV_FB_USED", small)), std::nullopt);
}

TEST(Gpu, the_profile_of_an_instance_is_that_of_its_gpu_instance) {
  EXPECT_EQ(instance_profile("NVIDIA A100-SXM4-40GB MIG 1g.5gb"), "1g.5gb");
  EXPECT_EQ(instance_profile("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb"), "3g.20gb");
  EXPECT_EQ(instance_profile("NVIDIA H100 MIG 1g.10gb+me"), "1g.10gb+me");
  EXPECT_EQ(instance_profile("NVIDIA H100"), "");
}

TEST(Gpu, counters_of_performance_are_means_between_passes) {
  Driver driver;
  driver.script(std::string(kOneGpu) +
                "0 gpm 1 90\n0 gpm 2 80\n0 gpm 3 70\n0 gpm 5 60\n0 gpm 10 50\n0 gpm 11 40\n0 gpm 12 30\n0 gpm 13 20\n"
                "0 gpm 20 2\n0 gpm 21 nan\n");
  auto collector = driver.collector();
  Pass first;
  collect(*collector, driver, first);
  EXPECT_EQ(first.sink.value(of_gpu("DCGM_FI_PROF_GR_ENGINE_ACTIVE")), std::nullopt);
  driver.clock->advance_ms(1'000);
  Pass told;
  collect(*collector, driver, told);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_GR_ENGINE_ACTIVE")), 0.9);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_SM_ACTIVE")), 0.8);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_SM_OCCUPANCY")), 0.7);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE")), 0.6);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_DRAM_ACTIVE")), 0.5);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_PIPE_FP64_ACTIVE")), 0.4);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_PIPE_FP32_ACTIVE")), 0.3);
  EXPECT_DOUBLE_EQ(*told.sink.value(of_gpu("DCGM_FI_PROF_PIPE_FP16_ACTIVE")), 0.2);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_PROF_PCIE_TX_BYTES")), 2 * 1024 * 1024);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_PROF_PCIE_RX_BYTES")), std::nullopt);

  // A mean over a time in which it could not be reached says nothing.
  driver.script(std::string(kOneGpu) + "0 gpm 2 80\n0 fails nvmlDeviceGetHandleByIndex_v2 4\n");
  Pass away;
  collect(*collector, driver, away);
  driver.clock->advance_ms(1'000);
  driver.script(std::string(kOneGpu) + "0 gpm 2 80\n");
  for (const auto& expected : {std::optional<double>(), std::optional(0.8)}) {
    Pass back;
    collect(*collector, driver, back);
    EXPECT_EQ(back.sink.value(of_gpu("DCGM_FI_PROF_SM_ACTIVE")), expected);
    driver.clock->advance_ms(1'000);
  }

  driver.options.profiling = false;
  collector = driver.collector();
  for (int pass = 0; pass < 2; ++pass) {
    Pass without;
    collect(*collector, driver, without);
    EXPECT_EQ(without.sink.value(of_gpu("DCGM_FI_PROF_SM_ACTIVE")), std::nullopt);
    driver.clock->advance_ms(1'000);
  }
}

TEST(Gpu, what_goes_over_links_is_a_rate) {
  Driver driver;
  const auto links = [&](int tx, int rx, int first) {
    return std::string(kOneGpu) + "0 field 138 all " + std::to_string(tx) + "\n0 field 139 all " + std::to_string(rx) +
           "\n0 field 138 0 " + std::to_string(first) + "\n0 field 139 0 0\n";
  };
  auto collector = driver.collector();
  driver.script(links(1'000, 2'000, 100));
  Pass first;
  collect(*collector, driver, first);
  EXPECT_EQ(first.sink.value(of_gpu("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL")), std::nullopt);
  driver.clock->advance_ms(2'000);
  driver.script(links(11'000, 12'000, 2'100));
  Pass told;
  collect(*collector, driver, told);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL")), 10);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_NVLINK_BANDWIDTH_L0")), 1);
  // Too soon for another: the last one stands.
  driver.clock->advance_ms(10);
  Pass soon;
  collect(*collector, driver, soon);
  EXPECT_EQ(soon.sink.value(of_gpu("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL")), 10);
  // The driver's counters began anew.
  driver.clock->advance_ms(2'000);
  driver.script(links(10, 10, 10));
  Pass anew;
  collect(*collector, driver, anew);
  EXPECT_EQ(anew.sink.value(of_gpu("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL")), std::nullopt);
}

TEST(Gpu, errors_and_clock_events_are_counted_for_five_minutes) {
  Driver driver;
  driver.script(std::string(kOneGpu) + "0 reasons 4\n0 xid 31\n0 xid 31\n0 xid 63\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  const std::string window = "window_size_in_ms=\"300000\"";
  const std::string last = of_gpu("DCGM_FI_DEV_XID_ERRORS",
                                  "err_code=\"63\",err_msg=\"ECC page retirement or row remapping recording event\"");
  EXPECT_EQ(told.sink.value(last), 63);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_XID_ERRORS_COUNT", window + ",xid=\"31\"")), 2);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_EXP_XID_ERRORS_COUNT", window + ",xid=\"63\"")), 1);
  driver.clock->advance_ms(200'000);
  Pass later;
  collect(*collector, driver, later);
  EXPECT_EQ(later.sink.value(of_gpu("DCGM_EXP_CLOCK_EVENTS_COUNT", "clock_event=\"power_cap\"," + window)), 2);
  driver.clock->advance_ms(100'000);
  Pass over;
  collect(*collector, driver, over);
  EXPECT_EQ(over.sink.value(last), 63);
  EXPECT_EQ(over.sink.value(of_gpu("DCGM_EXP_XID_ERRORS_COUNT", window)), 0);
  EXPECT_EQ(over.sink.value(of_gpu("DCGM_EXP_CLOCK_EVENTS_COUNT", "clock_event=\"power_cap\"," + window)), 2);
}

TEST(Gpu, gpus_that_reach_each_other_are_told) {
  Driver driver;
  driver.script("gpus 2\n0 uuid GPU-a\n1 uuid GPU-b\n0 peer 1 0\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  EXPECT_EQ(told.sink.value("DCGM_EXP_P2P_STATUS{Hostname=\"deck\",UUID=\"GPU-a\",device=\"nvidia0\",gpu=\"0\","
                            "link_status=\"OK\",peer_gpu=\"1\"}"),
            0);
  EXPECT_EQ(told.sink.value("DCGM_EXP_P2P_STATUS{Hostname=\"deck\",UUID=\"GPU-b\",device=\"nvidia1\",gpu=\"1\","
                            "link_status=\"NotSupported\",peer_gpu=\"0\"}"),
            5);
}

TEST(Gpu, chosen_fields_are_labels) {
  Driver driver;
  driver.options.labels = {"DCGM_FI_DEV_SERIAL", "DCGM_FI_DEV_BRAND", "DCGM_FI_NVML_VERSION",
                           "DCGM_FI_DEV_VBIOS_VERSION"};
  driver.script("gpus 1\n0 uuid GPU-\xff\n0 serial 1324\n0 brand 2\n0 temp 40\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  EXPECT_EQ(told.sink.value("DCGM_FI_DEV_GPU_TEMP{DCGM_FI_DEV_BRAND=\"Tesla\",DCGM_FI_DEV_SERIAL=\"1324\","
                            "DCGM_FI_NVML_VERSION=\"12.550.54.15\",Hostname=\"deck\",UUID=\"GPU-\xEF\xBF\xBD\","
                            "device=\"nvidia0\",gpu=\"0\"}"),
            40);
}

TEST(Gpu, what_a_gpu_does_not_support_is_left_out_alone) {
  Driver driver;
  driver.script(std::string(kOneGpu) + "0 temp 41\n0 power 1000\n0 fails nvmlDeviceGetPowerUsage 3\n");
  auto collector = driver.collector();
  Pass told;
  collect(*collector, driver, told);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  EXPECT_EQ(told.sink.value(of_gpu("DCGM_FI_DEV_POWER_USAGE")), std::nullopt);
  EXPECT_FALSE(told.trouble) << told.trouble->message();

  driver.script(std::string(kOneGpu) + "0 temp 41\n0 power 1000\n0 fails nvmlDeviceGetPowerUsage 999\n");
  Pass broken;
  collect(*collector, driver, broken);
  EXPECT_EQ(broken.sink.value(of_gpu("DCGM_FI_DEV_GPU_TEMP")), 41);
  ASSERT_TRUE(broken.trouble);
  EXPECT_THAT(broken.trouble->message(), AllOf(HasSubstr("GPU 0 (GPU-aa)"), HasSubstr("nvmlDeviceGetPowerUsage")));
}

}  // namespace
}  // namespace qd::observe::gpu
