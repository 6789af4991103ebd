// Backfill: a day of 1,000 series at 15 s, 5.76 million samples that are older than what is sealed, in two orders: as a
// host that was away sends them (all series of a moment at a time), and as an import does (one series after the other).
// Maintenance runs as it does in the program, every so many batches.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/store.h"

namespace qd::store::metrics {
namespace {

constexpr TimestampMs kNow = 1'700'000'000'000;
constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;
constexpr std::int64_t kStepMs = 15'000;
constexpr std::size_t kSeries = 1'000;
constexpr std::size_t kSteps = kDayMs / kStepMs;
// As many samples as come between two turns of maintenance, at the rate that is measured here.
constexpr std::size_t kMaintainEvery = 1'000'000;

double value_at(std::size_t series, std::size_t step) {
  return series % 4 < 2 ? static_cast<double>(step * (series % 17 + 1)) : static_cast<double>(step * 7 % 1000) / 10;
}

void backfill(benchmark::State& state, bool by_series) {
  base::PosixFiles files;
  std::vector<LabelSet> labels;
  for (std::size_t i = 0; i < kSeries; ++i) {
    const std::string instance = fmt::format("10.0.0.{}:9100", i / 100);
    const std::string path = fmt::format("/api/{:03}", i % 100);
    labels.push_back(
        LabelSet{{"__name__", "http_requests_total"}, {"instance", instance}, {"job", "app"}, {"path", path}});
  }
  StoreStats stats;
  for (auto _ : state) {
    state.PauseTiming();
    base::TempDirectory dir;
    base::Registry registry;
    auto store = *Store::open(files, dir.path(), {}, base::Log::silent(), registry);
    {
      auto live = store->appender();
      for (const LabelSet& one : labels) live->append(*live->series(one), kNow, 1);
      if (!live->commit() || !store->maintain(kNow)) state.SkipWithError("the live samples were not taken");
    }
    state.ResumeTiming();
    std::size_t since = 0;
    auto appender = store->appender();
    appender->take_late();
    const auto commit = [&] {
      since += appender->pending();
      if (!appender->commit()) state.SkipWithError("a batch was not taken");
      if (since < kMaintainEvery) return;
      since = 0;
      if (!store->maintain(kNow)) state.SkipWithError("maintenance failed");
    };
    const TimestampMs first = kNow - 2 * kDayMs;
    if (by_series) {
      for (std::size_t i = 0; i < kSeries; ++i) {
        const SeriesRef ref = *appender->series(labels[i]);
        for (std::size_t step = 0; step < kSteps; ++step)
          appender->append(ref, first + static_cast<TimestampMs>(step) * kStepMs, value_at(i, step));
        commit();
      }
    } else {
      for (std::size_t step = 0; step < kSteps; ++step) {
        for (std::size_t i = 0; i < kSeries; ++i) {
          const SeriesRef ref = *appender->series(labels[i]);
          appender->append(ref, first + static_cast<TimestampMs>(step) * kStepMs, value_at(i, step));
        }
        commit();
      }
    }
    state.PauseTiming();
    stats = store->stats();
    store.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kSeries * kSteps));
  state.counters["segments"] = static_cast<double>(stats.segments);
  state.counters["bytes_per_sample"] =
      static_cast<double>(stats.segment_bytes) / static_cast<double>(std::max<std::uint64_t>(1, stats.segment_samples));
}

void late_by_moment(benchmark::State& state) {
  backfill(state, false);
}
void late_by_series(benchmark::State& state) {
  backfill(state, true);
}
BENCHMARK(late_by_moment)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(late_by_series)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace qd::store::metrics
