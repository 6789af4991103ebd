// All targets of all scrape jobs, each with its loop.
//
//   QD_ASSIGN(auto plan, manager.prepare(file));   // checks everything, changes nothing
//   manager.commit(std::move(plan));               // cannot fail
//   manager.set_groups("node", groups);            // what a discovery found for that job
//
// A target that stays the same keeps its loop, its schedule and what it remembers; one whose settings change keeps its
// series; one that is gone gets stale markers. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/mutex.h"
#include "base/result.h"
#include "observe/scrape/config.h"
#include "observe/scrape/loop.h"
#include "observe/scrape/target.h"

namespace qd::observe::scrape {

// What relabelling dropped of a job.
struct DroppedTargets {
  std::string scrape_pool;
  std::vector<model::LabelSet> discovered_labels;
  std::size_t count = 0;  // those that are not remembered too
};

class Manager {
 public:
  struct Plan {
    std::vector<Job> jobs;
  };

  // What is referred to outlives the manager and everything that its loops have running: see loop.h.
  Manager(base::Scheduler& scheduler, Submit submit, Fetch fetch, store::metrics::Appendable& store, base::Log& log,
          base::Registry& registry, const ScrapeOptions& options);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // kInvalid names the job and the first of its static targets that cannot be one.
  static base::Result<Plan> prepare(const PrometheusFile& file);
  void commit(Plan plan) QD_EXCLUDES(mutex_);
  base::Status apply(const PrometheusFile& file);

  // From now on these are what was found for the job, until the next call; nothing where no such job has discoveries.
  // Targets that cannot be are logged and left out.
  void set_groups(const std::string& job_name, sd::TargetGroups groups) QD_EXCLUDES(mutex_);

  // As at a shutdown: no stale markers, so that the series go on where they stopped when the process is back.
  void stop() QD_EXCLUDES(mutex_);

  // In order of job and address.
  std::vector<TargetStatus> targets() const QD_EXCLUDES(mutex_);
  std::vector<DroppedTargets> dropped() const QD_EXCLUDES(mutex_);
  // Names of jobs, in their order.
  std::vector<std::string> pools() const QD_EXCLUDES(mutex_);
  // kNotFound when there is no such job.
  base::Result<Job> job(std::string_view name) const QD_EXCLUDES(mutex_);

 private:
  struct Pool {
    Job job;
    sd::TargetGroups found;
    DroppedTargets dropped;
  };
  using Loops = std::map<std::string, std::shared_ptr<Loop>>;

  // Makes the pool's targets: loops that go on move from `old` to `now`, new ones are in `fresh` too.
  void take_targets(Pool& pool, Loops& old, Loops& now, std::vector<std::shared_ptr<Loop>>& fresh) QD_REQUIRES(mutex_);

  PoolCounters& counters_of(const std::string& job_name) QD_REQUIRES(mutex_);

  base::Registry& registry_;
  const std::shared_ptr<const Environment> environment_;
  mutable base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  std::vector<Pool> pools_ QD_GUARDED_BY(mutex_);
  Loops loops_ QD_GUARDED_BY(mutex_);                                   // by identity, which begins with the job
  std::map<std::string, PoolCounters> counters_ QD_GUARDED_BY(mutex_);  // of every job that there was, as /metrics
};

}  // namespace qd::observe::scrape
