// Native histograms: latencies of a service, some thirty buckets that rise by what ten to a hundred requests in 15 s
// bring, through the forms that the store keeps them in. Bytes are a histogram's, all of its buckets together.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/codec_histogram.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/histogram_chunk.h"
#include "store/metrics/histogram_test_data.h"
#include "store/metrics/store.h"

namespace qd::store::metrics {
namespace {

using model::HistogramPtr;

constexpr TimestampMs kStart = 1'700'000'000'000;
constexpr std::size_t kSamples = 480;  // two hours

const std::vector<HistogramPtr>& observed() {
  static const std::vector<HistogramPtr> all = [] {
    std::vector<HistogramPtr> made;
    std::mt19937_64 random(1);
    ObservedHistogram client(2);
    client.observe(50'000);
    while (made.size() < kSamples) {
      client.observe(10 + random() % 90);
      made.push_back(std::make_shared<const model::Histogram>(client.histogram()));
    }
    return made;
  }();
  return all;
}

void per_histogram(benchmark::State& state, std::size_t bytes) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kSamples));
  state.counters["bytes"] = static_cast<double>(bytes) / static_cast<double>(kSamples);
  state.counters["buckets"] = static_cast<double>(observed().back()->positive.size());
}

void histogram_in_log(benchmark::State& state) {
  std::string bytes;
  for (auto _ : state) {
    bytes.clear();
    for (const auto& histogram : observed()) encode_histogram(*histogram, bytes);
  }
  per_histogram(state, bytes.size());
}
BENCHMARK(histogram_in_log)->Unit(benchmark::kMicrosecond);

std::vector<HistogramChunk> chunks() {
  std::vector<HistogramChunk> made;
  for (std::size_t i = 0; i < kSamples; ++i) {
    const TimestampMs time = kStart + static_cast<TimestampMs>(i) * 15'000;
    if (made.empty() || made.back().full()) {
      made.emplace_back(time, *observed()[i]);
    } else {
      made.back().add(time, *observed()[i]);
    }
  }
  return made;
}

void histogram_chunk_write(benchmark::State& state) {
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    for (const auto& chunk : chunks()) bytes += chunk.bytes().size();
  }
  per_histogram(state, bytes);
}
BENCHMARK(histogram_chunk_write)->Unit(benchmark::kMicrosecond);

void histogram_chunk_read(benchmark::State& state) {
  const auto written = chunks();
  std::size_t bytes = 0;
  for (const auto& chunk : written) bytes += chunk.bytes().size();
  Columns columns;
  for (auto _ : state) {
    columns.clear();
    for (const auto& chunk : written) {
      if (!decode_histogram_chunk(chunk.bytes(), kStart, chunk.samples(), columns)) std::abort();
    }
    benchmark::DoNotOptimize(columns.histograms.data());
  }
  per_histogram(state, bytes);
}
BENCHMARK(histogram_chunk_read)->Unit(benchmark::kMicrosecond);

void histogram_block_write(benchmark::State& state) {
  HistogramEncoder encoder;
  std::string block;
  for (auto _ : state) {
    block.clear();
    encoder.encode(observed(), false, block);
  }
  per_histogram(state, block.size());
}
BENCHMARK(histogram_block_write)->Unit(benchmark::kMicrosecond);

void histogram_block_read(benchmark::State& state) {
  std::string block;
  HistogramEncoder().encode(observed(), false, block);
  std::vector<HistogramPtr> read;
  for (auto _ : state) {
    read.clear();
    if (!decode_histograms(base::as_bytes(block), kSamples, 0, kSamples, read)) std::abort();
    benchmark::DoNotOptimize(read.data());
  }
  per_histogram(state, block.size());
}
BENCHMARK(histogram_block_read)->Unit(benchmark::kMicrosecond);

// What an open chunk keeps, on average over its life.
void histogram_memory(benchmark::State& state) {
  double sum = 0;
  for (auto _ : state) {
    sum = 0;
    std::vector<HistogramChunk> open;
    for (std::size_t i = 0; i < kSamples; ++i) {
      const TimestampMs time = kStart + static_cast<TimestampMs>(i) * 15'000;
      if (open.empty() || open.back().full()) {
        open.clear();
        open.emplace_back(time, *observed()[i]);
      } else {
        open.back().add(time, *observed()[i]);
      }
      sum += static_cast<double>(open.back().memory_bytes());
    }
  }
  state.counters["bytes_a_series"] = sum / static_cast<double>(kSamples);
}
BENCHMARK(histogram_memory)->Iterations(1);

void histogram_append(benchmark::State& state) {
  constexpr std::size_t kSeries = 1000;
  base::PosixFiles files;
  base::Registry registry;
  const base::TempDirectory dir;
  auto store = *Store::open(files, dir.path(), StoreOptions{}, base::Log::silent(), registry);
  auto appender = store->appender();
  std::vector<SeriesRef> refs;
  for (std::size_t i = 0; i < kSeries; ++i) {
    const std::string number = std::to_string(i);
    refs.push_back(*appender->series({{"__name__", "latency_seconds"}, {"instance", number}}));
  }
  TimestampMs now = kStart;
  std::size_t step = 0;
  for (auto _ : state) {
    now += 15'000;
    const auto& histogram = *observed()[step++ % kSamples];
    for (const SeriesRef ref : refs) {
      if (appender->append(ref, now, histogram) != AppendOutcome::kOk) std::abort();
    }
    if (!appender->commit()) std::abort();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kSeries));
}
BENCHMARK(histogram_append)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qd::store::metrics
