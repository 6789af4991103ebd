// Targets that a web server lists.
#pragma once

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Asks once. Waits.
base::Result<TargetGroups> look_by_http(const HttpSdConfig& config, const Surroundings& surroundings);

}  // namespace qd::observe::sd
