#include "store/prometheus/head.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <memory>

#include "base/temp_directory.h"
#include "model/remote_write/snappy_block.h"
#include "store/prometheus/bytes.h"

namespace qd::store::prometheus {
namespace {

using metrics::SeriesSet;
using model::LabelSet;

constexpr TimestampMs kStart = 1'700'000'000'000;
constexpr TimestampMs kAll = model::kMaxTimestampMs;
constexpr std::size_t kMany = 1'000'000;

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out << bytes;
}

// A segment of the log, as tsdb/docs/format/wal.md has it.
class Segment {
 public:
  enum class Packing : std::uint8_t { kNone = 0, kSnappy = 8, kZstd = 16 };

  void record(std::string_view plain, Packing packing = Packing::kNone) {
    std::string packed(plain);
    if (packing == Packing::kSnappy) packed = model::remote_write::pack(plain);
    if (packing == Packing::kZstd) {
      packed.resize(ZSTD_compressBound(plain.size()));
      packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 1));
    }
    std::string_view left = packed;
    bool first = true;
    do {
      std::size_t room = kWalPageBytes - bytes_.size() % kWalPageBytes;
      if (room < 7) {
        bytes_.append(room, '\0');
        room = kWalPageBytes;
      }
      const std::string_view part = left.substr(0, room - 7);
      left.remove_prefix(part.size());
      const int type = first ? (left.empty() ? 1 : 2) : (left.empty() ? 4 : 3);
      bytes_.push_back(static_cast<char>(type | static_cast<int>(packing)));
      bytes_.push_back(static_cast<char>(part.size() >> 8));
      bytes_.push_back(static_cast<char>(part.size() & 0xff));
      write_be32(bytes_, base::crc32c(base::as_bytes(part)));
      bytes_ += part;
      first = false;
    } while (!left.empty());
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::string series_record(std::uint64_t ref, const LabelSet& labels) {
  std::string out(1, '\x01');
  write_be64(out, ref);
  base::ByteWriter writer(out);
  writer.varint(labels.count());
  for (const model::Label& label : labels) {
    writer.text(label.name);
    writer.text(label.value);
  }
  return out;
}

struct RefSample {
  std::uint64_t ref;
  TimestampMs time_ms;
  double value;
};

std::string samples_record(const std::vector<RefSample>& samples) {
  std::string out(1, '\x02');
  write_be64(out, samples.front().ref);
  write_be64(out, static_cast<std::uint64_t>(samples.front().time_ms));
  base::ByteWriter writer(out);
  for (const RefSample& sample : samples) {
    writer.signed_varint(static_cast<std::int64_t>(sample.ref - samples.front().ref));
    writer.signed_varint(sample.time_ms - samples.front().time_ms);
    write_be64(out, std::bit_cast<std::uint64_t>(sample.value));
  }
  return out;
}

std::string mapped_file(const std::vector<std::pair<std::uint64_t, EncodedChunk>>& chunks, bool late = false) {
  std::string out{"\x01\x30\xbc\x91\x01\0\0\0", 8};
  for (const auto& [ref, chunk] : chunks) {
    std::string one;
    write_be64(one, ref);
    write_be64(one, static_cast<std::uint64_t>(chunk.min_ms));
    write_be64(one, static_cast<std::uint64_t>(chunk.max_ms));
    one.push_back(static_cast<char>(static_cast<int>(chunk.encoding) | (late ? 0x80 : 0)));
    base::ByteWriter(one).text(chunk.bytes);
    out += one;
    write_checksum(out, one);
  }
  return out;
}

LabelSet labels_of(int i) {
  const std::string number = fmt::format("{:03}", i);
  return LabelSet{{"__name__", "m"}, {"i", number}};
}

EncodedChunk numbers(TimestampMs from_ms, int count, double value) {
  Columns columns;
  for (int i = 0; i < count; ++i) add_sample(columns, from_ms + i * 1000, value + i);
  return encode_chunks(columns).front();
}

class PrometheusHeadTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Head> read(TimestampMs from_ms = model::kMinTimestampMs) {
    warnings_.clear();
    auto head =
        Head::read(files_, dir_.path(), from_ms, [this](const Warning& warning) { warnings_.push_back(warning); });
    EXPECT_TRUE(head) << head.error().message();
    return *head;
  }
  // The values of series i.
  static std::vector<double> values(const Head& head, int i) {
    const auto set = head.select(std::vector{metrics::Matcher::equal("i", fmt::format("{:03}", i))}, 0, kAll, kMany);
    EXPECT_TRUE(set);
    if ((*set)->size() == 0) return {};
    Columns columns;
    EXPECT_TRUE((*set)->read(0, 0, kAll, columns));
    return columns.values;
  }

  base::PosixFiles files_;
  base::TempDirectory dir_;
  std::vector<Warning> warnings_;
};

TEST_F(PrometheusHeadTest, the_log_is_read_however_its_records_are_packed) {
  Segment segment;
  int next = 1;
  for (const auto packing : {Segment::Packing::kNone, Segment::Packing::kSnappy, Segment::Packing::kZstd}) {
    segment.record(series_record(static_cast<std::uint64_t>(next), labels_of(next)), packing);
    segment.record(samples_record({{static_cast<std::uint64_t>(next), kStart, 1.5},
                                   {static_cast<std::uint64_t>(next), kStart + 1000, 2}}),
                   packing);
    ++next;
  }
  write_file(dir_ / "wal/00000000", segment.bytes());
  const auto head = read();
  EXPECT_TRUE(warnings_.empty());
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(values(*head, i), (std::vector<double>{1.5, 2})) << i;
  EXPECT_EQ(head->counts().samples, 6U);
  EXPECT_EQ(*head->label_values("i", {}, 0, kAll), (std::vector<std::string>{"001", "002", "003"}));
}

TEST_F(PrometheusHeadTest, records_may_reach_over_pages) {
  Segment segment;
  segment.record(series_record(7, labels_of(7)));
  std::vector<RefSample> many;
  std::vector<double> expected;
  for (int i = 0; i < 10'000; ++i) {
    many.push_back({7, kStart + i * 1000, i * 0.1});
    expected.push_back(i * 0.1);
  }
  segment.record(samples_record(many));
  ASSERT_GT(segment.bytes().size(), 2 * kWalPageBytes);
  write_file(dir_ / "wal/00000000", segment.bytes());
  EXPECT_EQ(values(*read(), 7), expected);
}

TEST_F(PrometheusHeadTest, a_torn_tail_is_cut_wherever_it_is) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  segment.record(samples_record({{1, kStart, 1}}));
  const std::size_t whole = segment.bytes().size();
  segment.record(samples_record({{1, kStart + 1000, 2}}));
  for (std::size_t size = whole + 1; size < segment.bytes().size(); ++size) {
    write_file(dir_ / "wal/00000000", segment.bytes().substr(0, size));
    const auto head = read();
    EXPECT_EQ(values(*head, 1), std::vector<double>{1}) << size;
    ASSERT_EQ(warnings_.size(), 1U) << size;
    EXPECT_TRUE(warnings_[0].harmless);
    EXPECT_NE(warnings_[0].what.find("00000000 at byte"), std::string::npos) << warnings_[0].what;
  }
}

TEST_F(PrometheusHeadTest, a_damaged_segment_is_told_and_the_next_is_read) {
  Segment first;
  first.record(series_record(1, labels_of(1)));
  first.record(samples_record({{1, kStart, 1}}));
  std::string flipped = first.bytes();
  flipped[flipped.size() - 3] = static_cast<char>(flipped[flipped.size() - 3] ^ 1);
  write_file(dir_ / "wal/00000000", flipped);
  Segment second;
  second.record(samples_record({{1, kStart + 1000, 2}, {99, kStart, 5}}));
  write_file(dir_ / "wal/00000001", second.bytes());
  const auto head = read();
  EXPECT_EQ(values(*head, 1), std::vector<double>{2});
  ASSERT_EQ(warnings_.size(), 2U);
  EXPECT_FALSE(warnings_[0].harmless);
  EXPECT_EQ(head->counts().unknown_series, 1U);
}

TEST_F(PrometheusHeadTest, a_checkpoint_stands_for_what_is_before_it) {
  Segment old;
  old.record(series_record(1, labels_of(1)));
  old.record(samples_record({{1, kStart, 77}}));
  write_file(dir_ / "wal/00000000", old.bytes());
  Segment checkpoint;
  checkpoint.record(series_record(1, labels_of(1)));
  checkpoint.record(samples_record({{1, kStart, 1}}));
  write_file(dir_ / "wal/checkpoint.00000000/00000000", checkpoint.bytes());
  Segment next;
  next.record(samples_record({{1, kStart + 1000, 2}}));
  write_file(dir_ / "wal/00000001", next.bytes());
  EXPECT_EQ(values(*read(), 1), (std::vector<double>{1, 2}));
}

TEST_F(PrometheusHeadTest, mapped_chunks_come_before_the_log_that_repeats_them) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  for (int i = 0; i < 5; ++i) segment.record(samples_record({{1, kStart + i * 1000, 10.0 + i}}));
  write_file(dir_ / "wal/00000000", segment.bytes());
  write_file(dir_ / "chunks_head/000001", mapped_file({{1, numbers(kStart, 3, 10)}, {9, numbers(kStart, 3, 5)}}));
  const auto head = read();
  EXPECT_EQ(values(*head, 1), (std::vector<double>{10, 11, 12, 13, 14}));
  EXPECT_EQ(head->counts().samples, 5U);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(PrometheusHeadTest, late_samples_find_their_place) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  segment.record(samples_record({{1, kStart + 100'000, 100}}));
  write_file(dir_ / "wal/00000000", segment.bytes());
  Segment late;
  late.record(samples_record({{1, kStart + 20'000, 20}, {1, kStart + 10'000, 10}}));
  write_file(dir_ / "wbl/00000000", late.bytes());
  write_file(dir_ / "chunks_head/000001", mapped_file({{1, numbers(kStart, 2, 0)}}, true));
  EXPECT_EQ(values(*read(), 1), (std::vector<double>{0, 1, 10, 20, 100}));
}

TEST_F(PrometheusHeadTest, what_stands_in_blocks_is_left_out) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  for (int i = 0; i < 5; ++i) segment.record(samples_record({{1, kStart + i * 1000, 1.0 + i}}));
  write_file(dir_ / "wal/00000000", segment.bytes());
  EXPECT_EQ(values(*read(kStart + 3000), 1), (std::vector<double>{4, 5}));
}

TEST_F(PrometheusHeadTest, what_was_deleted_is_left_out) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  for (int i = 0; i < 5; ++i) segment.record(samples_record({{1, kStart + i * 1000, 1.0 + i}}));
  std::string deleted(1, '\x03');
  write_be64(deleted, 1);
  base::ByteWriter writer(deleted);
  writer.signed_varint(kStart + 1000);
  writer.signed_varint(kStart + 2000);
  segment.record(deleted);
  write_file(dir_ / "wal/00000000", segment.bytes());
  EXPECT_EQ(values(*read(), 1), (std::vector<double>{1, 4, 5}));
}

TEST_F(PrometheusHeadTest, histograms_of_the_log_are_read) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  std::string record(1, '\x07');
  write_be64(record, 1);
  write_be64(record, static_cast<std::uint64_t>(kStart));
  base::ByteWriter writer(record);
  writer.signed_varint(0);
  writer.signed_varint(0);
  record.push_back('\x02');  // counted on
  writer.signed_varint(3);
  write_be64(record, std::bit_cast<std::uint64_t>(0x1p-128));
  writer.varint(1);  // zero count
  writer.varint(8);  // count
  write_be64(record, std::bit_cast<std::uint64_t>(42.5));
  writer.varint(1);
  writer.signed_varint(-2);
  writer.varint(3);
  writer.varint(0);
  writer.varint(3);
  for (const int more : {2, 1, -1}) writer.signed_varint(more);
  writer.varint(0);
  segment.record(record);
  write_file(dir_ / "wal/00000000", segment.bytes());
  const auto head = read();
  EXPECT_TRUE(warnings_.empty()) << warnings_[0].what;
  Columns columns;
  const auto set = head->select({}, 0, kAll, kMany);
  ASSERT_EQ((*set)->size(), 1U);
  ASSERT_TRUE((*set)->read(0, 0, kAll, columns));
  ASSERT_EQ(columns.histograms.size(), 1U);
  const model::Histogram& histogram = *columns.histograms[0];
  EXPECT_EQ(histogram.schema, 3);
  EXPECT_EQ(histogram.positive, (std::vector<double>{2, 3, 2}));
  EXPECT_EQ(histogram.sum, 42.5);
}

TEST_F(PrometheusHeadTest, a_damaged_file_of_chunks_is_told_and_its_beginning_read) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  write_file(dir_ / "wal/00000000", segment.bytes());
  std::string file = mapped_file({{1, numbers(kStart, 3, 1)}, {1, numbers(kStart + 10'000, 3, 4)}});
  file[file.size() - 6] = static_cast<char>(file[file.size() - 6] ^ 1);
  write_file(dir_ / "chunks_head/000001", file);
  EXPECT_EQ(values(*read(), 1), (std::vector<double>{1, 2, 3}));
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_FALSE(warnings_[0].harmless);
}

TEST_F(PrometheusHeadTest, nothing_is_written) {
  Segment segment;
  segment.record(series_record(1, labels_of(1)));
  write_file(dir_ / "wal/00000000", segment.bytes().substr(0, segment.bytes().size() - 1));
  const auto written = std::filesystem::last_write_time(dir_ / "wal/00000000");
  read();
  EXPECT_EQ(std::filesystem::file_size(dir_ / "wal/00000000"), segment.bytes().size() - 1);
  EXPECT_EQ(std::filesystem::last_write_time(dir_ / "wal/00000000"), written);
  EXPECT_EQ(files_.list(dir_.path())->size(), 1U);
}

}  // namespace
}  // namespace qd::store::prometheus
