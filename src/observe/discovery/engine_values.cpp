#include "observe/discovery/engine_values.h"

#include <utility>

namespace qd::observe::discovery {

Container container_of(connect::docker::Details details) {
  Container container;
  container.id = std::move(details.id);
  container.name = std::move(details.name);
  container.image = std::move(details.image);
  container.image_id = std::move(details.image_id);
  container.labels = std::move(details.labels);
  container.environment = std::move(details.environment);
  container.addresses = std::move(details.addresses);
  container.ports.reserve(details.ports.size());
  for (connect::docker::Port& port : details.ports)
    container.ports.push_back({port.container_port, port.host_port, std::move(port.host_ip), std::move(port.protocol)});
  container.command = std::move(details.command);
  container.network_mode = std::move(details.network_mode);
  container.state = std::move(details.state);
  container.health = std::move(details.health);
  container.pid = details.pid;
  container.created_ms = details.created_ms;
  container.started_ms = details.started_ms;
  container.restart_count = details.restart_count;
  container.exit_code = details.exit_code;
  container.oom_killed = details.oom_killed;
  return container;
}

}  // namespace qd::observe::discovery
