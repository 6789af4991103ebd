// Machines for tests: trees of /proc and /sys with control groups as the kernel writes them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/clock.h"
#include "base/temp_directory.h"
#include "observe/containers/containers.h"
#include "observe/recording_sink.h"

namespace qd::observe::containers {

// An id of 64 hexadecimal digits.
inline std::string test_id(std::uint64_t number) {
  std::string id(64, 'a');
  for (std::size_t i = 0; i < 16; ++i, number >>= 4) id[63 - i] = "0123456789abcdef"[number & 15];
  return id;
}

class Tree {
 public:
  // A file below the tree's directory: "proc/stat".
  void write(const std::string& path, std::string_view content) {
    std::filesystem::create_directories((directory_ / path).parent_path());
    std::ofstream(directory_ / path, std::ios::binary) << content;
  }
  void make(const std::string& path) { std::filesystem::create_directories(directory_ / path); }
  void remove(const std::string& path) { std::filesystem::remove_all(directory_ / path); }
  std::string at(const std::string& path) const { return (directory_ / path).native(); }

  Options options() const {
    Options options;
    options.procfs = at("proc");
    options.sysfs = at("sys");
    options.rootfs = at("root");
    return options;
  }

  // The machine without its control groups.
  void write_machine() {
    write("proc/stat", "cpu  1 2 3 4\nbtime 1600000000\n");
    write("proc/meminfo",
          "MemTotal:        2000 kB\nMemFree:          500 kB\nSwapTotal:       1000 kB\nSwapFree:         900 kB\n");
    write("proc/diskstats",
          "   8       0 sda 10 1 80 2000 20 2 160 4000 3 5000 6000 0 0 0 0\n"
          "   8       1 sda1 9 1 72 1000 19 2 152 3000 1 4000 5000 0 0 0 0\n");
    write("proc/sys/kernel/random/boot_id", "7007d320-126a-4e64-a254-8e933506996b\n");
    write("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    write("proc/1/net/dev", network("eth0", 900));
    write("root/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
    write("root/etc/os-release", "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
    write("sys/devices/system/cpu/online", "0-3\n");
    for (int cpu = 0; cpu < 4; ++cpu) {
      const std::string topology = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
      write(topology + "core_id", std::to_string(cpu / 2) + "\n");
      write(topology + "physical_package_id", "0\n");
    }
  }

  // Version 2 alone.
  void mount_version_2() {
    write("proc/1/mountinfo",
          "24 23 0:21 / /proc rw,relatime shared:12 - proc proc rw\n"
          "30 23 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
          "35 34 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
    make("sys/fs/cgroup");
    write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
    write("sys/fs/cgroup/cgroup.procs", "1\n2\n");
    write("sys/fs/cgroup/system.slice/cgroup.procs", "");
    write("sys/fs/cgroup/memory.stat", "anon 1000\nfile 2000\nkernel 300\ninactive_file 500\nactive_file 700\n");
    write("sys/fs/cgroup/cpu.stat", "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n");
  }

  // Version 1, with version 2 beside it and without controllers, as hybrid machines have them.
  void mount_version_1(bool hybrid) {
    std::string mounts =
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
        "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
        "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
        "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
        "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n";
    if (hybrid) {
      mounts += "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
      write("sys/fs/cgroup/unified/cgroup.controllers", "\n");
    }
    write("proc/1/mountinfo", mounts);
    for (const char* hierarchy : {"cpu,cpuacct", "memory", "blkio", "pids", "systemd"})
      write("sys/fs/cgroup/" + std::string(hierarchy) + "/cgroup.procs", "1\n");
  }

  static std::string network(const std::string& interface, int received) {
    return "Inter-|   Receive                                                |  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
           "carrier compressed\n"
           "    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0"
           "       0          0\n  " +
           interface + ": " + std::to_string(received) + " 7 1 2 0 0 0 0 456 8 3 4 0 0 0 0\n";
  }

  // The files of a cgroup of version 2: "system.slice/docker-<id>.scope".
  void write_version_2(const std::string& cgroup);
  void write_version_1(const std::string& cgroup);

 private:
  // Thousands of directories are made in memory a hundred times faster than on a disk.
  static std::filesystem::path parent() {
    return std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  }

  base::TempDirectory directory_{parent()};
};

inline void Tree::write_version_2(const std::string& cgroup) {
  const std::string at = "sys/fs/cgroup/" + cgroup + "/";
  write(at + "cgroup.procs", "4242\n4243\n");
  write(at + "cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n");
  write(at + "cpu.max", "50000 100000\n");
  write(at + "cpu.weight", "100\n");
  write(at + "cpu.stat",
        "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\nnr_periods 10\nnr_throttled 3\nthrottled_usec "
        "250000\n"
        "nr_bursts 2\nburst_usec 1000\n");
  write(at + "cpu.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=93115\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=89300\n");
  write(at + "memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n");
  write(at + "io.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=17\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n");
  write(at + "memory.current", "10485760\n");
  write(at + "memory.peak", "20971520\n");
  write(at + "memory.max", "67108864\n");
  write(at + "memory.min", "0\n");
  write(at + "memory.low", "33554432\n");
  write(at + "memory.swap.max", "max\n");
  write(at + "memory.swap.current", "4096\n");
  write(at + "memory.events", "low 0\nhigh 5\nmax 6\noom 2\noom_kill 1\noom_group_kill 0\n");
  write(
      at + "memory.stat",
      "anon 3145728\nfile 7000000\nkernel 262144\nkernel_stack 16384\npagetables 65536\nsec_pagetables 0\npercpu 1200\n"
      "sock 0\nvmalloc 0\nshmem 0\nzswap 0\nzswapped 0\nfile_mapped 1048576\nfile_dirty 8192\nfile_writeback 4096\n"
      "swapcached 0\nanon_thp 0\nfile_thp 0\nshmem_thp 0\ninactive_anon 3100000\nactive_anon 45728\n"
      "inactive_file 4194304\nactive_file 2097152\nunevictable 0\nslab_reclaimable 100\nslab_unreclaimable 200\n"
      "slab 300\nworkingset_refault_anon 3\nworkingset_refault_file 44\nworkingset_activate_anon 0\n"
      "workingset_activate_file 9\npgscan 77\npgsteal 66\npgscan_kswapd 70\npgsteal_kswapd 60\npgfault 1234\n"
      "pgmajfault 5\npgrefill 0\n");
  write(at + "io.stat",
        "8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=0 dios=0 cost.usage=2500000\n"
        "7:3 \n");
  write(at + "pids.current", "3\n");
  write(at + "pids.max", "max\n");
}

inline void Tree::write_version_1(const std::string& cgroup) {
  const auto file = [&](const std::string& hierarchy, const std::string& name, std::string_view content) {
    write("sys/fs/cgroup/" + hierarchy + "/" + cgroup + "/" + name, content);
  };
  for (const char* hierarchy : {"cpu,cpuacct", "memory", "blkio", "pids", "systemd"})
    file(hierarchy, "cgroup.procs", "4242\n4243\n");
  file("cpu,cpuacct", "cpu.shares", "512\n");
  file("cpu,cpuacct", "cpu.cfs_period_us", "100000\n");
  file("cpu,cpuacct", "cpu.cfs_quota_us", "50000\n");
  file("cpu,cpuacct", "cpu.stat",
       "nr_periods 10\nnr_throttled 3\nthrottled_time 250000000\nnr_bursts 2\nburst_time 1000000\n");
  file("cpu,cpuacct", "cpuacct.usage", "1500000000\n");
  file("cpu,cpuacct", "cpuacct.stat", "user 100\nsystem 50\n");
  file("memory", "memory.usage_in_bytes", "10485760\n");
  file("memory", "memory.max_usage_in_bytes", "20971520\n");
  file("memory", "memory.limit_in_bytes", "67108864\n");
  file("memory", "memory.soft_limit_in_bytes", "9223372036854771712\n");
  file("memory", "memory.memsw.limit_in_bytes", "134217728\n");
  file("memory", "memory.failcnt", "6\n");
  file("memory", "memory.kmem.usage_in_bytes", "262144\n");
  file("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  file("memory", "memory.stat",
       "cache 1\nrss 2\nmapped_file 3\nswap 4\npgfault 1000\npgmajfault 4\ninactive_file 5\nactive_file 6\n"
       "hierarchical_memory_limit 67108864\ntotal_cache 7000000\ntotal_rss 3145728\ntotal_mapped_file 1048576\n"
       "total_dirty 8192\ntotal_writeback 4096\ntotal_workingset_refault_anon 3\ntotal_workingset_refault_file 44\n"
       "total_swap 4096\ntotal_pgfault 1234\ntotal_pgmajfault 5\ntotal_inactive_file 4194304\n"
       "total_active_file 2097152\n");
  file("blkio", "blkio.throttle.io_service_bytes_recursive",
       "8:0 Read 90430464\n8:0 Write 299008000\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 0\n8:0 Total 389438464\n"
       "Total 389438464\n");
  file("blkio", "blkio.throttle.io_serviced_recursive",
       "8:0 Read 8950\n8:0 Write 1252\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard 0\n8:0 Total 10202\nTotal 10202\n");
  file("pids", "pids.current", "3\n");
  file("pids", "pids.max", "100\n");
}

inline Container test_container(const std::string& id, const std::string& name) {
  Container container;
  container.id = id;
  container.name = name;
  container.image = "nginx:1.25";
  container.state = "running";
  container.health = "healthy";
  container.pid = 4242;
  container.created_ms = 1'700'000'000'900;
  container.started_ms = 1'700'000'010'900;
  container.labels = {{"com.docker.compose.project", "shop"}, {"team-name", "a"}};
  container.environment = {{"STAGE", "test"}, {"PASSWORD", "secret"}};
  return container;
}

// A collector over a tree, on a manual clock. Each pass comes five seconds after the last.
class TreeMachine {
 public:
  explicit TreeMachine(const Options& options) : collector_(options, [this] { return containers_; }, clock_) {}
  explicit TreeMachine(const Tree& tree) : TreeMachine(tree.options()) {}

  RecordingSink collect() {
    RecordingSink sink;
    const auto status = collector_.collect(clock_.monotonic_ns() + 5'000'000'000, sink);
    QD_ASSERT(status.has_value());
    clock_.advance_ms(5000);
    return sink;
  }
  void set_containers(std::vector<Container> containers) {
    std::ranges::sort(containers, {}, &Container::id);
    containers_ = std::make_shared<const std::vector<Container>>(std::move(containers));
  }
  ContainersCollector& collector() { return collector_; }
  base::ManualClock& clock() { return clock_; }

 private:
  base::ManualClock clock_;
  ContainerList containers_ = std::make_shared<const std::vector<Container>>();
  ContainersCollector collector_;
};

}  // namespace qd::observe::containers
