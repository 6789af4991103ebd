#include "observe/sd/discoveries.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/counters.h"
#include "base/mutex.h"

namespace qd::observe::sd {

class Discoveries::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(const Surroundings& surroundings, Found found)
      : surroundings_(surroundings),
        found_(std::move(found)),
        updates_(surroundings.registry.counter("prometheus_sd_updates_total",
                                               "Total number of update events sent to the SD consumers.",
                                               {{"name", "scrape"}})) {}

  void apply(const std::vector<Job>& jobs) QD_EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Discoverer>> fresh;
    std::vector<std::shared_ptr<Discoverer>> gone;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      std::vector<std::shared_ptr<Provider>> kept;
      for (const Job& job : jobs) {
        for (const SdConfig& config : job.configs) take(config, job.name, kept, fresh);
      }
      for (const auto& provider : providers_) {
        if (std::ranges::find(kept, provider) != kept.end()) continue;
        provider->dropped = true;
        gone.push_back(provider->discoverer);
      }
      providers_ = std::move(kept);
      // What a job loses or shares now is told at once; what is new tells itself.
      for (const Job& job : jobs) {
        if (!job.configs.empty()) touch(job.name);
      }
    }
    for (const auto& discoverer : gone) discoverer->stop();
    for (const auto& discoverer : fresh) discoverer->start();
  }

  void stop() QD_EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Provider>> providers;
    {
      base::MutexLock lock(mutex_);
      stopped_ = true;
      surroundings_.cancel.cancel();
      if (timer_ != 0) surroundings_.scheduler.cancel(timer_);
      timer_ = 0;
      providers = std::move(providers_);
    }
    for (const auto& provider : providers) provider->discoverer->stop();
    // Waits for a call of `found` that is under way.
    base::MutexLock telling(telling_);
  }

 private:
  struct Provider {
    SdConfig config;
    std::shared_ptr<Discoverer> discoverer;
    std::set<std::string> jobs;
    TargetGroups groups;
    bool answered = false;  // it has looked, with or without success
    bool dropped = false;
  };

  void take(const SdConfig& config, const std::string& job, std::vector<std::shared_ptr<Provider>>& kept,
            std::vector<std::shared_ptr<Discoverer>>& fresh) QD_REQUIRES(mutex_) {
    const auto same = [&](const std::shared_ptr<Provider>& one) { return one->config == config; };
    auto there = std::ranges::find_if(kept, same);
    if (there == kept.end()) {
      const auto known = std::ranges::find_if(providers_, same);
      if (known != providers_.end()) {
        (*known)->jobs.clear();
        kept.push_back(*known);
      } else {
        kept.push_back(make(config));
        fresh.push_back(kept.back()->discoverer);
      }
      there = kept.end() - 1;
    }
    (*there)->jobs.insert(job);
  }

  std::shared_ptr<Provider> make(const SdConfig& config) {
    const auto provider = std::make_shared<Provider>();
    provider->config = config;
    provider->discoverer =
        make_discoverer(config, surroundings_, [core = weak_from_this(), weak = std::weak_ptr(provider)](auto groups) {
          const auto self = core.lock();
          const auto one = weak.lock();
          if (self && one) self->told(*one, std::move(groups));
        });
    return provider;
  }

  void told(Provider& provider, base::Result<TargetGroups> groups) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (stopped_ || provider.dropped) return;
    const bool first = !std::exchange(provider.answered, true);
    if (groups && provider.groups != *groups) {
      provider.groups = std::move(*groups);
    } else if (!first) {
      return;
    }
    for (const std::string& job : provider.jobs) touch(job);
  }

  void touch(const std::string& job) QD_REQUIRES(mutex_) {
    changed_.insert(job);
    if (timer_ == 0)
      timer_ = surroundings_.scheduler.after_ms(kSettleMs, [self = shared_from_this()] { self->settle(); });
  }

  // On the loop: what the receiver does with it may compute.
  void settle() QD_EXCLUDES(mutex_) {
    const auto submitted = surroundings_.submit([self = shared_from_this()] { self->tell(); });
    base::MutexLock lock(mutex_);
    timer_ = 0;
    if (!submitted && !stopped_)
      timer_ = surroundings_.scheduler.after_ms(kSettleMs, [self = shared_from_this()] { self->settle(); });
  }

  void tell() QD_EXCLUDES(mutex_) {
    base::MutexLock telling(telling_);
    std::map<std::string, TargetGroups> news;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      for (const std::string& job : std::exchange(changed_, {})) {
        // A job is told when all of its discoveries have looked; until then it keeps what it has.
        TargetGroups groups;
        bool whole = true;
        std::size_t targets = 0;
        for (const auto& provider : providers_) {
          if (!provider->jobs.contains(job)) continue;
          whole = whole && provider->answered;
          for (const TargetGroup& group : provider->groups) targets += group.targets.size();
          groups.insert(groups.end(), provider->groups.begin(), provider->groups.end());
        }
        if (!whole) continue;
        surroundings_.registry
            .gauge("prometheus_sd_discovered_targets", "Current number of discovered targets.",
                   {{"config", job}, {"name", "scrape"}})
            .set(static_cast<double>(targets));
        news[job] = std::move(groups);
      }
    }
    for (auto& [job, groups] : news) {
      updates_.add();
      found_(job, std::move(groups));
    }
  }

  const Surroundings surroundings_;
  const Found found_;
  base::Counter& updates_;
  base::Mutex telling_;  // guards no data: one call of found_ at a time
  base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<Provider>> providers_ QD_GUARDED_BY(mutex_);
  std::set<std::string> changed_ QD_GUARDED_BY(mutex_);
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
};

Discoveries::Discoveries(const Surroundings& surroundings, Found found)
    : core_(std::make_shared<Core>(surroundings, std::move(found))) {}

Discoveries::~Discoveries() {
  stop();
}

void Discoveries::apply(const std::vector<Job>& jobs) {
  core_->apply(jobs);
}

void Discoveries::stop() {
  core_->stop();
}

}  // namespace qd::observe::sd
