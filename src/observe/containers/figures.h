// What is known of one cgroup, and how the kernel's files say it (Documentation/admin-guide/cgroup-v1 and
// cgroup-v2.rst).
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/containers/families.h"

namespace qd::observe::containers {

// Operations that version 1 counts; version 2 has the first two.
inline constexpr std::array<std::string_view, 6> kOperations = {"Read", "Write", "Sync", "Async", "Discard", "Total"};
inline constexpr std::size_t kRead = 0;
inline constexpr std::size_t kWrite = 1;
// Of a cgroup; a machine has tens.
inline constexpr std::size_t kDevicesMax = 256;
inline constexpr std::size_t kInterfacesMax = 256;

struct DeviceFigures {
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::array<std::optional<double>, kOperations.size()> bytes;
  std::optional<double> reads, writes;
  std::optional<double> cost_usage_s, cost_wait_s, cost_indebt_s, cost_indelay_s;
};

struct InterfaceFigures {
  // In the order of the families kNetworkReceiveBytes and on.
  static constexpr std::size_t kCounters = 8;
  std::string name;
  std::array<double, kCounters> counters{};
};

struct Figures {
  std::array<double, index_of(Family::kScalars)> values{};
  std::bitset<index_of(Family::kScalars)> there;
  std::optional<double> cpu_usage_s;
  std::array<std::optional<double>, 2> faults;      // of the cgroup itself: minor and major together, major
  std::array<std::optional<double>, 2> all_faults;  // with those of the cgroups below it
  std::optional<double> open_files_soft;            // -1 without a limit
  std::vector<DeviceFigures> devices;
  std::vector<InterfaceFigures> interfaces;
  std::size_t interfaces_used = 0;

  void set(Family family, double value) {
    values[index_of(family)] = value;
    there.set(index_of(family));
  }
  void unset(Family family) { there.reset(index_of(family)); }
  std::optional<double> get(Family family) const {
    return there[index_of(family)] ? std::optional(values[index_of(family)]) : std::nullopt;
  }
};

// Each reads the text of one file into the figures; what is not understood is left out.
void read_memory_stat(std::string_view text, int version, Figures& figures);
void read_memory_events(std::string_view text, int version, Figures& figures);  // memory.events, memory.oom_control
void read_cpu_times(std::string_view text, int version, Figures& figures);      // cpu.stat, cpuacct.stat
void read_throttling(std::string_view text, int version, Figures& figures);     // cpu.stat
void read_cpu_max(std::string_view text, Figures& figures);
void read_io_stat(std::string_view text, Figures& figures);
void read_blkio(std::string_view text, bool bytes, Figures& figures);
void read_pressure(std::string_view text, Family stalled, Family waiting, Figures& figures);
void read_network(std::string_view text, Figures& figures);  // /proc/<pid>/net/dev
void read_limits(std::string_view text, Figures& figures);   // /proc/<pid>/limits
// A lone number in a file: sets the family, times `factor`.
void read_number(std::string_view text, Family family, Figures& figures, double factor = 1);
// A limit in bytes or tasks, for which cAdvisor says 0 where there is none.
double limit_of(std::string_view text);
// cpu.weight on the scale of cpu.shares.
std::optional<double> shares_of_weight(std::string_view text);
// How many processes cgroup.procs has; which stands for all of them: `wanted` where it is among them, else the first
// that is seen from here, else 0.
struct ProcessList {
  std::size_t count = 0;
  std::int64_t first = 0;
};
ProcessList read_processes(std::string_view text, std::int64_t wanted);

}  // namespace qd::observe::containers
