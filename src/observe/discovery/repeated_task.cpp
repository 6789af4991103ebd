#include "observe/discovery/repeated_task.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace qd::observe::discovery {

class RepeatedTask::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(base::Scheduler& scheduler, connect::docker::Submit submit, std::int64_t every_ms, std::function<void()> task,
       std::int64_t cost_share)
      : scheduler_(scheduler),
        submit_(std::move(submit)),
        every_ns_(every_ms * 1'000'000),
        cost_share_(cost_share),
        task_(std::move(task)) {}

  void ask(std::int64_t at_ns) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    asked_ns_ = asked_ns_ ? std::min(*asked_ns_, at_ns) : at_ns;
    wait();
  }

  void stop() QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    if (timer_ != 0) scheduler_.cancel(std::exchange(timer_, 0));
    while (running_) ended_.wait(mutex_);
  }

 private:
  void wait() QD_REQUIRES(mutex_) {
    if (stopped_ || queued_ || !asked_ns_) return;
    const std::int64_t at_ns = std::max(next_ns_, *asked_ns_);
    if (timer_ != 0) {
      // One that has fired already is about to run, which is as early as it can be.
      if (timer_ns_ <= at_ns || !scheduler_.cancel(timer_)) return;
    }
    timer_ns_ = at_ns;
    timer_ = scheduler_.at(at_ns, [self = shared_from_this()] { self->queue(); });
  }

  void queue() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      timer_ = 0;
      if (stopped_) return;
      queued_ = true;
    }
    if (submit_([self = shared_from_this()] { self->run(); })) return;
    base::MutexLock lock(mutex_);
    queued_ = false;
    next_ns_ = scheduler_.clock().monotonic_ns() + kRefusedMs * 1'000'000;
    wait();
  }

  void run() QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      asked_ns_.reset();
      running_ = true;
    }
    const std::int64_t began_ns = scheduler_.clock().monotonic_ns();
    task_();
    const std::int64_t ended_ns = scheduler_.clock().monotonic_ns();
    base::MutexLock lock(mutex_);
    running_ = false;
    queued_ = false;
    ended_.notify_all();
    next_ns_ = ended_ns + std::max(every_ns_, cost_share_ * (ended_ns - began_ns));
    wait();
  }

  base::Scheduler& scheduler_;
  const connect::docker::Submit submit_;
  const std::int64_t every_ns_;
  const std::int64_t cost_share_;
  const std::function<void()> task_;
  base::Mutex mutex_;
  base::CondVar ended_;
  std::optional<std::int64_t> asked_ns_ QD_GUARDED_BY(mutex_);
  bool queued_ QD_GUARDED_BY(mutex_) = false;
  bool running_ QD_GUARDED_BY(mutex_) = false;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t timer_ns_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t next_ns_ QD_GUARDED_BY(mutex_) = 0;
};

RepeatedTask::RepeatedTask(base::Scheduler& scheduler, connect::docker::Submit submit, std::int64_t every_ms,
                           std::function<void()> task, std::int64_t cost_share)
    : core_(std::make_shared<Core>(scheduler, std::move(submit), every_ms, std::move(task), cost_share)) {}

RepeatedTask::~RepeatedTask() {
  core_->stop();
}

void RepeatedTask::ask(std::int64_t at_ns) {
  core_->ask(at_ns);
}

void RepeatedTask::stop() {
  core_->stop();
}

}  // namespace qd::observe::discovery
