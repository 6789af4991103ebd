#include "observe/runner.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "base/assert.h"
#include "base/mutex.h"
#include "observe/pass_clock.h"
#include "observe/store_sink.h"
#include "observe/text_sink.h"

namespace qd::observe {
namespace {

using base::ErrorCode;
using model::exposition::Format;

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::array<std::int64_t, 3> kFirstPassesMs = {0, 1000, 2000};

// The first tick later than `after_ms`, in milliseconds since start.
std::int64_t next_tick_ms(std::int64_t after_ms, std::int64_t interval_ms) {
  std::int64_t next = after_ms < 0 ? 0 : (after_ms / interval_ms + 1) * interval_ms;
  for (const std::int64_t first : kFirstPassesMs) {
    if (first > after_ms) next = std::min(next, first);
  }
  return next;
}

// Tells one pass to several sinks.
class FanOut final : public Sink {
 public:
  void add(Sink& sink) { sinks_.push_back(&sink); }
  void family(std::string_view name, model::MetricType type, std::string_view help) override {
    for (Sink* sink : sinks_) sink->family(name, type, help);
  }
  using Sink::sample;
  void sample(std::string_view suffix, std::span<const model::Label> labels, double value) override {
    for (Sink* sink : sinks_) sink->sample(suffix, labels, value);
  }

 private:
  std::vector<Sink*> sinks_;
};

base::Status collect_safely(Collector& collector, std::int64_t deadline_ns, Sink& sink) {
  try {
    return collector.collect(deadline_ns, sink);
  } catch (const std::exception& e) {
    return base::fail(ErrorCode::kInternal, fmt::format("collecting {}: {}", collector.name(), e.what()));
  }
}

}  // namespace

std::string host_name() {
  struct utsname name{};
  if (::uname(&name) != 0 || name.nodename[0] == '\0') return "localhost";
  return name.nodename;
}

class CollectorRunner::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(base::Scheduler& scheduler, base::ThreadPool& pool, store::metrics::Appendable& store, base::Registry& registry,
       base::Log& log, const RunnerOptions& options)
      : scheduler_(scheduler),
        pool_(pool),
        store_(store),
        registry_(registry),
        log_(log),
        instance_(options.instance.empty() ? host_name() : options.instance),
        external_labels_(options.external_labels),
        jumps_(registry.counter("quarterdeck_wall_clock_jumps_total",
                                "How often the wall clock was set by a second or more.")),
        interval_ms_(options.interval_ms) {
    QD_ASSERT(options.interval_ms > 0);
  }

  void add(std::unique_ptr<Collector> collector);
  void start();
  void stop();
  void set_interval_ms(std::int64_t interval_ms);
  void render(std::string_view name, Format format, TextCallback callback);
  std::vector<std::string> names() const;
  std::vector<CollectorReport> reports() const;

 private:
  struct Waiter {
    Format format;
    TextCallback callback;
  };
  struct Counts {
    base::Histogram& seconds;
    base::Counter& failed;
    base::Counter& skipped_overrun;
    base::Counter& skipped_clock;
    base::Counter& skipped_busy;
    base::Counter& rejected;
    base::Gauge& samples;
  };
  struct Entry {
    Entry(std::unique_ptr<Collector> c, store::metrics::Appendable& store, model::LabelSet labels, Counts n)
        : collector(std::move(c)), name(collector->name()), sink(store, std::move(labels)), counts(n) {}

    const std::unique_ptr<Collector> collector;
    const std::string name;
    // Of the pass that runs; `running` gives them to one thread.
    StoreSink sink;
    PassClock clock;
    std::int64_t last_stamp_ms = INT64_MIN;
    bool behind_told = false;
    bool failure_told = false;
    bool rejection_told = false;
    Counts counts;

    // Guarded by the core's mutex.
    bool running = false;
    bool storing = false;  // what runs is for the store, perhaps among others
    std::optional<std::int64_t> due_ns;
    std::vector<Waiter> waiters;
    CollectorReport report;
  };
  using Refused = std::pair<std::vector<Waiter>, base::Error>;

  void arm() QD_REQUIRES(mutex_);
  void tick(std::uint64_t generation);
  [[nodiscard]] std::optional<Refused> kick(Entry& entry) QD_REQUIRES(mutex_);
  static void refuse(std::optional<Refused> refused);
  void work(Entry& entry);
  void pass(Entry& entry, std::optional<std::int64_t> due_ns, std::vector<Waiter> waiters);
  std::optional<std::int64_t> stamp(Entry& entry, std::int64_t due_ns);
  std::optional<base::Error> store_pass(Entry& entry, const base::Status& collected, std::size_t& samples);
  void tell_failure(Entry& entry, const std::optional<base::Error>& error);
  Counts counts_of(std::string_view name);

  base::Scheduler& scheduler_;
  base::ThreadPool& pool_;
  store::metrics::Appendable& store_;
  base::Registry& registry_;
  base::Log& log_;
  const std::string instance_;
  const model::LabelSet external_labels_;
  base::Counter& jumps_;

  mutable base::Mutex mutex_;
  base::CondVar idle_;
  std::vector<std::unique_ptr<Entry>> entries_;  // fixed once started
  std::int64_t interval_ms_ QD_GUARDED_BY(mutex_);
  bool started_ QD_GUARDED_BY(mutex_) = false;
  bool stopping_ QD_GUARDED_BY(mutex_) = false;
  std::int64_t start_ns_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t tick_ms_ QD_GUARDED_BY(mutex_) = -1;  // of the timer that is armed, since start
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  std::uint64_t generation_ QD_GUARDED_BY(mutex_) = 0;  // of the timer; older ones do nothing
};

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
          registry_.counter("quarterdeck_collector_samples_rejected_total",
                            "Samples of a collector that the store did not take.", labels),
          registry_.gauge("quarterdeck_collector_samples", "Samples that a collector's last pass stored.", labels)};
}

void CollectorRunner::Core::add(std::unique_ptr<Collector> collector) {
  const std::string name(collector->name());
  model::LabelBuilder labels(external_labels_);
  labels.set("job", name);
  labels.set("instance", instance_);
  auto entry = std::make_unique<Entry>(std::move(collector), store_, labels.build(), counts_of(name));
  entry->report.name = name;
  entry->report.instance = instance_;
  base::MutexLock lock(mutex_);
  QD_ASSERT(!started_);
  for (const auto& other : entries_) QD_ASSERT(other->name != name, name);
  entries_.push_back(std::move(entry));
}

void CollectorRunner::Core::start() {
  base::MutexLock lock(mutex_);
  QD_ASSERT(!started_);
  started_ = true;
  start_ns_ = scheduler_.clock().monotonic_ns();
  arm();
}

void CollectorRunner::Core::arm() {
  const std::int64_t now_ms = (scheduler_.clock().monotonic_ns() - start_ns_) / kNsPerMs;
  // A tick that was missed (the machine slept) is left out.
  tick_ms_ = next_tick_ms(std::max(tick_ms_, now_ms - 1), interval_ms_);
  timer_ = scheduler_.at(start_ns_ + tick_ms_ * kNsPerMs,
                         [core = shared_from_this(), generation = ++generation_] { core->tick(generation); });
}

void CollectorRunner::Core::set_interval_ms(std::int64_t interval_ms) {
  QD_ASSERT(interval_ms > 0);
  base::MutexLock lock(mutex_);
  if (interval_ms == interval_ms_) return;
  interval_ms_ = interval_ms;
  if (!started_ || stopping_) return;
  scheduler_.cancel(timer_);
  tick_ms_ = (scheduler_.clock().monotonic_ns() - start_ns_) / kNsPerMs;
  arm();
}

void CollectorRunner::Core::tick(std::uint64_t generation) {
  std::vector<std::optional<Refused>> refused;
  {
    base::MutexLock lock(mutex_);
    if (stopping_ || generation != generation_) return;
    const std::int64_t due_ns = start_ns_ + tick_ms_ * kNsPerMs;
    for (const auto& entry : entries_) {
      if (entry->storing || entry->due_ns) {
        entry->counts.skipped_overrun.add();
        continue;
      }
      entry->due_ns = due_ns;
      refused.push_back(kick(*entry));
    }
    arm();
  }
  for (auto& each : refused) refuse(std::move(each));
}

std::optional<CollectorRunner::Core::Refused> CollectorRunner::Core::kick(Entry& entry) {
  if (entry.running || (!entry.due_ns && entry.waiters.empty())) return std::nullopt;
  entry.running = true;
  const base::Status submitted = pool_.submit([core = shared_from_this(), &entry] { core->work(entry); });
  if (submitted) return std::nullopt;
  entry.running = false;
  if (std::exchange(entry.due_ns, std::nullopt)) entry.counts.skipped_busy.add();
  return Refused{std::exchange(entry.waiters, {}), submitted.error().within("rendering metrics of " + entry.name)};
}

void CollectorRunner::Core::refuse(std::optional<Refused> refused) {
  if (!refused) return;
  for (const Waiter& waiter : refused->first) waiter.callback(std::unexpected(refused->second));
}

void CollectorRunner::Core::work(Entry& entry) {
  std::optional<std::int64_t> due_ns;
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    if (!stopping_) {
      due_ns = std::exchange(entry.due_ns, std::nullopt);
      waiters = std::exchange(entry.waiters, {});
      entry.storing = due_ns.has_value();
    }
  }
  if (due_ns || !waiters.empty()) pass(entry, due_ns, std::move(waiters));

  std::optional<Refused> refused;
  {
    base::MutexLock lock(mutex_);
    entry.running = false;
    entry.storing = false;
    if (!stopping_) refused = kick(entry);
    idle_.notify_all();
  }
  refuse(std::move(refused));
}

void CollectorRunner::Core::pass(Entry& entry, std::optional<std::int64_t> due_ns, std::vector<Waiter> waiters) {
  std::int64_t timeout_ms = kPassMsMax;
  {
    base::MutexLock lock(mutex_);
    timeout_ms = std::min(timeout_ms, interval_ms_);
  }
  const base::Clock& clock = scheduler_.clock();
  const std::int64_t wall_ms = clock.wall_ms();
  const std::int64_t start_ns = clock.monotonic_ns();
  const auto stamp_ms = due_ns ? stamp(entry, *due_ns) : std::nullopt;
  if (!stamp_ms && waiters.empty()) return;

  struct Rendering {
    Format format;
    std::string text;
    std::optional<TextSink> sink;
    Text shared;
  };
  std::array<Rendering, 2> renderings = {{{Format::kPrometheusText, {}, {}, {}}, {Format::kOpenMetrics, {}, {}, {}}}};
  FanOut sinks;
  if (stamp_ms) {
    entry.sink.begin(*stamp_ms);
    sinks.add(entry.sink);
  }
  for (Rendering& rendering : renderings) {
    if (std::none_of(waiters.begin(), waiters.end(), [&](const Waiter& w) { return w.format == rendering.format; })) {
      continue;
    }
    sinks.add(rendering.sink.emplace(rendering.text, rendering.format));
  }

  const base::Status collected = collect_safely(*entry.collector, start_ns + timeout_ms * kNsPerMs, sinks);
  const double seconds = static_cast<double>(clock.monotonic_ns() - start_ns) / 1e9;
  entry.counts.seconds.observe(seconds);

  std::optional<base::Error> error;
  if (!collected) error = collected.error();
  if (stamp_ms) {
    std::size_t samples = 0;
    error = store_pass(entry, collected, samples);
    entry.counts.samples.set(static_cast<double>(samples));
    tell_failure(entry, error);
    base::MutexLock lock(mutex_);
    entry.report.last_pass_ms = wall_ms;
    entry.report.seconds = seconds;
    entry.report.samples = samples;
    entry.report.error = error;
  }
  if (error) entry.counts.failed.add();

  for (Rendering& rendering : renderings) {
    if (!rendering.sink) continue;
    rendering.sink->finish();
    rendering.shared = std::make_shared<const std::string>(std::move(rendering.text));
  }
  for (const Waiter& waiter : waiters) {
    if (!collected) {
      waiter.callback(std::unexpected(collected.error()));
    } else {
      waiter.callback(renderings[waiter.format == Format::kPrometheusText ? 0 : 1].shared);
    }
  }
}

std::optional<std::int64_t> CollectorRunner::Core::stamp(Entry& entry, std::int64_t due_ns) {
  const base::Clock& clock = scheduler_.clock();
  const auto stamp = entry.clock.stamp(due_ns, clock.monotonic_ns(), clock.wall_ms());
  // Each collector notices; one tells.
  if (stamp.jumped_ms != 0 && &entry == entries_.front().get()) {
    jumps_.add();
    log_.warn("the wall clock was set", {{"by_ms", stamp.jumped_ms},
                                         {"now_ms", stamp.time_ms},
                                         {"cure", "if that was not you, look at the NTP service"}});
  }
  if (stamp.time_ms > entry.last_stamp_ms) {
    if (std::exchange(entry.behind_told, false)) {
      log_.info("the wall clock is past the last samples again: storing goes on", {{"collector", entry.name}});
    }
    entry.last_stamp_ms = stamp.time_ms;
    return stamp.time_ms;
  }
  entry.counts.skipped_clock.add();
  if (!std::exchange(entry.behind_told, true)) {
    log_.warn("the wall clock is behind the last samples: nothing is stored until it has passed them",
              {{"collector", entry.name},
               {"last_ms", entry.last_stamp_ms},
               {"now_ms", stamp.time_ms},
               {"cure", "wait, or set the clock right"}});
  }
  return std::nullopt;
}

std::optional<base::Error> CollectorRunner::Core::store_pass(Entry& entry, const base::Status& collected,
                                                             std::size_t& samples) {
  const auto stored = collected ? entry.sink.commit() : entry.sink.abandon();
  if (!collected) return collected.error();
  if (!stored) return stored.error().within("storing what collector " + entry.name + " gave");
  samples = stored->samples;
  if (stored->rejected == 0) {
    entry.rejection_told = false;
  } else {
    entry.counts.rejected.add(stored->rejected);
    if (!std::exchange(entry.rejection_told, true)) {
      log_.warn("the store did not take all samples of a collector",
                {{"collector", entry.name}, {"rejected", stored->rejected}, {"first", *stored->why_rejected}});
    }
  }
  return std::nullopt;
}

void CollectorRunner::Core::tell_failure(Entry& entry, const std::optional<base::Error>& error) {
  const bool before = std::exchange(entry.failure_told, error.has_value());
  if (error && !before) log_.error("a pass of a collector failed", {{"collector", entry.name}, {"error", *error}});
  if (!error && before) log_.info("a collector works again", {{"collector", entry.name}});
}

void CollectorRunner::Core::render(std::string_view name, Format format, TextCallback callback) {
  std::optional<base::Error> error;
  std::optional<Refused> refused;
  {
    base::MutexLock lock(mutex_);
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->name == name; });
    if (stopping_) {
      error.emplace(ErrorCode::kCancelled, fmt::format("rendering metrics of {}: Quarterdeck is stopping", name));
    } else if (found == entries_.end()) {
      std::string known;
      for (const auto& entry : entries_) known += (known.empty() ? "" : ", ") + entry->name;
      error.emplace(ErrorCode::kNotFound,
                    fmt::format("there is no collector {:?}; there is {}", name, known.empty() ? "none" : known));
    } else if ((*found)->waiters.size() >= kWaitersMax) {
      error.emplace(ErrorCode::kLimit,
                    fmt::format("rendering metrics of {}: {} requests wait for it already", name, kWaitersMax));
    } else {
      (*found)->waiters.push_back({format, std::move(callback)});
      refused = kick(**found);
    }
  }
  if (error) callback(std::unexpected(std::move(*error)));
  refuse(std::move(refused));
}

void CollectorRunner::Core::stop() {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mutex_);
    if (!std::exchange(stopping_, true) && started_) scheduler_.cancel(timer_);
    for (const auto& entry : entries_) {
      std::move(entry->waiters.begin(), entry->waiters.end(), std::back_inserter(waiters));
      entry->waiters.clear();
    }
    for (const auto& entry : entries_) {
      while (entry->running) idle_.wait(mutex_);
    }
  }
  for (const Waiter& waiter : waiters) {
    waiter.callback(base::fail(ErrorCode::kCancelled, "rendering metrics: Quarterdeck is stopping"));
  }
}

std::vector<std::string> CollectorRunner::Core::names() const {
  base::MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& entry : entries_) names.push_back(entry->name);
  return names;
}

std::vector<CollectorReport> CollectorRunner::Core::reports() const {
  base::MutexLock lock(mutex_);
  std::vector<CollectorReport> reports;
  for (const auto& entry : entries_) reports.push_back(entry->report);
  return reports;
}

CollectorRunner::CollectorRunner(base::Scheduler& scheduler, base::ThreadPool& pool, store::metrics::Appendable& store,
                                 base::Registry& registry, base::Log& log, const RunnerOptions& options)
    : core_(std::make_shared<Core>(scheduler, pool, store, registry, log, options)) {}

CollectorRunner::~CollectorRunner() {
  stop();
}

void CollectorRunner::add(std::unique_ptr<Collector> collector) {
  core_->add(std::move(collector));
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

void CollectorRunner::render(std::string_view name, model::exposition::Format format, TextCallback callback) {
  core_->render(name, format, std::move(callback));
}

std::vector<std::string> CollectorRunner::names() const {
  return core_->names();
}

std::vector<CollectorReport> CollectorRunner::reports() const {
  return core_->reports();
}

}  // namespace qd::observe
