#include "observe/runner.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/format.h"
#include "observe/runner_core.h"

namespace qd::observe {
namespace {

using base::ErrorCode;
using model::exposition::Format;

constexpr std::array<std::int64_t, 3> kFirstPassesMs = {0, 1000, 2000};
// The first tick later than `after_ms`, in milliseconds since start.
std::int64_t next_tick_ms(std::int64_t after_ms, std::int64_t interval_ms) {
  std::int64_t next = after_ms < 0 ? 0 : (after_ms / interval_ms + 1) * interval_ms;
  for (const std::int64_t first : kFirstPassesMs) {
    if (first > after_ms) next = std::min(next, first);
  }
  return next;
}

// Puts together what several instances tell; the last one to come calls back.
class Gathering {
 public:
  Gathering(std::size_t count, Format format, CollectorRunner::TextCallback callback)
      : left_(count), format_(format), callback_(std::move(callback)) {}

  void take(const std::string& instance, const std::string& module, base::Result<Recording> recording)
      QD_EXCLUDES(mutex_) {
    std::vector<InstancePass> passes;
    std::optional<base::Error> error;
    {
      base::MutexLock lock(mutex_);
      if (recording) {
        passes_.push_back({instance, module, **recording});
      } else {
        error_.emplace(recording.error());
      }
      if (--left_ > 0) return;
      passes = std::move(passes_);
      error = error_;
    }
    if (passes.empty()) return callback_(std::unexpected(*error));
    std::sort(passes.begin(), passes.end(), [](const InstancePass& a, const InstancePass& b) {
      return std::tie(a.instance, a.module) < std::tie(b.instance, b.module);
    });
    callback_(std::make_shared<const std::string>(merged_text(passes, format_)));
  }

 private:
  base::Mutex mutex_;
  std::size_t left_ QD_GUARDED_BY(mutex_);
  std::vector<InstancePass> passes_ QD_GUARDED_BY(mutex_);
  std::optional<base::Error> error_ QD_GUARDED_BY(mutex_);  // of one that gave nothing
  const Format format_;
  const CollectorRunner::TextCallback callback_;
};

}  // namespace

std::string host_name() {
  struct utsname name{};
  if (::uname(&name) != 0 || name.nodename[0] == '\0') return "localhost";
  return name.nodename;
}

CollectorRunner::Core::Counts CollectorRunner::Core::counts_of(std::string_view name) {
  const base::CounterLabels labels = {{"collector", std::string(name)}};
  const auto skipped = [&](const char* reason) -> base::Counter& {
    return registry_.counter("quarterdeck_collector_passes_skipped_total", "Passes for the store that were left out.",
                             {{"collector", std::string(name)}, {"reason", reason}});
  };
  return {registry_.histogram("quarterdeck_collector_pass_duration_seconds", "How long the passes of a collector took.",
                              labels),
          registry_.counter("quarterdeck_collector_passes_failed_total",
                            "Passes in which the collector or the store failed.", labels),
          skipped("overrun"),
          skipped("clock"),
          skipped("busy"),
          skipped("back_off"),
          registry_.counter("quarterdeck_collector_samples_rejected_total",
                            "Samples of a collector that the store did not take.", labels)};
}

CollectorRunner::Id CollectorRunner::Core::add(std::unique_ptr<Collector> collector, Placement placement) {
  const std::string name(collector->name());
  if (placement.instance.empty()) placement.instance = instance_;
  model::LabelBuilder labels(external_labels_);
  for (const model::Label& label : placement.labels) labels.set(label.name, label.value);
  labels.set("job", name);
  labels.set("instance", placement.instance);
  // On `up` too: two probes of one target would write into one series.
  if (!placement.module.empty()) labels.set("module", placement.module);
  const auto counts = counts_of(name);
  base::MutexLock lock(mutex_);
  for (const auto& other : entries_) {
    QD_ASSERT(other->name != name || other->placement.instance != placement.instance ||
                  other->placement.module != placement.module,
              name + " " + placement.instance + " " + placement.module);
  }
  auto entry =
      std::make_shared<Entry>(++last_id_, std::move(collector), std::move(placement), store_, labels.build(), counts);
  entry->report.name = name;
  entry->report.instance = entry->placement.instance;
  entry->report.module = entry->placement.module;
  entries_.push_back(entry);
  if (started_ && !stopping_) begin(entry);
  return entry->id;
}

void CollectorRunner::Core::remove(Id id) {
  std::vector<Waiter> waiters;
  bool end_now = false;
  EntryPtr entry;
  {
    base::MutexLock lock(mutex_);
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e->id == id; });
    if (found == entries_.end()) return;
    entry = *found;
    entries_.erase(found);
    entry->removed = true;
    entry->due_ns.reset();
    waiters = std::exchange(entry->waiters, {});
    if (entry->timer != 0) scheduler_.cancel(entry->timer);
    if (!entry->running && started_ && !stopping_) {
      entry->running = true;
      ++running_;
      end_now = true;
    }
  }
  for (const Waiter& waiter : waiters) {
    waiter.fail({ErrorCode::kNotFound, fmt::format("rendering metrics of {}: {} is no longer watched", entry->name,
                                                   entry->placement.instance)});
  }
  if (!end_now) return;
  const auto work_it = [core = shared_from_this(), entry] { core->work(entry); };
  if (!pools_.computing.submit(work_it)) work_it();
}

void CollectorRunner::Core::start() {
  base::MutexLock lock(mutex_);
  QD_ASSERT(!started_);
  started_ = true;
  for (const auto& entry : entries_) begin(entry);
}

void CollectorRunner::Core::begin(const EntryPtr& entry) {
  entry->start_ns = scheduler_.clock().monotonic_ns();
  arm(entry);
}

void CollectorRunner::Core::arm(const EntryPtr& entry) {
  const std::int64_t now_ms = (scheduler_.clock().monotonic_ns() - entry->start_ns) / kNsPerMs;
  // A tick that was missed (the machine slept) is left out.
  entry->tick_ms = next_tick_ms(std::max(entry->tick_ms, now_ms - 1), interval_of(*entry));
  entry->timer = scheduler_.at(
      entry->start_ns + entry->tick_ms * kNsPerMs,
      [core = shared_from_this(), entry, generation = ++entry->generation] { core->tick(entry, generation); });
}

void CollectorRunner::Core::set_interval_ms(std::int64_t interval_ms) {
  QD_ASSERT(interval_ms > 0);
  base::MutexLock lock(mutex_);
  if (interval_ms == interval_ms_) return;
  interval_ms_ = interval_ms;
  if (!started_ || stopping_) return;
  for (const auto& entry : entries_) {
    if (entry->placement.interval_ms > 0) continue;
    scheduler_.cancel(entry->timer);
    entry->tick_ms = (scheduler_.clock().monotonic_ns() - entry->start_ns) / kNsPerMs;
    arm(entry);
  }
}

void CollectorRunner::Core::tick(const EntryPtr& entry, std::uint64_t generation) {
  std::optional<Refused> refused;
  {
    base::MutexLock lock(mutex_);
    if (stopping_ || entry->removed || generation != entry->generation) return;
    if (entry->tick_ms < entry->rest_until_ms) {
      entry->counts.skipped_back_off.add();
    } else if (entry->storing || entry->due_ns) {
      entry->counts.skipped_overrun.add();
    } else {
      entry->due_ns = entry->start_ns + entry->tick_ms * kNsPerMs;
      refused = kick(entry);
    }
    arm(entry);
  }
  refuse(refused);
}

std::optional<CollectorRunner::Core::Refused> CollectorRunner::Core::kick(const EntryPtr& entry) {
  if (entry->running || (!entry->due_ns && entry->waiters.empty())) return std::nullopt;
  const base::Status submitted = pool_of(*entry).submit([core = shared_from_this(), entry] { core->work(entry); });
  if (submitted) {
    entry->running = true;
    ++running_;
    return std::nullopt;
  }
  if (std::exchange(entry->due_ns, std::nullopt)) entry->counts.skipped_busy.add();
  return Refused{std::exchange(entry->waiters, {}), submitted.error().within("rendering metrics of " + entry->name)};
}

void CollectorRunner::Core::refuse(const std::optional<Refused>& refused) {
  if (!refused) return;
  for (const Waiter& waiter : refused->first) waiter.fail(refused->second);
}

void CollectorRunner::Core::render(std::string_view name, std::string_view target, Format format,
                                   TextCallback callback) {
  std::optional<base::Error> error;
  std::vector<std::optional<Refused>> refused;
  {
    base::MutexLock lock(mutex_);
    std::vector<EntryPtr> found;
    std::string instances;
    for (const auto& entry : entries_) {
      if (entry->name != name) continue;
      instances += (instances.empty() ? "" : ", ") + entry->placement.instance;
      const bool wanted = target.empty() ? entry->placement.work != Work::kProbes : entry->placement.instance == target;
      if (wanted) found.push_back(entry);
    }
    const auto full =
        std::any_of(found.begin(), found.end(), [](const auto& entry) { return entry->waiters.size() >= kWaitersMax; });
    if (stopping_) {
      error.emplace(ErrorCode::kCancelled, fmt::format("rendering metrics of {}: Quarterdeck is stopping", name));
    } else if (found.empty() && !instances.empty()) {
      error.emplace(ErrorCode::kNotFound,
                    target.empty() ? fmt::format("{} only probes: ask with ?target= for one of {}", name, instances)
                                   : fmt::format("{} does not watch {:?}; it watches {}", name, target, instances));
    } else if (found.empty()) {
      const auto known = distinct_names();
      error.emplace(ErrorCode::kNotFound, known.empty() ? fmt::format("there is no collector {:?}; there is none", name)
                                                        : fmt::format("there is no collector {:?}; there is {}", name,
                                                                      base::join(known, ", ")));
    } else if (full) {
      error.emplace(ErrorCode::kLimit,
                    fmt::format("rendering metrics of {}: {} requests wait for it already", name, kWaitersMax));
    } else if (found.size() == 1) {
      found.front()->waiters.push_back({.format = format, .text = std::move(callback), .recording = {}});
      refused.push_back(kick(found.front()));
    } else {
      const auto gathering = std::make_shared<Gathering>(found.size(), format, std::move(callback));
      for (const auto& entry : found) {
        entry->waiters.push_back(
            {.format = format,
             .text = {},
             .recording = [gathering, instance = entry->placement.instance, module = entry->placement.module](
                              auto recording) { gathering->take(instance, module, std::move(recording)); }});
        refused.push_back(kick(entry));
      }
    }
  }
  // With an error nobody has taken the callback.
  if (error) return callback(std::unexpected(std::move(*error)));  // NOLINT(bugprone-use-after-move)
  for (const auto& each : refused) refuse(each);
}

void CollectorRunner::Core::stop() {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& entry : entries_) {
      if (entry->timer != 0) scheduler_.cancel(entry->timer);
      std::move(entry->waiters.begin(), entry->waiters.end(), std::back_inserter(waiters));
      entry->waiters.clear();
    }
    while (running_ > 0) idle_.wait(mutex_);
  }
  for (const Waiter& waiter : waiters) {
    waiter.fail({ErrorCode::kCancelled, "rendering metrics: Quarterdeck is stopping"});
  }
}

std::vector<std::string> CollectorRunner::Core::names() const {
  base::MutexLock lock(mutex_);
  return distinct_names();
}

std::vector<std::string> CollectorRunner::Core::distinct_names() const {
  std::vector<std::string> names;
  for (const auto& entry : entries_) {
    if (std::find(names.begin(), names.end(), entry->name) == names.end()) names.push_back(entry->name);
  }
  return names;
}

CollectorReport CollectorRunner::Core::report_of(const Entry& entry) const {
  CollectorReport report = entry.report;
  report.interval_ms = interval_of(entry);
  report.timeout_ms = timeout_of(entry);
  return report;
}

std::vector<CollectorReport> CollectorRunner::Core::reports() const {
  base::MutexLock lock(mutex_);
  std::vector<CollectorReport> reports;
  reports.reserve(entries_.size());
  for (const auto& entry : entries_) reports.push_back(report_of(*entry));
  return reports;
}

std::optional<CollectorReport> CollectorRunner::Core::report(Id id) const {
  base::MutexLock lock(mutex_);
  for (const auto& entry : entries_) {
    if (entry->id == id) return report_of(*entry);
  }
  return std::nullopt;
}

CollectorRunner::CollectorRunner(base::Scheduler& scheduler, const RunnerPools& pools,
                                 store::metrics::Appendable& store, base::Registry& registry, base::Log& log,
                                 const RunnerOptions& options)
    : core_(std::make_shared<Core>(scheduler, pools, store, registry, log, options)) {}

CollectorRunner::~CollectorRunner() {
  stop();
}

CollectorRunner::Id CollectorRunner::add(std::unique_ptr<Collector> collector, Placement placement) {
  return core_->add(std::move(collector), std::move(placement));
}

void CollectorRunner::remove(Id id) {
  core_->remove(id);
}

void CollectorRunner::start() {
  core_->start();
}

void CollectorRunner::stop() {
  core_->stop();
}

void CollectorRunner::set_interval_ms(std::int64_t interval_ms) {
  core_->set_interval_ms(interval_ms);
}

void CollectorRunner::render(std::string_view name, std::string_view target, model::exposition::Format format,
                             TextCallback callback) {
  core_->render(name, target, format, std::move(callback));
}

std::vector<std::string> CollectorRunner::names() const {
  return core_->names();
}

std::vector<CollectorReport> CollectorRunner::reports() const {
  return core_->reports();
}

std::optional<CollectorReport> CollectorRunner::report(Id id) const {
  return core_->report(id);
}

}  // namespace qd::observe
