#include "store/prometheus/chunk.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <memory>
#include <random>

#include "base/bytes.h"

namespace qd::store::prometheus {
namespace {

using model::CounterReset;
using model::Histogram;

constexpr TimestampMs kStart = 1'700'000'000'000;
constexpr double kBeside = std::bit_cast<double>(model::kNormalNanBits);

Columns decode_all(const std::vector<EncodedChunk>& chunks) {
  Columns out;
  for (const EncodedChunk& chunk : chunks) {
    const auto status = decode_chunk(static_cast<std::uint8_t>(chunk.encoding), base::as_bytes(chunk.bytes),
                                     model::kMinTimestampMs, model::kMaxTimestampMs, out);
    EXPECT_TRUE(status) << status.error().message();
  }
  return out;
}

void expect_same(const Columns& a, const Columns& b) {
  ASSERT_EQ(a.times, b.times);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto* first = a.histograms.empty() ? nullptr : a.histograms[i].get();
    const auto* second = b.histograms.empty() ? nullptr : b.histograms[i].get();
    ASSERT_EQ(first == nullptr, second == nullptr) << i;
    if (first != nullptr) {
      EXPECT_EQ(*first, *second) << i;
    } else {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(a.values[i]), std::bit_cast<std::uint64_t>(b.values[i])) << i;
    }
  }
}

Histogram integer_histogram(int i) {
  Histogram h;
  h.is_integer = true;
  h.schema = 1;
  h.zero_threshold = 0x1p-128;
  h.zero_count = 2.0 + i;
  h.sum = 18.4 * (i + 1);
  h.positive_spans = {{.offset = 0, .length = 2}, {.offset = 1, .length = 2}};
  h.positive = {1.0 + i, 2.0 + 2 * i, 1, 7.0 + i};
  h.negative_spans = {{.offset = -3, .length = 1}};
  h.negative = {3.0 * i};
  h.count = h.zero_count;
  for (const double n : h.positive) h.count += n;
  for (const double n : h.negative) h.count += n;
  return h;
}

Histogram float_histogram(int i) {
  Histogram h = integer_histogram(i);
  h.is_integer = false;
  for (double& n : h.positive) n *= 0.37;
  for (double& n : h.negative) n *= 0.37;
  h.zero_count *= 0.37;
  h.count *= 0.37;
  h.zero_threshold = 0.0123;
  return h;
}

Columns of(const std::vector<Histogram>& all) {
  Columns columns;
  for (std::size_t i = 0; i < all.size(); ++i)
    add_sample(columns, kStart + static_cast<TimestampMs>(i) * 15'000, kBeside, std::make_shared<Histogram>(all[i]));
  return columns;
}

TEST(PrometheusChunkTest, numbers_come_back_bit_by_bit) {
  std::mt19937_64 random(3);
  Columns columns;
  TimestampMs time = kStart;
  for (int i = 0; i < 1000; ++i) {
    const double values[] = {1, 1, 0.1 * i, -0.0, std::bit_cast<double>(random()), 1e300, model::stale_nan()};
    add_sample(columns, time, values[random() % std::size(values)]);
    const std::int64_t steps[] = {15'000, 15'001, 14'000, 90'000, 1, 10'000'000'000};
    time += steps[random() % std::size(steps)];
  }
  const auto chunks = encode_chunks(columns);
  EXPECT_EQ(chunks.size(), 9U);
  expect_same(decode_all(chunks), columns);
  EXPECT_EQ(chunks[1].min_ms, columns.times[120]);
  EXPECT_EQ(chunks[1].max_ms, columns.times[239]);
}

// Worked out by hand from tsdb/docs/format/chunks.md.
TEST(PrometheusChunkTest, an_xor_chunk_is_the_documented_bytes) {
  XorEncoder encoder;
  encoder.add(1, 2.0);
  encoder.add(3, 2.0);
  encoder.add(5, 4.0);
  const std::string bytes = encoder.finish().bytes;
  // Count; zigzag of 1; 2.0; 2 as uvarint; then the bits 0 (same value), 0 (same step), and 11, leading 1 (00001),
  // width 11 - … of 2.0 ^ 4.0 = 0x7ff0…^… : 0x4000… ^ 0x4010… = 0x0010…, leading 11, one bit.
  const std::string expected{"\x00\x03\x02\x40\x00\x00\x00\x00\x00\x00\x00\x02", 12};
  ASSERT_GE(bytes.size(), expected.size());
  EXPECT_EQ(bytes.substr(0, expected.size()), expected);
  // 0 0 11 01011 000001 1 -> 0011'0101 1000'0011
  EXPECT_EQ(bytes.substr(expected.size()), std::string("\x35\x83", 2));
}

TEST(PrometheusChunkTest, only_what_was_asked_for_is_decoded) {
  Columns columns;
  for (int i = 0; i < 100; ++i) add_sample(columns, kStart + i * 1000, i);
  const auto chunks = encode_chunks(columns);
  ASSERT_EQ(chunks.size(), 1U);
  Columns out;
  ASSERT_TRUE(decode_chunk(1, base::as_bytes(chunks[0].bytes), kStart + 10'000, kStart + 20'000, out));
  ASSERT_EQ(out.size(), 11U);
  EXPECT_EQ(out.values.front(), 10);
  EXPECT_EQ(out.values.back(), 20);
}

TEST(PrometheusChunkTest, histograms_come_back) {
  std::vector<Histogram> integers;
  std::vector<Histogram> floats;
  for (int i = 0; i < 300; ++i) {
    integers.push_back(integer_histogram(i));
    floats.push_back(float_histogram(i));
  }
  const auto chunks = encode_chunks(of(integers));
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].encoding, Encoding::kHistogram);
  expect_same(decode_all(chunks), of(integers));
  const auto float_chunks = encode_chunks(of(floats));
  EXPECT_EQ(float_chunks[0].encoding, Encoding::kFloatHistogram);
  expect_same(decode_all(float_chunks), of(floats));
}

TEST(PrometheusChunkTest, custom_bounds_come_back) {
  Histogram h;
  h.is_integer = true;
  h.schema = model::kCustomBounds;
  h.custom_bounds = {-1.5, 0, 0.005, 0.1, 1.0 / 3, 5, 1e9};
  h.positive_spans = {{.offset = 1, .length = 3}};
  h.positive = {4, 5, 6};
  h.count = 15;
  h.sum = 77;
  ASSERT_TRUE(model::validate(h));
  expect_same(decode_all(encode_chunks(of({h, h}))), of({h, h}));
}

TEST(PrometheusChunkTest, a_chunk_says_whether_counting_began_anew) {
  const std::vector<Histogram> all{integer_histogram(5), integer_histogram(6), integer_histogram(1),
                                   integer_histogram(2)};
  const auto chunks = encode_chunks(of(all));
  ASSERT_EQ(chunks.size(), 2U);
  const Columns back = decode_all(chunks);
  EXPECT_EQ(back.histograms[0]->reset, CounterReset::kUnknown);
  EXPECT_EQ(back.histograms[1]->reset, CounterReset::kNotReset);
  EXPECT_EQ(back.histograms[2]->reset, CounterReset::kReset);
  EXPECT_EQ(back.histograms[3]->reset, CounterReset::kNotReset);

  Histogram gauge = integer_histogram(5);
  gauge.reset = CounterReset::kGauge;
  Histogram less = integer_histogram(1);
  less.reset = CounterReset::kGauge;
  const auto gauges = encode_chunks(of({gauge, less}));
  ASSERT_EQ(gauges.size(), 1U);
  EXPECT_EQ(decode_all(gauges).histograms[1]->reset, CounterReset::kGauge);
}

TEST(PrometheusChunkTest, numbers_between_histograms_keep_their_place) {
  Columns columns = of({integer_histogram(1), integer_histogram(2)});
  add_sample(columns, columns.times.back() + 1, model::stale_nan());
  add_sample(columns, columns.times.back() + 1, kBeside, std::make_shared<Histogram>(integer_histogram(3)));
  const auto chunks = encode_chunks(columns);
  EXPECT_EQ(chunks.size(), 3U);
  expect_same(decode_all(chunks), columns);
}

TEST(PrometheusChunkTest, a_cut_chunk_is_told_and_adds_nothing) {
  std::vector<Histogram> integers;
  for (int i = 0; i < 50; ++i) integers.push_back(integer_histogram(i));
  Columns numbers;
  for (int i = 0; i < 50; ++i) add_sample(numbers, kStart + i * 7, i * 0.1);
  for (const Columns& columns : {of(integers), numbers}) {
    const auto chunk = encode_chunks(columns).front();
    for (std::size_t size = 0; size < chunk.bytes.size(); ++size) {
      Columns out;
      add_sample(out, 1, 1);
      const auto status =
          decode_chunk(static_cast<std::uint8_t>(chunk.encoding), base::as_bytes(chunk.bytes).first(size),
                       model::kMinTimestampMs, model::kMaxTimestampMs, out);
      if (size < 2) continue;  // no count: nothing
      EXPECT_FALSE(status) << size;
      EXPECT_EQ(out.size(), 1U);
    }
  }
  Columns out;
  EXPECT_EQ(decode_chunk(9, {}, 0, 1, out).error().code(), base::ErrorCode::kInvalid);
}

TEST(PrometheusChunkTest, of_two_samples_of_one_time_the_first_stays) {
  Columns columns;
  for (const auto& [time, value] : {std::pair{5, 1.0}, {7, 2.0}, {5, 3.0}, {1, 4.0}}) add_sample(columns, time, value);
  sort_columns(columns);
  EXPECT_EQ(columns.times, (std::vector<TimestampMs>{1, 5, 7}));
  EXPECT_EQ(columns.values, (std::vector<double>{4, 1, 2}));
}

}  // namespace
}  // namespace qd::store::prometheus
