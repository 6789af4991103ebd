// All discoveries of a Prometheus file, each once however many jobs name it.
//
//   Discoveries discoveries(surroundings, [](const std::string& job, TargetGroups groups) { … });
//   discoveries.apply(jobs);   // at the start and at each reload
//
// A discovery that stays keeps what it knows and goes on; a new one tells its jobs when it has looked for the first
// time, and until then they keep what they had. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

class Discoveries {
 public:
  struct Job {
    std::string name;
    std::vector<SdConfig> configs;
  };
  // Everything that is known of a job, whenever that changes; one call at a time.
  using Found = std::function<void(const std::string& job, TargetGroups groups)>;

  // Changes of a job are told this long after the first of them, so that many at once cost one.
  static constexpr std::int64_t kSettleMs = 100;

  Discoveries(const Surroundings& surroundings, Found found);
  // Stops.
  ~Discoveries();
  Discoveries(const Discoveries&) = delete;
  Discoveries& operator=(const Discoveries&) = delete;

  void apply(const std::vector<Job>& jobs);
  // Nothing is told any more when this returns. Not from `found`.
  void stop();

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe::sd
