// Bytes and nanoseconds a sample of the block codings, on each kind of series of run B.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "store/metrics/bench_data.h"
#include "store/metrics/chunk.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_kernels.h"
#include "store/metrics/codec_xor.h"
#include "store/metrics/packed_chunk.h"

namespace qd::store::metrics {
namespace {

constexpr std::size_t kSeries = 400;

BenchData data() {
  return BenchData({.targets = 1, .series_per_target = kSeries * 4});
}

std::vector<std::vector<double>> columns_of(BenchData::Kind kind) {
  const BenchData source = data();
  std::vector<std::vector<double>> columns(kSeries);
  for (std::size_t i = 0; i < kSeries; ++i) source.values(i * 4 + static_cast<std::size_t>(kind), columns[i]);
  return columns;
}

void report(benchmark::State& state, std::size_t samples, std::size_t bytes) {
  const auto total = static_cast<double>(samples) * static_cast<double>(state.iterations());
  state.counters["samples"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["s_per_sample"] = benchmark::Counter(total, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["bytes_per_sample"] = static_cast<double>(bytes) / static_cast<double>(samples);
}

void encode_values_of(benchmark::State& state) {
  const auto columns = columns_of(static_cast<BenchData::Kind>(state.range(0)));
  BlockEncoder encoder;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const auto& column : columns) encoder.encode_values(column, state.range(1) != 0, out);
    benchmark::DoNotOptimize(out.data());
  }
  report(state, kSeries * columns[0].size(), out.size());
}
BENCHMARK(encode_values_of)->ArgsProduct({{0, 1, 2, 3}, {0, 1}})->ArgNames({"kind", "zstd"});

// As they are coded, or all of them by XOR.
void decode_values_of(benchmark::State& state) {
  const auto columns = columns_of(static_cast<BenchData::Kind>(state.range(0)));
  const bool by_xor = state.range(1) != 0;
  BlockEncoder encoder;
  std::vector<std::string> blocks(columns.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (by_xor) {
      encode_xor(columns[i], blocks[i]);
    } else {
      encoder.encode_values(columns[i], false, blocks[i]);
    }
    bytes += blocks[i].size();
  }
  std::vector<double> out(columns[0].size());
  for (auto _ : state) {
    for (const std::string& block : blocks) {
      const auto coded = base::as_bytes(block);
      if (!(by_xor ? decode_xor(coded, out) : decode_values(coded, out).has_value())) std::abort();
      benchmark::DoNotOptimize(out.data());
    }
  }
  report(state, columns.size() * out.size(), bytes);
}
BENCHMARK(decode_values_of)->ArgsProduct({{0, 1, 2, 3}, {0, 1}})->ArgNames({"kind", "xor"});

// Closed chunks of the head as they go to a file: as many samples as asked for, or as fit.
void pack_chunks_of(benchmark::State& state) {
  const BenchData source = data();
  const auto columns = columns_of(static_cast<BenchData::Kind>(state.range(0)));
  std::vector<model::TimestampMs> times;
  source.times(0, times);
  struct Chunk {
    std::vector<std::byte> bytes;
    std::size_t samples = 1;
  };
  std::vector<Chunk> chunks(columns.size());
  std::size_t samples = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    auto& [bytes, count] = chunks[i];
    bytes.resize(kChunkBytesMax + kChunkSampleBytesMax);
    ChunkState chunk;
    std::size_t size = begin_chunk(chunk, times[0], columns[i][0], bytes.data());
    for (; count < static_cast<std::size_t>(state.range(1)); ++count) {
      const std::size_t n = extend_chunk(chunk, times[count], columns[i][count], bytes.data() + size);
      if (size + n > kChunkBytesMax) break;
      size += n;
    }
    bytes.resize(size);
    samples += count;
  }
  ChunkPacker packer;
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const auto& [bytes, count] : chunks) packer.pack({bytes, times[0], count}, out);
    benchmark::DoNotOptimize(out.data());
  }
  report(state, samples, out.size());
}
BENCHMARK(pack_chunks_of)->ArgsProduct({{0, 1, 2, 3}, {32, 100}})->ArgNames({"kind", "samples"});

void decode_times_of(benchmark::State& state) {
  const BenchData source = data();
  std::vector<model::TimestampMs> times;
  source.times(0, times);
  std::string block;
  BlockEncoder().encode_times(times, block);
  std::vector<model::TimestampMs> out(times.size());
  for (auto _ : state) {
    if (!decode_times(base::as_bytes(block), out)) state.SkipWithError("does not decode");
    benchmark::DoNotOptimize(out.data());
  }
  report(state, out.size(), block.size());
}
BENCHMARK(decode_times_of);

// What each instruction set that this CPU has takes for a block: unpacking 11 bits (0), summing up (1), summing up to
// doubles (2) and to doubles of two places (3).
void kernels_of(benchmark::State& state) {
  const auto sets = runnable_decode_kernels();
  const auto set = static_cast<std::size_t>(state.range(0));
  if (set >= sets.size()) return state.SkipWithError("this CPU has no further set");
  const DecodeKernels& kernels = *sets[set];
  constexpr unsigned kBits = 11;
  const std::vector<std::byte> packed(kBlockSamplesMax * 8, std::byte{0x5a});
  std::vector<std::uint64_t> u(kBlockSamplesMax, 3);
  std::vector<std::int64_t> integers(kBlockSamplesMax);
  std::vector<double> values(kBlockSamplesMax);
  for (auto _ : state) {
    switch (state.range(1)) {
      case 0:
        kernels.unpack(packed.data(), kBits, u.data(), kBlockSamplesMax / 8);
        break;
      case 1:
        kernels.add_up(u.data(), u.size(), 7, 1, integers.data());
        break;
      default:
        kernels.divide_sums(u.data(), u.size(), 7, 1, state.range(1) == 2 ? 1 : 100, values.data());
        break;
    }
    benchmark::ClobberMemory();
  }
  state.SetLabel(std::string(kernels.name));
  report(state, kBlockSamplesMax, 0);
}
BENCHMARK(kernels_of)->ArgsProduct({{0, 1, 2}, {0, 1, 2, 3}})->ArgNames({"set", "what"});

}  // namespace
}  // namespace qd::store::metrics
