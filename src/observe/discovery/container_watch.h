// Which containers there are, from their engine, kept up to date.
//
// At the start every container is listed and inspected; from then on the engine's events say which to look at again, so
// that one appears and goes within a second. Every minute the list is compared with what is known, and after a break
// of the stream of events all is read anew. While the engine is away its containers stay as they were, but one whose
// process ends is seen to have ended; trying again is told once and backs off to half a minute.
//
// The list holds all containers, also those that do not run (pid 0). It grows in steps while it is first read. At most
// kInspectsAtOnce are asked for at a time; one that goes between list and inspection is normal.
//
// Thread-safe. Waiting happens on the scheduler, reading in the pool. What Surroundings refer to outlives the watch and
// everything that it has running.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "connect/docker/client.h"
#include "model/sample.h"
#include "observe/container.h"

namespace qd::observe::discovery {

struct Surroundings {
  base::Scheduler& scheduler;
  connect::docker::Submit submit;
  connect::docker::Fetch fetch;
  base::Log& log;
  base::Registry& registry;
};

struct ContainerWatchOptions {
  std::vector<std::string> sockets;     // the first that is there is used
  bool required = false;                // that none is there is a fault, not just so
  std::size_t containers_max = 10'000;  // observe.docker.containers_limit; running ones come first
  std::string procfs = "/proc";
};

// For people.
struct EngineState {
  bool enabled = false;
  bool connected = false;
  model::TimestampMs since_ms = 0;  // of the connection, or of its end
  std::string socket;               // the one in use, or that was tried last
  std::string api_version;
  std::size_t containers = 0;
  std::size_t left_out = 0;          // beyond the limit
  std::optional<base::Error> error;  // why there is no connection
};

class ContainerWatch {
 public:
  static constexpr std::size_t kInspectsAtOnce = 8;
  static constexpr std::int64_t kResyncMs = 60'000;
  static constexpr std::int64_t kAbsentRetryMs = 2'000;
  static constexpr std::int64_t kRetryMsMin = 500;
  static constexpr std::int64_t kRetryMsMax = 30'000;

  // `changed` is called in the pool, never twice at once, when containers() has a new list; it may call containers and
  // state.
  ContainerWatch(Surroundings surroundings, ContainerWatchOptions options, std::function<void()> changed);
  // Stops.
  ~ContainerWatch();
  ContainerWatch(const ContainerWatch&) = delete;
  ContainerWatch& operator=(const ContainerWatch&) = delete;

  void start();
  // Waits for a `changed` that runs; none begins afterwards. Not from `changed`.
  void stop();

  ContainerList containers() const;
  EngineState state() const;

 private:
  class Core;
  // Shared with what it has running, which finds it stopped when the watch is gone.
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe::discovery
