// Settings of the section `observe.nginx`.
#pragma once

#include <vector>

#include "model/config/schema.h"
#include "observe/nginx/nginx.h"

namespace qd::observe::nginx {

// observe.nginx: a list of servers.
void declare_instances(model::config::Schema& schema, std::vector<Options>& instances);

}  // namespace qd::observe::nginx
