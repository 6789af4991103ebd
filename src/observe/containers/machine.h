// The machine itself: machine_*, cadvisor_version_info, and for the root cgroup its memory, disks and file systems.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "observe/collector.h"
#include "observe/containers/roots.h"
#include "observe/kept_file.h"

namespace qd::observe::containers {

struct FilesystemFigures {
  std::string device;  // "/dev/sda1"
  std::string point;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  bool there = false;
  double limit_bytes = 0;
  double usage_bytes = 0;
  double inodes = 0;
  double inodes_free = 0;
};

// A line of /proc/diskstats (Documentation/admin-guide/iostats.rst).
struct DiskFigures {
  enum Column {
    kReads,
    kReadsMerged,
    kSectorsRead,
    kReadMs,
    kWrites,
    kWritesMerged,
    kSectorsWritten,
    kWriteMs,
    kInProgress,
    kIoMs,
    kWeightedIoMs,
    kColumns
  };
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::string name;  // "/dev/sda"
  std::array<double, kColumns> columns{};
};

class Machine {
 public:
  // Disks and partitions, and file systems on them.
  static constexpr std::size_t kDisksMax = 4096;
  static constexpr std::size_t kFilesystemsMax = 256;
  static constexpr std::int64_t kMountsReadEveryNs = 30'000'000'000;

  Machine(FileReader& reader, Roots roots);

  void refresh(std::int64_t now_ns);
  void tell(Sink& sink) const;

  double memory_bytes() const { return memory_total_; }
  double swap_bytes() const { return swap_total_; }
  double swap_used_bytes() const { return swap_total_ - swap_free_; }
  double boot_time_s() const { return boot_time_s_; }
  const std::vector<FilesystemFigures>& filesystems() const { return filesystems_; }
  // Null for a device that the machine does not list.
  const DiskFigures* disk(std::uint32_t major, std::uint32_t minor) const;

 private:
  void read_memory();
  void read_disks();
  void find_filesystems();
  void read_identity();
  void count_cpus();

  FileReader& reader_;
  Roots roots_;
  KeptFile meminfo_;
  KeptFile diskstats_;
  KeptFile online_;
  std::string online_text_;
  bool memory_read_ = false;
  double memory_total_ = 0;
  double swap_total_ = 0;
  double swap_free_ = 0;
  double boot_time_s_ = 0;
  double cpus_ = 0;
  double cores_ = 0;
  double sockets_ = 0;
  std::vector<DiskFigures> disks_;  // by number
  std::size_t disks_used_ = 0;
  std::vector<FilesystemFigures> filesystems_;
  std::int64_t next_mounts_ns_ = 0;
  bool identified_ = false;
  std::string boot_id_, machine_id_, system_uuid_, kernel_version_, os_version_, version_;
};

}  // namespace qd::observe::containers
