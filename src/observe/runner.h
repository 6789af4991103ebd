// Runs the built-in collectors: into the store on a clock of their own, and as text for whoever asks.
//
// Passes come 0, 1 and 2 s after start (so that rates have values at once) and then at start plus every multiple of the
// interval. A collector never runs two passes at once: a tick that finds one running for the store is left out and
// counted. Those who ask for text share one pass that begins after they asked.
//
// The samples of a pass are stamped with the wall time of its start. A jump of the wall clock is noticed and told;
// while the clock is behind the last stamp nothing is stored, so that time never runs backwards in the store.
//
// Thread-safe. Passes run on the pool. scheduler, pool, store, registry and log outlive the runner.
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

// How the last pass of a collector for the store went.
struct CollectorReport {
  std::string name;
  std::string instance;
  std::int64_t last_pass_ms = 0;  // wall time; 0 before the first
  double seconds = 0;
  std::size_t samples = 0;
  std::optional<base::Error> error;  // of the collector, or of the store
};

class CollectorRunner {
 public:
  // A pass has this long, or the interval where that is shorter.
  static constexpr std::int64_t kPassMsMax = 10'000;
  // More who wait for the same text are refused.
  static constexpr std::size_t kWaitersMax = 1000;

  using Text = std::shared_ptr<const std::string>;
  // Called once, on a thread of the pool or the caller's.
  using TextCallback = std::function<void(base::Result<Text>)>;

  CollectorRunner(base::Scheduler& scheduler, base::ThreadPool& pool, store::metrics::Appendable& store,
                  base::Registry& registry, base::Log& log, const RunnerOptions& options);
  // Stops.
  ~CollectorRunner();
  CollectorRunner(const CollectorRunner&) = delete;
  CollectorRunner& operator=(const CollectorRunner&) = delete;

  // Before start. No two of one name.
  void add(std::unique_ptr<Collector> collector);
  void start();
  // Waits for passes that run (call it while the pool still works). Nobody's text comes afterwards but as kCancelled.
  void stop();
  void set_interval_ms(std::int64_t interval_ms);

  // A fresh pass of the collector as text. kNotFound, naming those there are; kLimit when too many wait.
  void render(std::string_view name, model::exposition::Format format, TextCallback callback);

  std::vector<std::string> names() const;
  std::vector<CollectorReport> reports() const;

 private:
  class Core;
  // Shared with the tasks in scheduler and pool, which find it stopped when the runner is gone.
  std::shared_ptr<Core> core_;
};

}  // namespace qd::observe
