// Settings of the section `observe.gpu`.
#pragma once

#include "model/config/schema.h"
#include "observe/gpu/options.h"

namespace qd::observe::gpu {

// observe.gpu.enabled, .library, .labels, .profiling, .container_samples and .processes_limit. Where the machine's
// processes are seen is observe.host's to say.
void declare(model::config::Schema& schema, Options& options);

}  // namespace qd::observe::gpu
