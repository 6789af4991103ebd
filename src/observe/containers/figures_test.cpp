#include "observe/containers/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::containers {
namespace {

using testing::Optional;

TEST(ContainerFigures, a_devices_figures_of_two_files_come_together) {
  Figures figures;
  read_blkio("8:16 Read 4096\n8:16 Write 8192\n8:0 Read 1\nTotal 12289\n", true, figures);
  read_blkio("8:16 Read 1\n8:16 Write 2\n8:0 Read 1\nTotal 4\n", false, figures);
  ASSERT_EQ(figures.devices.size(), 2U);
  EXPECT_EQ(figures.devices[0].minor, 16U);
  EXPECT_THAT(figures.devices[0].bytes[kWrite], Optional(8192));
  EXPECT_THAT(figures.devices[0].writes, Optional(2));
  EXPECT_FALSE(figures.devices[1].writes);
}

TEST(ContainerFigures, a_device_that_was_never_used_is_left_out) {
  Figures figures;
  read_io_stat("7:7 \n7:6\n254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n", figures);
  ASSERT_EQ(figures.devices.size(), 1U);
  EXPECT_EQ(figures.devices[0].major, 254U);
}

TEST(ContainerFigures, devices_and_interfaces_are_bounded) {
  Figures figures;
  std::string devices;
  std::string network = "\n\n";
  for (std::size_t i = 0; i < 1000; ++i) {
    devices += "8:" + std::to_string(i) + " rbytes=1\n";
    network += "eth" + std::to_string(i) + ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
  }
  read_io_stat(devices, figures);
  read_network(network, figures);
  EXPECT_EQ(figures.devices.size(), kDevicesMax);
  EXPECT_EQ(figures.interfaces_used, kInterfacesMax);
}

TEST(ContainerFigures, an_engines_own_interfaces_are_left_out) {
  Figures figures;
  const std::string rest = ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
  read_network("\n\n lo" + rest + "veth12" + rest + "docker0" + rest + "nerdctl0" + rest + "eth0" + rest + "eth0.5" +
                   rest + "br-1: what\n",
               figures);
  ASSERT_EQ(figures.interfaces_used, 2U);
  EXPECT_EQ(figures.interfaces[0].name, "eth0");
  EXPECT_EQ(figures.interfaces[0].counters, (std::array<double, 8>{1, 2, 3, 4, 9, 10, 11, 12}));
  EXPECT_EQ(figures.interfaces[1].name, "eth0.5");
}

TEST(ContainerFigures, names_of_interfaces_are_made_valid) {
  Figures figures;
  read_network("\n\ne\xff: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", figures);
  ASSERT_EQ(figures.interfaces_used, 1U);
  EXPECT_EQ(figures.interfaces[0].name, "e\xef\xbf\xbd");
}

TEST(ContainerFigures, no_limit_is_zero) {
  EXPECT_EQ(limit_of("max\n"), 0);
  EXPECT_EQ(limit_of("9223372036854771712\n"), 0) << "version 1 rounds to pages";
  EXPECT_EQ(limit_of("67108864\n"), 67'108'864);
  Figures figures;
  read_cpu_max("max 100000\n", figures);
  EXPECT_FALSE(figures.get(Family::kSpecCpuQuota));
  EXPECT_THAT(figures.get(Family::kSpecCpuPeriod), Optional(100'000));
}

TEST(ContainerFigures, weights_are_told_as_shares) {
  EXPECT_THAT(shares_of_weight("1\n"), Optional(2));
  EXPECT_THAT(shares_of_weight("10000\n"), Optional(262'144));
  EXPECT_FALSE(shares_of_weight("0\n"));
  EXPECT_FALSE(shares_of_weight("idle\n"));
}

TEST(ContainerFigures, processes_that_are_not_seen_from_here_count) {
  EXPECT_EQ(read_processes("0\n0\n12\n13\n", 0).count, 4U);
  EXPECT_EQ(read_processes("0\n0\n12\n13\n", 0).first, 12);
  EXPECT_EQ(read_processes("12\n13\n", 13).first, 13);
  EXPECT_EQ(read_processes("", 5).first, 0);
}

TEST(ContainerFigures, an_unlimited_number_of_open_files_is_minus_one) {
  Figures figures;
  read_limits("Limit  Soft Limit  Hard Limit  Units\nMax open files            unlimited   unlimited   files\n",
              figures);
  EXPECT_THAT(figures.open_files_soft, Optional(-1));
}

}  // namespace
}  // namespace qd::observe::containers
