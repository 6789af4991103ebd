// How GPUs are observed: the section `observe.gpu`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qd::observe::gpu {

struct Options {
  std::string enabled = "auto";  // "auto", "on", "off"
  std::string library = "libnvidia-ml.so.1";
  std::vector<std::string> labels = {"DCGM_FI_DRIVER_VERSION"};  // of label_fields()
  bool profiling = true;
  bool container_samples = false;
  std::int64_t processes_limit = 100;  // of a GPU; 0 for none
  std::string procfs = "/proc";        // as observe.host has it
};

}  // namespace qd::observe::gpu
