// What there is to measure on this machine: servers in containers and outside of them, beside those that are declared.
//
//   Discovery discovery({loop, submit, docker::fetch_by(client), log, registry}, options, [] { … });
//   discovery.start();
//   for (const Service& service : *discovery.services()) …
//
// A service appears within a second of its container's start, and goes within a second of its end; one outside of
// containers within ten. What is declared is not found twice, whichever of its addresses is written. A container that
// says nothing of what it is is asked once for each port that it exposes (probe.h), a few seconds after its start,
// unless a label says otherwise (prometheus.io/scrape or quarterdeck.enabled: "false").
//
// Thread-safe. Waiting happens on the scheduler, work in the pool, where a probe may wait for two seconds; the
// scheduler is never blocked. What Surroundings refer to outlives the discovery and everything that it has running:
// stop it, then destroy the HTTP client, the pool and the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "observe/container.h"
#include "observe/discovery/container_watch.h"
#include "observe/discovery/probe.h"
#include "observe/service.h"

namespace qd::observe::discovery {

struct DiscoveryOptions {
  bool enabled = true;                                 // observe.discovery.enabled
  bool processes = true;                               // observe.discovery.processes
  bool sockets = true;                                 // observe.discovery.sockets
  std::string docker = "auto";                         // observe.docker.enabled: "auto", "on", "off"
  std::string docker_socket = "/var/run/docker.sock";  // observe.docker.socket
  std::int64_t containers_limit = 10'000;              // observe.docker.containers_limit
  std::string procfs = "/proc";                        // observe.host.procfs
};

// Says what listens at an address, blocking.
using Prober = std::function<Probed(const std::string& address)>;
// Takes at most two seconds.
Probed probe_on_network(const std::string& address);

class Discovery {
 public:
  // A container that is younger is not asked what it is.
  static constexpr std::int64_t kProbeAgeMs = 3'000;

  using Services = std::shared_ptr<const std::vector<Service>>;
  // For people, sorted: what was found and cannot be reached or understood, with the cure.
  using Complaints = std::shared_ptr<const std::vector<std::string>>;

  // `changed` is called in the pool, never twice at once, when services(), containers() or complaints() have something
  // else to say; it may call all of them.
  // `prober` stands in for the network in tests.
  Discovery(const Surroundings& surroundings, const DiscoveryOptions& options, std::function<void()> changed,
            Prober prober = probe_on_network);
  // Stops.
  ~Discovery();
  Discovery(const Discovery&) = delete;
  Discovery& operator=(const Discovery&) = delete;

  void start();
  // Waits for a `changed` that runs (and a probe); none begins afterwards. Not from `changed`.
  void stop();

  // Those of the configuration: they are among services(), and what is found at their addresses is not told again.
  void set_declared(std::vector<Service> declared);

  // Sorted by kind and address; never null.
  Services services() const;
  ContainerList containers() const;
  EngineState engine() const;
  Complaints complaints() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace qd::observe::discovery
