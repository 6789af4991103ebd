// Settings of the sections `observe.docker` and `observe.discovery`.
#pragma once

#include <string>
#include <vector>

#include "model/config/schema.h"
#include "observe/discovery/discovery.h"

namespace qd::observe::discovery {

// observe.docker.enabled, .socket and .containers_limit; observe.discovery.enabled and .processes. `procfs` is the
// host collector's: set it from there.
void declare(model::config::Schema& schema, DiscoveryOptions& options);

// Where an engine is looked for: at the socket that is set, or where Docker and Podman have theirs.
std::vector<std::string> sockets_of(const DiscoveryOptions& options);

}  // namespace qd::observe::discovery
