// The queries of the design's table over series in memory: 20,000 counters or buckets with 420 samples each, one a
// second, at 81 steps; and a hundred series of native histograms with as many. What a querier costs to decode is not in
// here beyond a copy.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "query/promql/engine.h"
#include "query/promql/memory_querier.h"

namespace qd::query::promql {

namespace {

constexpr std::int64_t kSamples = 420;
constexpr std::int64_t kStepMs = 4'000;
constexpr std::int64_t kStartMs = 95'000;
constexpr std::int64_t kEndMs = kStartMs + 80 * kStepMs;

void add_series(MemoryQuerier& querier, const model::LabelSet& labels, std::size_t seed, bool counter) {
  double value = static_cast<double>(seed % 1000);
  std::uint64_t state = seed * 2654435761U + 1;
  for (std::int64_t s = 0; s < kSamples; ++s) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const auto random = static_cast<double>(state >> 60);
    value = counter ? value + random : random;
    querier.add(labels, s * 1000, value);
  }
}

// A native histogram with 60 buckets a second.
void add_histograms(MemoryQuerier& querier, std::size_t seed) {
  model::Histogram histogram;
  histogram.schema = 3;
  histogram.positive_spans = {{0, 40}, {5, 20}};
  histogram.positive.assign(60, 0);
  const model::LabelSet labels{
      {"__name__", "app_sizes"}, {"instance", fmt::format("10.0.0.{}:9100", seed)}, {"job", "app"}};
  std::uint64_t state = seed * 2654435761U + 1;
  for (std::int64_t s = 0; s < kSamples; ++s) {
    for (int i = 0; i < 10; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      histogram.positive[(state >> 40) % 60] += 1;
      histogram.count += 1;
      histogram.sum += static_cast<double>(state >> 60);
    }
    querier.add(labels, s * 1000, std::make_shared<const model::Histogram>(histogram));
  }
}

const MemoryQuerier& data() {
  static const MemoryQuerier querier = [] {
    MemoryQuerier made;
    constexpr const char* kCodes[] = {"200", "204", "301", "400", "404", "500"};
    constexpr const char* kBounds[] = {"0.005", "0.01", "0.05", "0.1", "0.5", "1", "5", "10", "30", "+Inf"};
    for (std::size_t i = 0; i < 20'000; ++i) {
      const std::string name = fmt::format("app_http_requests_total_{}", i / 2000);
      const std::string instance = fmt::format("10.0.{}.{}:9100", i / 255, i % 255);
      const model::LabelSet labels{{"__name__", name},
                                   {"code", kCodes[i % 6]},
                                   {"instance", instance},
                                   {"job", "app"},
                                   {"path", i % 2 == 0 ? "/api" : "/login"}};
      add_series(made, labels, i, true);
    }
    for (std::size_t i = 0; i < 10'000; ++i) {
      const std::string instance = fmt::format("10.0.{}.{}:9100", i / 2550, i / 10 % 255);
      const model::LabelSet labels{
          {"__name__", "app_latency_seconds_bucket"}, {"instance", instance}, {"job", "app"}, {"le", kBounds[i % 10]}};
      add_series(made, labels, i % 10, true);
    }
    for (std::size_t i = 0; i < 100; ++i) add_histograms(made, i);
    for (std::size_t i = 0; i < 1'000; ++i) {
      const std::string instance = fmt::format("10.0.{}.{}:9100", i / 255, i % 255);
      add_series(made, {{"__name__", "app_queue_depth_6"}, {"instance", instance}, {"job", "app"}}, i, false);
    }
    return made;
  }();
  return querier;
}

void run(benchmark::State& state, const char* query) {
  const MemoryQuerier& querier = data();
  const base::SystemClock clock;
  base::ThreadPool pool(std::max(1U, std::thread::hardware_concurrency()), 1000);
  const Engine engine(&pool, clock);
  std::uint64_t samples = 0;
  for (auto _ : state) {
    auto result = engine.range(querier, query, kStartMs, kEndMs, kStepMs);
    if (!result) {
      state.SkipWithError(result.error().message().c_str());
      break;
    }
    samples += result->stats.samples_read;
    benchmark::DoNotOptimize(result);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(samples));
}

void sum_of_rates_20000_series(benchmark::State& state) {
  run(state, R"(sum by (code) (rate({__name__=~"app_http_requests_total_.*"}[1m])))");
}
void quantile_10000_bucket_series(benchmark::State& state) {
  run(state, "histogram_quantile(0.99, sum by (le) (rate(app_latency_seconds_bucket[1m])))");
}
void quantile_100_native_histograms(benchmark::State& state) {
  run(state, "histogram_quantile(0.99, sum(rate(app_sizes[1m])))");
}
void grouped_rate_2000_series(benchmark::State& state) {
  run(state, "sum by (instance) (rate(app_http_requests_total_3[1m]))");
}
void max_over_time_1000_series(benchmark::State& state) {
  run(state, "max_over_time(app_queue_depth_6[5m])");
}
void avg_over_time_1000_series(benchmark::State& state) {
  run(state, "avg_over_time(app_queue_depth_6[5m])");
}

BENCHMARK(sum_of_rates_20000_series)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(quantile_10000_bucket_series)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(quantile_100_native_histograms)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(grouped_rate_2000_series)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(max_over_time_1000_series)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(avg_over_time_1000_series)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace

}  // namespace qd::query::promql
