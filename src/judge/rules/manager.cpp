#include "judge/rules/manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/format.h"
#include "judge/rules/dependencies.h"

namespace qd::judge::rules {

namespace {

// A start shows its alerts soon.
constexpr std::int64_t kSpreadNsMax = 10'000'000'000;
// The wall clock and the monotonic one agree this well; when they do not, somebody has set the wall clock.
constexpr std::int64_t kClocksApartMsMax = 100;

}  // namespace

// Everything here but `state` is guarded by the manager's lock.
struct Manager::Running {
  Running(Group group, const Workplace& workplace, bool restores) : state(std::move(group), workplace, restores) {}

  bool of_same_name(const Group& group) const {
    return state.group().file == group.file && state.group().name == group.name;
  }

  // The wall clock's time at which the turn was due, a whole number of intervals after the last one.
  model::TimestampMs stamp(std::int64_t late_ns, model::TimestampMs wall_ms) {
    const auto interval_ms = state.group().interval_ms;
    const auto due_ms = wall_ms - late_ns / 1'000'000;
    const auto turns = (due_ms - last_ms + interval_ms / 2) / interval_ms;
    const auto expected_ms = last_ms + turns * interval_ms;
    const bool agree =
        last_ms != 0 && turns > 0 && std::abs(due_ms - expected_ms) <= std::min(kClocksApartMsMax, interval_ms / 4);
    last_ms = agree ? expected_ms : due_ms;
    return last_ms;
  }

  GroupState state;
  std::int64_t next_ns = 0;
  model::TimestampMs last_ms = 0;  // the stamp of the last evaluation
  base::Scheduler::TimerId timer = 0;
  bool evaluating = false;
  bool retired = false;
  bool succeeded = false;         // by one of the same name, which takes its alerts over
  std::shared_ptr<Running> heir;  // waits for the evaluation that runs to end
  bool waits = false;             // for what it inherits
};

Manager::Manager(Workplace workplace, base::Scheduler& scheduler, base::ThreadPool& pool, Listener listener)
    : workplace_(std::move(workplace)), scheduler_(scheduler), pool_(pool), listener_(std::move(listener)) {}

Manager::~Manager() {
  stop();
}

void Manager::apply(std::vector<Group> groups, const GroupDefaults& defaults) {
  for (const auto& ring : cycles(groups))
    workplace_.log.warn("rules read each other in a ring: each sees what the other gave an evaluation before",
                        {{"rules", base::join(ring, ", ")}});
  // Ending series writes to the log: not under the lock. Nothing evaluates these any more.
  for (const auto& gone : replace(std::move(groups), defaults)) gone->state.retire(workplace_.clock.wall_ms());
}

Manager::RunningPtr Manager::begin(Group group) {
  auto running = std::make_shared<Running>(std::move(group), workplace_, !begun_);
  const auto& g = running->state.group();
  const auto spread_ns = std::min<std::int64_t>(g.interval_ms * 1'000'000, kSpreadNsMax);
  const auto offset_ns = static_cast<std::int64_t>(std::hash<std::string>()(g.file + "\n" + g.name) %
                                                   static_cast<std::uint64_t>(spread_ns));
  running->next_ns = scheduler_.clock().monotonic_ns() + offset_ns;
  return running;
}

std::vector<Manager::RunningPtr> Manager::replace(std::vector<Group> groups, const GroupDefaults& defaults) {
  base::MutexLock lock(mutex_);
  if (stopped_) return {};
  std::vector<RunningPtr> next;
  std::vector<RunningPtr> fresh;
  for (auto& group : groups) {
    if (group.interval_ms == 0) group.interval_ms = defaults.interval_ms;
    if (!group.query_offset_ms) group.query_offset_ms = defaults.query_offset_ms;
    const auto same = std::find_if(running_.begin(), running_.end(),
                                   [&](const auto& running) { return running && running->state.group() == group; });
    if (same != running_.end())
      next.push_back(std::exchange(*same, nullptr));
    else
      fresh.push_back(begin(std::move(group)));
  }
  std::vector<RunningPtr> to_retire;
  for (const auto& gone : running_) {
    if (!gone) continue;
    gone->retired = true;
    scheduler_.cancel(gone->timer);
    const auto heir = std::find_if(fresh.begin(), fresh.end(), [&](const auto& running) {
      return !running->waits && running->of_same_name(gone->state.group());
    });
    if (heir != fresh.end()) {
      gone->succeeded = true;
      if ((*heir)->state.group().interval_ms == gone->state.group().interval_ms) {
        (*heir)->next_ns = gone->next_ns;
        (*heir)->last_ms = gone->last_ms;
      }
      if (gone->evaluating || gone->waits) {
        (*heir)->waits = true;
        gone->heir = *heir;
      } else {
        (*heir)->state.adopt(gone->state);
      }
    } else if (!gone->evaluating && !gone->waits) {
      to_retire.push_back(gone);
    }
  }
  for (const auto& running : fresh) {
    schedule(running);
    next.push_back(running);
  }
  std::sort(next.begin(), next.end(), [](const auto& a, const auto& b) {
    return std::tie(a->state.group().file, a->state.group().name) <
           std::tie(b->state.group().file, b->state.group().name);
  });
  running_ = std::move(next);
  begun_ = true;
  return to_retire;
}

void Manager::schedule(const RunningPtr& running) {
  running->timer = scheduler_.at(running->next_ns, [this, running] { turn(running); });
}

void Manager::turn(const RunningPtr& running) {
  base::MutexLock lock(mutex_);
  if (stopped_ || running->retired) return;
  auto& metrics = running->state.metrics();
  const auto interval_ns = running->state.group().interval_ms * 1'000'000;
  const auto now_ns = scheduler_.clock().monotonic_ns();
  auto due_ns = running->next_ns;
  running->next_ns += interval_ns;
  metrics.iterations.add();
  while (running->next_ns <= now_ns) {
    due_ns = running->next_ns;
    running->next_ns += interval_ns;
    metrics.iterations.add();
    metrics.missed.add();
  }
  schedule(running);
  const auto now_ms = running->stamp(now_ns - due_ns, workplace_.clock.wall_ms());
  if (running->evaluating || running->waits || !pool_.submit([this, running, now_ms] { evaluate(running, now_ms); })) {
    metrics.missed.add();
    return;
  }
  running->evaluating = true;
  ++evaluating_;
}

void Manager::evaluate(const RunningPtr& running, model::TimestampMs now_ms) {
  {
    base::MutexLock lock(mutex_);
    if (stopped_) {
      running->evaluating = false;
      --evaluating_;
      idle_.notify_all();
      return;
    }
  }
  const auto alerts = running->state.evaluate(now_ms);
  if (listener_ && !workplace_.cancel.cancelled()) listener_(running->state.snapshot(), alerts);
  std::vector<RunningPtr> to_retire;
  {
    base::MutexLock lock(mutex_);
    running->evaluating = false;
    // Changes may have come faster than this evaluation ended: what it leaves goes to the last of its heirs.
    for (auto from = running; from->retired && !stopped_;) {
      const auto heir = std::exchange(from->heir, nullptr);
      if (!heir) {
        if (!from->succeeded) to_retire.push_back(from);
        break;
      }
      heir->state.adopt(from->state);
      heir->waits = false;
      from = heir;
    }
  }
  for (const auto& gone : to_retire) gone->state.retire(workplace_.clock.wall_ms());
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
  out.reserve(running_.size());
  for (const auto& running : running_) out.push_back(running->state.snapshot());
  return out;
}

}  // namespace qd::judge::rules
