// Writes small logs, segments, blocks and requests for the corpus of the fuzz targets that read them.
//
// usage: fuzz_seeds DIRECTORY    (tests/fuzz/corpus; again whenever one of these formats changes)

#include <bit>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "model/remote_write/read_request.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"
#include "store/metrics/chunk.h"
#include "store/metrics/codec.h"
#include "store/metrics/codec_histogram.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/histogram_chunk.h"
#include "store/metrics/histogram_test_data.h"
#include "store/metrics/packed_chunk.h"
#include "store/metrics/segment_writer.h"
#include "store/metrics/tombstones.h"
#include "store/metrics/wal_record.h"
#include "store/prometheus/block_writer.h"
#include "store/prometheus/chunk.h"

namespace {

using namespace qd::store::metrics;
namespace fs = std::filesystem;

constexpr TimestampMs kStart = 1'700'000'000'000;

// The first byte is the target's: 0 leaves checksums aside, 1 checks them.
void write(const fs::path& path, char choice, std::string_view bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << choice << bytes;
  QD_ASSERT(file.good(), path.native());
}

enum class Shape { kConstant, kCounter, kDecimal, kGauge, kRandom, kStale };

std::vector<double> values(Shape shape, std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<double> all;
  double value = 100;
  for (std::size_t i = 0; i < count; ++i) {
    if (shape == Shape::kCounter) value += static_cast<double>(random() % 20);
    if (shape == Shape::kDecimal) value = static_cast<double>(random() % 10'000) / 100;
    if (shape == Shape::kGauge) value += static_cast<double>(random() % 1000) * 0.37;
    if (shape == Shape::kRandom) value = std::bit_cast<double>(random());
    all.push_back(shape == Shape::kStale && i + 1 == count ? std::bit_cast<double>(qd::model::kStaleNanBits) : value);
  }
  return all;
}

std::vector<TimestampMs> times(std::size_t count, bool regular) {
  std::mt19937_64 random(8);
  std::vector<TimestampMs> all;
  TimestampMs at = kStart;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(at);
    at += regular ? 15'000 : 14'990 + static_cast<TimestampMs>(random() % 20);
    if (!regular && random() % 8 == 0) at += 60'000;
  }
  return all;
}

constexpr Shape kShapes[] = {Shape::kConstant, Shape::kCounter, Shape::kDecimal,
                             Shape::kGauge,    Shape::kRandom,  Shape::kStale};

std::vector<qd::model::HistogramPtr> histograms(std::size_t count) {
  std::mt19937_64 random(9);
  return random_histograms(random, count);
}

std::vector<qd::model::Exemplar> exemplars() {
  return {{.labels = LabelSet{{"trace_id", "4bf92f3577b34da6"}}, .value = 0.25, .time_ms = kStart + 1000},
          {.labels = {}, .value = 3, .time_ms = kStart + 2500, .has_time = false}};
}

void write_histogram_logs(const fs::path& dir, const std::string& series) {
  std::string log = series;
  SampleBatch batch;
  for (const auto& histogram : histograms(6)) {
    batch.refs.push_back(batch.refs.size() + 1);
    batch.times.push_back(kStart);
    const bool number = batch.refs.back() == 3;
    batch.values.push_back(number ? 0.5 : histogram_mark(*histogram));
    batch.histograms.push_back(number ? nullptr : histogram);
  }
  QD_ASSERT(append_samples_record(log, batch).has_value());
  std::vector<RefExemplar> with_refs;
  for (const auto& exemplar : exemplars()) with_refs.push_back({2, exemplar});
  append_exemplars_records(log, with_refs);
  write(dir / "histograms", 1, log);
  write(dir / "histograms-unchecked", 0, log);
}

void write_logs(const fs::path& dir) {
  std::string series = wal_header(1);
  SeriesRecordWriter writer(series);
  for (SeriesRef ref = 1; ref <= 6; ++ref) {
    const std::string instance = "host-" + std::to_string(ref);
    const LabelSet labels{{"__name__", "up"}, {"job", "api"}, {"instance", instance}};
    writer.add(ref, labels.bytes());
  }
  writer.finish();
  write(dir / "series", 1, series);

  std::string log = series;
  for (int pass = 0; pass < 3; ++pass) {
    SampleBatch batch;
    for (SeriesRef ref = 1; ref <= 6; ++ref) {
      batch.refs.push_back(ref);
      batch.times.push_back(kStart + pass * 15'000);
      batch.values.push_back(values(kShapes[ref - 1], 3)[static_cast<std::size_t>(pass)]);
    }
    QD_ASSERT(append_samples_record(log, batch).has_value());
  }
  write(dir / "whole", 1, log);
  write(dir / "whole-unchecked", 0, log);
  write(dir / "torn", 1, std::string_view(log).substr(0, log.size() - 5));
  std::string flipped = log;
  flipped[series.size() + 20] = static_cast<char>(flipped[series.size() + 20] ^ 4);
  write(dir / "flipped", 1, flipped);
  write_histogram_logs(dir, series);
  std::string mixed = wal_header(2);
  SampleBatch batch;
  batch.refs = {9, 2, 9, 1'000'000'007};
  batch.times = {kStart, kStart - 5, kStart + 7, -1};
  batch.values = {1, -0.0, 1e300, std::bit_cast<double>(qd::model::kStaleNanBits)};
  QD_ASSERT(append_samples_record(mixed, batch).has_value());
  write(dir / "irregular", 0, mixed);
  std::string late = wal_header(3);
  QD_ASSERT(append_late_record(late, batch, {}).has_value());
  QD_ASSERT(append_late_record(late, batch, batch).has_value());
  write(dir / "late", 1, late);
  write(dir / "late-unchecked", 0, late);
}

void write_tombstones(const fs::path& dir) {
  Tombstone tombstone;
  tombstone.from_ms = kStart;
  tombstone.to_ms = kStart + 60'000;
  tombstone.segments_before = 12;
  tombstone.matchers.push_back(qd::model::Matcher::equal("job", "api"));
  const std::string sealed = encode_tombstone(tombstone);
  write(dir / "sealed", 1, sealed);
  auto pattern = qd::model::Matcher::create(qd::model::Matcher::Kind::kNotRegex, "instance", "host-[0-9]+");
  QD_ASSERT(pattern.has_value());
  tombstone.matchers.push_back(std::move(*pattern));
  tombstone.in_head = {{1, kStart}, {(1ULL << 32) + 7, kStart + 1}};
  const std::string head = encode_tombstone(tombstone);
  write(dir / "head", 1, head);
  write(dir / "head-unchecked", 0, head);
}

void write_segments(const fs::path& dir) {
  qd::base::PosixFiles files;
  const qd::base::TempDirectory temporary;
  const auto make = [&](const std::string& name, std::size_t hosts, std::size_t samples, bool regular, bool compress) {
    const fs::path path = temporary / name;
    auto segment = SegmentWriter::create(files, path, {.level = 1, .compress_cold = compress});
    QD_ASSERT(segment.has_value());
    for (const std::string metric : {"requests_total", "up"}) {
      for (std::size_t host = 0; host < hosts; ++host) {
        const std::string instance = "host-" + std::to_string(host);
        const LabelSet labels{{"__name__", metric}, {"job", host % 2 == 0 ? "api" : "db"}, {"instance", instance}};
        QD_ASSERT((*segment)->add(labels, times(samples, regular), values(kShapes[host % 6], samples)).has_value());
      }
    }
    QD_ASSERT((*segment)->finish().has_value());
    const auto bytes = qd::base::read_file(files, path, 1 << 20);
    QD_ASSERT(bytes.has_value());
    write(dir / name, 1, *bytes);
    write(dir / (name + "-unchecked"), 0, *bytes);
  };
  make("one", 1, 1, true, false);
  make("six", 6, 20, true, false);
  make("irregular", 6, 40, false, false);
  make("compressed", 3, 300, true, true);
  {
    const fs::path path = temporary / "histograms";
    auto segment = SegmentWriter::create(files, path, {});
    QD_ASSERT(segment.has_value());
    for (const bool mixed : {false, true}) {
      auto of_series = histograms(40);
      auto numbers = values(Shape::kGauge, of_series.size());
      for (std::size_t i = 10; mixed && i < 20; ++i) of_series[i] = nullptr;
      const auto its_exemplars = exemplars();
      const LabelSet labels{{"__name__", "up"}, {"job", mixed ? "b" : "a"}};
      QD_ASSERT((*segment)
                    ->add(labels, {.times = times(of_series.size(), true),
                                   .values = numbers,
                                   .histograms = of_series,
                                   .exemplars = its_exemplars})
                    .has_value());
    }
    QD_ASSERT((*segment)->finish().has_value());
    const auto bytes = qd::base::read_file(files, path, 1 << 20);
    QD_ASSERT(bytes.has_value());
    write(dir / "histograms", 1, *bytes);
    write(dir / "histograms-unchecked", 0, *bytes);
  }
  make("two-blocks", 1, kBlockSamplesMax + 5, true, false);
}

void write_blocks(const fs::path& dir) {
  const auto with_count = [](std::size_t count, std::string_view bytes) {
    std::string all;
    all += static_cast<char>((count - 1) & 0xff);
    all += static_cast<char>((count - 1) >> 8);
    return all.append(bytes);
  };
  for (const std::size_t count : {1, 5, 100}) {
    const std::string size = "-" + std::to_string(count);
    BlockEncoder encoder;
    for (const bool regular : {true, false}) {
      std::string block;
      encoder.encode_times(times(count, regular), block);
      write(dir / ((regular ? "regular" : "irregular") + size), 1, with_count(count, block));
    }
    for (std::size_t i = 0; i < std::size(kShapes); ++i) {
      const auto written = values(kShapes[i], count);
      std::string block;
      encoder.encode_values(written, count == 100, block);
      write(dir / ("values-" + std::to_string(i) + size), 0, with_count(count, block));
      if (count != 5) continue;
      const std::string_view raw(reinterpret_cast<const char*>(written.data()), written.size() * sizeof(double));
      write(dir / ("encode-values-" + std::to_string(i)), 3, raw);
      std::string steps;
      for (const double value : written) {
        const auto bits =
            value >= 0 && value < 1e6 ? static_cast<std::uint64_t>(value) : std::bit_cast<std::uint64_t>(value);
        steps += static_cast<char>(i * 40);
        for (int shift = 56; shift >= 0; shift -= 8) steps += static_cast<char>(bits >> shift);
      }
      write(dir / ("encode-chunk-" + std::to_string(i)), 6, steps);
    }
  }
  for (const Shape shape : kShapes) {
    const auto written = values(shape, 8);
    std::byte bytes[kChunkBytesMax];
    ChunkState state;
    std::size_t used = begin_chunk(state, kStart, written[0], bytes);
    for (std::size_t i = 1; i < written.size(); ++i) {
      used += extend_chunk(state, kStart + static_cast<TimestampMs>(i) * 15'000, written[i], bytes + used);
    }
    const std::string_view chunk = qd::base::as_text(std::span(bytes).first(used));
    write(dir / ("chunk-" + std::to_string(static_cast<int>(shape))), 2, with_count(written.size(), chunk));
    std::string packed;
    if (!ChunkPacker().pack({qd::base::as_bytes(chunk), kStart, written.size()}, packed)) continue;
    // An odd size is what says that it is packed; a byte behind it does no harm.
    std::string input = with_count(written.size(), packed);
    if (input.size() % 2 != 0) input += '\0';
    write(dir / ("packed-chunk-" + std::to_string(static_cast<int>(shape))), 2, input);
  }
  const auto some = histograms(20);
  const std::size_t fitting = HistogramEncoder::fitting(some);
  std::string block;
  HistogramEncoder().encode(std::span(some).first(fitting), false, block);
  write(dir / "histograms", 7, with_count(fitting, block));
  HistogramChunk chunk(kStart, *some[0]);
  for (std::size_t i = 1; i < some.size(); ++i) chunk.add(kStart + static_cast<TimestampMs>(i) * 15'000, *some[i]);
  write(dir / "chunk-histograms", 8, with_count(some.size(), qd::base::as_text(chunk.bytes())));
  const auto some_times = times(6, false);
  write(dir / "encode-times", 5, {reinterpret_cast<const char*>(some_times.data()), some_times.size() * 8});
  write(dir / "encode-decimals", 4, "abcdefghijklmnopqrst");
}

qd::model::Histogram some_histogram() {
  return {.schema = 3,
          .is_integer = true,
          .zero_threshold = 0.001,
          .zero_count = 1,
          .count = 8,
          .sum = 18.4,
          .positive_spans = {{0, 2}, {1, 1}},
          .negative_spans = {{-3, 1}},
          .positive = {1, 3, 1},
          .negative = {2}};
}

std::string histogram_fields() {
  namespace wire = qd::model::remote_write;
  qd::model::Histogram fractions = some_histogram();
  fractions.is_integer = false;
  fractions.count = 8.5;
  return wire::histogram_field(kStart, some_histogram()) + wire::histogram_field(kStart + 1, fractions) +
         wire::exemplar_field(LabelSet{{"trace_id", "abc"}}, {kStart, 1});
}

// An even first byte: the message as it is; odd: packed.
void write_requests(const fs::path& dir) {
  namespace wire = qd::model::remote_write;
  const std::string up = wire::encode_labels(qd::model::LabelSet{{"__name__", "up"}, {"job", "api"}});
  const std::string more =
      wire::encode_labels(qd::model::LabelSet{{"__name__", "x_total"}, {"le", "+Inf"}, {"z", "ä"}});
  std::string message;
  wire::append_series(message, up,
                      std::vector<qd::model::Sample>{{kStart, 1}, {kStart + 15'000, qd::model::stale_nan()}});
  wire::append_series(message, more, std::vector<qd::model::Sample>{{-1, 0.5}});
  write(dir / "series", 0, message);
  wire::append_metadata(message, "x_total", {qd::model::MetricType::kCounter, "What x is.", "seconds"});
  write(dir / "metadata", 0, message);
  write(dir / "packed", 1, wire::pack(message));
  // Exemplars (3) and native histograms (4), with labels behind the samples.
  const std::string sample("\x12\x02\x10\x05", 4);
  const std::string inside = sample + up + std::string("\x1a\x00\x22\x02\x08\x01", 6);
  write(dir / "histogram", 0, std::string("\x0a") + static_cast<char>(inside.size()) + inside);
  write(dir / "repeated-label", 0,
        std::string("\x0a") + static_cast<char>(2 * up.size() + sample.size()) + up + up + sample);
  std::string histograms;
  wire::append_series(histograms, up, {}, histogram_fields());
  write(dir / "histograms", 0, histograms);
}

void write_requests_v2(const fs::path& dir) {
  namespace wire = qd::model::remote_write;
  const qd::model::Metadata words{qd::model::MetricType::kCounter, "What x is.", "seconds"};
  wire::WriteRequestV2 request;
  request.series(LabelSet{{"__name__", "x_total"}, {"job", "api"}}, &words);
  request.sample({kStart, 1});
  request.sample({kStart + 15'000, qd::model::stale_nan()});
  request.exemplar(LabelSet{{"trace_id", "abc"}}, {kStart, 1});
  request.series(LabelSet{{"__name__", "h"}, {"z", "ä"}}, nullptr);
  request.histogram(kStart, some_histogram());
  const std::string message = request.finish();
  write(dir / "whole", 0, message);
  write(dir / "packed", 1, wire::pack(message));
}

void write_read_requests(const fs::path& dir) {
  namespace wire = qd::model::remote_write;
  using qd::model::Matcher;
  wire::ReadRequest request;
  request.queries.push_back(
      {.from_ms = kStart,
       .to_ms = kStart + 60'000,
       .matchers = {Matcher::equal("__name__", "up"), *Matcher::create(Matcher::Kind::kRegex, "job", "a|b.*")}});
  write(dir / "samples", 0, wire::write_read_request(request));
  request.streamed = true;
  write(dir / "streamed", 0, wire::write_read_request(request));
  write(dir / "packed", 1, wire::pack(wire::write_read_request(request)));
}

// What fuzz_prometheus takes: the first byte chooses.
void write_prometheus(const fs::path& dir) {
  namespace prometheus = qd::store::prometheus;
  qd::base::PosixFiles files;
  const qd::base::TempDirectory temporary;
  std::mt19937_64 random(9);
  Columns mixed;
  for (int i = 0; i < 6; ++i) {
    auto histogram = std::make_shared<qd::model::Histogram>();
    histogram->is_integer = i < 4;
    histogram->zero_threshold = 0x1p-128;
    histogram->positive_spans = {{.offset = -1, .length = 1}, {.offset = 2, .length = 2}};
    histogram->positive = {1.0 + i, 2.0, 3.0 + 2 * i};
    histogram->count = 6.0 + 3 * i;
    histogram->sum = 0.5 * i;
    prometheus::add_sample(mixed, kStart + i * 15'000, std::bit_cast<double>(qd::model::kNormalNanBits), histogram);
  }
  prometheus::add_sample(mixed, kStart + 90'000, qd::model::stale_nan());
  Columns numbers;
  const auto shape = values(Shape::kGauge, 130);
  for (std::size_t i = 0; i < shape.size(); ++i)
    prometheus::add_sample(numbers, kStart + static_cast<TimestampMs>(i) * 15'000, shape[i]);

  auto writer = prometheus::BlockWriter::create(
      files, temporary.path(),
      {.ulid = prometheus::make_ulid(kStart, random), .min_ms = kStart, .end_ms = kStart + 7'200'000});
  QD_ASSERT(writer.has_value());
  QD_ASSERT((*writer)->add({{"__name__", "sizes"}, {"job", "odd"}}, mixed).has_value());
  for (const std::string instance : {"a", "b", "x"}) {
    const LabelSet labels{{"__name__", "up"}, {"instance", instance}, {"job", instance == "x" ? "api" : "b"}};
    QD_ASSERT((*writer)->add(labels, numbers).has_value());
  }
  const auto meta = (*writer)->finish();
  QD_ASSERT(meta.has_value());
  const auto read = [&](const char* name) {
    return *qd::base::read_file(files, temporary / meta->ulid / name, 1 << 20);
  };
  const std::string index = read("index");
  const std::string block = std::string{static_cast<char>(index.size() >> 8), static_cast<char>(index.size() & 0xff)} +
                            index + read("chunks/000001");
  write(dir / "block", 1, block);
  write(dir / "block-unchecked", 0, block);
  write(dir / "tombstones", 4, read("tombstones"));
  write(dir / "meta", 5, read("meta.json"));
  int chunk_number = 0;
  for (const Columns* columns : {&mixed, &numbers}) {
    for (const auto& chunk : prometheus::encode_chunks(*columns)) {
      const std::string one = std::string(1, static_cast<char>(chunk.encoding)) + chunk.bytes;
      write(dir / ("chunk-" + std::to_string(chunk_number++)), 7, one);
    }
  }
  // A record of series, and one of samples, as the log has them.
  const std::string series(
      "\x01\0\0\0\0\0\0\0\x01\x02\x08__name__\x02up\x03job\x01"
      "a",
      28);
  const std::string sample("\x02\0\0\0\0\0\0\0\x01\0\0\x01\x8b\xcf\xe5\x68\0\0\0\x3f\xf0\0\0\0\0\0\0", 27);
  write(dir / "record-series", 6, series);
  write(dir / "record-samples", 6, sample);
  std::string log;
  for (const std::string& record : {series, sample}) {
    log += '\x01';
    log += '\0';
    log += static_cast<char>(record.size());
    const std::uint32_t checksum = std::byteswap(qd::base::crc32c(qd::base::as_bytes(record)));
    log.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    log += record;
  }
  write(dir / "log", 2, log);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
    return 2;
  }
  try {
    const fs::path corpus = arguments[1];
    write_logs(corpus / "wal");
    write_tombstones(corpus / "tombstone");
    write_segments(corpus / "segment");
    write_blocks(corpus / "codec");
    write_requests(corpus / "remote_write");
    write_requests_v2(corpus / "remote_write_v2");
    write_read_requests(corpus / "read_request");
    write_prometheus(corpus / "prometheus");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
