#include "observe/sd/refreshing.h"

#include <algorithm>
#include <utility>

namespace qd::observe::sd {

RefreshingDiscoverer::RefreshingDiscoverer(const Surroundings& surroundings, std::string_view mechanism,
                                           std::int64_t interval_ms, Look look, Tell tell,
                                           std::function<bool()> changed)
    : surroundings_(surroundings),
      interval_ms_(std::max(interval_ms, kRefreshMsMin)),
      look_(std::move(look)),
      tell_(std::move(tell)),
      changed_(std::move(changed)),
      failures_(surroundings.registry.counter("prometheus_sd_refresh_failures_total",
                                              "Number of refresh failures for the given SD mechanism.",
                                              {{"mechanism", std::string(mechanism)}})),
      duration_(surroundings.registry.summary(
          "prometheus_sd_refresh_duration_seconds", "The duration of a refresh in seconds for the given SD mechanism.",
          surroundings.scheduler.clock(), base::Registry::Quantiles::kUpper, {{"mechanism", std::string(mechanism)}})) {
}

void RefreshingDiscoverer::start() {
  begin();
}

void RefreshingDiscoverer::stop() {
  base::MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) surroundings_.scheduler.cancel(timer_);
  timer_ = 0;
}

void RefreshingDiscoverer::begin() {
  {
    base::MutexLock lock(mutex_);
    timer_ = 0;
    if (stopped_) return;
  }
  // A full pool: the next turn is soon enough.
  if (!surroundings_.submit([self = shared_from_this()] { self->work(); })) wait();
}

void RefreshingDiscoverer::work() {
  const std::int64_t now_ns = surroundings_.scheduler.clock().monotonic_ns();
  if (now_ns >= due_ns_ || (changed_ && changed_())) {
    look();
    due_ns_ = surroundings_.scheduler.clock().monotonic_ns() + interval_ms_ * 1'000'000;
  }
  wait();
}

void RefreshingDiscoverer::look() {
  const base::Clock& clock = surroundings_.scheduler.clock();
  const std::int64_t started_ns = clock.monotonic_ns();
  auto found = look_();
  duration_.observe(clock.monotonic_ns() - started_ns);
  // Said once, until it works again.
  const bool failed_before = std::exchange(failed_, !found);
  if (!found) {
    failures_.add();
    if (!failed_before)
      surroundings_.log.warn("looking for targets failed, those known stay", {{"error", found.error()}});
  }
  tell_(std::move(found));
}

void RefreshingDiscoverer::wait() {
  const std::int64_t wait_ms = changed_ ? std::min(kWatchMs, interval_ms_) : interval_ms_;
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  timer_ = surroundings_.scheduler.after_ms(wait_ms, [self = shared_from_this()] { self->begin(); });
}

}  // namespace qd::observe::sd
