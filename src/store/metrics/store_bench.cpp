// Append rate by reference, memory a series, growth, start-up, and reads, on the data shape of run B in
// docs/performance.md: half counters, a quarter gauges, a quarter histogram buckets, five labels a series.
//
// Memory is what the process itself says, so run one of those at a time:
//   store_metrics_bench --benchmark_filter=store_memory/25
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/store.h"

namespace qd::store::metrics {
namespace {

constexpr TimestampMs kStart = 1'700'000'000'000;

// A line of /proc/self/status, in bytes.
double status_bytes(const char* key) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  double kilobytes = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, key, std::strlen(key)) == 0) kilobytes = std::atof(line + std::strlen(key) + 1);
  }
  std::fclose(file);
  return kilobytes * 1024;
}

void reset_peak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w"); file != nullptr) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

// Values of `n` series as targets would show them, step by step.
class Source {
 public:
  explicit Source(std::size_t n) : values_(n), random_(1) {}

  static LabelSet labels(std::size_t i) {
    const std::size_t target = i / 10'000;
    const std::size_t in_target = i % 10'000;
    const std::string metric = fmt::format("app_{}_{}",
                                           i % 4 < 2    ? "http_requests_total"
                                           : i % 4 == 2 ? "queue_depth"
                                                        : "latency_bucket",
                                           in_target / 1000);
    const std::string instance = fmt::format("10.0.{}.{}:9100", target / 250, target % 250);
    const std::string path = fmt::format("/api/v1/resource/{}", in_target % 250);
    const std::string code = std::to_string(200 + in_target % 1000 / 250);
    return LabelSet{{"__name__", metric}, {"code", code}, {"instance", instance}, {"job", "app"}, {"path", path}};
  }

  const std::vector<double>& step() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const auto chance = static_cast<std::uint32_t>(random_());
      switch (i % 4) {
        case 2:
          values_[i] = static_cast<double>(chance % 1000);
          break;
        case 3:
          values_[i] += static_cast<double>(chance % 8 == 0 ? chance % 5 : 0);
          break;
        default:
          values_[i] += static_cast<double>(chance % 100);
          break;
      }
    }
    return values_;
  }

 private:
  std::vector<double> values_;
  std::minstd_rand random_;
};

std::unique_ptr<Store> open_store(base::Files& files, const std::filesystem::path& dir, base::Registry& registry) {
  auto store = Store::open(files, dir, StoreOptions{}, base::Log::silent(), registry);
  if (!store) std::abort();
  return std::move(*store);
}

std::vector<SeriesRef> make_series(Store& store, std::size_t n) {
  std::vector<SeriesRef> refs;
  auto appender = store.appender();
  for (std::size_t i = 0; i < n; ++i) {
    auto ref = appender->series(Source::labels(i));
    if (!ref) std::abort();
    refs.push_back(*ref);
  }
  return refs;
}

// One sample of every series, in batches of a target's size.
void append_step(Store& store, const std::vector<SeriesRef>& refs, const std::vector<double>& values,
                 TimestampMs time_ms) {
  constexpr std::size_t kTarget = 10'000;
  auto appender = store.appender();
  for (std::size_t i = 0; i < refs.size(); ++i) {
    if (appender->append(refs[i], time_ms, values[i]) != AppendOutcome::kOk) std::abort();
    if ((i + 1) % kTarget == 0 && !appender->commit()) std::abort();
  }
  if (!appender->commit()) std::abort();
}

void store_append(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  base::PosixFiles files;
  base::Registry registry;
  base::TempDirectory dir;
  auto store = open_store(files, dir.path(), registry);
  const auto refs = make_series(*store, n);
  Source source(n);
  TimestampMs now = kStart;
  for (auto _ : state) {
    state.PauseTiming();
    const auto& values = source.step();
    now += 15'000;
    state.ResumeTiming();
    append_step(*store, refs, values, now);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
  state.counters["log_bytes_a_sample"] =
      static_cast<double>(store->stats().wal_bytes) / static_cast<double>(state.iterations() * n);
}
BENCHMARK(store_append)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void store_memory(benchmark::State& state) {
  const auto steps = static_cast<int>(state.range(0));
  const auto n = static_cast<std::size_t>(state.range(1));
  base::PosixFiles files;
  base::Registry registry;
  for (auto _ : state) {
    base::TempDirectory dir;
    Source source(n);
    source.step();
    reset_peak();
    const double before = status_bytes("VmRSS");
    auto store = open_store(files, dir.path(), registry);
    double peak = 0;
    {
      const auto refs = make_series(*store, n);
      for (int step = 0; step < steps; ++step) {
        const TimestampMs now = kStart + step * 15'000;
        append_step(*store, refs, source.step(), now);
        if (!store->maintain(now)) std::abort();
      }
      peak = status_bytes("VmHWM") - before - static_cast<double>(refs.capacity() * sizeof(SeriesRef));
    }
    state.counters["peak_bytes_a_series"] = peak / static_cast<double>(n);
    state.counters["anonymous_bytes_a_series"] = status_bytes("RssAnon") / static_cast<double>(n);
    state.counters["chunks_a_series"] = static_cast<double>(store->stats().head_chunks) / static_cast<double>(n);
    state.counters["mapped_bytes_a_series"] = status_bytes("RssFile") / static_cast<double>(n);
  }
}
BENCHMARK(store_memory)->Args({25, 1'000'000})->Args({420, 1'000'000})->Iterations(1)->Unit(benchmark::kSecond);

// What a sample costs as series become more: all of it, from the batch to the log, and the maintenance between. As many
// steps as lie between two checkpoints of a hundred thousand series: fewer would spare those the packing of chunks.
void store_growth(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  base::PosixFiles files;
  base::Registry registry;
  base::TempDirectory dir;
  auto store = open_store(files, dir.path(), registry);
  const auto refs = make_series(*store, n);
  Source source(n);
  TimestampMs now = kStart;
  for (auto _ : state) {
    state.PauseTiming();
    const auto& values = source.step();
    now += 15'000;
    state.ResumeTiming();
    append_step(*store, refs, values, now);
    if (!store->maintain(now)) std::abort();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * n));
}
BENCHMARK(store_growth)->Arg(100'000)->Arg(1'000'000)->Arg(10'000'000)->Iterations(320)->Unit(benchmark::kMillisecond);

void store_start_up(benchmark::State& state) {
  const auto steps = static_cast<int>(state.range(0));
  const auto n = static_cast<std::size_t>(state.range(1));
  base::PosixFiles files;
  base::Registry registry;
  base::TempDirectory dir;
  {
    auto store = open_store(files, dir.path(), registry);
    const auto refs = make_series(*store, n);
    Source source(n);
    for (int step = 0; step < steps; ++step) {
      append_step(*store, refs, source.step(), kStart + step * 15'000);
      if (!store->maintain(kStart + step * 15'000)) std::abort();
    }
  }
  for (auto _ : state) {
    auto store = open_store(files, dir.path(), registry);
    state.PauseTiming();
    if (store->stats().head_series != n) std::abort();
    store.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(store_start_up)->Args({479, 1'000'000})->Iterations(3)->Unit(benchmark::kSecond);

void store_select_and_read(benchmark::State& state) {
  constexpr std::size_t kSeries = 40'000;
  base::PosixFiles files;
  base::Registry registry;
  base::TempDirectory dir;
  auto store = open_store(files, dir.path(), registry);
  const auto refs = make_series(*store, kSeries);
  Source source(kSeries);
  for (int step = 0; step < 420; ++step) {
    append_step(*store, refs, source.step(), kStart + step * 1000);
    if (step % 50 == 0 && !store->maintain(kStart + step * 1000)) std::abort();
  }
  const std::vector<Matcher> matchers = {
      *Matcher::create(Matcher::Kind::kRegex, "__name__", "app_http_requests_total_.*")};
  Columns columns;
  std::size_t samples = 0;
  double select_seconds = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    const auto set = store->select(matchers, kStart, kStart + 420'000, 1'000'000);
    if (!set) std::abort();
    select_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      if (!(*set)->read(i, kStart, kStart + 420'000, columns)) std::abort();
      samples += columns.size();
      benchmark::DoNotOptimize(columns.values.data());
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(samples));
  state.counters["select_ms"] = select_seconds * 1000 / static_cast<double>(state.iterations());
}
BENCHMARK(store_select_and_read)->Unit(benchmark::kMillisecond);

double cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// What merging takes of a core in the long run: four days of samples at 15 s, as fast as they are taken, with the
// segments merged when they would be. Four days are three of the largest windows of the usual settings, so that every
// sample is merged as often as it ever will be. `merging` is all of the turns of maintenance that merged, what they
// sealed too; `maintenance` is all turns. Both as the part of a core that so many series take, and `_of_a_million` what
// a million would.
void store_merging(benchmark::State& state) {
  constexpr std::int64_t kHourMs = 60 * 60 * 1000;
  constexpr std::int64_t kStepMs = 15'000;
  constexpr std::int64_t kWindowMs = 32 * kHourMs;
  constexpr std::int64_t kCountedMs = 3 * kWindowMs;
  constexpr std::int64_t kLagMs = 4 * kHourMs;  // until the last of them is sealed and merged
  const auto n = static_cast<std::size_t>(state.range(0));
  double maintenance_s = 0;
  double merging_s = 0;
  StoreStats stats;
  for (auto _ : state) {
    base::PosixFiles files;
    const base::TempDirectory dir;
    base::Registry registry;
    const auto store = open_store(files, dir.path(), registry);
    const auto refs = make_series(*store, n);
    Source source(n);
    maintenance_s = merging_s = 0;
    const TimestampMs start = kStart / kWindowMs * kWindowMs;
    for (std::int64_t at = 0; at < kCountedMs + kLagMs; at += kStepMs) {
      append_step(*store, refs, source.step(), start + at);
      if (at % (4 * kStepMs) != 0) continue;
      const std::uint64_t segments = store->stats().segments;
      const double before = cpu_s();
      if (!store->maintain(start + at)) return state.SkipWithError("maintenance failed");
      const double took = cpu_s() - before;
      maintenance_s += took;
      if (store->stats().segments < segments) merging_s += took;
    }
    stats = store->stats();
  }
  const double parts = 1000.0 / static_cast<double>(kCountedMs);
  const double million = 1e6 / static_cast<double>(n);
  state.counters["merging"] = merging_s * parts;
  state.counters["maintenance"] = maintenance_s * parts;
  state.counters["merging_of_a_million"] = merging_s * parts * million;
  state.counters["maintenance_of_a_million"] = maintenance_s * parts * million;
  state.counters["segments"] = static_cast<double>(stats.segments);
  state.counters["bytes_per_sample"] =
      static_cast<double>(stats.segment_bytes) / static_cast<double>(std::max<std::uint64_t>(1, stats.segment_samples));
}
BENCHMARK(store_merging)->Arg(2'000)->ArgName("series")->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace qd::store::metrics
