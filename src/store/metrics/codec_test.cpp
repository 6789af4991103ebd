#include "store/metrics/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/bytes.h"
#include "store/metrics/bench_data.h"
#include "store/metrics/bitpack.h"
#include "store/metrics/codec_decimal.h"
#include "store/metrics/codec_ints.h"
#include "store/metrics/codec_kernels.h"

namespace qd::store::metrics {
namespace {

using model::TimestampMs;

std::vector<std::uint64_t> bits_of(std::span<const double> values) {
  std::vector<std::uint64_t> bits;
  for (const double value : values) bits.push_back(std::bit_cast<std::uint64_t>(value));
  return bits;
}

std::string encoded(std::span<const double> values, bool compress = false) {
  std::string block;
  BlockEncoder().encode_values(values, compress, block);
  return block;
}

// Decodes from a heap copy of the exact size, so that the address sanitizer sees each read past the end.
base::Status decode_tightly(std::string_view block, std::span<double> out) {
  const std::vector<std::byte> copy(base::as_bytes(block).begin(), base::as_bytes(block).end());
  return decode_values(copy, out);
}

void expect_back(std::span<const double> values) {
  for (const bool compress : {false, true}) {
    const std::string block = encoded(values, compress);
    std::vector<double> out(values.size());
    const auto status = decode_tightly(block, out);
    ASSERT_TRUE(status) << status.error().message();
    ASSERT_EQ(bits_of(out), bits_of(values));
    // A header, and no more than the values plainly.
    EXPECT_LE(block.size(), values.size() * 8 + 12);
  }
}

ValueCoding coding_of(std::span<const double> values) {
  return *value_coding(base::as_bytes(encoded(values)));
}

const std::vector<double> kSpecial = {0.0,
                                      -0.0,
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN(),
                                      model::stale_nan(),
                                      std::bit_cast<double>(std::uint64_t{0xfff0dead'beef0001}),
                                      std::numeric_limits<double>::denorm_min(),
                                      -std::numeric_limits<double>::denorm_min(),
                                      std::numeric_limits<double>::min(),
                                      std::numeric_limits<double>::max(),
                                      std::numeric_limits<double>::lowest(),
                                      std::numeric_limits<double>::epsilon(),
                                      2251799813685247.0,
                                      2251799813685248.0,
                                      -2251799813685249.0,
                                      9007199254740993.0,
                                      1e22,
                                      1e300,
                                      0.1,
                                      -0.3,
                                      1.0 / 3};

TEST(Bitpack, every_width_and_count_comes_back) {
  std::mt19937_64 random(1);
  for (unsigned bits = 0; bits <= 64; ++bits) {
    if (!packable(bits)) continue;
    for (const std::size_t count : {0, 1, 7, 8, 9, 63, 64, 65, 420, 1023}) {
      std::vector<std::uint64_t> values(count);
      for (auto& value : values) value = bits == 0 ? 0 : random() >> (64 - bits);
      std::string packed;
      pack_bits(values, bits, packed);
      EXPECT_EQ(packed.size(), packed_bytes(count, bits));
      for (const std::size_t slack : {0, 1, 200}) {
        std::vector<std::byte> tight(base::as_bytes(packed).begin(), base::as_bytes(packed).end());
        tight.resize(packed.size() + slack, std::byte{0xff});
        std::vector<std::uint64_t> out(count, 1);
        unpack_bits(tight, bits, out);
        ASSERT_EQ(out, values) << bits << " bits, " << count << " values, slack " << slack;
      }
    }
  }
}

TEST(Ints, any_integers_come_back) {
  std::mt19937_64 random(2);
  IntsEncoder encoder;
  for (int round = 0; round < 3000; ++round) {
    const std::size_t count = 1 + random() % (round % 5 == 0 ? kBlockSamplesMax : 40);
    const unsigned shift = static_cast<unsigned>(random() % 64);
    const std::uint64_t divisor = round % 3 == 0 ? 1 + random() % 5000 : 1;
    std::vector<std::int64_t> ints(count);
    std::uint64_t sum = random();
    for (auto& x : ints) {
      const std::uint64_t noise = (random() >> shift) * divisor;
      sum += noise;
      if (random() % 50 == 0) sum = random();  // outliers
      x = static_cast<std::int64_t>(round % 2 == 0 ? sum : noise);
    }
    for (const auto what : {IntsEncoder::For::kTimes, IntsEncoder::For::kValues}) {
      std::string column;
      encoder.encode(ints, what, column);
      column.push_back('x');
      base::ByteReader in(base::as_bytes(column));
      std::vector<std::int64_t> out(count);
      ASSERT_TRUE(decode_ints(in, out));
      ASSERT_EQ(out, ints);
      EXPECT_EQ(in.remaining(), 1U);
    }
  }
}

TEST(Ints, divided_at_once_they_are_what_they_are_divided_after) {
  std::mt19937_64 random(12);
  IntsEncoder encoder;
  for (int round = 0; round < 3000; ++round) {
    const std::size_t count = 1 + random() % (round % 5 == 0 ? kBlockSamplesMax : 40);
    const std::int64_t divisor = round % 3 == 0 ? 1 + static_cast<std::int64_t>(random() % 5000) : 1;
    std::vector<std::int64_t> ints(count);
    std::int64_t at = static_cast<std::int64_t>(random() % 1'000'000) * (round % 2 == 0 ? 1 : -1);
    std::int64_t pace = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ints[i] = at;
      switch (round % 6) {
        case 0:  // flat, and flat but for the first
          at += i == 0 && round % 4 == 0 ? divisor : 0;
          break;
        case 1:  // mostly flat, up and down
          if (random() % 20 == 0) at += (static_cast<std::int64_t>(random() % 2000) - 1000) * divisor;
          break;
        case 2:
          at += divisor * static_cast<std::int64_t>(random() % 100);
          break;
        case 3:  // around a line
          at = static_cast<std::int64_t>(i) * 1000 * divisor + static_cast<std::int64_t>(random() % 50) * divisor;
          break;
        case 4:  // steadily faster
          at += pace += 17 * divisor;
          break;
        default:
          at = static_cast<std::int64_t>(random() >> 14) - (std::int64_t{1} << 49);
          break;
      }
    }
    const unsigned places = static_cast<unsigned>(random() % 4);
    std::vector<double> expected(count);
    from_decimals(ints, places, expected);
    for (const auto what : {IntsEncoder::For::kTimes, IntsEncoder::For::kValues}) {
      std::string column;
      encoder.encode(ints, what, column);
      column.push_back('x');
      base::ByteReader in(base::as_bytes(column));
      std::vector<double> out(count);
      ASSERT_TRUE(decode_ints_divided(in, power_of_ten(places), out));
      ASSERT_EQ(bits_of(out), bits_of(expected)) << "shape " << round % 6;
      EXPECT_EQ(in.remaining(), 1U);
    }
  }
}

TEST(Ints, a_step_down_costs_no_more_than_a_step_up) {
  IntsEncoder encoder;
  std::vector<std::int64_t> up(1000, 7);
  std::vector<std::int64_t> down(1000, 7);
  for (std::size_t i = 500; i < up.size(); ++i) {
    up[i] = 7 + 40;
    down[i] = 7 - 40;
  }
  std::string up_column;
  std::string down_column;
  encoder.encode(up, IntsEncoder::For::kValues, up_column);
  encoder.encode(down, IntsEncoder::For::kValues, down_column);
  EXPECT_EQ(down_column.size(), up_column.size());
  EXPECT_LE(up_column.size(), 10U);
}

// Segments up to version 2 have outliers without signs.
TEST(Ints, columns_of_older_segments_are_read) {
  std::string column;
  base::ByteWriter writer(column);
  writer.fixed<std::uint8_t>(1 | 8);  // steps, with outliers
  writer.fixed<std::uint8_t>(0);      // that are nothing else
  writer.signed_varint(5);
  writer.signed_varint(0);
  writer.varint(2);
  writer.varint(2);
  writer.varint(3);
  writer.varint(2);
  writer.varint(UINT64_MAX - 6);  // 7 down
  const std::vector<std::int64_t> expected = {5, 5, 8, 8, 1, 1};
  base::ByteReader in(base::as_bytes(column));
  std::vector<std::int64_t> ints(expected.size());
  ASSERT_TRUE(decode_ints(in, ints));
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(ints, expected);
  base::ByteReader again(base::as_bytes(column));
  std::vector<double> values(expected.size());
  ASSERT_TRUE(decode_ints_divided(again, 10, values));
  EXPECT_TRUE(again.at_end());
  EXPECT_EQ(values, (std::vector<double>{0.5, 0.5, 0.8, 0.8, 0.1, 0.1}));
}

TEST(Kernels, every_instruction_set_gives_the_same_bits) {
  std::mt19937_64 random(9);
  const DecodeKernels& plain = *runnable_decode_kernels()[0];
  for (const DecodeKernels* kernels : runnable_decode_kernels()) {
    for (const std::size_t n : {1, 2, 3, 4, 5, 7, 8, 31, 419, 1023}) {
      std::vector<std::byte> packed(1024 * 8);
      for (auto& byte : packed) byte = static_cast<std::byte>(random());
      for (unsigned bits = 0; bits <= kPackedBitsMax; ++bits) {
        const std::size_t groups = n / 8;
        std::vector<std::uint64_t> expected(groups * 8);
        std::vector<std::uint64_t> got(groups * 8);
        plain.unpack(packed.data(), bits, expected.data(), groups);
        kernels->unpack(packed.data(), bits, got.data(), groups);
        ASSERT_EQ(got, expected) << kernels->name << ' ' << bits;
      }
      std::vector<std::uint64_t> u(n);
      for (auto& x : u) x = random();
      const std::uint64_t x = random();
      const std::uint64_t slope = random();
      std::vector<std::int64_t> expected(n);
      std::vector<std::int64_t> got(n);
      plain.add_line(u.data(), n, x, slope, expected.data());
      kernels->add_line(u.data(), n, x, slope, got.data());
      ASSERT_EQ(got, expected) << kernels->name;
      EXPECT_EQ(static_cast<std::uint64_t>(got.back()), x + n * slope + u.back());
      plain.add_up(u.data(), n, x, slope, expected.data());
      kernels->add_up(u.data(), n, x, slope, got.data());
      ASSERT_EQ(got, expected) << kernels->name;
      EXPECT_EQ(static_cast<std::uint64_t>(got.back()), std::accumulate(u.begin(), u.end(), x + n * slope));
      std::vector<std::uint64_t> in_place = u;
      kernels->add_up(in_place.data(), n, x, slope, reinterpret_cast<std::int64_t*>(in_place.data()));
      EXPECT_EQ(in_place.back(), static_cast<std::uint64_t>(expected.back()));
      kernels->scale(u.data(), n, 3);

      std::vector<std::int64_t> integers(n);
      for (auto& integer : integers) integer = static_cast<std::int64_t>(random() >> 12) - (std::int64_t{1} << 51);
      std::vector<std::uint64_t> small(n);
      for (auto& one : small) one = random() >> 24;
      std::vector<std::int64_t> line(n);
      std::vector<std::int64_t> sums(n);
      plain.add_line(small.data(), n, 1000, 5, line.data());
      plain.add_up(small.data(), n, std::uint64_t{0} - 1000, 5, sums.data());
      for (const double power : {1.0, 10.0, 1e15}) {
        std::vector<double> values(n);
        kernels->divide(integers.data(), n, power, values.data());
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], static_cast<double>(integers[i]) / power);
        kernels->divide_line(small.data(), n, 1000, 5, power, values.data());
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], static_cast<double>(line[i]) / power);
        kernels->divide_sums(small.data(), n, std::uint64_t{0} - 1000, 5, power, values.data());
        for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(values[i], static_cast<double>(sums[i]) / power);
      }
      std::sort(integers.begin(), integers.end());
      EXPECT_TRUE(kernels->rises(integers.data(), n));
      if (n == 1) continue;
      const std::size_t at = random() % (n - 1);
      integers[at] = integers[at + 1];
      EXPECT_FALSE(kernels->rises(integers.data(), n));
    }
  }
}

TEST(Codec, values_of_every_shape_come_back_to_the_bit) {
  std::mt19937_64 random(3);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  for (int round = 0; round < 1500; ++round) {
    const std::size_t count = 1 + below(round % 7 == 0 ? kBlockSamplesMax : 60);
    std::vector<double> values(count);
    const double scale = std::pow(10.0, static_cast<double>(below(18)));
    const double start = static_cast<double>(below(1'000'000'000)) / scale;
    double walk = start;
    for (std::size_t i = 0; i < count; ++i) {
      switch (round % 10) {
        case 0:
          values[i] = start;
          break;
        case 1:
          values[i] = walk += static_cast<double>(below(100));
          break;
        case 2:
          values[i] = walk += static_cast<double>(below(100)) / scale;
          break;
        case 3:
          values[i] = (static_cast<double>(below(100'000)) - 50'000) / scale;
          break;
        case 4:
          values[i] = std::bit_cast<double>(random());
          break;
        case 5:
          values[i] = kSpecial[below(kSpecial.size())];
          break;
        case 6:
          values[i] = below(30) == 0 ? kSpecial[below(kSpecial.size())] : static_cast<double>(i * 4096);
          break;
        case 7:
          values[i] = std::sin(static_cast<double>(i) / 10) * 1e3;
          break;
        case 8:
          values[i] = static_cast<double>(below(2)) * 1e17 + 3;
          break;
        default:
          walk = below(40) == 0 ? 0 : walk + static_cast<double>(below(1000)) / 1000;
          values[i] = walk;
          break;
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_back(values)) << "shape " << round % 10 << ", " << count << " values";
  }
}

TEST(Codec, each_special_value_comes_back_alone_and_in_every_place) {
  for (const double special : kSpecial) {
    expect_back(std::vector<double>{special});
    for (std::size_t at = 0; at < 30; ++at) {
      std::vector<double> values;
      for (std::size_t i = 0; i < 30; ++i) values.push_back(static_cast<double>(i) * 0.25);
      values[at] = special;
      ASSERT_NO_FATAL_FAILURE(expect_back(values));
    }
  }
}

TEST(Codec, each_kind_of_data_takes_the_coding_made_for_it) {
  std::mt19937_64 random(4);
  std::vector<double> counter(400);
  std::vector<double> summed(400);
  std::vector<double> noise(400);
  std::vector<double> beyond(400);
  std::vector<double> sticky(400);
  double sum = 0;
  for (std::size_t i = 0; i < counter.size(); ++i) {
    counter[i] = static_cast<double>(i * 10 + random() % 10);
    summed[i] = sum += static_cast<double>(random() % 100) / 100;
    noise[i] = std::bit_cast<double>(random());
    beyond[i] = 9e15 + static_cast<double>(random() % 100) * 2;
    sticky[i] = random() % 3 == 0 ? 1 / (1 + static_cast<double>(random() % 1000)) : i == 0 ? 0.1 : sticky[i - 1];
  }
  EXPECT_EQ(coding_of(counter), ValueCoding::kDecimal);
  EXPECT_EQ(coding_of(summed), ValueCoding::kDecimalAndUlp);
  EXPECT_EQ(coding_of(beyond), ValueCoding::kBits);
  EXPECT_EQ(coding_of(sticky), ValueCoding::kXor);
  EXPECT_EQ(coding_of(noise), ValueCoding::kPlain);
}

TEST(Codec, a_flat_or_steady_series_takes_a_few_bytes) {
  std::vector<double> steady(1000);
  for (std::size_t i = 0; i < steady.size(); ++i) steady[i] = 1e6 + 512 * static_cast<double>(i);
  EXPECT_LE(encoded(steady).size(), 12U);
  EXPECT_LE(encoded(std::vector<double>(1000, 0.25)).size(), 12U);
  EXPECT_LE(encoded(std::vector<double>(1000, 1.0 / 3)).size(), 16U);
  // The reset of a counter costs itself, not a wider column.
  std::vector<double> reset = steady;
  for (std::size_t i = 500; i < reset.size(); ++i) reset[i] -= reset[500];
  EXPECT_LE(encoded(reset).size(), 30U);
  // So does the end of a series.
  steady.back() = model::stale_nan();
  EXPECT_LE(encoded(steady).size(), 40U);
}

TEST(Codec, zstd_finds_repeats_that_no_column_has) {
  std::mt19937_64 random(5);
  std::vector<double> pattern(16);
  for (double& value : pattern) value = std::bit_cast<double>(random() >> 2);
  std::vector<double> values(1024);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = pattern[i % pattern.size()];
  const std::string block = encoded(values, true);
  EXPECT_EQ(*value_coding(base::as_bytes(block)), ValueCoding::kZstd);
  EXPECT_LT(block.size(), encoded(values).size() / 4);
}

TEST(Codec, zstd_finds_how_often_steps_come_which_packed_bits_hide) {
  std::mt19937_64 random(6);
  constexpr std::array<double, 6> kSteps = {0, 0, 0, 3, 90, 230};
  std::vector<double> values(1024, 1e6);
  for (std::size_t i = 1; i < values.size(); ++i) values[i] = values[i - 1] + kSteps[random() % kSteps.size()];
  const std::string block = encoded(values, true);
  EXPECT_EQ(*value_coding(base::as_bytes(block)), ValueCoding::kZstd);
  EXPECT_LT(block.size() * 10, encoded(values).size() * 7);
  // Where little is won, the block stays as quick to read as it was.
  std::uniform_int_distribution<int> even(0, 255);
  for (std::size_t i = 1; i < values.size(); ++i) values[i] = values[i - 1] + even(random);
  EXPECT_EQ(*value_coding(base::as_bytes(encoded(values, true))), ValueCoding::kDecimal);
}

TEST(Codec, times_come_back) {
  std::mt19937_64 random(6);
  BlockEncoder encoder;
  for (int round = 0; round < 1500; ++round) {
    const std::size_t count = 1 + random() % kBlockSamplesMax;
    std::vector<TimestampMs> times(count);
    TimestampMs at = round % 9 == 0 ? model::kMinTimestampMs : static_cast<TimestampMs>(random() >> 22);
    for (auto& time : times) {
      time = at;
      switch (round % 4) {
        case 0:
          at += 15'000;
          break;
        case 1:
          at += 1000 + static_cast<TimestampMs>(random() % 5) - 2;
          break;
        case 2:
          at += random() % 30 == 0 ? static_cast<TimestampMs>(random() % 100'000'000) + 1 : 5000;
          break;
        default:
          at += 1 + static_cast<TimestampMs>(random() % 1'000'000'000'000);
          break;
      }
    }
    std::string block;
    encoder.encode_times(times, block);
    std::vector<TimestampMs> out(count);
    ASSERT_TRUE(decode_times(base::as_bytes(block), out));
    ASSERT_EQ(out, times);
    if (round % 4 == 0) {
      EXPECT_LE(block.size(), 18U);
    }
  }
  const std::vector<TimestampMs> ends = {model::kMinTimestampMs, -1, 0, model::kMaxTimestampMs};
  std::string block;
  encoder.encode_times(ends, block);
  std::vector<TimestampMs> out(ends.size());
  ASSERT_TRUE(decode_times(base::as_bytes(block), out));
  EXPECT_EQ(out, ends);
}

TEST(Codec, times_that_do_not_rise_are_refused) {
  IntsEncoder encoder;
  std::string block;
  encoder.encode(std::vector<std::int64_t>{1, 2, 2, 3}, IntsEncoder::For::kTimes, block);
  std::vector<TimestampMs> out(4);
  EXPECT_EQ(decode_times(base::as_bytes(block), out).error().code(), base::ErrorCode::kCorrupt);
}

TEST(Codec, run_b_keeps_within_its_bytes) {
  const BenchData data({.targets = 1, .series_per_target = 400});
  std::vector<double> values;
  std::size_t bytes = 0;
  std::size_t samples = 0;
  for (std::size_t i = 0; i < data.series(); ++i) {
    data.values(i, values);
    bytes += encoded(values).size();
    samples += values.size();
  }
  EXPECT_LT(static_cast<double>(bytes) / static_cast<double>(samples), 0.95);
}

// Whatever the bytes, decoding ends, in bounds; the sanitizers watch.
TEST(Codec, damaged_blocks_never_reach_outside) {
  std::mt19937_64 random(8);
  const BenchData data({.targets = 1, .series_per_target = 40, .samples_per_series = 100});
  std::vector<std::string> blocks;
  std::vector<double> values;
  for (std::size_t i = 0; i < 8; ++i) {
    data.values(i, values);
    if (i >= 4) values[50] = model::stale_nan();
    for (const bool compress : {false, true}) blocks.push_back(encoded(values, compress));
  }
  for (double& value : values) value = std::bit_cast<double>(random());
  blocks.push_back(encoded(values));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i % 20 == 0 ? 1.0 / static_cast<double>(i + 3) : values[i - 1];
  blocks.push_back(encoded(values));

  std::vector<double> out(100);
  std::vector<TimestampMs> times(100);
  for (const std::string& block : blocks) {
    for (std::size_t size = 0; size < block.size(); ++size) {
      static_cast<void>(decode_tightly(block.substr(0, size), out));
    }
    for (int round = 0; round < 4000; ++round) {
      std::string damaged = block;
      for (std::uint64_t i = 0; i <= random() % 4; ++i) {
        damaged[random() % std::min<std::size_t>(damaged.size(), round % 2 == 0 ? 16 : SIZE_MAX)] =
            static_cast<char>(random());
      }
      static_cast<void>(decode_tightly(damaged, out));
      const std::vector<std::byte> copy(base::as_bytes(damaged).begin() + 1, base::as_bytes(damaged).end());
      static_cast<void>(decode_times(copy, times));
    }
  }
  EXPECT_FALSE(decode_tightly("", out));
  EXPECT_FALSE(decode_tightly("\x07zzzzzzzzzzzzzzzzzzz", out));
}

}  // namespace
}  // namespace qd::store::metrics
