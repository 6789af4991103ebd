#include "observe/discovery/process_watch.h"

#include <utility>

namespace qd::observe::discovery {

ProcessWatch::ProcessWatch(const Surroundings& surroundings, std::string procfs, std::function<void()> changed)
    : clock_(surroundings.scheduler.clock()),
      changed_(std::move(changed)),
      duration_(surroundings.registry.histogram("quarterdeck_discovery_scan_seconds",
                                                "How long looking for listening processes took.")),
      scan_(std::move(procfs)),
      listeners_(std::make_shared<const std::vector<Listener>>()),
      task_(surroundings.scheduler, surroundings.submit, kEveryMs, [this] { scan(); }) {}

ProcessWatch::~ProcessWatch() {
  stop();
}

void ProcessWatch::start() {
  task_.ask();
}

void ProcessWatch::stop() {
  task_.stop();
}

ProcessWatch::Listeners ProcessWatch::listeners() const {
  base::MutexLock lock(mutex_);
  return listeners_;
}

void ProcessWatch::scan() {
  task_.ask();
  const std::int64_t began_ns = clock_.monotonic_ns();
  auto found = std::make_shared<const std::vector<Listener>>(scan_.scan());
  duration_.observe(static_cast<double>(clock_.monotonic_ns() - began_ns) / 1e9);
  {
    base::MutexLock lock(mutex_);
    if (*found == *listeners_) return;
    listeners_ = std::move(found);
  }
  changed_();
}

}  // namespace qd::observe::discovery
