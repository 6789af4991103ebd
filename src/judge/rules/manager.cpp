#include "judge/rules/manager.h"

#include <algorithm>
#include <functional>

namespace qd::judge::rules {

// Everything here but `state` is guarded by the manager's lock.
struct Manager::Running {
  Running(Group group, const Workplace& workplace) : state(std::move(group), workplace) {}
  GroupState state;
  std::int64_t next_ns = 0;
  base::Scheduler::TimerId timer = 0;
  bool evaluating = false;
  bool retired = false;
};

Manager::Manager(Workplace workplace, base::Scheduler& scheduler, base::ThreadPool& pool, Listener listener)
    : workplace_(std::move(workplace)),
      scheduler_(scheduler),
      pool_(pool),
      listener_(std::move(listener)),
      missed_(workplace_.registry.counter("quarterdeck_rule_group_iterations_missed_total",
                                          "Evaluations of rule groups left out because the one before still ran.")) {}

Manager::~Manager() {
  stop();
}

void Manager::apply(std::vector<Group> groups, std::int64_t interval_ms) {
  // Ending series writes to the log: not under the lock. Nothing evaluates these any more.
  for (const auto& gone : replace(std::move(groups), interval_ms)) gone->state.retire(workplace_.clock.wall_ms());
}

std::vector<std::shared_ptr<Manager::Running>> Manager::replace(std::vector<Group> groups, std::int64_t interval_ms) {
  base::MutexLock lock(mutex_);
  if (stopped_) return {};
  std::vector<std::shared_ptr<Running>> next;
  for (auto& group : groups) {
    if (group.interval_ms == 0) group.interval_ms = interval_ms;
    const auto same = std::find_if(running_.begin(), running_.end(),
                                   [&](const auto& running) { return running && running->state.group() == group; });
    if (same != running_.end()) {
      next.push_back(std::exchange(*same, nullptr));
      continue;
    }
    auto running = std::make_shared<Running>(std::move(group), workplace_);
    const auto& g = running->state.group();
    const auto interval_ns = g.interval_ms * 1'000'000;
    // Spread over the interval, but never more than ten seconds away, so that a start shows its alerts soon.
    const auto spread_ns = std::min<std::int64_t>(interval_ns, 10'000'000'000);
    const auto offset_ns = static_cast<std::int64_t>(std::hash<std::string>()(g.file + "\n" + g.name) %
                                                     static_cast<std::uint64_t>(spread_ns));
    running->next_ns = scheduler_.clock().monotonic_ns() + offset_ns;
    next.push_back(running);
    schedule(running);
  }
  std::vector<std::shared_ptr<Running>> to_retire;
  for (const auto& gone : running_) {
    if (!gone) continue;
    gone->retired = true;
    scheduler_.cancel(gone->timer);
    if (!gone->evaluating) to_retire.push_back(gone);
  }
  std::sort(next.begin(), next.end(), [](const auto& a, const auto& b) {
    return std::tie(a->state.group().file, a->state.group().name) <
           std::tie(b->state.group().file, b->state.group().name);
  });
  running_ = std::move(next);
  return to_retire;
}

void Manager::schedule(const std::shared_ptr<Running>& running) {
  running->timer = scheduler_.at(running->next_ns, [this, running] { turn(running); });
}

void Manager::turn(const std::shared_ptr<Running>& running) {
  base::MutexLock lock(mutex_);
  if (stopped_ || running->retired) return;
  const auto interval_ns = running->state.group().interval_ms * 1'000'000;
  const auto now_ns = scheduler_.clock().monotonic_ns();
  running->next_ns += interval_ns;
  while (running->next_ns <= now_ns) {
    running->next_ns += interval_ns;
    missed_.add();
  }
  schedule(running);
  if (running->evaluating) {
    missed_.add();
    return;
  }
  if (!pool_.submit([this, running] { evaluate(running); })) {
    missed_.add();
    return;
  }
  running->evaluating = true;
  ++evaluating_;
}

void Manager::evaluate(const std::shared_ptr<Running>& running) {
  {
    base::MutexLock lock(mutex_);
    if (stopped_) {
      running->evaluating = false;
      --evaluating_;
      idle_.notify_all();
      return;
    }
  }
  const auto alerts = running->state.evaluate(workplace_.clock.wall_ms());
  if (listener_ && !workplace_.cancel.cancelled()) listener_(running->state.snapshot(), alerts);
  bool retire = false;
  {
    base::MutexLock lock(mutex_);
    running->evaluating = false;
    retire = running->retired && !stopped_;
  }
  if (retire) running->state.retire(workplace_.clock.wall_ms());
  base::MutexLock lock(mutex_);
  --evaluating_;
  idle_.notify_all();
}

void Manager::stop() {
  workplace_.cancel.cancel();
  base::MutexLock lock(mutex_);
  stopped_ = true;
  for (const auto& running : running_) scheduler_.cancel(running->timer);
  while (evaluating_ > 0) idle_.wait(mutex_);
}

std::vector<GroupStatus> Manager::groups() const {
  base::MutexLock lock(mutex_);
  std::vector<GroupStatus> out;
  for (const auto& running : running_) out.push_back(running->state.snapshot());
  return out;
}

}  // namespace qd::judge::rules
