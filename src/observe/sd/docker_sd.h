// Targets that are containers of a Docker Engine.
#pragma once

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Asks once. Waits. A target for each TCP port of a container in each of its networks (in the first by name with
// match_first_network); one with the config's port where it has none.
base::Result<TargetGroups> look_at_docker(const DockerSdConfig& config, const Surroundings& surroundings);

}  // namespace qd::observe::sd
