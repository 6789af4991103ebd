// Settings of the list `observe.mysql`.
#pragma once

#include <vector>

#include "model/config/schema.h"
#include "observe/mysql/mysql.h"

namespace qd::observe::mysql {

// observe.mysql: a list of servers; each key as in Options.
void declare_instances(model::config::Schema& schema, std::vector<Options>& instances);

}  // namespace qd::observe::mysql
