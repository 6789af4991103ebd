// Every part there is, in one table: when a pass asks them, and what `observe.host.collectors` knows.
//
// A part is a line in the table of parts.cpp, a factory below, and a file of its own or of its like.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/log.h"
#include "observe/host/part.h"

namespace qd::observe::host {

struct HostOptions;
// /proc/stat is read once a pass for the parts that share it (observe/host/stat_file.h).
class StatFile;

// What netdev, which reads the names of all network devices each pass, lets netclass know.
struct NetworkDevices {
  std::uint64_t changes = 0;  // grows whenever a device came or went
};

// What a part is made with, by one HostCollector. `reader` outlives the part; options and roots only the call.
struct PartContext {
  FileReader& reader;
  const Roots& roots;
  const HostOptions& options;
  const std::shared_ptr<StatFile>& stat;
  const std::shared_ptr<NetworkDevices>& devices;
  base::Log& log;  // outlives the part
};

// When in a pass a part is asked.
enum class Turn {
  kEarly,  // it reads what the kernel holds in memory
  kLate,   // devices, drivers or other programs may keep it waiting: it has a time of its own, and nobody waits for it
};

struct PartKind {
  std::string_view name;     // as node_exporter names its collector
  std::string_view subject;  // behind "Whether this is measured: "
  bool on;                   // where observe.host.collectors says nothing
  std::unique_ptr<Part> (*make)(const PartContext& context);
  Turn turn = Turn::kEarly;
};

// In order of their names, but for textfile, the last of those that are late: what it tells must not have the names of
// others. Lives as long as the program.
std::span<const PartKind> part_kinds();

std::unique_ptr<Part> arp_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> bcache_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> bcachefs_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> bonding_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> btrfs_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> cgroups_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> conntrack_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> cpu_part(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat);
std::unique_ptr<Part> cpufreq_part(FileReader& reader, const Roots& roots, std::shared_ptr<StatFile> stat);
std::unique_ptr<Part> diskstats_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> dmi_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> edac_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> entropy_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> ethtool_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> fibrechannel_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> filefd_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> filesystem_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> hwmon_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> infiniband_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> ipvs_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> kernel_hung_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> loadavg_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> mdadm_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> meminfo_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> netclass_part(FileReader& reader, const Roots& roots,
                                    std::shared_ptr<const NetworkDevices> devices);
std::unique_ptr<Part> netdev_part(FileReader& reader, const Roots& roots, std::shared_ptr<NetworkDevices> devices);
std::unique_ptr<Part> netstat_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> nfs_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> nfsd_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> nvme_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> os_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> perf_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> powersupplyclass_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> pressure_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> processes_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> rapl_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> schedstat_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> selinux_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> sockstat_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> softnet_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> stat_part(std::shared_ptr<StatFile> stat);
std::unique_ptr<Part> systemd_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> tapestats_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> tcpstat_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> textfile_part(const PartContext& context);
std::unique_ptr<Part> thermal_zone_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> time_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> timex_part();
std::unique_ptr<Part> udp_queues_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> uname_part();
std::unique_ptr<Part> vmstat_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> watchdog_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> xfs_part(FileReader& reader, const Roots& roots);
std::unique_ptr<Part> zfs_part(FileReader& reader, const Roots& roots);

}  // namespace qd::observe::host
