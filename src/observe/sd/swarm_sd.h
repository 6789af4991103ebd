// Targets that are services, tasks or nodes of a Docker Swarm.
#pragma once

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Asks once, by the config's role. Waits.
base::Result<TargetGroups> look_at_swarm(const DockerSwarmSdConfig& config, const Surroundings& surroundings);

}  // namespace qd::observe::sd
