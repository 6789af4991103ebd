#include "store/metrics/histogram_chunk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/bytes.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/histogram_test_data.h"

namespace qd::store::metrics {
namespace {

using model::Histogram;
using model::HistogramPtr;

constexpr TimestampMs kStart = 1'700'000'000'000;

TEST(HistogramBytes, what_the_specification_allows_comes_back_bit_by_bit) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 5000; ++round) {
    const Histogram h = random_histogram(random);
    ASSERT_TRUE(storable(h)) << storable(h).error().message();
    std::string bytes;
    encode_histogram(h, bytes);
    base::ByteReader in(base::as_bytes(bytes));
    Histogram back;
    ASSERT_TRUE(decode_histogram(in, back));
    EXPECT_TRUE(in.at_end());
    EXPECT_TRUE(same_histogram(h, back));
    EXPECT_TRUE(storable(back));
  }
}

TEST(HistogramBytes, signs_of_zeros_and_infinities_survive) {
  Histogram h;
  h.sum = -0.0;
  h.zero_count = -0.0;
  h.zero_threshold = -0.0;
  h.positive_spans = {{0, 1}};
  h.positive = {0.5};
  h.count = 0.5;
  std::string bytes;
  encode_histogram(h, bytes);
  base::ByteReader in(base::as_bytes(bytes));
  Histogram back;
  ASSERT_TRUE(decode_histogram(in, back));
  EXPECT_TRUE(same_histogram(h, back));
}

TEST(HistogramBytes, changed_bytes_read_in_bounds_and_counts_fit_their_spans) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes;
    encode_histogram(random_histogram(random), bytes);
    for (int change = 0; change < 2; ++change) bytes[random() % bytes.size()] = static_cast<char>(random());
    base::ByteReader in(base::as_bytes(bytes));
    Histogram back;
    if (!decode_histogram(in, back)) continue;
    const auto buckets = [](const auto& spans) {
      std::size_t sum = 0;
      for (const auto& span : spans) sum += span.length;
      return sum;
    };
    EXPECT_EQ(buckets(back.positive_spans), back.positive.size());
    EXPECT_EQ(buckets(back.negative_spans), back.negative.size());
    EXPECT_LE(back.positive.size() + back.negative.size(), 2 * bytes.size());
  }
}

TEST(HistogramBytes, marks_tell_histograms_apart_and_are_no_number_a_series_has) {
  ObservedHistogram client(1);
  client.observe(10);
  Histogram h = client.histogram();
  const auto bits = [](const Histogram& of) { return std::bit_cast<std::uint64_t>(histogram_mark(of)); };
  const std::uint64_t before = bits(h);
  EXPECT_TRUE(std::isnan(histogram_mark(h)));
  EXPECT_FALSE(model::is_stale_nan(histogram_mark(h)));
  h.reset = model::CounterReset::kReset;
  EXPECT_EQ(bits(h), before);
  h.sum += 1;
  EXPECT_NE(bits(h), before);
}

// Chunks of `histograms`, read back into columns.
std::size_t write_and_read(const std::vector<HistogramPtr>& histograms, const std::vector<TimestampMs>& times,
                           Columns& out) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < histograms.size();) {
    const std::size_t begin = i;
    HistogramChunk chunk(times[i], *histograms[i]);
    for (++i; i < histograms.size() && !chunk.full(); ++i) chunk.add(times[i], *histograms[i]);
    EXPECT_EQ(chunk.samples(), i - begin);
    EXPECT_TRUE(decode_histogram_chunk(chunk.bytes(), times[begin], chunk.samples(), out));
    bytes += chunk.bytes().size();
  }
  return bytes;
}

TEST(HistogramChunk, any_histograms_come_back_bit_by_bit) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const auto histograms = random_histograms(random, 1 + random() % 200);
    std::vector<TimestampMs> times = {kStart};
    while (times.size() < histograms.size())
      times.push_back(times.back() + (random() % 4 == 0 ? 1 + static_cast<TimestampMs>(random() % 100'000) : 15'000));
    Columns out;
    out.times = {1};
    out.values = {2};
    write_and_read(histograms, times, out);
    ASSERT_EQ(out.size(), histograms.size() + 1);
    ASSERT_EQ(out.histograms.size(), out.size());
    EXPECT_EQ(out.histograms[0], nullptr);
    for (std::size_t i = 0; i < histograms.size(); ++i) {
      ASSERT_EQ(out.times[i + 1], times[i]);
      ASSERT_TRUE(same_histogram(*out.histograms[i + 1], *histograms[i])) << round << " " << i;
      EXPECT_TRUE(std::isnan(out.values[i + 1]) && !model::is_stale_nan(out.values[i + 1]));
    }
  }
}

TEST(HistogramChunk, a_few_buckets_that_rise_take_a_byte_each) {
  ObservedHistogram client(4);
  client.observe(100'000);
  std::vector<HistogramPtr> histograms;
  std::vector<TimestampMs> times;
  for (int i = 0; i < 240; ++i) {
    client.observe(3);
    histograms.push_back(std::make_shared<const Histogram>(client.histogram()));
    times.push_back(kStart + i * 15'000);
  }
  Columns out;
  const std::size_t bytes = write_and_read(histograms, times, out);
  // Tag, sum in up to eight bytes, how many buckets moved, and those; and now and then all of it.
  EXPECT_LT(bytes, histograms.size() * 20);
}

TEST(HistogramChunk, a_series_takes_little_memory_beside_its_last_histogram) {
  ObservedHistogram client(5);
  client.observe(100'000);
  HistogramChunk chunk(kStart, client.histogram());
  const std::size_t buckets = client.histogram().positive.size();
  for (TimestampMs t = kStart + 15'000; !chunk.full(); t += 15'000) {
    client.observe(10);
    chunk.add(t, client.histogram());
  }
  EXPECT_LE(chunk.memory_bytes(), sizeof chunk + kHistogramChunkBytesMax + 512 + buckets * 16);
}

TEST(HistogramChunk, large_histograms_get_few_to_a_chunk_and_come_back) {
  Histogram h;
  h.positive_spans = {{-30'000, model::kHistogramBucketsMax}};
  h.positive.assign(model::kHistogramBucketsMax, 1e9);
  h.count = 1e9 * static_cast<double>(model::kHistogramBucketsMax);
  ASSERT_TRUE(storable(h));
  std::vector<HistogramPtr> histograms;
  std::vector<TimestampMs> times;
  for (int i = 0; i < 20; ++i) {
    histograms.push_back(std::make_shared<const Histogram>(h));
    times.push_back(kStart + i);
  }
  Columns out;
  write_and_read(histograms, times, out);
  ASSERT_EQ(out.size(), histograms.size());
  for (const HistogramPtr& read : out.histograms) ASSERT_TRUE(*read == h);
  HistogramChunk chunk(kStart, h);
  int samples = 1;
  for (; !chunk.full(); ++samples) chunk.add(kStart + samples, h);
  EXPECT_LE(samples, 10);
}

TEST(HistogramChunk, changed_bytes_are_refused_or_read_in_bounds) {
  std::mt19937_64 random(6);
  for (int round = 0; round < 20'000; ++round) {
    const auto histograms = random_histograms(random, 1 + random() % 12);
    HistogramChunk chunk(kStart, *histograms[0]);
    for (std::size_t i = 1; i < histograms.size(); ++i)
      chunk.add(kStart + static_cast<TimestampMs>(i) * 15'000, *histograms[i]);
    std::vector<std::byte> bytes(chunk.bytes().begin(), chunk.bytes().end());
    for (int change = 0; change < 2; ++change) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    Columns out;
    if (random() % 2 == 0) {
      out.times = {1};
      out.values = {2};
    }
    const std::size_t before = out.size();
    const bool read = decode_histogram_chunk(bytes, kStart, histograms.size(), out);
    ASSERT_EQ(out.size(), before + (read ? histograms.size() : 0));
    ASSERT_EQ(out.values.size(), out.size());
    ASSERT_EQ(out.histograms.size(), read ? out.size() : 0);
  }
}

}  // namespace
}  // namespace qd::store::metrics
