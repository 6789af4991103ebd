// What a host's own metrics take on disk: bytes a sample, as they were recorded, of segments that QD_BENCH_SEGMENTS
// names (a directory `metrics/segments` of a store that ran; the real thing, and so never the same twice). Without it
// there is nothing to measure.
//
// QD_BENCH_EVERY=n takes only every n-th sample, as if it had been asked for less often. QD_BENCH_LAY=1 as well lays
// the n readings that one recording then gives (from its first sample on, its second, ...) end to end: an hour at 1 s
// is fifteen hours at 15 s. What it is: every reading real, the spacing real, but the same hour again and again; what
// counts goes on counting from one to the next.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_decimal.h"
#include "store/metrics/codec_xor.h"
#include "store/metrics/merge.h"
#include "store/metrics/segment.h"
#include "store/metrics/segment_format.h"

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

std::size_t from_environment(const char* name, std::size_t otherwise) {
  const char* const given = std::getenv(name);
  return given == nullptr ? otherwise : std::max<std::size_t>(1, std::strtoul(given, nullptr, 10));
}

// a + b, of decimals the decimal that their sum is.
double plus(double a, double b, unsigned places) {
  std::array<std::int64_t, 2> decimals{};
  if (!as_decimal(a, places, decimals[0]) || !as_decimal(b, places, decimals[1])) return a + b;
  std::array<double, 1> sum{};
  from_decimals(std::array{decimals[0] + decimals[1]}, places, sum);
  return sum[0];
}

bool rises(std::span<const double> values) {
  return std::ranges::is_sorted(values) && values.front() < values.back();
}

// Readings `first`, `first + every`, ...
void add_reading(const Columns& from, std::size_t first, std::size_t every, std::int64_t later_ms, double more,
                 unsigned places, Series& to) {
  for (std::size_t i = first; i < from.size(); i += every) {
    to.times.push_back(from.times[i] + later_ms);
    to.values.push_back(more == 0 ? from.values[i] : plus(from.values[i], more, places));
  }
}

std::vector<Series> made_of(const Segment& recording, std::size_t every, bool lay) {
  std::vector<Series> made;
  Columns columns;
  const std::int64_t span_ms = recording.info().max_ms - recording.info().min_ms;
  for (std::uint32_t id = 0; id < recording.info().series; ++id) {
    columns.clear();
    if (!recording.read(id, model::kMinTimestampMs, model::kMaxTimestampMs, columns)) continue;
    Series one{.labels = recording.labels(id), .times = {}, .values = {}};
    if (lay) {
      const unsigned places = survey_decimals(columns.values).best_places(80);
      // A reading begins a step behind the one before, on the same beat for all series.
      const std::int64_t round_ms =
          (span_ms / 1000 / static_cast<std::int64_t>(every) + 1) * 1000 * static_cast<std::int64_t>(every);
      const double round = rises(columns.values) ? columns.values.back() - columns.values.front() : 0;
      std::int64_t decimal = 0;
      for (std::size_t k = 0; k < every; ++k) {
        double more = round * static_cast<double>(k);
        if (nearest_decimal(more, places, decimal)) from_decimals(std::array{decimal}, places, std::span(&more, 1));
        add_reading(columns, k, every, static_cast<std::int64_t>(k) * (round_ms - 1000), more, places, one);
      }
    } else {
      add_reading(columns, 0, every, 0, 0, 0, one);
    }
    if (!one.times.empty()) made.push_back(std::move(one));
  }
  return made;
}

const std::vector<Series>& series() {
  static const std::vector<Series> all = [] {
    const auto segments = recorded();
    if (segments.empty()) return std::vector<Series>();
    base::PosixFiles files;
    const base::TempDirectory dir;
    if (!merge_segments(files, segments, dir / "merged", model::kMinTimestampMs, {})) std::abort();
    return made_of(**Segment::open(files, dir / "merged"), from_environment("QD_BENCH_EVERY", 1),
                   std::getenv("QD_BENCH_LAY") != nullptr);
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

// Where the bytes of a segment go, each as bytes a sample of all: the values of series that never change, of those that
// only rise, and of the rest; times; checksums of blocks; and what stands in the index. `_part` is of the samples.
void host_data_where(benchmark::State& state) {
  if (series().empty()) return state.SkipWithError("set QD_BENCH_SEGMENTS");
  base::PosixFiles files;
  const base::TempDirectory dir;
  SegmentInfo info;
  std::array<double, 3> bytes{};
  std::array<double, 3> samples{};
  double checksums = 0;
  for (auto _ : state) {
    bytes = {};
    samples = {};
    checksums = 0;
    auto writer = *SegmentWriter::create(files, dir / "written", {.compress_cold = state.range(0) != 0});
    BlockEncoder encoder;
    for (const Series& one : series()) {
      if (!writer->add(one.labels, one.times, one.values)) std::abort();
      const std::span values(one.values);
      const bool same = std::ranges::all_of(values, [&](double value) {
        return std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(values[0]);
      });
      const std::size_t kind = same ? 0 : rises(values) ? 1 : 2;
      std::string out;
      for (std::size_t at = 0; at < values.size(); at += kBlockSamplesMax) {
        encoder.encode_values(values.subspan(at, std::min(kBlockSamplesMax, values.size() - at)), state.range(0) != 0,
                              out);
        checksums += kBlockChecksumBytes;
      }
      bytes[kind] += static_cast<double>(out.size());
      samples[kind] += static_cast<double>(values.size());
    }
    info = *writer->finish();
  }
  const auto all = static_cast<double>(info.samples);
  const auto file = *files.map(dir / "written");
  const auto frame = *decode_segment_frame(file->bytes(), "written", true);
  constexpr std::array<const char*, 3> kKinds = {"same", "rising", "other"};
  double blocks = static_cast<double>(frame.sections[0].offset) - checksums;
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    state.counters[kKinds[i]] = bytes[i] / all;
    state.counters[std::string(kKinds[i]) + "_part"] = samples[i] / all;
    blocks -= bytes[i];
  }
  state.counters["checksums"] = checksums / all;
  state.counters["times"] = blocks / all;
  state.counters["records"] = static_cast<double>(frame[Section::kSeries].bytes) / all;
  state.counters["labels"] =
      static_cast<double>(info.bytes - frame.sections[0].offset - frame[Section::kSeries].bytes) / all;
  state.counters["bytes_per_sample"] = static_cast<double>(info.bytes) / all;
}
BENCHMARK(host_data_where)->Arg(0)->Arg(1)->ArgName("zstd")->Unit(benchmark::kMillisecond);

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
