#include "observe/host/parts.h"

#include <array>

namespace qd::observe::host {
namespace {

// Most parts need files alone.
template <auto Make>
std::unique_ptr<Part> of_files(const PartContext& context) {
  return Make(context.reader, context.roots);
}

constexpr auto kParts = std::to_array<PartKind>({
    {"cgroups", "control groups by controller", true, of_files<cgroups_part>},
    {"conntrack", "connections that the firewall tracks", true, of_files<conntrack_part>},
    {"cpu", "time of CPUs by mode, throttling", true,
     [](const PartContext& c) { return cpu_part(c.reader, c.roots, c.stat); }},
    {"cpufreq", "frequencies of CPUs", true,
     [](const PartContext& c) { return cpufreq_part(c.reader, c.roots, c.stat); }},
    {"diskstats", "reads and writes of block devices", true, of_files<diskstats_part>},
    {"entropy", "the pool of random bits", true, of_files<entropy_part>},
    {"ethtool", "what the drivers of network devices count, and how their links are set", true, of_files<ethtool_part>},
    {"filefd", "open files", true, of_files<filefd_part>},
    {"filesystem", "sizes of file systems", true, of_files<filesystem_part>},
    {"loadavg", "load averages", true, of_files<loadavg_part>},
    {"meminfo", "memory", true, of_files<meminfo_part>},
    {"netdev", "bytes, packets and errors of network devices", true, of_files<netdev_part>},
    {"netstat", "counts of the network protocols", true, of_files<netstat_part>},
    {"os", "the name and version of the operating system", true, of_files<os_part>},
    {"perf", "CPU performance counters, by interrupting each CPU at each pass", false, of_files<perf_part>},
    {"pressure", "time that tasks waited for CPU, I/O and memory", true, of_files<pressure_part>},
    {"processes", "processes and threads by state", true, of_files<processes_part>},
    {"sockstat", "sockets by protocol", true, of_files<sockstat_part>},
    {"softnet", "packets that CPUs processed", true, of_files<softnet_part>},
    {"stat", "interrupts, context switches, forks", true, [](const PartContext& c) { return stat_part(c.stat); }},
    {"systemd", "systemd's units, where it runs", true, of_files<systemd_part>},
    {"tcpstat", "TCP connections by state", true, of_files<tcpstat_part>},
    {"time", "the clock and its source", true, of_files<time_part>},
    {"timex", "how well the clock is kept", true, [](const PartContext&) { return timex_part(); }},
    {"uname", "kernel and machine names", true, [](const PartContext&) { return uname_part(); }},
    {"vmstat", "paging", true, of_files<vmstat_part>},
});

}  // namespace

std::span<const PartKind> part_kinds() {
  return kParts;
}

}  // namespace qd::observe::host
