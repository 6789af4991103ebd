#include "observe/containers/tell.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace qd::observe::containers {
namespace {

constexpr double kMilliseconds = 1000;

std::optional<double> figure(Family family, const DeviceFigures& device) {
  switch (family) {
    case Family::kFsReadsBytes:
      return device.bytes[kRead];
    case Family::kFsWritesBytes:
      return device.bytes[kWrite];
    case Family::kFsReads:
      return device.reads;
    case Family::kFsWrites:
      return device.writes;
    case Family::kFsIoCostUsage:
      return device.cost_usage_s;
    case Family::kFsIoCostWait:
      return device.cost_wait_s;
    case Family::kFsIoCostIndebt:
      return device.cost_indebt_s;
    case Family::kFsIoCostIndelay:
      return device.cost_indelay_s;
    default:
      return std::nullopt;
  }
}

std::optional<double> figure(Family family, const DiskFigures& disk) {
  const auto& columns = disk.columns;
  switch (family) {
    case Family::kFsReads:
      return columns[DiskFigures::kReads];
    case Family::kFsReadsMerged:
      return columns[DiskFigures::kReadsMerged];
    case Family::kFsSectorReads:
      return columns[DiskFigures::kSectorsRead];
    case Family::kFsReadSeconds:
      return columns[DiskFigures::kReadMs] / kMilliseconds;
    case Family::kFsWrites:
      return columns[DiskFigures::kWrites];
    case Family::kFsWritesMerged:
      return columns[DiskFigures::kWritesMerged];
    case Family::kFsSectorWrites:
      return columns[DiskFigures::kSectorsWritten];
    case Family::kFsWriteSeconds:
      return columns[DiskFigures::kWriteMs] / kMilliseconds;
    case Family::kFsIoCurrent:
      return columns[DiskFigures::kInProgress];
    case Family::kFsIoTime:
      return columns[DiskFigures::kIoMs] / kMilliseconds;
    case Family::kFsIoTimeWeighted:
      return columns[DiskFigures::kWeightedIoMs] / kMilliseconds;
    default:
      return std::nullopt;
  }
}

double figure(Family family, const FilesystemFigures& filesystem) {
  switch (family) {
    case Family::kFsInodesFree:
      return filesystem.inodes_free;
    case Family::kFsInodesTotal:
      return filesystem.inodes;
    case Family::kFsLimit:
      return filesystem.limit_bytes;
    default:
      return filesystem.usage_bytes;
  }
}

class Digits {
 public:
  explicit Digits(std::uint32_t number)
      : end_(std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr) {}
  std::string_view text() const { return {digits_.data(), static_cast<std::size_t>(end_ - digits_.data())}; }

 private:
  std::array<char, 10> digits_;
  char* end_;
};

}  // namespace

void Teller::begin(Family family) {
  if (!begun_) sink_->family(info(family).name, info(family).type, info(family).help);
  begun_ = true;
}

void Teller::sample(Family family, const Cgroup& cgroup, std::initializer_list<model::Label> more, double value) {
  begin(family);
  const auto own = cgroup.labels();
  labels_.assign(own.begin(), own.end());
  labels_.insert(labels_.end(), more);
  sink_->sample(labels_, value);
}

void Teller::tell(std::span<const Cgroup* const> cgroups, const Machine& machine, Sink& sink) {
  cgroups_ = cgroups;
  machine_ = &machine;
  sink_ = &sink;
  const auto root = std::ranges::find(cgroups, "/", &Cgroup::path);
  root_ = root == cgroups.end() ? nullptr : *root;
  tell_scalars();
  tell_cpu_and_memory();
  tell_devices();
  tell_network();
}

void Teller::tell_scalars() {
  for (std::size_t i = 0; i < index_of(Family::kScalars); ++i) {
    const auto family = static_cast<Family>(i);
    begun_ = false;
    for (const Cgroup* cgroup : cgroups_) {
      if (!cgroup->figures().there[i]) continue;
      begin(family);
      sink_->sample(cgroup->labels(), cgroup->figures().values[i]);
    }
  }
}

void Teller::tell_cpu_and_memory() {
  begun_ = false;
  for (const Cgroup* cgroup : cgroups_) {
    if (const auto& usage = cgroup->figures().cpu_usage_s)
      sample(Family::kCpuUsage, *cgroup, {{"cpu", "total"}}, *usage);
  }
  begun_ = false;
  constexpr std::array<std::string_view, 2> kTypes = {"pgfault", "pgmajfault"};
  for (const Cgroup* cgroup : cgroups_) {
    const Figures& figures = cgroup->figures();
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
      if (figures.faults[i])
        sample(Family::kMemoryFailures, *cgroup, {{"failure_type", kTypes[i]}, {"scope", "container"}},
               *figures.faults[i]);
      if (figures.all_faults[i])
        sample(Family::kMemoryFailures, *cgroup, {{"failure_type", kTypes[i]}, {"scope", "hierarchy"}},
               *figures.all_faults[i]);
    }
  }
  begun_ = false;
  for (const Cgroup* cgroup : cgroups_) {
    if (const auto& soft = cgroup->figures().open_files_soft)
      sample(Family::kUlimitsSoft, *cgroup, {{"ulimit", "max_open_files"}}, *soft);
  }
}

std::string_view Teller::device_name(const DeviceFigures& device) {
  if (const DiskFigures* disk = machine_->disk(device.major, device.minor)) return disk->name;
  // Two devices without a name must not be one series.
  name_ = Digits(device.major).text();
  name_ += ':';
  name_ += Digits(device.minor).text();
  return name_;
}

void Teller::tell_devices() {
  begun_ = false;
  for (const Cgroup* cgroup : cgroups_) {
    for (const DeviceFigures& device : cgroup->figures().devices) {
      const Digits major(device.major);
      const Digits minor(device.minor);
      const std::string_view name = device_name(device);
      for (std::size_t i = 0; i < kOperations.size(); ++i) {
        if (!device.bytes[i]) continue;
        sample(Family::kBlkioDeviceUsage, *cgroup,
               {{"device", name}, {"major", major.text()}, {"minor", minor.text()}, {"operation", kOperations[i]}},
               *device.bytes[i]);
      }
    }
  }
  for (std::size_t i = index_of(Family::kFsReadsBytes); i <= index_of(Family::kFsIoCostIndelay); ++i) {
    begun_ = false;
    tell_device_family(static_cast<Family>(i));
    tell_disk_family(static_cast<Family>(i));
  }
  for (std::size_t i = index_of(Family::kFsInodesFree); i <= index_of(Family::kFsUsage); ++i) {
    begun_ = false;
    tell_filesystem_family(static_cast<Family>(i));
  }
}

void Teller::tell_device_family(Family family) {
  for (const Cgroup* cgroup : cgroups_) {
    for (const DeviceFigures& device : cgroup->figures().devices) {
      if (const auto value = figure(family, device)) sample(family, *cgroup, {{"device", device_name(device)}}, *value);
    }
  }
}

// Of the devices that the machine's file systems are on, as cAdvisor has them for the root.
void Teller::tell_disk_family(Family family) {
  if (root_ == nullptr) return;
  for (const FilesystemFigures& filesystem : machine_->filesystems()) {
    const DiskFigures* disk = machine_->disk(filesystem.major, filesystem.minor);
    if (disk == nullptr) continue;
    const auto value = figure(family, *disk);
    if (!value) continue;
    // A file system on a whole disk: the cgroup's own figure is told of that name.
    const bool told = std::ranges::any_of(root_->figures().devices, [&](const DeviceFigures& device) {
      return figure(family, device) && device_name(device) == filesystem.device;
    });
    if (!told) sample(family, *root_, {{"device", filesystem.device}}, *value);
  }
}

void Teller::tell_filesystem_family(Family family) {
  if (root_ == nullptr) return;
  for (const FilesystemFigures& filesystem : machine_->filesystems()) {
    if (filesystem.there) sample(family, *root_, {{"device", filesystem.device}}, figure(family, filesystem));
  }
}

void Teller::tell_network() {
  // In the order of the counters in a line of /proc/net/dev.
  constexpr std::array<Family, InterfaceFigures::kCounters> kOfCounters = {
      Family::kNetworkReceiveBytes,   Family::kNetworkReceivePackets, Family::kNetworkReceiveErrors,
      Family::kNetworkReceiveDropped, Family::kNetworkTransmitBytes,  Family::kNetworkTransmitPackets,
      Family::kNetworkTransmitErrors, Family::kNetworkTransmitDropped};
  for (std::size_t i = 0; i < kOfCounters.size(); ++i) {
    begun_ = false;
    for (const Cgroup* cgroup : cgroups_) {
      const Figures& figures = cgroup->figures();
      for (std::size_t row = 0; row < figures.interfaces_used; ++row)
        sample(kOfCounters[i], *cgroup, {{"interface", figures.interfaces[row].name}},
               figures.interfaces[row].counters[i]);
    }
  }
}

}  // namespace qd::observe::containers
