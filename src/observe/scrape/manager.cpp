#include "observe/scrape/manager.h"

#include <utility>

namespace qd::observe::scrape {

Manager::Manager(base::Scheduler& scheduler, Submit submit, Fetch fetch, store::metrics::Appendable& store,
                 base::Log& log, base::Registry& registry, const ScrapeOptions& options)
    : registry_(registry),
      environment_(
          std::make_shared<const Environment>(Environment{.scheduler = scheduler,
                                                          .submit = std::move(submit),
                                                          .fetch = std::move(fetch),
                                                          .store = store,
                                                          .log = log,
                                                          .counters = ScrapeCounters(registry, scheduler.clock()),
                                                          .options = options})) {}

Manager::~Manager() {
  stop();
}

base::Result<Manager::Plan> Manager::prepare(const PrometheusFile& file) {
  Plan plan;
  for (const ScrapeConfig& config : file.scrape_configs) {
    QD_ASSIGN(Job job, Job::compile(std::make_shared<const ScrapeConfig>(config)));
    // What relabelling makes of a target is known when it is made: until then a fault is that target's alone.
    if (config.relabel_configs.empty()) {
      const Targets targets = make_targets(job, job.static_groups());
      if (!targets.faults.empty()) return base::fail(targets.faults.front());
    }
    plan.jobs.push_back(std::move(job));
  }
  return plan;
}

void Manager::commit(Plan plan) {
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  std::vector<Pool> pools;
  pools.reserve(plan.jobs.size());
  for (Job& job : plan.jobs) {
    Pool& pool = pools.emplace_back();
    pool.job = std::move(job);
    // What was found stays until the discoveries say something else.
    if (pool.job.config->sd_configs.empty()) continue;
    for (Pool& old : pools_) {
      if (old.job.config->job_name == pool.job.config->job_name) pool.found = std::move(old.found);
    }
  }
  for (const Pool& old : pools_) counters_of(old.job.config->job_name).targets.set(0);
  pools_ = std::move(pools);
  Loops loops;
  std::vector<std::shared_ptr<Loop>> fresh;
  for (Pool& pool : pools_) take_targets(pool, loops_, loops, fresh);
  // What is left is gone. It ends before its successor begins, so that a series which goes over to another job or
  // setting is not ended after its first new sample.
  for (const auto& [identity, loop] : loops_) loop->stop(true);
  loops_ = std::move(loops);
  for (const auto& loop : fresh) loop->start();
}

void Manager::take_targets(Pool& pool, Loops& old, Loops& now, std::vector<std::shared_ptr<Loop>>& fresh) {
  const std::int64_t begun_ns = environment_->scheduler.clock().monotonic_ns();
  sd::TargetGroups groups = pool.job.static_groups();
  groups.insert(groups.end(), pool.found.begin(), pool.found.end());
  Targets targets = make_targets(pool.job, groups);
  PoolCounters& counters = counters_of(pool.job.config->job_name);
  counters.syncs.add();
  counters.failures.add(targets.faults.size());
  counters.targets.set(static_cast<double>(targets.active.size()));
  counters.target_limit.set(static_cast<double>(pool.job.config->limits.target_limit));
  if (!targets.active.empty() && !targets.active.front().fault.empty()) environment_->counters.past_target_limit.add();
  for (const base::Error& fault : targets.faults)
    environment_->log.warn("a target that was found cannot be scraped", {{"error", fault}});
  pool.dropped = {.scrape_pool = pool.job.config->job_name,
                  .discovered_labels = std::move(targets.dropped),
                  .count = targets.dropped_count};
  for (Target& target : targets.active) {
    std::string identity = target.identity();
    auto known = old.extract(identity);
    if (known.empty()) {
      auto loop = std::make_shared<Loop>(environment_, std::move(target));
      if (now.emplace(std::move(identity), loop).second) fresh.push_back(std::move(loop));
      continue;
    }
    if (!(known.mapped()->target() == target)) known.mapped()->update(std::move(target));
    now.insert(std::move(known));
  }
  counters.sync_length.observe(environment_->scheduler.clock().monotonic_ns() - begun_ns);
}

PoolCounters& Manager::counters_of(const std::string& job_name) {
  if (const auto it = counters_.find(job_name); it != counters_.end()) return it->second;
  return counters_.emplace(job_name, PoolCounters(registry_, environment_->scheduler.clock(), job_name)).first->second;
}

void Manager::set_groups(const std::string& job_name, sd::TargetGroups groups) {
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  for (Pool& pool : pools_) {
    if (pool.job.config->job_name != job_name || pool.job.config->sd_configs.empty()) continue;
    if (pool.found == groups) return;
    pool.found = std::move(groups);
    // Only this job's loops may go: those of others are put aside.
    Loops old;
    const std::string prefix = job_name + std::string(1, '\0');
    for (auto at = loops_.lower_bound(prefix); at != loops_.end() && at->first.starts_with(prefix);)
      old.insert(loops_.extract(at++));
    std::vector<std::shared_ptr<Loop>> fresh;
    for (Pool& same : pools_) {
      if (same.job.config->job_name == job_name) take_targets(same, old, loops_, fresh);
    }
    for (const auto& [identity, loop] : old) loop->stop(true);
    for (const auto& loop : fresh) loop->start();
    return;
  }
}

base::Status Manager::apply(const PrometheusFile& file) {
  QD_ASSIGN(auto plan, prepare(file));
  commit(std::move(plan));
  return {};
}

void Manager::stop() {
  base::MutexLock lock(mutex_);
  stopped_ = true;
  for (const auto& [identity, loop] : loops_) loop->stop(false);
}

std::vector<TargetStatus> Manager::targets() const {
  base::MutexLock lock(mutex_);
  std::vector<TargetStatus> statuses;
  statuses.reserve(loops_.size());
  for (const auto& [identity, loop] : loops_) statuses.push_back(loop->status());
  return statuses;
}

std::vector<DroppedTargets> Manager::dropped() const {
  base::MutexLock lock(mutex_);
  std::vector<DroppedTargets> all;
  all.reserve(pools_.size());
  for (const Pool& pool : pools_) all.push_back(pool.dropped);
  return all;
}

std::vector<std::string> Manager::pools() const {
  base::MutexLock lock(mutex_);
  std::vector<std::string> names;
  names.reserve(pools_.size());
  for (const Pool& pool : pools_) names.push_back(pool.job.config->job_name);
  return names;
}

base::Result<Job> Manager::job(std::string_view name) const {
  base::MutexLock lock(mutex_);
  for (const Pool& pool : pools_) {
    if (pool.job.config->job_name == name) return pool.job;
  }
  return base::fail(base::ErrorCode::kNotFound, "there is no scrape job \"" + std::string(name) + "\"");
}

}  // namespace qd::observe::scrape
