// Runs functions now or later, on somebody's threads: the event loop in the program, the test itself in tests.
//
// Functions posted may run at the same time as each other, on any thread of the loop; what must not overlap serialises
// itself (a lock, or posting the next from the end of the last). A function must not block for long: work that computes
// goes to a ThreadPool.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace qd::base {

class Scheduler {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;  // 0 is never given

  virtual ~Scheduler() = default;

  virtual const Clock& clock() const = 0;
  virtual void post(Task task) = 0;
  // Runs `task` once the monotonic clock reaches `at_ns` (at once when that has passed).
  virtual TimerId at(std::int64_t at_ns, Task task) = 0;
  // True when the task had not started and never will.
  virtual bool cancel(TimerId id) = 0;

  TimerId after_ms(std::int64_t ms, Task task) { return at(clock().monotonic_ns() + ms * 1'000'000, std::move(task)); }
};

// For tests: nothing runs until advance_ms or run_posted is called, and then in order of time, on the caller's thread.
class ManualScheduler final : public Scheduler {
 public:
  explicit ManualScheduler(ManualClock& clock) : clock_(clock) {}
  const Clock& clock() const override { return clock_; }
  void post(Task task) override { at(clock_.monotonic_ns(), std::move(task)); }
  TimerId at(std::int64_t at_ns, Task task) override;
  bool cancel(TimerId id) override;

  // Moves the clock on, stopping at each due task on the way to run it.
  void advance_ms(std::int64_t ms);
  // Runs what is due now, without moving the clock.
  void run_posted() { advance_ms(0); }

 private:
  ManualClock& clock_;
  Mutex mutex_;
  TimerId last_id_ QD_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<std::int64_t, TimerId>, Task> due_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::base
