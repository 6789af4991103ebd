// Tells cgroups to a sink, family by family.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/labels.h"
#include "observe/collector.h"
#include "observe/containers/cgroup.h"
#include "observe/containers/machine.h"

namespace qd::observe::containers {

// Not thread-safe; keeps its scratch from pass to pass.
class Teller {
 public:
  // `cgroups` are those that could be read. The root's file systems are the machine's.
  void tell(std::span<const Cgroup* const> cgroups, const Machine& machine, Sink& sink);

 private:
  void begin(Family family);
  void sample(Family family, const Cgroup& cgroup, std::initializer_list<model::Label> more, double value);
  void tell_scalars();
  void tell_cpu_and_memory();
  void tell_devices();
  void tell_device_family(Family family);
  void tell_disk_family(Family family);
  void tell_filesystem_family(Family family);
  void tell_network();
  std::string_view device_name(const DeviceFigures& device);

  std::span<const Cgroup* const> cgroups_;
  const Cgroup* root_ = nullptr;
  const Machine* machine_ = nullptr;
  Sink* sink_ = nullptr;
  bool begun_ = false;
  std::vector<model::Label> labels_;
  std::string name_;
};

}  // namespace qd::observe::containers
