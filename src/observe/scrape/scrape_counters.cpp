#include "observe/scrape/scrape_counters.h"

#include <fmt/format.h>

#include <utility>

#include "base/strings.h"

namespace qd::observe::scrape {

namespace {

// Another name for a counter that is there.
void also(base::Registry& registry, const base::Counter& counter, std::string_view name, std::string_view help) {
  registry.counter_function(name, help, [&counter] { return static_cast<double>(counter.value()); });
}

}  // namespace

std::string go_duration(std::int64_t ms) {
  if (ms < 1000) return fmt::format("{}ms", ms);
  constexpr std::int64_t kMinuteMs = 60'000;
  const std::int64_t minutes = ms / kMinuteMs;
  std::string seconds = base::format_float(static_cast<double>(ms % kMinuteMs) / 1000) + "s";
  if (minutes == 0) return seconds;
  if (minutes < 60) return fmt::format("{}m{}", minutes, seconds);
  return fmt::format("{}h{}m{}", minutes / 60, minutes % 60, seconds);
}

void IntervalLengths::observe(std::int64_t interval_ms, std::int64_t ns) {
  base::DurationSummary* summary = nullptr;
  {
    base::MutexLock lock(mutex_);
    auto& known = by_interval_ms_[interval_ms];
    if (known == nullptr && by_interval_ms_.size() > kIntervalsMax) {
      by_interval_ms_.erase(interval_ms);
      return;
    }
    if (known == nullptr) {
      known =
          &registry_.summary("prometheus_target_interval_length_seconds", "Actual intervals between scrapes.", clock_,
                             base::Registry::Quantiles::kBothEnds, {{"interval", go_duration(interval_ms)}});
    }
    summary = known;
  }
  summary->observe(ns);
}

ScrapeCounters::ScrapeCounters(base::Registry& registry, const base::Clock& clock)
    : scrapes(registry.counter("quarterdeck_scrapes_total", "Scrapes that were begun.")),
      failures(registry.counter("quarterdeck_scrape_failures_total", "Scrapes that failed.")),
      skipped(registry.counter("quarterdeck_scrapes_skipped_total",
                               "Scrapes left out because the one before was still running or the workers were busy.")),
      samples(registry.counter("quarterdeck_scrape_samples_total", "Samples that targets sent.")),
      out_of_order(registry.counter("quarterdeck_scrape_samples_out_of_order_total",
                                    "Samples refused because their series has a newer one.")),
      duplicate(registry.counter("quarterdeck_scrape_samples_duplicate_total",
                                 "Samples refused because their series has another value at the same time.")),
      out_of_bounds(registry.counter("quarterdeck_scrape_samples_out_of_bounds_total",
                                     "Samples refused because they are too old or too far in the future.")),
      series_refused(registry.counter("quarterdeck_scrape_series_refused_total",
                                      "Samples refused because their series would have passed the store's limit.")),
      past_series_limit(registry.counter("quarterdeck_scrape_series_limit_samples_dropped_total",
                                         "Samples of new series that were dropped because their target had made "
                                         "series_limit of them.")),
      duration(registry.histogram("quarterdeck_scrape_duration_seconds", "How long scrapes took.")),
      past_sample_limit(registry.counter("prometheus_target_scrapes_exceeded_sample_limit_total",
                                         "Total number of scrapes that hit the sample limit and were rejected.")),
      past_body_size_limit(registry.counter("prometheus_target_scrapes_exceeded_body_size_limit_total",
                                            "Total number of scrapes that hit the body size limit.")),
      past_label_limits(registry.counter("prometheus_target_scrape_pool_exceeded_label_limits_total",
                                         "Total number of times scrape pools hit the label limits, during sync or "
                                         "config reload.")),
      past_target_limit(registry.counter("prometheus_target_scrape_pool_exceeded_target_limit_total",
                                         "Total number of times scrape pools hit the target limit, during sync or "
                                         "config reload.")),
      intervals(std::make_shared<IntervalLengths>(registry, clock)) {
  also(registry, out_of_order, "prometheus_target_scrapes_sample_out_of_order_total",
       "Total number of samples rejected due to not being out of the expected order.");
  also(registry, duplicate, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
       "Total number of samples rejected due to duplicate timestamps but different values.");
  also(registry, out_of_bounds, "prometheus_target_scrapes_sample_out_of_bounds_total",
       "Total number of samples rejected due to timestamp falling outside of the time bounds.");
}

PoolCounters::PoolCounters(base::Registry& registry, const base::Clock& clock, const std::string& job)
    : syncs(registry.counter("prometheus_target_scrape_pool_sync_total",
                             "Total number of syncs that were executed on a scrape pool.", {{"scrape_job", job}})),
      failures(registry.counter("prometheus_target_sync_failed_total", "Total number of target sync failures.",
                                {{"scrape_job", job}})),
      targets(registry.gauge("prometheus_target_scrape_pool_targets", "Current number of targets in this scrape pool.",
                             {{"scrape_job", job}})),
      target_limit(registry.gauge("prometheus_target_scrape_pool_target_limit",
                                  "Maximum number of targets allowed in this scrape pool.", {{"scrape_job", job}})),
      sync_length(registry.summary("prometheus_target_sync_length_seconds", "Actual interval to sync the scrape pool.",
                                   clock, base::Registry::Quantiles::kBothEnds, {{"scrape_job", job}})) {}

}  // namespace qd::observe::scrape
