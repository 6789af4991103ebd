#include "query/running/runner.h"

#include <string>
#include <utility>

#include "base/strings.h"

namespace qd::query::running {

namespace {

using base::Result;
using model::TimestampMs;
using promql::QueryResult;

constexpr std::int64_t kNsPerMs = 1'000'000;
// Of a slow query's text, in the log.
constexpr std::size_t kToldBytesMax = 4096;

}  // namespace

struct Runner::Metrics {
  Metrics(const base::Clock& clock, base::Registry& registry)
      : samples(registry.counter("prometheus_engine_query_samples_total",
                                 "The total number of samples loaded by all queries.")),
        slow(registry.counter("quarterdeck_query_slow_total", "Queries that took longer than query.slow_threshold.")),
        inner_eval(slice(clock, registry, "inner_eval")),
        prepare_time(slice(clock, registry, "prepare_time")),
        queue_time(slice(clock, registry, "queue_time")) {
    // What Prometheus sorts here is sorted as it is found.
    slice(clock, registry, "result_sort");
  }

  base::Counter& samples;
  base::Counter& slow;
  base::DurationSummary& inner_eval;
  base::DurationSummary& prepare_time;
  base::DurationSummary& queue_time;

 private:
  static base::DurationSummary& slice(const base::Clock& clock, base::Registry& registry, const char* name) {
    return registry.summary("prometheus_engine_query_duration_seconds", "Query timings", clock,
                            base::Registry::Quantiles::kUpper, {{"slice", name}});
  }
};

Runner::Runner(const Parts& parts, const RunnerSettings& settings)
    : engine_(parts.engine),
      querier_(parts.querier),
      active_(parts.active),
      clock_(parts.clock),
      log_(parts.log),
      metrics_(std::make_unique<Metrics>(parts.clock, parts.registry)),
      query_log_(parts.files, parts.clock, parts.log, parts.registry),
      cache_(parts.engine, parts.querier, parts.changes, parts.registry, settings.cache_bytes),
      slow_threshold_ns_(0) {
  apply(settings);
}

Runner::~Runner() = default;

void Runner::apply(const RunnerSettings& settings) {
  query_log_.reopen(settings.log_file);
  cache_.set_bytes_max(settings.cache_bytes);
  slow_threshold_ns_ = settings.slow_threshold_ms * kNsPerMs;
}

template <typename Run>
Result<QueryResult> Runner::run(const Asker& asker, std::string_view text, const Times& times, Waits waits, Run&& run) {
  const auto entry = active_.begin({.principal = asker.principal,
                                    .text = std::string(text.substr(0, ActiveQueries::kSlotBytes)),
                                    .begun_ms = clock_.wall_ms(),
                                    .start_ms = times.start_ms,
                                    .end_ms = times.end_ms,
                                    .step_ms = times.step_ms});
  const std::int64_t began = clock_.monotonic_ns();
  Result<QueryResult> result = run();
  const std::int64_t took = clock_.monotonic_ns() - began;
  promql::QueryStats stats = result ? result->stats : promql::QueryStats{};
  stats.parse_ns = waits.parse_ns;
  stats.evaluate_ns = took;
  if (result) result->stats = stats;
  metrics_->samples.add(stats.samples_read);
  metrics_->queue_time.observe(waits.queue_ns);
  metrics_->prepare_time.observe(waits.parse_ns);
  metrics_->inner_eval.observe(took);
  if (query_log_.enabled()) {
    query_log_.write({.asker = asker,
                      .text = text,
                      .start_ms = times.start_ms,
                      .end_ms = times.end_ms,
                      .step_ms = times.step_ms,
                      .stats = stats,
                      .queue_ns = waits.queue_ns,
                      .error = result ? nullptr : &result.error()});
  }
  const std::int64_t threshold = slow_threshold_ns_.load(std::memory_order_relaxed);
  if (threshold > 0 && took + waits.queue_ns > threshold) {
    metrics_->slow.add();
    log_.warn("slow query", {{"query", text.substr(0, kToldBytesMax)},
                             {"principal", asker.principal},
                             {"rule_group", asker.rule_group},
                             {"start", base::format_time(times.start_ms)},
                             {"end", base::format_time(times.end_ms)},
                             {"step_ms", times.step_ms},
                             {"waited_seconds", static_cast<double>(waits.queue_ns) / 1e9},
                             {"seconds", static_cast<double>(took) / 1e9},
                             {"series", stats.series},
                             {"samples", stats.samples_read},
                             {"outcome", result ? std::string("answered") : result.error().message()}});
  }
  return result;
}

Result<QueryResult> Runner::instant(const Asker& asker, const promql::Expr& expr, std::string_view text,
                                    TimestampMs time_ms, const promql::QueryOptions& options, Waits waits) {
  return run(asker, text, {time_ms, time_ms, 0}, waits,
             [&] { return engine_.instant(querier_, expr, text, time_ms, options); });
}

Result<QueryResult> Runner::range(const Asker& asker, const RangeQuery& query, const promql::QueryOptions& options,
                                  Waits waits) {
  return run(asker, query.text, {query.start_ms, query.end_ms, query.step_ms}, waits,
             [&] { return cache_.range(query, options); });
}

}  // namespace qd::query::running
