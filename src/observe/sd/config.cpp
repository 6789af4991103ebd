#include "observe/sd/config.h"

namespace qd::observe::sd {

std::string_view mechanism(const SdConfig& config) {
  constexpr std::string_view kNames[] = {"file", "http", "dns", "docker", "dockerswarm", "kubernetes"};
  static_assert(std::size(kNames) == std::variant_size_v<SdConfig>);
  return kNames[config.index()];
}

}  // namespace qd::observe::sd
