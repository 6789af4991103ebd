// One task that is run in the pool whenever somebody asks: soon or at a given time, once for all who asked meanwhile,
// never twice at once, and at most a given part of the time, so that what grows with its input cannot take a core.
//
// Thread-safe. The task may ask for its next run. What it refers to must last until stop, which waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/scheduler.h"
#include "connect/docker/client.h"

namespace qd::observe::discovery {

class RepeatedTask {
 public:
  static constexpr std::int64_t kCostShare = 10;
  static constexpr std::int64_t kRefusedMs = 500;

  // At least `every_ms`, and `cost_share` times as long as the run took, lie between a run's end and the next.
  RepeatedTask(base::Scheduler& scheduler, connect::docker::Submit submit, std::int64_t every_ms,
               std::function<void()> task, std::int64_t cost_share = kCostShare);
  // Stops.
  ~RepeatedTask();
  RepeatedTask(const RepeatedTask&) = delete;
  RepeatedTask& operator=(const RepeatedTask&) = delete;

  // The earliest that somebody asked for counts. `at_ns` is on the scheduler's clock; what has passed is now.
  void ask(std::int64_t at_ns = 0);
  // Not from the task.
  void stop();

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe::discovery
