// Settings of the section `observe.host`.
#pragma once

#include "model/config/schema.h"
#include "observe/host/host.h"

namespace qd::observe::host {

// observe.host.enabled, .procfs, .sysfs, .rootfs, and a flag .collectors.<name> for each of part_kinds().
void declare(model::config::Schema& schema, HostOptions& options);

// kInvalid names the setting whose directory is not on this machine.
base::Status check_roots(const HostOptions& options);

}  // namespace qd::observe::host
