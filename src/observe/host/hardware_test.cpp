// Parts that list directories and tables: what comes and goes, and input that is wrong.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "observe/host/listing.h"
#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::Contains;
using testing::Key;
using testing::Not;
using testing::Optional;

std::string success(const std::string& part) {
  return "node_scrape_collector_success{collector=\"" + part + "\"}";
}

RecordingSink collect_after_a_listing(TreeHost& host) {
  for (std::uint64_t pass = 1; pass < kRarelyPasses; ++pass) host.collect();
  return host.collect();
}

TEST(HostHardware, what_is_plugged_in_and_pulled_out_shows_within_a_minute) {
  Tree tree;
  tree.write("sys/class/hwmon/hwmon0/name", "first\n");
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "40000\n");
  TreeHost host(tree);
  EXPECT_THAT(host.collect().value(R"(node_hwmon_temp_celsius{chip="first",sensor="temp1"})"), Optional(40));
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "41000\n");
  EXPECT_THAT(host.collect().value(R"(node_hwmon_temp_celsius{chip="first",sensor="temp1"})"), Optional(41));
  tree.write("sys/class/hwmon/hwmon1/name", "added\n");
  tree.write("sys/class/hwmon/hwmon1/temp1_input", "50000\n");
  EXPECT_THAT(collect_after_a_listing(host).value(R"(node_hwmon_temp_celsius{chip="added",sensor="temp1"})"),
              Optional(50));
  tree.remove("sys/class/hwmon/hwmon1");
  // A file that is gone says nothing, at once.
  EXPECT_EQ(host.collect().value(R"(node_hwmon_temp_celsius{chip="added",sensor="temp1"})"), std::nullopt);
  const auto told = collect_after_a_listing(host);
  EXPECT_THAT(told.values(), Not(Contains(Key(testing::HasSubstr("chip=\"added\"")))));
  EXPECT_EQ(told.value(success("hwmon")), 1);
}

TEST(HostHardware, dear_sensors_are_read_seldom_and_told_in_between) {
  Tree tree;
  tree.write("sys/class/hwmon/hwmon0/name", "dear\n");
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "40000\n");
  const Roots roots{tree.at("proc"), tree.at("sys"), tree.at("root"), tree.at("proc/net")};
  FileReader reader;
  const auto part = hwmon_part(reader, roots);
  const std::string temperature = R"(node_hwmon_temp_celsius{chip="dear",sensor="temp1"})";
  SlowClock clock(11'000'000);
  EXPECT_EQ(pass_of(*part, clock).value(temperature), 40);
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "41000\n");
  for (int passes = 0; passes < 2; ++passes) {
    const Told told = pass_of(*part, clock);
    EXPECT_EQ(told.value(temperature), 40) << passes;
    EXPECT_TRUE(told.outcome.ok);
  }
  EXPECT_EQ(pass_of(*part, clock).value(temperature), 41) << "after 15 s";
}

TEST(HostHardware, another_device_under_the_same_name_is_seen_by_where_its_link_leads) {
  Tree tree;
  tree.write("sys/devices/a/hwmon/hwmon0/name", "alpha\n");
  tree.write("sys/devices/a/hwmon/hwmon0/fan1_input", "1\n");
  tree.write("sys/devices/b/hwmon/hwmon0/name", "beta\n");
  tree.write("sys/devices/b/hwmon/hwmon0/fan1_input", "2\n");
  std::filesystem::create_directories(tree.at("sys/class/hwmon"));
  const auto link = [&](const char* device) {
    tree.remove("sys/class/hwmon/hwmon0");
    std::filesystem::create_directory_symlink("../../devices/" + std::string(device) + "/hwmon/hwmon0",
                                              tree.at("sys/class/hwmon/hwmon0"));
  };
  link("a");
  TreeHost host(tree);
  EXPECT_THAT(host.collect().value(R"(node_hwmon_fan_rpm{chip="alpha",sensor="fan1"})"), Optional(1));
  link("b");
  EXPECT_THAT(collect_after_a_listing(host).value(R"(node_hwmon_fan_rpm{chip="beta",sensor="fan1"})"), Optional(2));
}

TEST(HostHardware, a_subject_that_appears_is_found_and_was_no_success_before) {
  Tree tree;
  TreeHost host(tree);
  const auto without = host.collect();
  for (const char* part :
       {"arp",         "bcachefs",  "bonding",    "dmi",      "fibrechannel", "hwmon", "infiniband",       "ipvs",
        "kernel_hung", "mdadm",     "netclass",   "nfs",      "nfsd",         "nvme",  "powersupplyclass", "rapl",
        "schedstat",   "tapestats", "udp_queues", "watchdog", "zfs"}) {
    EXPECT_EQ(without.value(success(part)), 0) << part;
  }
  // Where node_exporter looks for names of a pattern, having none is no failure.
  for (const char* part : {"bcache", "btrfs", "edac", "selinux", "textfile", "thermal_zone", "xfs"}) {
    EXPECT_EQ(without.value(success(part)), 1) << part;
  }
  tree.write("proc/sys/kernel/hung_task_detect_count", "3\n");
  tree.write("proc/schedstat", "cpu0 1 2 3 4 5 6 7000000000 8 9\n");
  const auto with = collect_after_a_listing(host);
  EXPECT_THAT(with.value("node_kernel_hung_tasks_total"), Optional(3));
  EXPECT_THAT(with.value(R"(node_schedstat_running_seconds_total{cpu="0"})"), Optional(7));
}

TEST(HostHardware, a_broken_file_loses_its_own_sample_alone) {
  Tree tree;
  tree.write("sys/class/power_supply/BAT0/type", "Battery\n");
  tree.write("sys/class/power_supply/BAT0/capacity", "what\n");
  tree.write("sys/class/power_supply/BAT0/energy_now", "36580000\n");
  tree.write("sys/class/power_supply/BAT0/voltage_now", "99999999999999999999999999\n");
  tree.write("sys/class/power_supply/BAT0/power_now", "");
  tree.write("sys/class/power_supply/BAT0/status", "Dis\xff\n");
  const auto told = TreeHost(tree).collect();
  EXPECT_THAT(told.value(R"(node_power_supply_energy_watthour{power_supply="BAT0"})"), Optional(36.58));
  for (const char* lost : {"capacity", "voltage_volt", "power_watt"}) {
    EXPECT_THAT(told.types(), Not(Contains(Key("node_power_supply_" + std::string(lost)))));
  }
  EXPECT_THAT(
      told.values(),
      Contains(Key("node_power_supply_info{power_supply=\"BAT0\",status=\"Dis\xef\xbf\xbd\",type=\"Battery\"}")));
  EXPECT_EQ(told.value(success("powersupplyclass")), 1);
}

TEST(HostNetclass, a_change_of_state_shows_at_once_and_the_rest_within_three_minutes) {
  Tree tree;
  const std::string eth0 = "sys/class/net/eth0/";
  tree.write(eth0 + "operstate", "up\n");
  tree.write(eth0 + "flags", "0x1003\n");
  tree.write(eth0 + "carrier_changes", "1\n");
  tree.write(eth0 + "speed", "1000\n");
  tree.write(eth0 + "mtu", "1500\n");
  TreeHost host(tree);
  const auto first = host.collect();
  EXPECT_THAT(first.value(R"(node_network_speed_bytes{device="eth0"})"), Optional(125e6));
  EXPECT_THAT(first.value(R"(node_network_up{device="eth0"})"), Optional(1));
  tree.write(eth0 + "mtu", "9000\n");
  for (int minute = 0; minute < 2; ++minute) collect_after_a_listing(host);
  EXPECT_THAT(collect_after_a_listing(host).value(R"(node_network_mtu_bytes{device="eth0"})"), Optional(9000));
  tree.write(eth0 + "operstate", "down\n");
  tree.write(eth0 + "carrier_changes", "2\n");
  tree.write(eth0 + "speed", "10\n");
  const auto down = host.collect();
  EXPECT_THAT(down.value(R"(node_network_up{device="eth0"})"), Optional(0));
  EXPECT_THAT(down.value(R"(node_network_speed_bytes{device="eth0"})"), Optional(1.25e6));
  EXPECT_THAT(down.value(R"(node_network_carrier_changes_total{device="eth0"})"), Optional(2));
  tree.write("sys/class/net/veth1/operstate", "up\n");
  tree.write("proc/net/dev", "|\n|\n veth1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
  tree.remove("sys/class/net/eth0");
  host.collect();
  const auto other = host.collect();
  EXPECT_THAT(other.value(R"(node_network_up{device="veth1"})"), Optional(1));
  EXPECT_EQ(other.value(R"(node_network_up{device="eth0"})"), std::nullopt);
}

TEST(HostBonding, slaves_are_followed) {
  Tree tree;
  tree.write("sys/class/net/bonding_masters", "b0\n");
  tree.write("sys/class/net/b0/bonding/slaves", "s1 s2\n");
  tree.write("sys/class/net/b0/lower_s1/bonding_slave/mii_status", "up\n");
  tree.write("sys/class/net/b0/lower_s2/bonding_slave/mii_status", "up\n");
  TreeHost host(tree);
  EXPECT_THAT(host.collect().value(R"(node_bonding_active{master="b0"})"), Optional(2));
  tree.write("sys/class/net/b0/lower_s2/bonding_slave/mii_status", "down\n");
  EXPECT_THAT(host.collect().value(R"(node_bonding_active{master="b0"})"), Optional(1));
  tree.write("sys/class/net/b0/bonding/slaves", "s1\n");
  EXPECT_THAT(host.collect().value(R"(node_bonding_slaves{master="b0"})"), Optional(1));
}

TEST(HostMdadm, a_broken_array_loses_itself_alone) {
  Tree tree;
  tree.write("proc/mdstat",
             "Personalities : [raid1]\n"
             "md0 : active raid1 sda1[0] sdb1[1]\n      100 blocks [2/2] [UU]\n\n"
             "md1 : active raid1 sda1[0]\n      what [2/x]\n\n"
             "md2 : \n"
             "md3 : active raid1 sda3[0] sdb3[2](F)\n      200 blocks [2/1] [U_]\n"
             "      [>....]  recovery =  8.5% (170/200) finish=1min\n\n"
             "unused devices: <none>\n");
  const auto told = TreeHost(tree).collect();
  EXPECT_EQ(told.value(success("mdadm")), 0);
  EXPECT_THAT(told.value(R"(node_md_blocks{device="md0"})"), Optional(100));
  EXPECT_EQ(told.value(R"(node_md_blocks{device="md1"})"), std::nullopt);
  EXPECT_THAT(told.value(R"(node_md_blocks_synced{device="md3"})"), Optional(170));
  EXPECT_THAT(told.value(R"(node_md_state{device="md3",state="recovering"})"), Optional(1));
  EXPECT_THAT(told.value(R"(node_md_disks{device="md3",state="failed"})"), Optional(1));
}

// Each file of the tree in turn cut short, made binary and filled with numbers that are too large: what else the tree
// says is told as before, and nothing is told twice.
TEST(HostHardware, files_that_are_cut_or_garbage_do_no_harm) {
  static constexpr char kGarbage[] = "\xff\0\n:[(/ -1 99999999999999999999999 0x \n\n\t- ->[::]:\n\"{}\\";
  Tree tree;
  tree.make("made.tree");
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tree.at(""))) {
    if (entry.is_regular_file() && !entry.is_symlink()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  ASSERT_GT(files.size(), 300U);
  std::mt19937 random(1);
  std::size_t fewest = SIZE_MAX;
  // A few at a time, since a collector is made for each round.
  for (int round = 0; round < 40; ++round) {
    std::vector<std::pair<std::filesystem::path, std::string>> saved;
    for (int i = 0; i < 12; ++i) {
      const auto& path = files[random() % files.size()];
      std::ifstream in(path, std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      saved.emplace_back(path, content);
      std::string broken(kGarbage, sizeof(kGarbage) - 1);
      if (i % 3 == 1) broken = content.substr(0, random() % (content.size() + 1));
      if (i % 3 == 2) broken = content + broken;
      std::ofstream(path, std::ios::binary) << broken;
    }
    TreeHost host(tree);
    host.collect();
    const auto told = host.collect();
    EXPECT_THAT(told.faults(), testing::IsEmpty());
    fewest = std::min(fewest, told.values().size());
    for (auto at = saved.rbegin(); at != saved.rend(); ++at) std::ofstream(at->first, std::ios::binary) << at->second;
  }
  EXPECT_GT(fewest, 400U);
}

}  // namespace
}  // namespace qd::observe::host
