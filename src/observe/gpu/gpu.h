// The collector `dcgm`: NVIDIA's GPUs, under the names, units and labels of dcgm-exporter, read from NVML, which is
// loaded while the program runs: nothing of NVIDIA's is needed to build it, or where there is no GPU.
//
// Samples of a GPU have gpu, UUID, pci_bus_id, device, modelName and Hostname, and the fields that observe.gpu.labels
// names. Of a divided GPU (MIG) memory and performance counters are told for each instance, with GPU_I_PROFILE and
// GPU_I_ID, and not for the whole; what only the whole has (temperature, power, errors) is told once and without them,
// so that sums are right, where dcgm-exporter repeats it for every instance.
//
// Who uses a GPU stands in two families of our own: DCGM_EXP_PROCESS_FB_USED and DCGM_EXP_PROCESS_SM_UTIL have a sample
// for each process, with pid, process, container, and in Kubernetes pod and namespace. The other series keep their
// labels whatever starts and ends: a counter goes on. Where dashboards want dcgm-exporter's form,
// observe.gpu.container_samples tells a GPU's samples again for each container that uses it.
//
// A call into a broken driver may never come back: passes run on a thread of their own, and while one hangs the next
// say so and begin nothing. A GPU that is lost loses its samples alone; its last XID error is told on. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "observe/collector.h"
#include "observe/container.h"
#include "observe/gpu/options.h"
#include "observe/gpu/own_thread.h"
#include "observe/gpu/owners.h"
#include "observe/gpu/tell.h"

namespace qd::observe::gpu {

class GpuCollector final : public Collector {
 public:
  // `host` is the label Hostname. `containers` is called once a pass, on its thread. A call that hangs keeps `clock`.
  GpuCollector(Options options, std::string host, std::function<ContainerList()> containers,
               std::shared_ptr<const base::Clock> clock);
  // Waits a second for the driver to be closed.
  ~GpuCollector() override;
  GpuCollector(const GpuCollector&) = delete;
  GpuCollector& operator=(const GpuCollector&) = delete;

  std::string_view name() const override { return "dcgm"; }
  // Opens the driver: kNotFound where there is none, kTimeout when it is still at it (a pass goes on from there).
  base::Status find(std::int64_t deadline_ns);
  // Without a driver it succeeds and tells nothing, unless observe.gpu.enabled is on.
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  struct Shared;
  // Runs `task` on the driver's thread; kTimeout when it has not ended by the deadline, or an earlier one is at it.
  base::Status ask(std::int64_t deadline_ns, std::function<void(Shared&)> task);
  base::Error hanging() const;
  void note(const base::Error& error);
  std::vector<Told> attributed(std::vector<DeviceReading> readings);

  const Options options_;
  const std::string host_;
  const std::function<ContainerList()> containers_;
  const std::shared_ptr<const base::Clock> clock_;
  OwnThread thread_;
  std::shared_ptr<Shared> shared_;
  Owners owners_;
  std::optional<base::Error> trouble_;
};

}  // namespace qd::observe::gpu
