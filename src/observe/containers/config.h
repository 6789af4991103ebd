// Settings of the section `observe.containers`.
#pragma once

#include "model/config/schema.h"
#include "observe/containers/containers.h"

namespace qd::observe::containers {

// observe.containers.enabled, .labels, .environment and .limit. Where the machine is seen is observe.host's to say.
void declare(model::config::Schema& schema, Options& options);

}  // namespace qd::observe::containers
