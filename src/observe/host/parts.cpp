#include "observe/host/parts.h"

#include <array>

namespace qd::observe::host {
namespace {

// Most parts need files alone.
template <std::unique_ptr<Part> (*Make)(FileReader&, const Roots&)>
std::unique_ptr<Part> of_files(const PartContext& context) {
  return Make(context.reader, context.roots);
}

constexpr auto kParts = std::to_array<PartKind>({
    {"arp", "neighbours by device", true, of_files<arp_part>},
    {"bcache", "disks that cache others", true, of_files<bcache_part>, Turn::kLate},
    {"bcachefs", "bcachefs file systems", true, of_files<bcachefs_part>},
    {"bonding", "bonded network devices", true, of_files<bonding_part>},
    {"btrfs", "Btrfs file systems", true, of_files<btrfs_part>},
    {"cgroups", "control groups by controller", true, of_files<cgroups_part>},
    {"conntrack", "connections that the firewall tracks", true, of_files<conntrack_part>},
    {"cpu", "time of CPUs by mode, throttling", true,
     [](const PartContext& c) { return cpu_part(c.reader, c.roots, c.stat); }},
    {"cpufreq", "frequencies of CPUs", true,
     [](const PartContext& c) { return cpufreq_part(c.reader, c.roots, c.stat); }, Turn::kLate},
    {"diskstats", "reads and writes of block devices", true, of_files<diskstats_part>},
    {"dmi", "what the maker wrote on the board", true, of_files<dmi_part>, Turn::kLate},
    {"edac", "memory errors", true, of_files<edac_part>, Turn::kLate},
    {"entropy", "the pool of random bits", true, of_files<entropy_part>},
    {"ethtool", "what the drivers of network devices count, and how their links are set", true, of_files<ethtool_part>,
     Turn::kLate},
    {"fibrechannel", "Fibre Channel adapters", true, of_files<fibrechannel_part>, Turn::kLate},
    {"filefd", "open files", true, of_files<filefd_part>},
    {"filesystem", "sizes of file systems", true, of_files<filesystem_part>},
    {"hwmon", "temperatures, fans and voltages", true, of_files<hwmon_part>, Turn::kLate},
    {"infiniband", "InfiniBand and RoCE ports", true, of_files<infiniband_part>, Turn::kLate},
    {"ipvs", "virtual servers of the kernel", true, of_files<ipvs_part>},
    {"kernel_hung", "tasks that hang", true, of_files<kernel_hung_part>},
    {"loadavg", "load averages", true, of_files<loadavg_part>},
    {"mdadm", "software RAID", true, of_files<mdadm_part>},
    {"meminfo", "memory", true, of_files<meminfo_part>},
    {"netclass", "properties of network devices", true,
     [](const PartContext& c) { return netclass_part(c.reader, c.roots, c.devices); }, Turn::kLate},
    {"netdev", "bytes, packets and errors of network devices", true,
     [](const PartContext& c) { return netdev_part(c.reader, c.roots, c.devices); }},
    {"netstat", "counts of the network protocols", true, of_files<netstat_part>},
    {"nfs", "calls of the NFS client", true, of_files<nfs_part>},
    {"nfsd", "calls to the NFS server", true, of_files<nfsd_part>},
    {"nvme", "NVMe drives", true, of_files<nvme_part>, Turn::kLate},
    {"os", "the name and version of the operating system", true, of_files<os_part>},
    {"perf", "CPU performance counters, by interrupting each CPU at each pass", false, of_files<perf_part>,
     Turn::kLate},
    {"powersupplyclass", "batteries and mains", true, of_files<powersupplyclass_part>, Turn::kLate},
    {"pressure", "time that tasks waited for CPU, I/O and memory", true, of_files<pressure_part>},
    {"processes", "processes and threads by state", true, of_files<processes_part>},
    {"rapl", "energy that processors took", true, of_files<rapl_part>, Turn::kLate},
    {"schedstat", "time that tasks ran and waited by CPU", true, of_files<schedstat_part>},
    {"selinux", "whether SELinux is enforced", true, of_files<selinux_part>},
    {"sockstat", "sockets by protocol", true, of_files<sockstat_part>},
    {"softnet", "packets that CPUs processed", true, of_files<softnet_part>},
    {"stat", "interrupts, context switches, forks", true, [](const PartContext& c) { return stat_part(c.stat); }},
    {"systemd", "systemd's units, where it runs", true, of_files<systemd_part>, Turn::kLate},
    {"tapestats", "tape drives", true, of_files<tapestats_part>, Turn::kLate},
    {"tcpstat", "TCP connections by state", true, of_files<tcpstat_part>},
    {"thermal_zone", "thermal zones and cooling devices", true, of_files<thermal_zone_part>, Turn::kLate},
    {"time", "the clock and its source", true, of_files<time_part>},
    {"timex", "how well the clock is kept", true, [](const PartContext&) { return timex_part(); }},
    {"udp_queues", "bytes in the queues of UDP sockets", true, of_files<udp_queues_part>},
    {"uname", "kernel and machine names", true, [](const PartContext&) { return uname_part(); }},
    {"vmstat", "paging", true, of_files<vmstat_part>},
    {"watchdog", "hardware watchdogs", true, of_files<watchdog_part>, Turn::kLate},
    {"xfs", "XFS file systems", true, of_files<xfs_part>},
    {"zfs", "OpenZFS caches, pools and datasets", true, of_files<zfs_part>},
    {"textfile", "metrics that other programs left in files", true, textfile_part, Turn::kLate},
});

}  // namespace

std::span<const PartKind> part_kinds() {
  return kParts;
}

}  // namespace qd::observe::host
