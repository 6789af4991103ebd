#include "observe/host/host.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "observe/host/part_for_test.h"
#include "observe/host/parts.h"
#include "observe/host/tree_for_test.h"

namespace qd::observe::host {
namespace {

using testing::Contains;
using testing::Eq;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Optional;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

std::string success(std::string_view part) {
  return "node_scrape_collector_success{collector=\"" + std::string(part) + "\"}";
}

TEST(Host, this_machine_is_told_without_faults) {
  base::SystemClock clock;
  HostCollector collector({}, clock, base::Log::silent());
  RecordingSink first, second;
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, first));
  const std::size_t descriptors = open_descriptors();
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, second));
  EXPECT_EQ(open_descriptors(), descriptors) << "descriptors are kept, not leaked";
  EXPECT_THAT(first.faults(), IsEmpty());
  for (const char* part : {"cpu", "stat", "meminfo", "loadavg", "vmstat", "uname", "time", "filefd", "netdev"}) {
    EXPECT_EQ(second.value(success(part)), 1) << part;
  }
  const auto idle = R"(node_cpu_seconds_total{cpu="0",mode="idle"})";
  EXPECT_GE(*second.value(idle), *first.value(idle));
  EXPECT_GT(*second.value("node_memory_MemTotal_bytes"), 1 << 20);
  EXPECT_NEAR(*second.value("node_time_seconds"), static_cast<double>(clock.wall_ms()) / 1000, 5);
  EXPECT_GE(*second.value("node_context_switches_total"), *first.value("node_context_switches_total"));
}

TEST(Host, an_empty_machine_fails_part_by_part) {
  Tree tree;
  TreeHost host(tree);
  const auto told = host.collect();
  EXPECT_THAT(told.faults(), IsEmpty());
  EXPECT_EQ(told.value(success("cpu")), 0);
  EXPECT_EQ(told.value(success("filesystem")), 0);
  EXPECT_EQ(told.value(success("conntrack")), 0);
  EXPECT_EQ(told.value(success("uname")), 1);
  EXPECT_EQ(told.value(success("time")), 1);
  EXPECT_EQ(told.value(success("sockstat")), 1) << "a kernel without IPv4 has no such file";
}

TEST(Host, a_file_that_comes_later_is_read_then) {
  Tree tree;
  TreeHost host(tree);
  EXPECT_EQ(host.collect().value("node_load1"), std::nullopt);
  tree.write("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n");
  EXPECT_THAT(host.collect().value("node_load1"), Optional(0.21));
  tree.write("proc/loadavg", "1.5 0.37 0.39 1/719 19737\n");
  EXPECT_THAT(host.collect().value("node_load1"), Optional(1.5));
  tree.write("proc/loadavg", "what\n");
  const auto broken = host.collect();
  EXPECT_EQ(broken.value("node_load1"), std::nullopt);
  EXPECT_EQ(broken.value(success("loadavg")), 0);
}

TEST(Host, a_part_that_is_switched_off_tells_nothing_and_is_no_fault) {
  Tree tree;
  tree.write("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n");
  HostOptions options = tree.options();
  options.collectors["loadavg"] = false;
  base::ManualClock clock;
  HostCollector collector(options, clock, base::Log::silent());
  RecordingSink sink;
  ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
  EXPECT_EQ(sink.value("node_load1"), std::nullopt);
  EXPECT_EQ(sink.value(success("loadavg")), std::nullopt);
  EXPECT_EQ(sink.value(success("uname")), 1);
}

TEST(Host, files_of_garbage_do_no_harm) {
  Tree tree;
  static constexpr char kGarbage[] = "cpu0\n\ncpu99999999999999999999 1\n: : :\n:\n-1 x\n\0\xff\xfe {\"a\n a b c d\n";
  const std::string_view garbage(kGarbage, sizeof(kGarbage) - 1);
  for (const char* path : {"proc/stat",
                           "proc/diskstats",
                           "proc/meminfo",
                           "proc/vmstat",
                           "proc/net/dev",
                           "proc/net/netstat",
                           "proc/net/snmp",
                           "proc/net/snmp6",
                           "proc/net/sockstat",
                           "proc/net/sockstat6",
                           "proc/net/softnet_stat",
                           "proc/net/stat/nf_conntrack",
                           "proc/sys/net/netfilter/nf_conntrack_count",
                           "proc/sys/net/netfilter/nf_conntrack_max",
                           "proc/pressure/cpu",
                           "proc/pressure/io",
                           "proc/pressure/memory",
                           "proc/sys/fs/file-nr",
                           "proc/cgroups",
                           "proc/loadavg",
                           "proc/7/stat",
                           "proc/net/tcp",
                           "proc/net/tcp6",
                           "proc/1/mountinfo",
                           "root/etc/os-release",
                           "sys/devices/system/cpu/isolated",
                           "sys/devices/system/cpu/cpu0/topology/core_id"}) {
    tree.write(path, garbage);
  }
  TreeHost host(tree);
  host.collect();
  const auto told = host.collect();
  EXPECT_EQ(told.value(success("filefd")), 0);
  EXPECT_EQ(told.value(success("uname")), 1);
}

TEST(Host, parts_after_the_deadline_are_left_out) {
  Tree tree;
  tree.write("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n");
  base::ManualClock clock;
  HostCollector collector(tree.options(), clock, base::Log::silent());
  RecordingSink sink;
  ASSERT_TRUE(collector.collect(clock.monotonic_ns(), sink));
  EXPECT_EQ(sink.value(success("loadavg")), 0);
  EXPECT_EQ(sink.value("node_load1"), std::nullopt);
}

TEST(Host, slow_sensors_take_nothing_from_other_parts) {
  Tree tree;
  tree.write("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n");
  tree.write("sys/class/power_supply/BAT0/type", "Battery\n");
  tree.write("sys/class/hwmon/hwmon0/name", "slow\n");
  constexpr int kSensors = 100;
  for (int i = 1; i <= kSensors; ++i) {
    tree.write("sys/class/hwmon/hwmon0/temp" + std::to_string(i) + "_input", "40000\n");
  }
  tree.write("texts/a.prom", "left_behind 1\n");
  HostOptions options = tree.options();
  options.textfile_directories = {tree.at("texts")};
  for (const PartKind& kind : part_kinds()) options.collectors[std::string(kind.name)] = false;
  for (const char* name : {"hwmon", "loadavg", "powersupplyclass", "textfile"}) options.collectors[name] = true;
  // By it the sensors would take ten seconds.
  SlowClock clock(100'000'000);
  HostCollector collector(options, clock, base::Log::silent());
  const auto collect = [&] {
    RecordingSink sink;
    const std::int64_t from_ns = clock.monotonic_ns();
    EXPECT_TRUE(collector.collect(from_ns + 5'000'000'000, sink));
    EXPECT_LT(clock.monotonic_ns() - from_ns, 5'000'000'000) << "the pass ends in time";
    EXPECT_EQ(sink.value("node_load1"), 0.21);
    EXPECT_EQ(sink.value(success("loadavg")), 1);
    EXPECT_EQ(sink.value(success("hwmon")), 0);
    EXPECT_THAT(sink.values(), Contains(Key(testing::HasSubstr("power_supply=\"BAT0\""))));
    EXPECT_EQ(sink.value("left_behind"), 1);
    clock.advance_ms(15'000);
    return sink;
  };
  const auto sensors = [](const RecordingSink& told) {
    return std::ranges::count_if(told.values(),
                                 [](const auto& entry) { return entry.first.starts_with("node_hwmon_temp_celsius"); });
  };
  const auto first = sensors(collect());
  EXPECT_GT(first, 5);
  EXPECT_LT(first, kSensors / 2);
  for (int pass = 0; pass < 10; ++pass) collect();
  EXPECT_EQ(sensors(collect()), kSensors) << "it goes on where it had to stop, and keeps what it had";
}

TEST(HostCpu, a_step_back_is_hidden_and_a_restart_is_not) {
  Tree tree;
  TreeHost host(tree);
  const auto user_and_idle = [&](const std::string& line) {
    tree.write("proc/stat", "cpu  1 2 3 4\ncpu0 " + line + "\n");
    const auto told = host.collect();
    return std::pair(*told.value(R"(node_cpu_seconds_total{cpu="0",mode="user"})"),
                     *told.value(R"(node_cpu_seconds_total{cpu="0",mode="idle"})"));
  };
  EXPECT_EQ(user_and_idle("1000 0 0 5000 0 0 0 0 0 0"), std::pair(10.0, 50.0));
  EXPECT_EQ(user_and_idle("1100 0 0 4990 0 0 0 0 0 0"), std::pair(11.0, 50.0));
  EXPECT_EQ(user_and_idle("1050 0 0 5100 0 0 0 0 0 0"), std::pair(11.0, 51.0));
  EXPECT_EQ(user_and_idle("20 0 0 10 0 0 0 0 0 0"), std::pair(0.2, 0.1));
}

TEST(HostCpu, cpus_come_and_go_and_old_kernels_have_fewer_columns) {
  Tree tree;
  tree.write("proc/stat", "cpu  9 9 9 9\ncpu0 100 0 0 100\ncpu2 200 0 0 100\nctxt 7\n");
  TreeHost host(tree);
  const auto first = host.collect();
  EXPECT_EQ(first.value(R"(node_cpu_seconds_total{cpu="2",mode="user"})"), 2);
  EXPECT_EQ(first.value(R"(node_cpu_seconds_total{cpu="2",mode="steal"})"), 0);
  EXPECT_EQ(first.value("node_context_switches_total"), 7);
  EXPECT_EQ(first.value("node_forks_total"), std::nullopt);
  tree.write("proc/stat", "cpu  9 9 9 9\ncpu1 300 0 0 100\ncpu2 210 0 0 100\n");
  const auto second = host.collect();
  EXPECT_EQ(second.value(R"(node_cpu_seconds_total{cpu="0",mode="user"})"), std::nullopt);
  EXPECT_EQ(second.value(R"(node_cpu_seconds_total{cpu="1",mode="user"})"), 3);
  EXPECT_EQ(second.value(R"(node_cpu_seconds_total{cpu="2",mode="user"})"), 2.1);
}

TEST(HostDisk, partitions_and_ram_disks_are_left_out) {
  Tree tree;
  std::string text;
  for (const char* name : {"ram0", "loop12", "fd0", "sda1", "hdb2", "xvda3", "vdz10", "nvme0n1p1", "sda", "vda",
                           "nvme0n1", "nvme10n2", "mmcblk0p1", "dm-0", "md127", "sr0", "nbd0", "zram0", "fda"}) {
    text += "   8       0 " + std::string(name) + " 1 2 3 4 5 6 7 8 9 10 11\n";
  }
  tree.write("proc/diskstats", text + "   8       1 sdc1 1 2 3 4\n");
  const auto told = TreeHost(tree).collect();
  std::set<std::string> devices;
  for (const auto& [key, value] : told.values()) {
    if (key.starts_with("node_disk_io_now{device=\"")) devices.insert(key.substr(25, key.find('"', 25) - 25));
  }
  EXPECT_THAT(devices, testing::ElementsAre("dm-0", "fda", "md127", "mmcblk0p1", "nbd0", "nvme0n1", "nvme10n2", "sda",
                                            "sr0", "vda", "zram0"));
  EXPECT_EQ(told.value(R"(node_disk_read_bytes_total{device="sda"})"), 3 * 512);
  EXPECT_EQ(told.value(R"(node_disk_discards_completed_total{device="sda"})"), std::nullopt);
}

TEST(HostDisk, a_change_of_what_udev_knows_shows) {
  Tree tree;
  tree.write("proc/diskstats", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
  tree.write("root/run/udev/data/b8:0", "S:disk\nE:ID_MODEL=OLD\nE:ID_SERIAL_SHORT=S1\n");
  TreeHost host(tree);
  EXPECT_THAT(host.collect().values(),
              Contains(Key(R"(node_disk_info{device="sda",major="8",minor="0",model="OLD",path="",)"
                           R"(revision="",serial="S1",wwn=""})")));
  tree.write("root/run/udev/data/b8:0", "E:ID_MODEL=NEW\nE:ID_SERIAL_SHORT=S1\nE:SCSI_IDENT_SERIAL=S2\n");
  std::filesystem::last_write_time(tree.at("root/run/udev/data/b8:0"),
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  EXPECT_THAT(host.collect().values(),
              Contains(Key(R"(node_disk_info{device="sda",major="8",minor="0",model="NEW",path="",)"
                           R"(revision="",serial="S2",wwn=""})")));
}

TEST(HostFilesystem, sizes_are_what_the_kernel_says) {
  Tree tree;
  tree.write("proc/1/mountinfo", "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/dm-2 rw\n");
  std::filesystem::create_directories(tree.at("root"));
  struct statvfs is{};
  ASSERT_EQ(::statvfs(tree.at("root").c_str(), &is), 0);
  const auto told = TreeHost(tree).collect();
  const std::string labels = R"({device="/dev/dm-2",fstype="ext4",mountpoint="/"})";
  EXPECT_EQ(told.value("node_filesystem_size_bytes" + labels), static_cast<double>(is.f_blocks * is.f_frsize));
  EXPECT_EQ(told.value("node_filesystem_files" + labels), static_cast<double>(is.f_files));
  EXPECT_GT(*told.value("node_filesystem_free_bytes" + labels), 0);
  EXPECT_LE(*told.value("node_filesystem_avail_bytes" + labels), *told.value("node_filesystem_free_bytes" + labels));
  EXPECT_EQ(told.value("node_filesystem_device_error" + labels), 0);
}

TEST(HostFilesystem, names_are_unescaped_prefixes_stripped_and_read_only_is_seen) {
  Tree tree;
  const std::string root = tree.at("root");
  std::filesystem::create_directories(root + "/my disk");
  std::filesystem::create_directories(root + "/bad\xff");
  tree.write("proc/1/mountinfo",
             "30 1 8:1 / /my\\040disk rw,relatime shared:1 master:2 - ext4 /dev/sda1 ro,errors=remount-ro\n"
             "31 1 8:2 / " +
                 root +
                 "/my\\040disk ro - xfs /dev/sdb1 rw\n"
                 "32 1 8:3 / /bad\xff rw - xfs /dev/sdc1 rw\n"
                 "33 1 8:4 / /gone rw - xfs /dev/sdd1 rw\n"
                 "34 1 8:5 / /dev/shm rw - tmpfs tmpfs rw\n"
                 "35 1 8:6 / /developer rw - xfs /dev/sde1 rw\n"
                 "36 1 8:7 / /var/lib/docker/overlay2/x rw - xfs /dev/sdf1 rw\n"
                 "37 1 8:8 / /var/lib/docker rw - xfs /dev/sdg1 rw\n"
                 "38 1 8:9 / /over rw - overlay overlay rw\n"
                 "39 1 8:10 / /run/credentials/unit rw - ramfs ramfs rw\n");
  const auto told = TreeHost(tree).collect();
  EXPECT_EQ(told.value(R"(node_filesystem_readonly{device="/dev/sda1",fstype="ext4",mountpoint="/my disk"})"), 1);
  EXPECT_EQ(told.value(R"(node_filesystem_readonly{device="/dev/sdb1",fstype="xfs",mountpoint="/my disk"})"), 1);
  EXPECT_EQ(told.value("node_filesystem_readonly{device=\"/dev/sdc1\",fstype=\"xfs\",mountpoint=\"/bad\xef\xbf\xbd\"}"),
            0);
  EXPECT_EQ(told.value(R"(node_filesystem_device_error{device="/dev/sdd1",fstype="xfs",mountpoint="/gone"})"), 1);
  EXPECT_EQ(told.value(R"(node_filesystem_size_bytes{device="/dev/sdd1",fstype="xfs",mountpoint="/gone"})"),
            std::nullopt);
  std::set<std::string> points;
  for (const auto& [key, value] : told.values()) {
    const auto at = key.find("mountpoint=\"");
    if (key.starts_with("node_filesystem_device_error")) points.insert(key.substr(at + 12, key.size() - at - 14));
  }
  EXPECT_THAT(points, testing::ElementsAre("/bad\xef\xbf\xbd", "/developer", "/gone", "/my disk", "/var/lib/docker"));
}

TEST(HostFilesystem, a_mount_over_itself_is_one_series_and_a_change_is_seen) {
  Tree tree;
  std::filesystem::create_directories(tree.at("root/data"));
  tree.write("proc/1/mountinfo",
             "30 1 8:1 / /data rw - ext4 /dev/sda1 rw\n"
             "31 30 8:1 / /data ro - ext4 /dev/sda1 rw\n");
  TreeHost host(tree);
  const auto first = host.collect();
  EXPECT_THAT(first.faults(), IsEmpty());
  const std::string read_only = R"(node_filesystem_readonly{device="/dev/sda1",fstype="ext4",mountpoint="/data"})";
  EXPECT_EQ(first.value(read_only), 1);
  tree.write("proc/1/mountinfo", "30 1 8:1 / /data rw - ext4 /dev/sda1 rw\n");
  EXPECT_EQ(host.collect().value(read_only), 0);
}

TEST(HostFilesystem, the_readers_own_mounts_serve_where_process_1_is_hidden) {
  Tree tree;
  std::filesystem::create_directories(tree.at("root"));
  tree.write("proc/mounts", "/dev/sda1 / ext4 ro,relatime 0 0\n");
  TreeHost host(tree);
  const std::string labels = R"({device="/dev/sda1",fstype="ext4",mountpoint="/"})";
  EXPECT_EQ(host.collect().value("node_filesystem_readonly" + labels), 1);
  tree.remove("proc/mounts");
  EXPECT_EQ(host.collect().value(success("filesystem")), 0);
  tree.write("proc/1/mountinfo", "29 1 259:2 / / rw - ext4 /dev/sda1 rw\n");
  EXPECT_EQ(host.collect().value("node_filesystem_readonly" + labels), 0);
}

constexpr const char* kNetDevHeadings =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n";

TEST(HostNetwork, devices_are_read_and_followed) {
  Tree tree;
  const std::string headings = kNetDevHeadings;
  tree.write("proc/net/dev", headings +
                                 "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
                                 "eth0:0:18446744073709551615 22 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  tree.write("sys/class/net/lo/statistics/rx_nohandler", "5\n");
  TreeHost host(tree);
  const auto first = host.collect();
  EXPECT_EQ(first.value(R"(node_network_receive_bytes_total{device="lo"})"), 1);
  EXPECT_EQ(first.value(R"(node_network_receive_multicast_total{device="lo"})"), 8);
  EXPECT_EQ(first.value(R"(node_network_transmit_carrier_total{device="lo"})"), 15);
  EXPECT_EQ(first.value(R"(node_network_transmit_compressed_total{device="lo"})"), 16);
  EXPECT_EQ(first.value(R"(node_network_receive_bytes_total{device="eth0:0"})"), 18446744073709551615.0);
  EXPECT_EQ(first.value(R"(node_network_receive_nohandler_total{device="lo"})"), 5);
  tree.write("proc/net/dev", headings + "  eth1: 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  const auto second = host.collect();
  EXPECT_EQ(second.value(R"(node_network_receive_bytes_total{device="lo"})"), std::nullopt);
  EXPECT_EQ(second.value(R"(node_network_receive_nohandler_total{device="lo"})"), std::nullopt);
  EXPECT_EQ(second.value(R"(node_network_receive_bytes_total{device="eth1"})"), 7);
}

TEST(HostNetwork, the_machines_network_is_read_through_process_1) {
  Tree tree;
  tree.write("proc/net/dev", std::string(kNetDevHeadings) + "  mine: 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  tree.write("proc/1/net/dev", std::string(kNetDevHeadings) + "  eth0: 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
  const auto told = TreeHost(tree).collect();
  EXPECT_EQ(told.value(R"(node_network_receive_bytes_total{device="eth0"})"), 2);
  EXPECT_EQ(told.value(R"(node_network_receive_bytes_total{device="mine"})"), std::nullopt);
}

TEST(HostNetwork, softnet_says_which_cpu_a_line_is_where_it_can) {
  Tree tree;
  tree.write("proc/net/softnet_stat",
             "00000010 0 0 0 0 0 0 0 1 2 3 4 00000000 0 0\n"
             "00000020 0 0 0 0 0 0 0 1 2 3 4 00000007 0 0\n");
  const auto told = TreeHost(tree).collect();
  EXPECT_EQ(told.value(R"(node_softnet_processed_total{cpu="7"})"), 32);
  EXPECT_EQ(told.value(R"(node_softnet_cpu_collision_total{cpu="7"})"), 1);
  EXPECT_EQ(told.value(R"(node_softnet_backlog_len{cpu="7"})"), 4);
  EXPECT_EQ(told.value(R"(node_softnet_processed_total{cpu="1"})"), std::nullopt);
}

TEST(HostSystem, os_release_is_read_as_a_shell_would) {
  Tree tree;
  tree.write("root/usr/lib/os-release",
             "NAME='My \"OS\"'\n# comment\nID=my\nVERSION_ID=\"22.04.1\"\nPRETTY_NAME=\"My \\\"best\\\" OS\"\n");
  TreeHost host(tree);
  const auto told = host.collect();
  EXPECT_EQ(told.value(R"(node_os_version{id="my",id_like="",name="My "OS""})"), 22.04);
  EXPECT_THAT(told.values(), Contains(Key(testing::HasSubstr(R"(pretty_name="My "best" OS")"))));
  tree.write("root/etc/os-release", "NAME=Rolling\nID=roll\nVERSION_ID=rolling\n");
  const auto rolling = host.collect();
  EXPECT_THAT(rolling.values(), Contains(Key(testing::HasSubstr(R"(version_id="rolling")"))));
  EXPECT_THAT(rolling.types(), Not(Contains(Key("node_os_version"))));
}

TEST(HostMemory, fields_that_move_keep_their_names) {
  Tree tree;
  tree.write("proc/meminfo", "MemTotal:  10 kB\nActive(anon):  3 kB\nHugePages_Total:  2\n");
  TreeHost host(tree);
  EXPECT_EQ(host.collect().value("node_memory_Active_anon_bytes"), 3 * 1024);
  tree.write("proc/meminfo", "MemTotal:  10 kB\nNew-Field:  4 kB\nActive(anon):  3 kB\nHugePages_Total:  2\n");
  const auto told = host.collect();
  EXPECT_EQ(told.value("node_memory_New_Field_bytes"), 4 * 1024);
  EXPECT_EQ(told.value("node_memory_Active_anon_bytes"), 3 * 1024);
  EXPECT_EQ(told.value("node_memory_HugePages_Total"), 2);
}

}  // namespace
}  // namespace qd::observe::host
