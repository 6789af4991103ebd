// Settings of the key `observe.redis`.
#pragma once

#include <vector>

#include "model/config/schema.h"
#include "observe/redis/options.h"

namespace qd::observe::redis {

// observe.redis: a list of servers.
void declare_instances(model::config::Schema& schema, std::vector<Options>& servers);

}  // namespace qd::observe::redis
