// What scraping counts: quarterdeck_scrape_* of all targets together, and what dashboards and alerts for a Prometheus
// server read, with the names and meanings of Prometheus (prometheus_target_*).
//
// Values of references into a registry, which outlives them. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/mutex.h"

namespace qd::observe::scrape {

// prometheus_target_interval_length_seconds: how far apart scrapes are, for each interval that is asked for.
class IntervalLengths {
 public:
  static constexpr std::size_t kIntervalsMax = 100;  // targets may name their own; further ones are not counted

  IntervalLengths(base::Registry& registry, const base::Clock& clock) : registry_(registry), clock_(clock) {}
  void observe(std::int64_t interval_ms, std::int64_t ns) QD_EXCLUDES(mutex_);

 private:
  base::Registry& registry_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  std::map<std::int64_t, base::DurationSummary*> by_interval_ms_ QD_GUARDED_BY(mutex_);
};

// `15000`: "15s", `90000`: "1m30s"; as Go prints a duration.
std::string go_duration(std::int64_t ms);

struct ScrapeCounters {
  ScrapeCounters(base::Registry& registry, const base::Clock& clock);

  base::Counter& scrapes;
  base::Counter& failures;
  base::Counter& skipped;  // the one before was still running, or the pool was full
  base::Counter& samples;
  base::Counter& out_of_order;
  base::Counter& duplicate;
  base::Counter& out_of_bounds;
  base::Counter& series_refused;
  base::Counter& past_series_limit;
  base::Histogram& duration;
  // Scrapes that failed for a limit.
  base::Counter& past_sample_limit;
  base::Counter& past_body_size_limit;
  base::Counter& past_label_limits;
  base::Counter& past_target_limit;  // makings of a job's targets
  std::shared_ptr<IntervalLengths> intervals;
};

// Of one job.
struct PoolCounters {
  PoolCounters(base::Registry& registry, const base::Clock& clock, const std::string& job);

  base::Counter& syncs;
  base::Counter& failures;  // targets that could not be made
  base::Gauge& targets;
  base::Gauge& target_limit;
  base::DurationSummary& sync_length;
};

}  // namespace qd::observe::scrape
