#include "observe/scrape/manager.h"

#include <utility>

namespace qd::observe::scrape {

Manager::Manager(base::Scheduler& scheduler, Submit submit, Fetch fetch, store::metrics::Appendable& store,
                 base::Log& log, base::Registry& registry, const ScrapeOptions& options)
    : environment_(std::make_shared<const Environment>(Environment{.scheduler = scheduler,
                                                                   .submit = std::move(submit),
                                                                   .fetch = std::move(fetch),
                                                                   .store = store,
                                                                   .log = log,
                                                                   .counters = ScrapeCounters(registry),
                                                                   .options = options})) {}

Manager::~Manager() {
  stop();
}

base::Result<Manager::Plan> Manager::prepare(const PrometheusFile& file) {
  Plan plan;
  for (const ScrapeConfig& config : file.scrape_configs) {
    QD_ASSIGN(auto targets, make_targets(std::make_shared<const ScrapeConfig>(config)));
    for (Target& target : targets) plan.targets.push_back(std::move(target));
  }
  return plan;
}

void Manager::commit(Plan plan) {
  base::MutexLock lock(mutex_);
  if (stopped_) return;
  std::map<std::string, std::shared_ptr<Loop>> loops;
  std::vector<std::shared_ptr<Loop>> fresh;
  for (Target& target : plan.targets) {
    std::string identity = target.identity();
    auto old = loops_.extract(identity);
    if (old.empty()) {
      auto loop = std::make_shared<Loop>(environment_, std::move(target));
      if (loops.emplace(std::move(identity), loop).second) fresh.push_back(std::move(loop));
      continue;
    }
    if (!(old.mapped()->target() == target)) old.mapped()->update(std::move(target));
    loops.insert(std::move(old));
  }
  // What is left is gone. It ends before its successor begins, so that a series which goes over to another job or
  // setting is not ended after its first new sample.
  for (const auto& [identity, loop] : loops_) loop->stop(true);
  loops_ = std::move(loops);
  for (const auto& loop : fresh) loop->start();
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

}  // namespace qd::observe::scrape
