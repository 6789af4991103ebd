// A discovery that looks again and again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/counters.h"
#include "base/mutex.h"
#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

// Looks at once, and then each interval after the end of the last look. May wait for others.
using Look = std::function<base::Result<TargetGroups>()>;

class RefreshingDiscoverer final : public Discoverer, public std::enable_shared_from_this<RefreshingDiscoverer> {
 public:
  // `changed`, where there is one, is asked each second whether to look before the interval is over.
  RefreshingDiscoverer(const Surroundings& surroundings, std::string_view mechanism, std::int64_t interval_ms,
                       Look look, Tell tell, std::function<bool()> changed = {});
  void start() override QD_EXCLUDES(mutex_);
  void stop() override QD_EXCLUDES(mutex_);

  static constexpr std::int64_t kWatchMs = 1'000;

 private:
  void begin() QD_EXCLUDES(mutex_);
  void work();
  void look();
  void wait() QD_EXCLUDES(mutex_);

  const Surroundings surroundings_;
  const std::int64_t interval_ms_;
  const Look look_;
  const Tell tell_;
  const std::function<bool()> changed_;
  base::Counter& failures_;
  base::DurationSummary& duration_;

  base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;

  // Of the one run that there is at a time.
  std::int64_t due_ns_ = 0;
  bool failed_ = false;
};

}  // namespace qd::observe::sd
