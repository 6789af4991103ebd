#include "observe/containers/cgroup.h"

#include <sys/stat.h>

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <cmath>
#include <functional>
#include <utility>

#include "observe/containers/walk.h"
#include "observe/scan.h"

namespace qd::observe::containers {
namespace {

constexpr double kNanoseconds = 1e9;

// What is not read in each pass, and stays until it is read again.
std::bitset<index_of(Family::kScalars)> slow_families() {
  std::bitset<index_of(Family::kScalars)> slow;
  for (const Family family : {Family::kSpecCpuPeriod, Family::kSpecCpuQuota, Family::kSpecCpuShares,
                              Family::kSpecMemoryLimit, Family::kSpecMemoryReservation, Family::kSpecMemorySwapLimit,
                              Family::kThreadsMax, Family::kFileDescriptors, Family::kSockets})
    slow.set(index_of(family));
  return slow;
}

double modified_s(const std::string& directory) {
  struct stat status{};
  return ::stat(directory.c_str(), &status) == 0 ? static_cast<double>(status.st_mtim.tv_sec) : 0;
}

// Spreads the reading of limits over the passes.
std::int64_t until_next_limits_ns(std::string_view path) {
  constexpr std::int64_t kSteps = 64;
  const auto step = static_cast<std::int64_t>(std::hash<std::string_view>()(path) % kSteps);
  return Cgroup::kLimitsReadEveryNs / 2 + Cgroup::kLimitsReadEveryNs / 2 * step / kSteps;
}

}  // namespace

const std::array<Cgroup::Source, Cgroup::kFiles> Cgroup::kSources = {{
    {Controller::kMemory, "memory.stat", "memory.stat"},
    {Controller::kMemory, "memory.usage_in_bytes", "memory.current"},
    {Controller::kMemory, "memory.max_usage_in_bytes", "memory.peak"},
    {Controller::kMemory, "memory.failcnt", {}},
    {Controller::kMemory, "memory.kmem.usage_in_bytes", {}},
    {Controller::kMemory, "memory.oom_control", "memory.events"},
    {Controller::kMemory, {}, "memory.swap.current"},
    {Controller::kCpuTime, "cpuacct.usage", {}},
    {Controller::kCpuTime, "cpuacct.stat", "cpu.stat"},
    {Controller::kCpu, "cpu.stat", "cpu.stat"},
    {Controller::kIo, "blkio.throttle.io_service_bytes_recursive", "io.stat"},
    {Controller::kIo, "blkio.throttle.io_serviced_recursive", {}},
    {Controller::kPids, "pids.current", "pids.current"},
    {Controller::kCpu, "cgroup.procs", "cgroup.procs"},
    {Controller::kPressure, {}, "cpu.pressure"},
    {Controller::kPressure, {}, "memory.pressure"},
    {Controller::kPressure, {}, "io.pressure"},
}};

Cgroup::Cgroup(FileReader& reader, const Reading& reading, std::string path, std::uint64_t inode)
    : reader_(reader), path_(std::move(path)), inode_(inode), id_(container_id(path_)) {
  const Hierarchies& hierarchies = reading.hierarchies;
  for (std::size_t i = 0; i < kFiles; ++i) {
    Controller controller = kSources[i].controller;
    // Every hierarchy lists the processes.
    for (const Controller other : {Controller::kPids, Controller::kMemory, Controller::kPressure}) {
      if (i == kProcesses && hierarchies.at(controller).version == 0) controller = other;
    }
    const Place& place = hierarchies.at(controller);
    const std::string_view name = place.version == 1   ? kSources[i].version_1
                                  : place.version == 2 ? kSources[i].version_2
                                                       : std::string_view();
    versions_[i] = place.version;
    if (!name.empty()) files_[i].emplace(reader_, directory(place) + "/" + std::string(name));
  }
  // A directory's time is that of its making, or of the last cgroup made in it; the kernel may have forgotten it in
  // one hierarchy and have it in another.
  created_s_ = reading.wall_s;
  for (const Place& place : hierarchies.places) {
    if (place.version == 0) continue;
    if (const double modified = modified_s(directory(place)); modified > 0) created_s_ = std::min(created_s_, modified);
  }
  created_s_ = std::floor(std::max(created_s_, reading.machine.boot_time_s()));
}

void Cgroup::set_container(const Container* container, const LabelChoice& choice) {
  labels_.set(path_, container, choice);
  is_known_ = container != nullptr;
  if (!is_known_) {
    engine_pid_ = 0;
    has_network_ = true;
    return;
  }
  engine_pid_ = container->pid;
  // A network is told of the container that it was made for.
  has_network_ = container->network_mode != "none" && !container->network_mode.starts_with("container:");
  health_ = container->health.empty() || container->health == "none" ? -1 : container->health == "healthy" ? 1 : 0;
  container_created_s_ = std::floor(static_cast<double>(container->created_ms) / 1000);
  container_started_s_ = std::floor(static_cast<double>(container->started_ms) / 1000);
}

std::optional<std::string_view> Cgroup::text(File file, Reading& reading) {
  if (!files_[file] || states_[file] == State::kAbsent || gone_) return std::nullopt;
  const auto read = files_[file]->read();
  if (read) {
    states_[file] = State::kThere;
    return *read;
  }
  const int error = read.error();
  if (error == EACCES || error == EPERM) reading.denied = files_[file]->path();
  if (error == ENOENT || error == ENODEV) {
    const State before = std::exchange(states_[file], State::kAbsent);
    // A controller may be switched off for a cgroup that lives on.
    struct stat status{};
    const std::string& path = files_[file]->path();
    if (before == State::kThere && ::stat(path.substr(0, path.rfind('/')).c_str(), &status) != 0) gone_ = true;
  }
  return std::nullopt;
}

std::optional<std::string_view> Cgroup::limit_text(Controller controller, std::string_view file, Reading& reading) {
  const Place& place = reading.hierarchies.at(controller);
  const std::string path = directory(place) + "/" + std::string(file);
  const auto read = reader_.read_once(path.c_str());
  if (read) return *read;
  if (read.error() == EACCES || read.error() == EPERM) reading.denied = path;
  return std::nullopt;
}

bool Cgroup::read(Reading& reading) {
  static const std::bitset<index_of(Family::kScalars)> kSlow = slow_families();
  gone_ = false;
  figures_.there &= kSlow;
  figures_.cpu_usage_s.reset();
  figures_.faults = {};
  figures_.all_faults = {};
  figures_.devices.clear();
  figures_.interfaces_used = 0;
  const bool limits_due = reading.now_ns >= next_limits_ns_;
  if (limits_due) {
    // What was not there may be now.
    std::ranges::replace(states_, State::kAbsent, State::kUnknown);
    next_limits_ns_ = reading.now_ns + until_next_limits_ns(path_);
  }
  read_processes_and_network(reading);
  if (limits_due) read_limits(reading);
  read_memory(reading);
  read_cpu(reading);
  read_io(reading);
  if (gone_ || std::ranges::find(states_, State::kThere) == states_.end()) return false;
  figures_.set(Family::kLastSeen, std::floor(reading.wall_s));
  figures_.set(Family::kCreationTime, container_created_s_ > 0 && is_known_ ? container_created_s_ : created_s_);
  figures_.set(Family::kStartTime, container_started_s_ > 0 && is_known_ ? container_started_s_ : created_s_);
  if (is_known_) figures_.set(Family::kHealthState, health_);
  return true;
}

void Cgroup::read_memory(Reading& reading) {
  if (const auto stat = text(kMemoryStat, reading)) read_memory_stat(*stat, versions_[kMemoryStat], figures_);
  const auto number = [&](File file, Family family) {
    if (const auto read = text(file, reading)) read_number(*read, family, figures_);
  };
  number(kMemoryUsage, Family::kMemoryUsage);
  number(kMemoryMaxUsage, Family::kMemoryMaxUsage);
  number(kMemoryFailcnt, Family::kMemoryFailcnt);
  number(kMemoryKernel, Family::kMemoryKernel);
  number(kMemorySwap, Family::kMemorySwap);
  if (const auto events = text(kMemoryEvents, reading)) read_memory_events(*events, versions_[kMemoryEvents], figures_);

  const auto rss = figures_.get(Family::kMemoryRss);
  const auto cache = figures_.get(Family::kMemoryCache);
  if (is_root() && versions_[kMemoryUsage] == 2 && !figures_.get(Family::kMemoryUsage) && rss && cache) {
    // The root of version 2 has no such files: what version 1 counted for it.
    figures_.set(Family::kMemoryUsage, *rss + *cache);
    figures_.set(Family::kMemorySwap, reading.machine.swap_used_bytes());
  }
  if (const auto usage = figures_.get(Family::kMemoryUsage)) {
    const double inactive = figures_.get(Family::kMemoryInactiveFile).value_or(0);
    figures_.set(Family::kMemoryWorkingSet, std::max(0.0, *usage - inactive));
  }
  if (const auto pressure = text(kMemoryPressure, reading))
    read_pressure(*pressure, Family::kPressureMemoryStalled, Family::kPressureMemoryWaiting, figures_);
}

void Cgroup::read_cpu(Reading& reading) {
  if (const auto usage = text(kCpuUsage, reading)) {
    if (const auto nanoseconds = lone_number(*usage))
      figures_.cpu_usage_s = static_cast<double>(*nanoseconds) / kNanoseconds;
  }
  const bool has_quota = figures_.get(Family::kSpecCpuQuota).has_value();
  if (const auto times = text(kCpuTimes, reading)) {
    read_cpu_times(*times, versions_[kCpuTimes], figures_);
    // The same file with version 2.
    if (has_quota && versions_[kCpuTimes] == 2 && versions_[kThrottling] == 2) read_throttling(*times, 2, figures_);
  }
  if (has_quota && versions_[kThrottling] == 1) {
    if (const auto throttling = text(kThrottling, reading)) read_throttling(*throttling, 1, figures_);
  }
  if (const auto pressure = text(kCpuPressure, reading))
    read_pressure(*pressure, Family::kPressureCpuStalled, Family::kPressureCpuWaiting, figures_);
}

void Cgroup::read_io(Reading& reading) {
  if (const auto bytes = text(kIoBytes, reading)) {
    if (versions_[kIoBytes] == 1) {
      read_blkio(*bytes, true, figures_);
    } else {
      read_io_stat(*bytes, figures_);
    }
  }
  if (const auto operations = text(kIoOperations, reading)) read_blkio(*operations, false, figures_);
  if (const auto pressure = text(kIoPressure, reading))
    read_pressure(*pressure, Family::kPressureIoStalled, Family::kPressureIoWaiting, figures_);
}

void Cgroup::read_processes_and_network(Reading& reading) {
  first_pid_ = is_root() ? 1 : engine_pid_;
  if (const auto processes = text(kProcesses, reading)) {
    const ProcessList list = read_processes(*processes, first_pid_);
    figures_.set(Family::kProcesses, static_cast<double>(list.count));
    // An engine's word may be older than the cgroup's.
    if (!is_root() && !id_.empty() && list.first != 0) first_pid_ = list.first;
  }
  if (const auto threads = text(kPids, reading)) read_number(*threads, Family::kThreads, figures_);
  if (first_pid_ == 0 || !has_network_) return;
  const std::string path = reading.roots.procfs + "/" + std::to_string(first_pid_) + "/net/dev";
  // Not kept open, since that would keep a dead container's network alive.
  if (const auto network = reader_.read_once(path.c_str())) read_network(*network, figures_);
}

void Cgroup::read_limits(Reading& reading) {
  read_cpu_limits(reading);
  read_memory_limits(reading);
  figures_.unset(Family::kThreadsMax);
  if (reading.hierarchies.at(Controller::kPids).version != 0) {
    if (const auto most = limit_text(Controller::kPids, "pids.max", reading))
      figures_.set(Family::kThreadsMax, limit_of(*most));
  }
  figures_.open_files_soft.reset();
  if (first_pid_ != 0) {
    const std::string path = reading.roots.procfs + "/" + std::to_string(first_pid_) + "/limits";
    if (const auto limits = reader_.read_once(path.c_str())) containers::read_limits(*limits, figures_);
  }
}

void Cgroup::read_cpu_limits(Reading& reading) {
  figures_.unset(Family::kSpecCpuPeriod);
  figures_.unset(Family::kSpecCpuQuota);
  figures_.unset(Family::kSpecCpuShares);
  const int version = reading.hierarchies.at(Controller::kCpu).version;
  if (version == 1) {
    if (const auto shares = limit_text(Controller::kCpu, "cpu.shares", reading))
      read_number(*shares, Family::kSpecCpuShares, figures_);
    if (const auto period = limit_text(Controller::kCpu, "cpu.cfs_period_us", reading))
      read_number(*period, Family::kSpecCpuPeriod, figures_);
    // -1 without a quota, which is no number here.
    if (const auto quota = limit_text(Controller::kCpu, "cpu.cfs_quota_us", reading))
      read_number(*quota, Family::kSpecCpuQuota, figures_);
  } else if (version == 2) {
    if (const auto most = limit_text(Controller::kCpu, "cpu.max", reading)) read_cpu_max(*most, figures_);
    if (const auto weight = limit_text(Controller::kCpu, "cpu.weight", reading)) {
      if (const auto shares = shares_of_weight(*weight)) figures_.set(Family::kSpecCpuShares, *shares);
    }
  }
}

void Cgroup::read_memory_limits(Reading& reading) {
  figures_.unset(Family::kSpecMemoryLimit);
  figures_.unset(Family::kSpecMemorySwapLimit);
  figures_.unset(Family::kSpecMemoryReservation);
  const int version = reading.hierarchies.at(Controller::kMemory).version;
  if (is_root()) {
    figures_.set(Family::kSpecMemoryLimit, reading.machine.memory_bytes());
    figures_.set(Family::kSpecMemorySwapLimit, reading.machine.swap_bytes());
    figures_.set(Family::kSpecMemoryReservation, 0);
    return;
  }
  if (version == 0) return;
  const auto limit = [&](std::string_view file) -> std::optional<double> {
    const auto text = limit_text(Controller::kMemory, file, reading);
    return text ? std::optional(limit_of(*text)) : std::nullopt;
  };
  const auto most = limit(version == 1 ? "memory.limit_in_bytes" : "memory.max");
  if (!most) return;
  figures_.set(Family::kSpecMemoryLimit, *most);
  // Version 1 has memory and swap in one limit, version 2 swap alone; without accounting of swap there is no file.
  figures_.set(Family::kSpecMemorySwapLimit,
               limit(version == 1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max").value_or(0));
  if (version == 1) {
    figures_.set(Family::kSpecMemoryReservation, limit("memory.soft_limit_in_bytes").value_or(0));
  } else {
    // cAdvisor has memory.min; engines put the reservation in memory.low, Kubernetes in memory.min.
    figures_.set(Family::kSpecMemoryReservation,
                 std::max(limit("memory.min").value_or(0), limit("memory.low").value_or(0)));
  }
}

std::size_t Cgroup::count_open_files(OpenFiles& open_files) {
  figures_.unset(Family::kFileDescriptors);
  figures_.unset(Family::kSockets);
  if (!files_[kProcesses] || states_[kProcesses] != State::kThere || gone_) return 1;
  const auto processes = files_[kProcesses]->read();
  if (!processes) return 1;
  const OpenFiles::Count count = open_files.count(*processes);
  if (count.complete) {
    figures_.set(Family::kFileDescriptors, static_cast<double>(count.files));
    figures_.set(Family::kSockets, static_cast<double>(count.sockets));
  }
  return 1 + count.cost;
}

}  // namespace qd::observe::containers
