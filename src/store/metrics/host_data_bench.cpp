// What a host's own metrics take on disk: bytes a sample, as they were recorded, of segments that QD_BENCH_SEGMENTS
// names (a directory `metrics/segments` of a store that ran; the real thing, and so never the same twice). Without it
// there is nothing to measure.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_xor.h"
#include "store/metrics/merge.h"
#include "store/metrics/segment.h"

namespace qd::store::metrics {
namespace {

std::vector<std::shared_ptr<const Segment>> recorded() {
  std::vector<std::shared_ptr<const Segment>> found;
  const char* const dir = std::getenv("QD_BENCH_SEGMENTS");
  if (dir == nullptr) return found;
  base::PosixFiles files;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() != ".seg") continue;
    if (auto segment = Segment::open(files, entry.path())) found.push_back(*std::move(segment));
  }
  std::ranges::sort(found, {}, [](const auto& segment) { return segment->info().min_ms; });
  return found;
}

struct Series {
  LabelSet labels;
  std::vector<TimestampMs> times;
  std::vector<double> values;
};

// All of them as one; with QD_BENCH_EVERY=n only every n-th sample, as if it had been asked for less often.
const std::vector<Series>& series() {
  static const std::vector<Series> all = [] {
    std::vector<Series> made;
    const auto segments = recorded();
    if (segments.empty()) return made;
    const char* const given = std::getenv("QD_BENCH_EVERY");
    const std::size_t every = given == nullptr ? 1 : std::max<std::size_t>(1, std::strtoul(given, nullptr, 10));
    base::PosixFiles files;
    const base::TempDirectory dir;
    if (!merge_segments(files, segments, dir / "merged", model::kMinTimestampMs, {})) return made;
    const auto merged = *Segment::open(files, dir / "merged");
    Columns columns;
    for (std::uint32_t id = 0; id < merged->info().series; ++id) {
      columns.clear();
      if (!merged->read(id, model::kMinTimestampMs, model::kMaxTimestampMs, columns)) continue;
      Series one{.labels = merged->labels(id), .times = {}, .values = {}};
      for (std::size_t i = 0; i < columns.size(); i += every) {
        one.times.push_back(columns.times[i]);
        one.values.push_back(columns.values[i]);
      }
      made.push_back(std::move(one));
    }
    return made;
  }();
  return all;
}

struct Block {
  std::vector<double> values;
};

const std::vector<Block>& blocks() {
  static const std::vector<Block> all = [] {
    std::vector<Block> made;
    for (const Series& one : series()) {
      for (std::size_t at = 0; at < one.values.size(); at += kBlockSamplesMax) {
        const auto values = std::span(one.values).subspan(at, std::min(kBlockSamplesMax, one.values.size() - at));
        made.push_back({{values.begin(), values.end()}});
      }
    }
    return made;
  }();
  return all;
}

void host_data_segment(benchmark::State& state) {
  if (series().empty()) return state.SkipWithError("set QD_BENCH_SEGMENTS");
  base::PosixFiles files;
  const base::TempDirectory dir;
  SegmentInfo info;
  for (auto _ : state) {
    auto writer = *SegmentWriter::create(files, dir / "written", {.compress_cold = state.range(0) != 0});
    for (const Series& one : series()) {
      if (!writer->add(one.labels, one.times, one.values)) std::abort();
    }
    info = *writer->finish();
  }
  state.counters["bytes_per_sample"] = static_cast<double>(info.bytes) / static_cast<double>(info.samples);
  state.counters["series"] = static_cast<double>(info.series);
  state.counters["samples"] = static_cast<double>(info.samples);
}
BENCHMARK(host_data_segment)->Arg(0)->Arg(1)->ArgName("zstd")->Unit(benchmark::kMillisecond);

// Values alone, and how they are coded: the part of the bytes that each coding has.
void host_data_values(benchmark::State& state) {
  constexpr std::array<const char*, 6> kNames = {"decimal", "decimal_ulp", "bits", "xor", "plain", "zstd"};
  if (blocks().empty()) return state.SkipWithError("set QD_BENCH_SEGMENTS");
  std::array<double, kNames.size()> bytes{};
  std::array<double, kNames.size()> samples{};
  double all_bytes = 0;
  double all_samples = 0;
  BlockEncoder encoder;
  for (auto _ : state) {
    bytes = {};
    samples = {};
    all_bytes = all_samples = 0;
    for (const Block& block : blocks()) {
      std::string out;
      encoder.encode_values(block.values, state.range(0) != 0, out);
      const auto coding = static_cast<std::size_t>(*value_coding(base::as_bytes(out)));
      bytes[coding] += static_cast<double>(out.size());
      samples[coding] += static_cast<double>(block.values.size());
      all_bytes += static_cast<double>(out.size());
      all_samples += static_cast<double>(block.values.size());
    }
  }
  state.counters["bytes_per_sample"] = all_bytes / all_samples;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (samples[i] == 0) continue;
    state.counters[std::string(kNames[i]) + "_part"] = samples[i] / all_samples;
    state.counters[std::string(kNames[i]) + "_bytes"] = bytes[i] / samples[i];
  }
}
BENCHMARK(host_data_values)->Arg(0)->Arg(1)->ArgName("zstd")->Unit(benchmark::kMillisecond);

// As they are coded (0), with zstd where it is smaller (1), and all of them by XOR (2).
void host_data_decode(benchmark::State& state) {
  if (blocks().empty()) return state.SkipWithError("set QD_BENCH_SEGMENTS");
  std::vector<std::string> encoded;
  std::size_t samples = 0;
  std::size_t bytes = 0;
  BlockEncoder encoder;
  for (const Block& block : blocks()) {
    if (state.range(0) == 2) {
      encode_xor(block.values, encoded.emplace_back());
    } else {
      encoder.encode_values(block.values, state.range(0) == 1, encoded.emplace_back());
    }
    samples += block.values.size();
    bytes += encoded.back().size();
  }
  std::vector<double> out(kBlockSamplesMax);
  for (auto _ : state) {
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      const auto to = std::span(out).first(blocks()[i].values.size());
      const auto block = base::as_bytes(encoded[i]);
      const bool read = state.range(0) == 2 ? decode_xor(block, to) : decode_values(block, to).has_value();
      if (!read) std::abort();
      benchmark::DoNotOptimize(out.data());
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * samples));
  state.counters["bytes_per_sample"] = static_cast<double>(bytes) / static_cast<double>(samples);
}
BENCHMARK(host_data_decode)->Arg(0)->Arg(1)->Arg(2)->ArgName("how")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace qd::store::metrics
