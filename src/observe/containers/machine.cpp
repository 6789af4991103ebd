#include "observe/containers/machine.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "base/build.h"
#include "base/strings.h"
#include "observe/containers/families.h"
#include "observe/containers/hierarchies.h"
#include "observe/scan.h"
#include "observe/utf8.h"

namespace qd::observe::containers {
namespace {

// File systems on disks, whose statfs does not wait for another machine.
bool on_a_disk(std::string_view type) {
  return type.starts_with("ext") || type == "xfs" || type == "btrfs" || type == "zfs" || type == "f2fs";
}

std::pair<std::uint32_t, std::uint32_t> number_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  return {static_cast<std::uint32_t>(decimal(text.substr(0, colon)).value_or(0)),
          static_cast<std::uint32_t>(decimal(text.substr(colon + 1)).value_or(0))};
}

// "0-3,8": the numbers in a list of CPUs. More than Linux can be built for are not looked at.
std::vector<std::uint64_t> cpus_in(std::string_view list) {
  constexpr std::size_t kCpusMax = 8192;
  std::vector<std::uint64_t> cpus;
  while (!list.empty()) {
    const auto comma = list.find(',');
    const std::string_view range = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    const auto dash = range.find('-');
    const auto from = decimal(range.substr(0, dash));
    const auto to = dash == std::string_view::npos ? from : decimal(range.substr(dash + 1));
    if (!from || !to) continue;
    for (std::uint64_t cpu = *from; cpu <= *to && cpus.size() < kCpusMax; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace

Machine::Machine(FileReader& reader, Roots roots)
    : reader_(reader),
      roots_(std::move(roots)),
      meminfo_(reader, roots_.procfs + "/meminfo"),
      diskstats_(reader, roots_.procfs + "/diskstats"),
      online_(reader, roots_.sysfs + "/devices/system/cpu/online") {}

void Machine::refresh(std::int64_t now_ns) {
  if (!std::exchange(identified_, true)) read_identity();
  read_memory();
  read_disks();
  if (const auto text = online_.read(); text && *text != online_text_) {
    online_text_ = *text;
    count_cpus();
  }
  if (now_ns >= next_mounts_ns_) {
    next_mounts_ns_ = now_ns + kMountsReadEveryNs;
    find_filesystems();
  }
  for (FilesystemFigures& filesystem : filesystems_) {
    struct statvfs status{};
    filesystem.there = ::statvfs(filesystem.point.c_str(), &status) == 0 && status.f_blocks > 0;
    if (!filesystem.there) continue;
    const auto block = static_cast<double>(status.f_frsize);
    filesystem.limit_bytes = static_cast<double>(status.f_blocks) * block;
    filesystem.usage_bytes = static_cast<double>(status.f_blocks - status.f_bfree) * block;
    filesystem.inodes = static_cast<double>(status.f_files);
    filesystem.inodes_free = static_cast<double>(status.f_ffree);
  }
}

void Machine::read_memory() {
  const auto text = meminfo_.read();
  memory_read_ = text.has_value();
  if (!text) return;
  constexpr double kKibibyte = 1024;
  Scanner lines(*text);
  while (!lines.at_end()) {
    Scanner words(lines.line());
    const std::string_view key = words.word();
    std::uint64_t value = 0;
    if (!words.number(value)) continue;
    if (key == "MemTotal:") memory_total_ = static_cast<double>(value) * kKibibyte;
    if (key == "SwapTotal:") swap_total_ = static_cast<double>(value) * kKibibyte;
    if (key == "SwapFree:") {
      swap_free_ = static_cast<double>(value) * kKibibyte;
      return;
    }
  }
}

void Machine::read_disks() {
  disks_used_ = 0;
  const auto text = diskstats_.read();
  if (!text) return;
  Scanner lines(*text);
  while (!lines.at_end() && disks_used_ < kDisksMax) {
    Scanner words(lines.line());
    std::uint64_t major = 0;
    std::uint64_t minor = 0;
    if (!words.number(major) || !words.number(minor)) continue;
    const std::string_view name = words.word();
    if (disks_used_ == disks_.size()) disks_.emplace_back();
    DiskFigures& disk = disks_[disks_used_];
    disk.major = static_cast<std::uint32_t>(major);
    disk.minor = static_cast<std::uint32_t>(minor);
    if (std::string_view(disk.name).substr(std::min<std::size_t>(5, disk.name.size())) != name) {
      disk.name = "/dev/" + std::string(name);
      make_utf8(disk.name);
    }
    for (double& column : disk.columns) {
      std::uint64_t value = 0;
      if (!words.number(value)) break;
      column = static_cast<double>(value);
    }
    ++disks_used_;
  }
}

const DiskFigures* Machine::disk(std::uint32_t major, std::uint32_t minor) const {
  const auto end = disks_.begin() + static_cast<std::ptrdiff_t>(disks_used_);
  const auto found = std::find_if(disks_.begin(), end,
                                  [&](const DiskFigures& disk) { return disk.major == major && disk.minor == minor; });
  return found == end ? nullptr : &*found;
}

void Machine::find_filesystems() {
  filesystems_.clear();
  std::set<std::string_view> seen;
  const std::string mounts = machine_mounts(reader_, roots_);
  Mount mount;
  for (Scanner lines(mounts); !lines.at_end() && filesystems_.size() < kFilesystemsMax;) {
    if (!parse_mount(lines.line(), mount) || !on_a_disk(mount.type)) continue;
    // One device may be mounted many times.
    if (!seen.insert(mount.source).second) continue;
    FilesystemFigures filesystem;
    filesystem.device = mount.source;
    make_utf8(filesystem.device);
    filesystem.point = roots_.rootfs + mount.point;
    std::tie(filesystem.major, filesystem.minor) = number_of(mount.device_number);
    filesystems_.push_back(std::move(filesystem));
  }
}

void Machine::read_identity() {
  const auto first_line = [&](const std::string& path) {
    const auto text = reader_.read_once(path.c_str());
    std::string line(text ? base::trim(Scanner(*text).line()) : std::string_view());
    make_utf8(line);
    return line;
  };
  boot_id_ = first_line(roots_.procfs + "/sys/kernel/random/boot_id");
  machine_id_ = first_line(roots_.rootfs + "/etc/machine-id");
  if (machine_id_.empty()) machine_id_ = first_line(roots_.rootfs + "/var/lib/dbus/machine-id");
  system_uuid_ = first_line(roots_.sysfs + "/class/dmi/id/product_uuid");
  kernel_version_ = first_line(roots_.procfs + "/sys/kernel/osrelease");
  version_ = "quarterdeck " + std::string(base::build_version());
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const auto text = reader_.read_once((roots_.rootfs + path).c_str());
    for (Scanner lines(text ? *text : std::string_view()); !lines.at_end();) {
      constexpr std::string_view kKey = "PRETTY_NAME=";
      const std::string_view line = lines.line();
      if (!line.starts_with(kKey)) continue;
      std::string_view name = line.substr(kKey.size());
      if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'')) name = name.substr(1, name.size() - 2);
      os_version_ = name;
      make_utf8(os_version_);
    }
    if (!os_version_.empty()) break;
  }
  const auto stat = reader_.read_once((roots_.procfs + "/stat").c_str());
  for (Scanner lines(stat ? *stat : std::string_view()); !lines.at_end();) {
    Scanner words(lines.line());
    std::uint64_t value = 0;
    if (words.word() == "btime" && words.number(value)) boot_time_s_ = static_cast<double>(value);
  }
}

void Machine::count_cpus() {
  const std::vector<std::uint64_t> cpus = cpus_in(base::trim(online_text_));
  std::set<std::uint64_t> packages;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cores;
  for (const std::uint64_t cpu : cpus) {
    const std::string topology = roots_.sysfs + "/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const auto number_in = [&](const char* file) {
      const auto text = reader_.read_once((topology + file).c_str());
      return text ? lone_number(*text) : std::nullopt;
    };
    const auto core = number_in("core_id");
    // Virtual machines of some kinds say -1 for the package: they have one.
    const std::uint64_t package = number_in("physical_package_id").value_or(0);
    packages.insert(package);
    cores.emplace(package, core.value_or(cpu));
  }
  cpus_ = static_cast<double>(cpus.size());
  cores_ = static_cast<double>(cores.size());
  sockets_ = static_cast<double>(packages.size());
}

void Machine::tell(Sink& sink) const {
  const auto begin = [&](Family family) { sink.family(info(family).name, info(family).type, info(family).help); };
  const auto labels = [](std::initializer_list<model::Label> wanted) {
    std::vector<model::Label> present;
    std::ranges::copy_if(wanted, std::back_inserter(present),
                         [](const model::Label& label) { return !label.value.empty(); });
    return present;
  };
  begin(Family::kVersionInfo);
  sink.sample(labels({{"cadvisorRevision", base::build_revision()},
                      {"cadvisorVersion", version_},
                      {"kernelVersion", kernel_version_},
                      {"osVersion", os_version_}}),
              1);
  const auto of_machine = labels({{"boot_id", boot_id_}, {"machine_id", machine_id_}, {"system_uuid", system_uuid_}});
  const auto tell_one = [&](Family family, double value) {
    begin(family);
    sink.sample(of_machine, value);
  };
  if (cpus_ > 0) {
    tell_one(Family::kMachineCpuCores, cpus_);
    tell_one(Family::kMachineCpuPhysicalCores, cores_);
    tell_one(Family::kMachineCpuSockets, sockets_);
  }
  if (memory_read_) {
    tell_one(Family::kMachineMemory, memory_total_);
    tell_one(Family::kMachineSwap, swap_total_);
  }
  begin(Family::kMachineScrapeError);
  sink.sample(memory_read_ && cpus_ > 0 ? 0 : 1);
}

}  // namespace qd::observe::containers
