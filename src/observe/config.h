// Settings of the section `observe` that are about all collectors.
#pragma once

#include "model/config/schema.h"
#include "observe/runner.h"

namespace qd::observe {

// observe.interval and observe.instance.
void declare(model::config::Schema& schema, RunnerOptions& options);

}  // namespace qd::observe
