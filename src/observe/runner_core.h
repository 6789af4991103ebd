// Inside of CollectorRunner: what runs when (runner.cpp), and what one pass is (runner_pass.cpp).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/mutex.h"
#include "observe/pass_clock.h"
#include "observe/recorded_pass.h"
#include "observe/runner.h"
#include "observe/store_sink.h"

namespace qd::observe {

inline constexpr std::int64_t kNsPerMs = 1'000'000;

using Recording = std::shared_ptr<const RecordedPass>;

// Who waits for a fresh pass: as text, or as it is to be merged with others.
struct Waiter {
  model::exposition::Format format = model::exposition::Format::kPrometheusText;
  CollectorRunner::TextCallback text;
  std::function<void(base::Result<Recording>)> recording;

  void fail(const base::Error& error) const {
    if (text) return text(std::unexpected(error));
    recording(std::unexpected(error));
  }
};

class CollectorRunner::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(base::Scheduler& scheduler, const RunnerPools& pools, store::metrics::Appendable& store,
       base::Registry& registry, base::Log& log, const RunnerOptions& options)
      : scheduler_(scheduler),
        pools_(pools),
        store_(store),
        registry_(registry),
        log_(log),
        instance_(options.instance.empty() ? host_name() : options.instance),
        external_labels_(options.external_labels),
        jumps_(registry.counter("quarterdeck_wall_clock_jumps_total",
                                "How often the wall clock was set by a second or more.")),
        told_offset_ms_(offset_ms()),
        interval_ms_(options.interval_ms) {
    QD_ASSERT(options.interval_ms > 0);
  }

  Id add(std::unique_ptr<Collector> collector, Placement placement);
  void remove(Id id);
  void start();
  void stop();
  void set_interval_ms(std::int64_t interval_ms);
  void render(std::string_view name, std::string_view target, model::exposition::Format format, TextCallback callback);
  std::vector<std::string> names() const;
  std::vector<CollectorReport> reports() const;
  std::optional<CollectorReport> report(Id id) const;

 private:
  struct Counts {
    base::Histogram& seconds;
    base::Counter& failed;
    base::Counter& skipped_overrun;
    base::Counter& skipped_clock;
    base::Counter& skipped_busy;
    base::Counter& skipped_back_off;
    base::Counter& rejected;
  };
  struct Entry {
    Entry(Id i, std::unique_ptr<Collector> c, Placement p, store::metrics::Appendable& store, model::LabelSet labels,
          Counts n)
        : id(i),
          collector(std::move(c)),
          name(collector->name()),
          placement(std::move(p)),
          sink(store, std::move(labels)),
          counts(n) {}

    const Id id;
    const std::unique_ptr<Collector> collector;
    const std::string name;
    const Placement placement;
    // Of the pass that runs; `running` gives them to one thread.
    StoreSink sink;
    PassClock clock;
    std::int64_t last_stamp_ms = INT64_MIN;
    bool behind_told = false;
    bool failure_told = false;
    bool trouble_told = false;
    bool rejection_told = false;
    Counts counts;

    // Guarded by the core's mutex.
    std::int64_t start_ns = 0;
    std::int64_t tick_ms = -1;       // of the timer that is armed, since start
    std::int64_t rest_until_ms = 0;  // since start: ticks before are left out
    base::Scheduler::TimerId timer = 0;
    std::uint64_t generation = 0;  // of the timer; older ones do nothing
    bool removed = false;
    bool running = false;
    bool storing = false;  // what runs is for the store, perhaps among others
    int timeouts = 0;      // passes in a row that ran into their deadline
    std::optional<std::int64_t> due_ns;
    std::vector<Waiter> waiters;
    CollectorReport report;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  using Refused = std::pair<std::vector<Waiter>, base::Error>;

  std::int64_t offset_ms() const { return scheduler_.clock().wall_ms() - scheduler_.clock().monotonic_ns() / kNsPerMs; }
  std::int64_t interval_of(const Entry& entry) const QD_REQUIRES(mutex_) {
    return entry.placement.interval_ms > 0 ? entry.placement.interval_ms : interval_ms_;
  }
  std::int64_t timeout_of(const Entry& entry) const QD_REQUIRES(mutex_) {
    return std::min(entry.placement.timeout_ms > 0 ? entry.placement.timeout_ms : kPassMsMax, interval_of(entry));
  }
  base::ThreadPool& pool_of(const Entry& entry) const {
    switch (entry.placement.work) {
      case Work::kComputes:
        return pools_.computing;
      case Work::kWaits:
        return pools_.waiting;
      case Work::kProbes:
        break;
    }
    return pools_.probing;
  }
  std::vector<std::string> distinct_names() const QD_REQUIRES(mutex_);
  CollectorReport report_of(const Entry& entry) const QD_REQUIRES(mutex_);
  void begin(const EntryPtr& entry) QD_REQUIRES(mutex_);
  void arm(const EntryPtr& entry) QD_REQUIRES(mutex_);
  void tick(const EntryPtr& entry, std::uint64_t generation);
  [[nodiscard]] std::optional<Refused> kick(const EntryPtr& entry) QD_REQUIRES(mutex_);
  static void refuse(const std::optional<Refused>& refused);
  void work(const EntryPtr& entry);
  void pass(Entry& entry, std::optional<std::int64_t> due_ns, const std::vector<Waiter>& waiters);
  void end_series(Entry& entry);
  std::optional<std::int64_t> stamp(Entry& entry, std::int64_t due_ns);
  std::optional<base::Error> store_pass(Entry& entry, const base::Status& collected, std::size_t& samples);
  void tell_failure(Entry& entry, const std::optional<base::Error>& error, const std::optional<base::Error>& trouble);
  void count_timeout(Entry& entry, bool timed_out) QD_REQUIRES(mutex_);
  Counts counts_of(std::string_view name);

  base::Scheduler& scheduler_;
  const RunnerPools pools_;
  store::metrics::Appendable& store_;
  base::Registry& registry_;
  base::Log& log_;
  const std::string instance_;
  const model::LabelSet external_labels_;
  base::Counter& jumps_;
  // How far the wall clock is ahead of the monotonic one, as last told: each collector notices a jump, one tells.
  std::atomic<std::int64_t> told_offset_ms_;

  mutable base::Mutex mutex_;
  base::CondVar idle_;
  std::vector<EntryPtr> entries_ QD_GUARDED_BY(mutex_);
  std::size_t running_ QD_GUARDED_BY(mutex_) = 0;  // passes, those of removed entries too
  Id last_id_ QD_GUARDED_BY(mutex_) = 0;
  std::int64_t interval_ms_ QD_GUARDED_BY(mutex_);
  bool started_ QD_GUARDED_BY(mutex_) = false;
  bool stopping_ QD_GUARDED_BY(mutex_) = false;
};

}  // namespace qd::observe
