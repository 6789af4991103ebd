#include "observe/gpu/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "observe/gpu/families.h"

namespace qd::observe::gpu {

void declare(model::config::Schema& schema, Options& options) {
  constexpr std::int64_t kProcessesLimitMax = 10'000;
  schema.section("observe.gpu", "NVIDIA's GPUs, as dcgm-exporter shows them.");
  schema
      .choice("observe.gpu.enabled", options.enabled, {"auto", "on", "off"},
              "Whether GPUs are measured; with `auto` where there is a driver, which is looked for every five minutes, "
              "and with `on` it is an error when there is none.")
      .only_at_start();
  schema
      .text("observe.gpu.library", options.library,
            "The driver's library NVML: a name that the system's loader finds, or a path.")
      .example("/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1")
      .only_at_start();
  schema.check("observe.gpu.library", [&options]() -> base::Status {
    if (!options.library.empty()) return {};
    return base::fail(base::ErrorCode::kInvalid, "it is empty: name a library, like \"libnvidia-ml.so.1\"");
  });
  schema
      .strings(
          "observe.gpu.labels", options.labels,
          fmt::format("Fields that are labels of all samples of a GPU: any of {}.", base::join(label_fields(), ", ")))
      .example("[DCGM_FI_DRIVER_VERSION, DCGM_FI_DEV_SERIAL]")
      .only_at_start();
  schema.check("observe.gpu.labels", [&options]() -> base::Status {
    const auto known = label_fields();
    for (const std::string& one : options.labels) {
      if (std::ranges::find(known, one) == known.end())
        return base::fail(base::ErrorCode::kInvalid,
                          fmt::format("{:?} is no such field; there are {}", one, base::join(known, ", ")));
    }
    return {};
  });
  schema
      .flag("observe.gpu.profiling", options.profiling,
            "Whether performance counters are read where the GPU has them (Hopper and newer), as DCGM_FI_PROF_*.")
      .only_at_start();
  schema
      .flag("observe.gpu.container_samples", options.container_samples,
            "Whether what is told of a GPU is told again for each container that uses it, with its labels container, "
            "pod and namespace. Sums over GPUs then have to leave those out (container=\"\").")
      .only_at_start();
  schema
      .integer("observe.gpu.processes_limit", options.processes_limit,
               "How many processes of a GPU are told, those that use most of its memory; 0 for none.", 0,
               kProcessesLimitMax)
      .only_at_start();
}

}  // namespace qd::observe::gpu
