// What a watch of containers makes of the engine's values, and what it counts.
#pragma once

#include "base/counters.h"
#include "connect/docker/answers.h"
#include "observe/container.h"

namespace qd::observe::discovery {

Container container_of(connect::docker::Details details);

struct EngineCounters {
  explicit EngineCounters(base::Registry& registry)
      : connected(registry.gauge("quarterdeck_docker_connected", "Whether the container engine answers.")),
        containers(registry.gauge("quarterdeck_docker_containers", "Containers that the engine has.")),
        left_out(registry.gauge("quarterdeck_docker_containers_left_out",
                                "Containers beyond observe.docker.containers_limit.")),
        events(registry.counter("quarterdeck_docker_events_total", "Events that the container engine told.")),
        lists(registry.counter("quarterdeck_docker_lists_total", "Lists of all containers read.")),
        disconnects(registry.counter("quarterdeck_docker_disconnects_total",
                                     "Times that a connection to the container engine ended.")),
        inspected(inspects(registry, "ok")),
        inspected_gone(inspects(registry, "gone")),
        inspected_badly(inspects(registry, "error")) {}

  static base::Counter& inspects(base::Registry& registry, const char* result) {
    return registry.counter("quarterdeck_docker_inspects_total", "Containers asked about, by result.",
                            {{"result", result}});
  }

  base::Gauge& connected;
  base::Gauge& containers;
  base::Gauge& left_out;
  base::Counter& events;
  base::Counter& lists;
  base::Counter& disconnects;
  base::Counter& inspected;
  base::Counter& inspected_gone;
  base::Counter& inspected_badly;
};

}  // namespace qd::observe::discovery
