// How many queries run at once, and who is next.
//
// Queries of one principal start in the order in which they came; principals that wait take turns, so that one who asks
// for a thousand queries keeps nobody else waiting for more than one of them. Waiting counts towards a query's
// time-out, and ends when the client hangs up.
//
// Thread-safe. Pool and scheduler outlive the gate's use; close() comes before they end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "base/thread_pool.h"

namespace qd::query::running {

// Queries that may wait; further ones are refused.
inline constexpr std::size_t kWaitingMax = 1'000;

class Gate {
 private:
  struct Core;

 public:
  struct Limits {
    std::size_t total = 20;
    std::size_t per_principal = 0;  // 0: no limit of their own
  };

  // The right to run, given back when it goes.
  class Pass {
   public:
    Pass(std::shared_ptr<Core> core, std::string principal, std::int64_t waited_ns);
    Pass(Pass&& other) noexcept = default;
    Pass& operator=(Pass&&) = delete;
    ~Pass();
    std::int64_t waited_ns() const { return waited_ns_; }

   private:
    std::shared_ptr<Core> core_;
    std::string principal_;
    std::int64_t waited_ns_;
  };
  // Called once: on a thread of the pool with a pass, or on some thread with kTimeout or kCancelled for one whose wait
  // ended, kUnavailable for one that there is no room for.
  using Run = std::function<void(base::Result<Pass>)>;

  // More than the pool has threads never run at once. Counts itself as prometheus_engine_queries and
  // prometheus_engine_queries_concurrent_max.
  Gate(base::ThreadPool& pool, base::Scheduler& scheduler, base::Registry& registry, Limits limits);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  void set_limits(Limits limits);
  // `deadline_ns` of the scheduler's monotonic clock.
  void enter(const std::string& principal, base::CancelToken cancel, std::int64_t deadline_ns, Run run);
  // Refuses all who wait and all who come.
  void close();

 private:
  const std::shared_ptr<Core> core_;
};

}  // namespace qd::query::running
