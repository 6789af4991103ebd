#include "observe/containers/figures.h"

#include <algorithm>
#include <span>

#include "observe/scan.h"
#include "observe/utf8.h"

namespace qd::observe::containers {
namespace {

constexpr double kTicksPerSecond = 100;  // USER_HZ
constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kMicroseconds = 1e6;
// What the kernel rounds "no limit" to with version 1 is a little below 2^63.
constexpr double kUnlimited = 4611686018427387904.0;  // 2^62

template <typename Take>
void each_pair(std::string_view text, Take take) {
  Scanner lines(text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    const std::string_view key = words.word();
    std::uint64_t value = 0;
    if (words.number(value)) take(key, static_cast<double>(value));
  }
}

struct Key {
  std::string_view name;
  Family family;
  double factor = 1;
};

bool set_by_key(std::span<const Key> keys, std::string_view name, double value, Figures& figures) {
  for (const Key& key : keys) {
    if (key.name != name) continue;
    figures.set(key.family, value * key.factor);
    return true;
  }
  return false;
}

constexpr std::array<Key, 10> kMemory1 = {{{"total_cache", Family::kMemoryCache},
                                           {"total_rss", Family::kMemoryRss},
                                           {"total_swap", Family::kMemorySwap},
                                           {"total_mapped_file", Family::kMemoryMappedFile},
                                           {"total_active_file", Family::kMemoryActiveFile},
                                           {"total_inactive_file", Family::kMemoryInactiveFile},
                                           {"total_dirty", Family::kMemoryFileDirty},
                                           {"total_writeback", Family::kMemoryFileWriteback},
                                           {"total_workingset_refault_file", Family::kMemoryRefaultFile},
                                           {"total_workingset_refault_anon", Family::kMemoryRefaultAnon}}};
constexpr std::array<Key, 12> kMemory2 = {{{"file", Family::kMemoryCache},
                                           {"anon", Family::kMemoryRss},
                                           {"kernel", Family::kMemoryKernel},
                                           {"file_mapped", Family::kMemoryMappedFile},
                                           {"active_file", Family::kMemoryActiveFile},
                                           {"inactive_file", Family::kMemoryInactiveFile},
                                           {"file_dirty", Family::kMemoryFileDirty},
                                           {"file_writeback", Family::kMemoryFileWriteback},
                                           {"workingset_refault_file", Family::kMemoryRefaultFile},
                                           {"workingset_refault_anon", Family::kMemoryRefaultAnon},
                                           {"pgscan", Family::kMemoryPgscan},
                                           {"pgsteal", Family::kMemoryPgsteal}}};
constexpr std::array<Key, 5> kThrottling1 = {
    {{"nr_periods", Family::kCfsPeriods},
     {"nr_throttled", Family::kCfsThrottledPeriods},
     {"throttled_time", Family::kCfsThrottledSeconds, 1 / kNanosecondsPerSecond},
     {"nr_bursts", Family::kCfsBurstPeriods},
     {"burst_time", Family::kCfsBurstSeconds, 1 / kNanosecondsPerSecond}}};
constexpr std::array<Key, 5> kThrottling2 = {{{"nr_periods", Family::kCfsPeriods},
                                              {"nr_throttled", Family::kCfsThrottledPeriods},
                                              {"throttled_usec", Family::kCfsThrottledSeconds, 1 / kMicroseconds},
                                              {"nr_bursts", Family::kCfsBurstPeriods},
                                              {"burst_usec", Family::kCfsBurstSeconds, 1 / kMicroseconds}}};
constexpr std::array<Key, 2> kTimes1 = {
    {{"user", Family::kCpuUser, 1 / kTicksPerSecond}, {"system", Family::kCpuSystem, 1 / kTicksPerSecond}}};
constexpr std::array<Key, 2> kTimes2 = {
    {{"user_usec", Family::kCpuUser, 1 / kMicroseconds}, {"system_usec", Family::kCpuSystem, 1 / kMicroseconds}}};

bool parse_device(std::string_view word, std::uint32_t& major, std::uint32_t& minor) {
  const auto colon = word.find(':');
  if (colon == std::string_view::npos) return false;
  const auto first = decimal(word.substr(0, colon));
  const auto second = decimal(word.substr(colon + 1));
  if (!first || !second || *first > UINT32_MAX || *second > UINT32_MAX) return false;
  major = static_cast<std::uint32_t>(*first);
  minor = static_cast<std::uint32_t>(*second);
  return true;
}

// Devices come in the same order in the files of a cgroup, so the one that is wanted is the last or a new one.
DeviceFigures* device(Figures& figures, std::uint32_t major, std::uint32_t minor) {
  const auto same = [&](const DeviceFigures& known) { return known.major == major && known.minor == minor; };
  if (!figures.devices.empty() && same(figures.devices.back())) return &figures.devices.back();
  const auto known = std::ranges::find_if(figures.devices, same);
  if (known != figures.devices.end()) return &*known;
  if (figures.devices.size() >= kDevicesMax) return nullptr;
  DeviceFigures& added = figures.devices.emplace_back();
  added.major = major;
  added.minor = minor;
  return &added;
}

bool starts_without_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && std::ranges::equal(text.substr(0, start.size()), start, {}, [](char c) {
           return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
         });
}

// The loopback and an engine's own ends of containers' links, which their containers tell.
bool ignored_interface(std::string_view name) {
  return std::ranges::any_of(std::array<std::string_view, 4>{"lo", "veth", "docker", "nerdctl"},
                             [&](std::string_view start) { return starts_without_case(name, start); });
}

}  // namespace

void read_memory_stat(std::string_view text, int version, Figures& figures) {
  const std::span<const Key> keys = version == 1 ? std::span<const Key>(kMemory1) : std::span<const Key>(kMemory2);
  each_pair(text, [&](std::string_view key, double value) {
    if (set_by_key(keys, key, value, figures)) return;
    if (key == "pgfault") figures.faults[0] = value;
    if (key == "pgmajfault") figures.faults[1] = value;
    if (key == (version == 1 ? "total_pgfault" : "pgfault")) figures.all_faults[0] = value;
    if (key == (version == 1 ? "total_pgmajfault" : "pgmajfault")) figures.all_faults[1] = value;
  });
}

void read_memory_events(std::string_view text, int version, Figures& figures) {
  each_pair(text, [&](std::string_view key, double value) {
    if (key == "oom_kill") figures.set(Family::kOomEvents, value);
    if (version == 1) return;
    if (key == "high") figures.set(Family::kMemoryEventsHigh, value);
    if (key == "max") {
      figures.set(Family::kMemoryEventsMax, value);
      figures.set(Family::kMemoryFailcnt, value);
    }
  });
}

void read_cpu_times(std::string_view text, int version, Figures& figures) {
  const std::span<const Key> keys = version == 1 ? std::span<const Key>(kTimes1) : std::span<const Key>(kTimes2);
  each_pair(text, [&](std::string_view key, double value) {
    if (version == 2 && key == "usage_usec") figures.cpu_usage_s = value / kMicroseconds;
    set_by_key(keys, key, value, figures);
  });
}

void read_throttling(std::string_view text, int version, Figures& figures) {
  const std::span<const Key> keys =
      version == 1 ? std::span<const Key>(kThrottling1) : std::span<const Key>(kThrottling2);
  each_pair(text, [&](std::string_view key, double value) { set_by_key(keys, key, value, figures); });
}

// "50000 100000", or "max 100000".
void read_cpu_max(std::string_view text, Figures& figures) {
  Scanner words(Scanner(text).line());
  const std::string_view quota = words.word();
  if (const auto value = decimal(quota)) figures.set(Family::kSpecCpuQuota, static_cast<double>(*value));
  if (const auto period = decimal(words.word())) figures.set(Family::kSpecCpuPeriod, static_cast<double>(*period));
}

// "8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=0 dios=0 cost.usage=3".
void read_io_stat(std::string_view text, Figures& figures) {
  Scanner lines(text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    if (!parse_device(words.word(), major, minor)) continue;
    DeviceFigures* row = nullptr;
    for (std::string_view word = words.word(); !word.empty(); word = words.word()) {
      const auto equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      const auto number = decimal(word.substr(equals + 1));
      if (!number) continue;
      // A device that the cgroup never used has a line without figures.
      if (row == nullptr) row = device(figures, major, minor);
      if (row == nullptr) break;
      const std::string_view key = word.substr(0, equals);
      const auto value = static_cast<double>(*number);
      if (key == "rbytes") row->bytes[kRead] = value;
      if (key == "wbytes") row->bytes[kWrite] = value;
      if (key == "rios") row->reads = value;
      if (key == "wios") row->writes = value;
      if (key == "cost.usage") row->cost_usage_s = value / kMicroseconds;
      if (key == "cost.wait") row->cost_wait_s = value / kMicroseconds;
      if (key == "cost.indebt") row->cost_indebt_s = value / kMicroseconds;
      if (key == "cost.indelay") row->cost_indelay_s = value / kMicroseconds;
    }
  }
}

// "8:0 Read 4096", then "Total 4096" for all devices together.
void read_blkio(std::string_view text, bool bytes, Figures& figures) {
  Scanner lines(text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    if (!parse_device(words.word(), major, minor)) continue;
    const auto operation = std::ranges::find(kOperations, words.word());
    std::uint64_t number = 0;
    if (operation == kOperations.end() || !words.number(number)) continue;
    DeviceFigures* row = device(figures, major, minor);
    if (row == nullptr) return;
    const auto which = static_cast<std::size_t>(operation - kOperations.begin());
    const auto value = static_cast<double>(number);
    if (bytes) {
      row->bytes[which] = value;
    } else if (which == kRead) {
      row->reads = value;
    } else if (which == kWrite) {
      row->writes = value;
    }
  }
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=93115".
void read_pressure(std::string_view text, Family stalled, Family waiting, Figures& figures) {
  Scanner lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    const auto total = line.rfind("total=");
    if (total == std::string_view::npos) continue;
    const auto value = decimal(line.substr(total + 6));
    if (!value) continue;
    if (line.starts_with("some ")) figures.set(waiting, static_cast<double>(*value) / kMicroseconds);
    if (line.starts_with("full ")) figures.set(stalled, static_cast<double>(*value) / kMicroseconds);
  }
}

void read_network(std::string_view text, Figures& figures) {
  // Columns of a line: bytes, packets, errors, drops and four more received, then the same sent.
  constexpr std::array<std::size_t, InterfaceFigures::kCounters> kColumns = {0, 1, 2, 3, 8, 9, 10, 11};
  figures.interfaces_used = 0;
  Scanner lines(text);
  lines.line();
  lines.line();
  while (!lines.at_end() && figures.interfaces_used < kInterfacesMax) {
    const std::string_view line = lines.line();
    const auto colon = line.rfind(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = Scanner(line.substr(0, colon)).word();
    if (name.empty() || ignored_interface(name)) continue;
    if (figures.interfaces_used == figures.interfaces.size()) figures.interfaces.emplace_back();
    InterfaceFigures& row = figures.interfaces[figures.interfaces_used];
    std::array<std::uint64_t, 12> columns{};
    Scanner words(line.substr(colon + 1));
    if (!std::ranges::all_of(columns, [&](std::uint64_t& column) { return words.number(column); })) continue;
    if (row.name != name) {
      row.name = name;
      make_utf8(row.name);
    }
    for (std::size_t i = 0; i < kColumns.size(); ++i) row.counters[i] = static_cast<double>(columns[kColumns[i]]);
    ++figures.interfaces_used;
  }
}

void read_limits(std::string_view text, Figures& figures) {
  constexpr std::string_view kOpenFiles = "Max open files";
  Scanner lines(text);
  while (!lines.at_end()) {
    const std::string_view line = lines.line();
    if (!line.starts_with(kOpenFiles)) continue;
    const std::string_view soft = Scanner(line.substr(kOpenFiles.size())).word();
    if (const auto number = decimal(soft)) figures.open_files_soft = static_cast<double>(*number);
    if (soft == "unlimited") figures.open_files_soft = -1;
    return;
  }
}

void read_number(std::string_view text, Family family, Figures& figures, double factor) {
  if (const auto number = lone_number(text)) figures.set(family, static_cast<double>(*number) * factor);
}

double limit_of(std::string_view text) {
  const auto number = lone_number(text);
  const double value = number ? static_cast<double>(*number) : 0;
  return value > kUnlimited ? 0 : value;
}

std::optional<double> shares_of_weight(std::string_view text) {
  const auto weight = lone_number(text);
  if (!weight || *weight < 1 || *weight > 10'000) return std::nullopt;
  const std::uint64_t shares = 2 + (*weight - 1) * 262'142 / 9'999;
  return static_cast<double>(shares);
}

ProcessList read_processes(std::string_view text, std::int64_t wanted) {
  ProcessList list;
  Scanner lines(text);
  while (!lines.at_end()) {
    const auto pid = decimal(lines.line());
    if (!pid) continue;
    ++list.count;
    // 0 is a process in a namespace that is not seen from here.
    const auto seen = static_cast<std::int64_t>(*pid);
    if (list.first == 0 || seen == wanted) list.first = seen;
  }
  return list;
}

}  // namespace qd::observe::containers
