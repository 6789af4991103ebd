#include "store/metrics/chunk.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "store/metrics/packed_chunk.h"

namespace qd::store::metrics {
namespace {

struct Encoded {
  std::vector<std::byte> bytes;
  std::vector<model::TimestampMs> times;
  std::vector<double> values;
};

// As many samples of `next` as a chunk holds.
Encoded encode(const std::function<model::Sample()>& next, std::size_t limit = 1000) {
  Encoded out;
  ChunkState state;
  std::array<std::byte, kChunkBytesMax + 2 * kChunkSampleBytesMax> buffer;
  const model::Sample first = next();
  std::size_t size = begin_chunk(state, first.time_ms, first.value, buffer.data());
  out.times = {first.time_ms};
  out.values = {first.value};
  while (out.times.size() < limit) {
    const model::Sample sample = next();
    const std::size_t n = extend_chunk(state, sample.time_ms, sample.value, buffer.data() + size);
    EXPECT_LE(n, kChunkSampleBytesMax);
    if (size + n > kChunkBytesMax) break;
    size += n;
    out.times.push_back(sample.time_ms);
    out.values.push_back(sample.value);
  }
  out.bytes.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  return out;
}

// Decodes behind a sample that is there already.
void expect_decoded(const Encoded& encoded, const std::function<bool(Columns&)>& decode) {
  Columns columns;
  columns.times.push_back(1);
  columns.values.push_back(2);
  ASSERT_TRUE(decode(columns));
  ASSERT_EQ(columns.size(), encoded.times.size() + 1);
  for (std::size_t i = 0; i < encoded.times.size(); ++i) {
    EXPECT_EQ(columns.times[i + 1], encoded.times[i]) << i;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(columns.values[i + 1]), std::bit_cast<std::uint64_t>(encoded.values[i]))
        << i;
  }
}

// As it is, and packed where that is shorter; says whether it is.
bool expect_back(const Encoded& encoded) {
  const EncodedChunk chunk{encoded.bytes, encoded.times.front(), encoded.times.size()};
  expect_decoded(encoded, [&](Columns& out) { return decode_chunk(chunk.bytes, chunk.first_ms, chunk.count, out); });
  std::string packed = "before";
  if (!ChunkPacker().pack(chunk, packed)) {
    EXPECT_EQ(packed, "before");
    return false;
  }
  packed.erase(0, 6);
  EXPECT_LT(packed.size(), encoded.bytes.size());
  expect_decoded(encoded, [&](Columns& out) { return decode_packed_chunk(base::as_bytes(packed), chunk.count, out); });
  return true;
}

TEST(Chunk, every_kind_of_value_comes_back_bit_by_bit) {
  using Limits = std::numeric_limits<double>;
  const std::vector<double> odd = {0.0,
                                   -0.0,
                                   1,
                                   -1,
                                   0.1,
                                   -0.25,
                                   123456.789,
                                   1e300,
                                   -1e-300,
                                   Limits::infinity(),
                                   -Limits::infinity(),
                                   Limits::quiet_NaN(),
                                   model::stale_nan(),
                                   Limits::denorm_min(),
                                   Limits::max(),
                                   9007199254740993.0,
                                   2251799813685247.0,
                                   2251799813685248.0,
                                   0.000001,
                                   1.0 / 3};
  std::mt19937_64 random(7);
  int packed = 0;
  for (int round = 0; round < 3000; ++round) {
    model::TimestampMs time = static_cast<model::TimestampMs>(random() % 2'000'000'000'000);
    const auto shape = random() % 6;
    double walk = static_cast<double>(random() % 1000);
    packed += expect_back(encode([&]() -> model::Sample {
      const auto step = random() % 8 == 0 ? random() % (1ULL << (random() % 50)) : 15'000;
      time += static_cast<model::TimestampMs>(step) + 1;
      switch (shape) {
        case 0:
          return {time, odd[random() % odd.size()]};
        case 1:
          return {time, walk += static_cast<double>(random() % 100)};
        case 2:
          return {time, std::round((walk += 0.5) * 100) / 100};
        case 3:
          return {time, std::bit_cast<double>(random())};
        case 4:
          return {time, walk};
        default:
          return {time, random() % 4 == 0 ? odd[random() % odd.size()] : static_cast<double>(random() % 1000) / 8};
      }
    }));
  }
  EXPECT_GT(packed, 500);
  EXPECT_LT(packed, 2500);
}

TEST(Chunk, times_may_leap_from_one_end_of_the_range_to_the_other) {
  const std::vector<model::TimestampMs> times = {-(1LL << 61), 0, 1, 2, 1LL << 61};
  std::size_t i = 0;
  expect_back(encode([&] { return model::Sample{times[i++], 1}; }, times.size()));
}

TEST(Chunk, a_regular_counter_takes_little_more_than_a_byte_a_sample) {
  model::TimestampMs time = 1'700'000'000'000;
  double value = 0;
  const Encoded encoded = encode([&] { return model::Sample{time += 15'000, value += 17}; });
  EXPECT_GT(encoded.times.size(), 230U);
  model::TimestampMs gauge_time = 1'700'000'000'000;
  std::mt19937 random(1);
  const Encoded gauge =
      encode([&] { return model::Sample{gauge_time += 1000, static_cast<double>(random() % 1000) / 10}; });
  EXPECT_GT(gauge.times.size(), 75U);
  EXPECT_TRUE(expect_back(encoded));
  EXPECT_TRUE(expect_back(gauge));
}

TEST(Chunk, packed_a_counter_takes_two_thirds_of_the_bytes) {
  model::TimestampMs time = 1'700'000'000'000;
  double value = 0;
  std::mt19937 random(5);
  const Encoded counter = encode([&] { return model::Sample{time += 1000, value += random() % 60}; });
  std::string packed;
  ASSERT_TRUE(ChunkPacker().pack({counter.bytes, counter.times.front(), counter.times.size()}, packed));
  EXPECT_LT(packed.size() * 4, counter.bytes.size() * 3);
}

// A sample of a series that changes its ways: whole numbers, decimals, any double; regular times and others.
class Wayward {
 public:
  explicit Wayward(std::mt19937& random) : random_(random) {}
  model::Sample operator()() {
    if (random_() % 30 == 0) way_ = random_() % 5;
    time_ms_ += way_ == 4 ? 900 + static_cast<std::int64_t>(random_() % 200) : 1000;
    if (way_ == 0) value_ = std::floor(value_) + static_cast<double>(random_() % 300);
    if (way_ == 1) value_ = static_cast<double>(random_() % 100'000) / 100;
    if (way_ == 2) value_ = std::sqrt(static_cast<double>(random_()));
    if (way_ == 3 && random_() % 10 == 0) value_ = -value_;
    return {time_ms_, value_};
  }

 private:
  std::mt19937& random_;
  std::int64_t time_ms_ = 0;
  double value_ = 0.1;
  unsigned way_ = 2;
};

TEST(Chunk, many_are_decoded_at_once_as_each_by_itself) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<Encoded> encoded;
    std::vector<EncodedChunk> chunks;
    Columns expected;
    Wayward next(random);
    const std::size_t count = random() % 12;
    for (std::size_t i = 0; i < count; ++i) encoded.push_back(encode(std::ref(next), 1 + random() % 150));
    for (const Encoded& one : encoded) {
      chunks.push_back({one.bytes, one.times.front(), one.times.size()});
      expected.times.insert(expected.times.end(), one.times.begin(), one.times.end());
      expected.values.insert(expected.values.end(), one.values.begin(), one.values.end());
    }
    Columns columns;
    ASSERT_TRUE(decode_chunks(chunks, columns));
    EXPECT_EQ(columns.times, expected.times);
    ASSERT_EQ(columns.values.size(), expected.values.size());
    for (std::size_t i = 0; i < columns.values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(columns.values[i]), std::bit_cast<std::uint64_t>(expected.values[i]))
          << "round " << round << " sample " << i;
    }
    if (count == 0) continue;
    // One that cannot be takes all of them with it.
    chunks[random() % count].count += 1;
    EXPECT_FALSE(decode_chunks(chunks, columns));
    EXPECT_EQ(columns.times, expected.times);
  }
}

TEST(Chunk, a_packed_one_that_is_cut_or_counted_wrongly_is_refused) {
  std::mt19937 random(9);
  Wayward next(random);
  std::string packed;
  Encoded encoded;
  do {
    encoded = encode(std::ref(next));
    packed.clear();
  } while (!ChunkPacker().pack({encoded.bytes, encoded.times.front(), encoded.times.size()}, packed));
  Columns columns;
  EXPECT_FALSE(decode_packed_chunk(base::as_bytes(packed), 0, columns));
  EXPECT_FALSE(decode_packed_chunk(base::as_bytes(packed), kBlockSamplesMax + 1, columns));
  for (std::size_t size = 0; size < packed.size() / 2; ++size)
    EXPECT_FALSE(decode_packed_chunk(base::as_bytes(packed).first(size), encoded.times.size(), columns)) << size;
  EXPECT_EQ(columns.size(), 0U);
}

TEST(Chunk, hostile_bytes_are_refused_or_decoded_but_never_overrun) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> bytes(random() % (kChunkBytesMax + 20));
    for (auto& byte : bytes) byte = static_cast<std::byte>(random() % 5 == 0 ? 0xff : random());
    Columns columns;
    const std::size_t count = random() % 300;
    const bool decoded =
        round % 2 == 0 ? decode_chunk(bytes, 0, count, columns) : decode_packed_chunk(bytes, count, columns);
    EXPECT_EQ(columns.size(), decoded ? count : 0U);
  }
}

}  // namespace
}  // namespace qd::store::metrics
