#include "base/scheduler.h"

#include "base/assert.h"

namespace qd::base {

Scheduler::TimerId ManualScheduler::at(std::int64_t at_ns, Task task) {
  MutexLock lock(mutex_);
  const TimerId id = ++last_id_;
  due_.emplace(std::pair(at_ns, id), std::move(task));
  return id;
}

bool ManualScheduler::cancel(TimerId id) {
  Task dropped;  // destroyed after the lock: what it owns may call back
  MutexLock lock(mutex_);
  for (auto it = due_.begin(); it != due_.end(); ++it) {
    if (it->first.second != id) continue;
    dropped = std::move(it->second);
    due_.erase(it);
    return true;
  }
  return false;
}

void ManualScheduler::advance_ms(std::int64_t ms) {
  QD_ASSERT(ms >= 0);
  const std::int64_t until_ns = clock_.monotonic_ns() + ms * 1'000'000;
  while (true) {
    Task task;
    std::int64_t at_ns = 0;
    {
      MutexLock lock(mutex_);
      const auto first = due_.begin();
      if (first == due_.end() || first->first.first > until_ns) break;
      at_ns = first->first.first;
      task = std::move(first->second);
      due_.erase(first);
    }
    // The manual clock moves in whole milliseconds: a task due between two of them runs at the later one.
    const std::int64_t ahead_ns = at_ns - clock_.monotonic_ns();
    if (ahead_ns > 0) clock_.advance_ms((ahead_ns + 999'999) / 1'000'000);
    task();
  }
  const std::int64_t rest_ns = until_ns - clock_.monotonic_ns();
  if (rest_ns > 0) clock_.advance_ms(rest_ns / 1'000'000);
}

}  // namespace qd::base
