// Settings of the list `observe.postgres`.
#pragma once

#include <vector>

#include "model/config/schema.h"
#include "observe/postgres/postgres.h"

namespace qd::observe::postgres {

// observe.postgres: a server an item.
void declare_instances(model::config::Schema& schema, std::vector<Options>& instances);

}  // namespace qd::observe::postgres
