// Which servers listen on this machine outside of containers: a ProcessScan at most every ten seconds, in the pool.
//
// Thread-safe. What Surroundings refer to outlives the watch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "observe/discovery/container_watch.h"
#include "observe/discovery/processes.h"
#include "observe/discovery/repeated_task.h"

namespace qd::observe::discovery {

class ProcessWatch {
 public:
  static constexpr std::int64_t kEveryMs = 10'000;
  using Listeners = std::shared_ptr<const std::vector<Listener>>;

  // `changed` is called in the pool, never twice at once, when listeners() has something else to say.
  ProcessWatch(const Surroundings& surroundings, std::string procfs, std::function<void()> changed);
  // Stops.
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

  void start();
  // Waits for a `changed` that runs; none begins afterwards. Not from `changed`.
  void stop();

  // Also those in containers; never null.
  Listeners listeners() const QD_EXCLUDES(mutex_);

 private:
  void scan() QD_EXCLUDES(mutex_);

  const base::Clock& clock_;
  const std::function<void()> changed_;
  base::Histogram& duration_;
  ProcessScan scan_;  // of the task alone
  mutable base::Mutex mutex_;
  Listeners listeners_ QD_GUARDED_BY(mutex_);
  RepeatedTask task_;
};

}  // namespace qd::observe::discovery
