// Quarterdeck's metrics about itself as a collector: what every room counts in the registry, what its process uses, and
// which build it is. Also what /metrics serves.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "observe/collector.h"

namespace qd::observe {

struct BuildInfo {
  std::string version;   // "0.1.0"
  std::string revision;  // of the source, "unknown" where it is not known
  std::string build;     // "release"
};

class RegistryCollector final : public Collector {
 public:
  // `registry` outlives it.
  RegistryCollector(const base::Registry& registry, BuildInfo build);

  std::string_view name() const override { return "quarterdeck"; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override;

 private:
  void tell_process(Sink& sink) const;

  const base::Registry& registry_;
  const BuildInfo build_;
  const double boot_time_s_;  // of the machine; 0 when it is not known
};

}  // namespace qd::observe
