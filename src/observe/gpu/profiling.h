// Performance counters of GPUs (DCGM_FI_PROF_*), by NVML's GPM: each value is the mean between two samples, here of one
// pass and the next. Hopper and newer GPUs have it, without root and without keeping profilers out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "observe/gpu/library.h"
#include "observe/gpu/nvml_api.h"
#include "observe/gpu/reading.h"

namespace qd::observe::gpu {

// Of one device. Forget what was sampled before the library is closed.
class Profiling {
 public:
  // Samples that lie nearer say nothing: the values of the pass before are told again.
  static constexpr std::int64_t kSpanNsMin = 100'000'000;

  Profiling() = default;
  // Forgets.
  ~Profiling() { forget(); }
  Profiling(const Profiling&) = delete;
  Profiling& operator=(const Profiling&) = delete;

  // Begins a pass; false when the device has no such counters.
  bool begin(const Library& library, nvml::Device device);
  // Of the GPU (kNoInstance) or of one of its instances.
  void read(nvml::Device device, std::uint32_t instance, std::int64_t now_ns, Figures& figures);
  // Ends a pass: instances that it did not read are gone.
  void end();
  // Gives up all samples, and with them the library.
  void forget();

 private:
  struct Pair {
    nvml::GpmSample before = nullptr;
    nvml::GpmSample after = nullptr;
    std::optional<std::int64_t> before_ns;  // none: `before` holds no sample
    bool seen = false;
    Figures last;
  };
  bool sample(nvml::Device device, std::uint32_t instance, Pair& pair);
  void evaluate(Pair& pair);
  void free(Pair& pair) const;

  const Library* library_ = nullptr;
  bool is_asked_ = false;
  bool is_supported_ = false;
  std::map<std::uint32_t, Pair> pairs_;  // by instance
  std::unique_ptr<nvml::GpmMetricsGet> request_;
};

}  // namespace qd::observe::gpu
