#include "observe/gpu/watch.h"

#include <utility>

#include "base/mutex.h"

namespace qd::observe::gpu {

class Watch::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(base::Scheduler& scheduler, Submit submit, base::Log& log, Make make, Found found, std::int64_t patience_ms)
      : scheduler_(scheduler),
        submit_(std::move(submit)),
        log_(log),
        make_(std::move(make)),
        found_(std::move(found)),
        patience_ns_(patience_ms * 1'000'000) {}

  void queue() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      timer_ = 0;
      if (stopped_) return;
    }
    // A full pool is asked again the next time.
    if (submit_([self = shared_from_this()] { self->look(); })) return;
    base::MutexLock lock(mutex_);
    look_later();
  }

  void stop() QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    if (timer_ != 0) scheduler_.cancel(std::exchange(timer_, 0));
    while (is_looking_) idle_.wait(mutex_);
  }

 private:
  void look() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      is_looking_ = true;
    }
    std::unique_ptr<GpuCollector> collector = make_();
    const base::Status there = collector->find(scheduler_.clock().monotonic_ns() + patience_ns_);
    const bool absent = !there && there.error().code() == base::ErrorCode::kNotFound;
    if (absent) {
      if (!std::exchange(told_, true)) log_.info("GPUs are not measured", {{"why", there.error()}});
      collector.reset();
    } else {
      found_(std::move(collector));
    }
    base::MutexLock lock(mutex_);
    is_looking_ = false;
    idle_.notify_all();
    if (absent) look_later();
  }

  void look_later() QD_REQUIRES(mutex_) {
    if (stopped_) return;
    timer_ = scheduler_.after_ms(kLookEveryMs, [self = shared_from_this()] { self->queue(); });
  }

  base::Scheduler& scheduler_;
  const Submit submit_;
  base::Log& log_;
  const Make make_;
  const Found found_;
  const std::int64_t patience_ns_;
  bool told_ = false;  // of looks, which never overlap
  base::Mutex mutex_;
  base::CondVar idle_;
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  bool is_looking_ QD_GUARDED_BY(mutex_) = false;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
};

Watch::Watch(base::Scheduler& scheduler, Submit submit, base::Log& log, Make make, Found found,
             std::int64_t patience_ms)
    : core_(std::make_shared<Core>(scheduler, std::move(submit), log, std::move(make), std::move(found), patience_ms)) {
}

Watch::~Watch() {
  stop();
}

void Watch::start() {
  core_->queue();
}

void Watch::stop() {
  core_->stop();
}

}  // namespace qd::observe::gpu
