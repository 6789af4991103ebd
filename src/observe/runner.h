// Runs the built-in collectors: into the store on a clock of their own, and as text for whoever asks.
//
// A collector is one instance of its name: `node` once, `postgres` once for each server. Passes come 0, 1 and 2 s after
// its start (so that rates have values at once) and then at its start plus every multiple of its interval. It never
// runs two passes at once: a tick that finds one running for the store is left out and counted. Those who ask for text
// share one pass that begins after they asked. An instance whose passes run into their deadline three times in a row is
// asked less and less often, down to every kBackOffMsMax, until it answers; not so a probe.
//
// The samples of a pass are stamped with the wall time of its start. A jump of the wall clock is noticed and told;
// while the clock is behind the last stamp nothing is stored, so that time never runs backwards in the store.
//
// Thread-safe. What computes, what waits for servers and what probes run on a pool each, so that a server that hangs
// holds nothing but one of its pool's threads, and probes of what is down hold up no server's passes. scheduler, pools,
// store, registry and log outlive the runner.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "base/thread_pool.h"
#include "model/exposition/format.h"
#include "model/labels.h"
#include "observe/collector.h"
#include "store/metrics/appender.h"

namespace qd::observe {

struct RunnerOptions {
  std::int64_t interval_ms = 5000;  // observe.interval
  std::string instance;             // label `instance` of what is about this host; empty: host_name()
  model::LabelSet external_labels;  // on every series
};

// The name of this host, as uname gives it.
std::string host_name();

// What passes do.
enum class Work : std::uint8_t {
  kComputes,
  kWaits,  // for a server, which may hang
  // Find out whether something answers: its silence is what they measure, and no reason to measure less often.
  kProbes,
};

// Where and how often a collector runs.
struct Placement {
  std::string instance = {};     // label `instance`; empty: that of the host
  std::string module = {};       // label `module` of a probe; tells apart those of one name and instance
  model::LabelSet labels = {};   // further labels on every series
  std::int64_t interval_ms = 0;  // 0: observe.interval
  std::int64_t timeout_ms = 0;   // 0: kPassMsMax; never more than the interval
  Work work = Work::kComputes;
};

// How the last pass of a collector for the store went.
struct CollectorReport {
  std::string name;
  std::string instance;
  std::string module;
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
  std::int64_t last_pass_ms = 0;  // wall time; 0 before the first
  double seconds = 0;
  std::size_t samples = 0;
  std::optional<base::Error> error;    // of the collector, or of the store: the pass gave nothing
  std::optional<base::Error> trouble;  // Collector::trouble: it gave less than there is
};

// For what each kind of work runs on; they may be the same.
struct RunnerPools {
  base::ThreadPool& computing;
  base::ThreadPool& waiting;
  base::ThreadPool& probing;
};

class CollectorRunner {
 public:
  // A pass has this long, or the interval where that is shorter.
  static constexpr std::int64_t kPassMsMax = 10'000;
  static constexpr std::int64_t kBackOffMsMax = 60'000;
  // More who wait for the same text are refused.
  static constexpr std::size_t kWaitersMax = 1000;

  using Id = std::uint64_t;
  using Text = std::shared_ptr<const std::string>;
  // Called once, on a thread of a pool or the caller's.
  using TextCallback = std::function<void(base::Result<Text>)>;

  CollectorRunner(base::Scheduler& scheduler, const RunnerPools& pools, store::metrics::Appendable& store,
                  base::Registry& registry, base::Log& log, const RunnerOptions& options);
  // Stops.
  ~CollectorRunner();
  CollectorRunner(const CollectorRunner&) = delete;
  CollectorRunner& operator=(const CollectorRunner&) = delete;

  // No two of one name, instance and module. Runs from start() on, or at once after it.
  Id add(std::unique_ptr<Collector> collector, Placement placement = {});
  // Ends a collector and its series (stale markers); a pass that runs is let end first, without waiting for it here.
  void remove(Id id);
  void start();
  // Waits for passes that run (call it while the pools still work). Nobody's text comes afterwards but as kCancelled.
  // Series do not end, so that they go on where they stopped when the process is back.
  void stop();
  void set_interval_ms(std::int64_t interval_ms);

  // A fresh pass as text: of the instance `target`, or with none of all instances of the name; when they are several,
  // each sample has the labels `instance` and `module`, and those whose pass fails are left out. Probes are made for
  // `target` alone: a page of all would wait for the slowest. kNotFound, naming those there are; kLimit when too many
  // wait.
  void render(std::string_view name, std::string_view target, model::exposition::Format format, TextCallback callback);

  // Each name once, in the order in which they were added.
  std::vector<std::string> names() const;
  std::vector<CollectorReport> reports() const;
  std::optional<CollectorReport> report(Id id) const;

 private:
  class Core;
  // Shared with the tasks in scheduler and pools, which find it stopped when the runner is gone.
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe
