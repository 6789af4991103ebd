// Runs rule groups on their intervals and knows every alert.
//
// Thread-safe. Groups are evaluated on the pool, one evaluation of a group at a time, at times spread over the interval
// by the group's name. Evaluations are stamped with the times at which they were due, a whole interval apart, however
// late they begin. What is slower than its interval misses turns and is counted.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/scheduler.h"
#include "base/thread_pool.h"
#include "judge/rules/group_state.h"

namespace qd::judge::rules {

// For groups that say nothing themselves.
struct GroupDefaults {
  std::int64_t interval_ms = 60'000;
  std::int64_t query_offset_ms = 0;
};

class Manager {
 public:
  // Told after each evaluation of a group: its alerts as GroupState::evaluate gives them. On a pool thread; groups may
  // tell at the same time.
  using Listener = std::function<void(const GroupStatus& group, const std::vector<Alert>& alerts)>;

  // What the workplace refers to, the scheduler and the pool outlive the manager.
  Manager(Workplace workplace, base::Scheduler& scheduler, base::ThreadPool& pool, Listener listener);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Replaces the groups. One that is the same as before keeps its alerts and its clock; one that changed keeps its
  // clock if its interval did not, and the alerts of the rules that did not. The groups of the first call go on from
  // before the restart.
  void apply(std::vector<Group> groups, const GroupDefaults& defaults) QD_EXCLUDES(mutex_);
  // No evaluation starts any more; those that run are cancelled and waited for.
  void stop() QD_EXCLUDES(mutex_);

  // In order of file and name.
  std::vector<GroupStatus> groups() const QD_EXCLUDES(mutex_);

 private:
  struct Running;
  using RunningPtr = std::shared_ptr<Running>;
  // Gives the groups that went and do not run now.
  std::vector<RunningPtr> replace(std::vector<Group> groups, const GroupDefaults& defaults) QD_EXCLUDES(mutex_);
  RunningPtr begin(Group group) QD_REQUIRES(mutex_);
  void schedule(const RunningPtr& running);
  void turn(const RunningPtr& running) QD_EXCLUDES(mutex_);
  void evaluate(const RunningPtr& running, model::TimestampMs now_ms) QD_EXCLUDES(mutex_);

  const Workplace workplace_;
  base::Scheduler& scheduler_;
  base::ThreadPool& pool_;
  const Listener listener_;

  mutable base::Mutex mutex_;
  base::CondVar idle_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  bool begun_ QD_GUARDED_BY(mutex_) = false;  // the first groups are there: those that come later restore nothing
  std::size_t evaluating_ QD_GUARDED_BY(mutex_) = 0;
  std::vector<RunningPtr> running_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::judge::rules
