// What was read of all GPUs, as families and samples.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "observe/collector.h"
#include "observe/gpu/owners.h"
#include "observe/gpu/reading.h"

namespace qd::observe::gpu {

struct Told {
  DeviceReading device;
  std::vector<Owner> owners;  // of device.processes, in their order
};

// `repeats` tells what is of a GPU again for each container that uses it, as observe.gpu.container_samples asks.
void tell(std::span<const Told> devices, const std::string& host, bool repeats, Sink& sink);

}  // namespace qd::observe::gpu
