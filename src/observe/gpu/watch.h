// Looks for a GPU driver, at start and then every five minutes, and has GPUs measured once there is one.
//
// Until then there is no collector: nothing is listed, and nothing runs. One that was begun stays. Thread-safe; what it
// is made with outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "observe/gpu/gpu.h"

namespace qd::observe::gpu {

class Watch {
 public:
  static constexpr std::int64_t kLookEveryMs = 300'000;
  // A driver that takes longer to answer is there; its collector says what becomes of it.
  static constexpr std::int64_t kPatienceMs = 2'000;

  using Make = std::function<std::unique_ptr<GpuCollector>()>;
  // Puts work into a pool where it may wait.
  using Submit = std::function<base::Status(std::function<void()>)>;
  using Found = std::function<void(std::unique_ptr<GpuCollector>)>;

  // `found` is called once, in the pool.
  Watch(base::Scheduler& scheduler, Submit submit, base::Log& log, Make make, Found found,
        std::int64_t patience_ms = kPatienceMs);
  // Stops.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void start();
  // Waits for a look that is under way; none begins afterwards.
  void stop();

 private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe::gpu
