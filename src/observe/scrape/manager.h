// All targets of all scrape jobs, each with its loop.
//
//   QD_ASSIGN(auto plan, manager.prepare(file));   // checks everything, changes nothing
//   manager.commit(std::move(plan));               // cannot fail
//
// A target that stays the same keeps its loop, its schedule and what it remembers; one whose settings change keeps its
// series; one that is gone gets stale markers. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/mutex.h"
#include "base/result.h"
#include "observe/scrape/config.h"
#include "observe/scrape/loop.h"
#include "observe/scrape/target.h"

namespace qd::observe::scrape {

class Manager {
 public:
  struct Plan {
    std::vector<Target> targets;
  };

  // What is referred to outlives the manager and everything that its loops have running: see loop.h.
  Manager(base::Scheduler& scheduler, Submit submit, Fetch fetch, store::metrics::Appendable& store, base::Log& log,
          base::Registry& registry, const ScrapeOptions& options);
  ~Manager();
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  static base::Result<Plan> prepare(const PrometheusFile& file);
  void commit(Plan plan) QD_EXCLUDES(mutex_);
  base::Status apply(const PrometheusFile& file);

  // As at a shutdown: no stale markers, so that the series go on where they stopped when the process is back.
  void stop() QD_EXCLUDES(mutex_);

  // In order of job and address.
  std::vector<TargetStatus> targets() const QD_EXCLUDES(mutex_);

 private:
  const std::shared_ptr<const Environment> environment_;
  mutable base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  std::map<std::string, std::shared_ptr<Loop>> loops_ QD_GUARDED_BY(mutex_);  // by identity, which begins with the job
};

}  // namespace qd::observe::scrape
