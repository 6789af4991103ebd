// Settings of the key `observe.memcached`.
#pragma once

#include <vector>

#include "model/config/schema.h"
#include "observe/memcached/memcached.h"

namespace qd::observe::memcached {

// observe.memcached: a list of servers.
void declare_instances(model::config::Schema& schema, std::vector<Options>& servers);

}  // namespace qd::observe::memcached
