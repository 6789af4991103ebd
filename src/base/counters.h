// Quarterdeck's metrics about itself, as every room counts them and /metrics shows them.
//
//   Registry registry;
//   Counter& cut = registry.counter("quarterdeck_wal_torn_tails_total", "Torn tails cut at start-up.");
//   cut.add();
//
// Registering takes a lock; a counter lives as long as its registry and is bumped without one. The same name and labels
// give the same object. Names follow Prometheus: base units, `_total` on counters.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration_summary.h"
#include "base/mutex.h"

namespace qd::base {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double v) { value_.store(v, std::memory_order_relaxed); }
  void add(double v) { value_.fetch_add(v, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Classic buckets with fixed upper bounds for durations, in seconds.
class Histogram {
 public:
  static constexpr std::array<double, 12> kBounds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                     0.05,   0.1,   0.25,   0.5,   1,    5};
  void observe(double seconds);
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }  // not cumulative
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<double> sum_{0};
};

using CounterLabels = std::vector<std::pair<std::string, std::string>>;

class Registry {
 public:
  enum class Kind { kCounter, kGauge, kHistogram, kSummary };

  Counter& counter(std::string_view name, std::string_view help, CounterLabels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, CounterLabels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, CounterLabels labels = {});
  // A gauge (or counter) read when it is shown. `read` must be callable from any thread while the registry lives.
  void gauge_function(std::string_view name, std::string_view help, std::function<double()> read,
                      CounterLabels labels = {});
  void counter_function(std::string_view name, std::string_view help, std::function<double()> read,
                        CounterLabels labels = {});

  // Which quantiles a summary shows: of what takes long where something is wrong, and of what should take the same
  // always.
  enum class Quantiles : std::uint8_t { kUpper, kBothEnds };
  // `clock` outlives the registry.
  DurationSummary& summary(std::string_view name, std::string_view help, const Clock& clock, Quantiles quantiles,
                           CounterLabels labels = {});

  // One sample as exposition shows it: histogram buckets are cumulative, with `le`, and come with _sum and _count,
  // as do a summary's quantiles.
  struct Sample {
    std::string name;
    CounterLabels labels;
    double value;
  };
  struct Family {
    std::string name;
    std::string help;
    Kind kind;
    std::vector<Sample> samples;
  };
  // Everything there is, sorted by name, then by labels.
  std::vector<Family> collect() const;

 private:
  struct Entry {
    std::string name;
    std::string help;
    Kind kind;
    CounterLabels labels;
    Counter counter;
    Gauge gauge;
    Histogram histogram;
    std::function<double()> read;
    std::unique_ptr<DurationSummary> summary;
    Quantiles quantiles{};
  };
  Entry& entry(std::string_view name, std::string_view help, Kind kind, CounterLabels labels) QD_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::deque<Entry> entries_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::base
