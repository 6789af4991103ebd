// A segment of run B: bytes a sample, and what writing, opening, finding and reading cost.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/bench_data.h"
#include "store/metrics/merge.h"
#include "store/metrics/postings.h"
#include "store/metrics/segment.h"
#include "store/metrics/segment_writer.h"

namespace qd::store::metrics {
namespace {

// All columns of run B in label order, made once.
struct RunB {
  RunB() {
    const BenchData data({});
    std::map<LabelSet, std::size_t> order;
    for (std::size_t i = 0; i < data.series(); ++i) order.emplace(data.labels(i), i);
    std::vector<std::vector<TimestampMs>> by_target(data.shape().targets);
    for (std::size_t target = 0; target < by_target.size(); ++target) data.times(target, by_target[target]);
    for (const auto& [series_labels, i] : order) {
      labels.push_back(series_labels);
      times.push_back(by_target[data.target_of(i)]);
      data.values(i, values.emplace_back());
      samples += values.back().size();
    }
  }
  std::vector<LabelSet> labels;
  std::vector<std::vector<TimestampMs>> times;
  std::vector<std::vector<double>> values;
  std::size_t samples = 0;
};

const RunB& run_b() {
  static const RunB data;
  return data;
}

struct Fixture {
  Fixture() {
    const RunB& data = run_b();
    auto writer = SegmentWriter::create(files, path, {});
    for (std::size_t i = 0; i < data.labels.size(); ++i) {
      static_cast<void>((*writer)->add(data.labels[i], data.times[i], data.values[i]));
    }
    static_cast<void>((*writer)->finish());
    segment = *Segment::open(files, path);
  }
  base::PosixFiles files;
  base::TempDirectory directory;
  std::filesystem::path path = directory / "run_b";
  std::shared_ptr<const Segment> segment;
};

Fixture& fixture() {
  static Fixture fixture;
  return fixture;
}

void per_sample(benchmark::State& state, std::size_t samples) {
  const auto total = static_cast<double>(samples) * static_cast<double>(state.iterations());
  state.counters["s_per_sample"] = benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void segment_write(benchmark::State& state) {
  const RunB& data = run_b();
  base::PosixFiles files;
  const base::TempDirectory directory;
  SegmentInfo info;
  for (auto _ : state) {
    auto writer = SegmentWriter::create(files, directory / "written", {.compress_cold = state.range(0) != 0});
    for (std::size_t i = 0; i < data.labels.size(); ++i) {
      static_cast<void>((*writer)->add(data.labels[i], data.times[i], data.values[i]));
    }
    info = *(*writer)->finish();
  }
  per_sample(state, data.samples);
  state.counters["bytes_per_sample"] = static_cast<double>(info.bytes) / static_cast<double>(info.samples);
}
BENCHMARK(segment_write)->Arg(0)->ArgName("zstd")->Unit(benchmark::kMillisecond);

void segment_open(benchmark::State& state) {
  Fixture& its = fixture();
  for (auto _ : state) benchmark::DoNotOptimize(Segment::open(its.files, its.path));
}
BENCHMARK(segment_open)->Unit(benchmark::kMicrosecond);

void segment_read_all(benchmark::State& state) {
  const Segment& segment = *fixture().segment;
  Columns columns;
  for (auto _ : state) {
    for (std::uint32_t id = 0; id < segment.info().series; ++id) {
      columns.clear();
      if (!segment.read(id, segment.info().min_ms, segment.info().max_ms, columns)) state.SkipWithError("damaged");
      benchmark::DoNotOptimize(columns.values.data());
    }
  }
  per_sample(state, segment.info().samples);
}
BENCHMARK(segment_read_all)->Unit(benchmark::kMillisecond);

void segment_find(benchmark::State& state, std::vector<Matcher> matchers) {
  const Segment& segment = *fixture().segment;
  std::size_t found = 0;
  for (auto _ : state) {
    found = segment.find(matchers, segment.info().min_ms, segment.info().max_ms)->size();
    benchmark::DoNotOptimize(found);
  }
  state.counters["series"] = static_cast<double>(found);
}
BENCHMARK_CAPTURE(segment_find, one_series,
                  {Matcher::equal("__name__", "app_queue_depth_6"), Matcher::equal("instance", "10.0.0.2:8080"),
                   Matcher::equal("queue", "404"), Matcher::equal("path", "/api/v1/resource/7")})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(segment_find, one_metric, {Matcher::equal("__name__", "app_queue_depth_6")})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(segment_find, metrics_by_prefix,
                  {*Matcher::create(Matcher::Kind::kRegex, "__name__", "app_http_requests_total_.*")})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(segment_find, by_regex_and_not,
                  {Matcher::equal("job", "app"), *Matcher::create(Matcher::Kind::kRegex, "path", ".*/1[0-9]"),
                   *Matcher::create(Matcher::Kind::kNotEqual, "code", "200")})
    ->Unit(benchmark::kMicrosecond);

void segment_labels(benchmark::State& state) {
  const Segment& segment = *fixture().segment;
  std::uint32_t id = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(segment.labels(id));
    id = (id + 1) % static_cast<std::uint32_t>(segment.info().series);
  }
}
BENCHMARK(segment_labels);

void segment_merge_two(benchmark::State& state) {
  Fixture& its = fixture();
  const std::vector<std::shared_ptr<const Segment>> segments = {its.segment, its.segment};
  for (auto _ : state) {
    benchmark::DoNotOptimize(merge_segments(its.files, segments, its.directory / "merged", model::kMinTimestampMs, {}));
  }
  per_sample(state, its.segment->info().samples * 2);
}
BENCHMARK(segment_merge_two)->Unit(benchmark::kMillisecond);

// Sizes of the shorter list against 100,000: where galloping begins to pay.
void postings_intersect(benchmark::State& state) {
  std::mt19937 random(1);
  const auto list = [&](std::size_t count) {
    Postings numbers(count);
    for (auto& number : numbers) number = static_cast<std::uint32_t>(random() % 1'000'000);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    return numbers;
  };
  const Postings a = list(static_cast<std::size_t>(state.range(0)));
  const Postings b = list(100'000);
  for (auto _ : state) benchmark::DoNotOptimize(intersect(a, b));
}
BENCHMARK(postings_intersect)->Arg(100)->Arg(3000)->Arg(6000)->Arg(10'000)->Arg(100'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace qd::store::metrics
