#include "store/metrics/codec_histogram.h"

#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/histogram_test_data.h"

namespace qd::store::metrics {
namespace {

using model::Histogram;
using model::HistogramPtr;

TEST(HistogramCodec, any_histograms_come_back_bit_by_bit) {
  std::mt19937_64 random(1);
  HistogramEncoder encoder;
  for (int round = 0; round < 200; ++round) {
    const auto histograms = random_histograms(random, 1 + random() % 300);
    std::vector<HistogramPtr> back;
    for (std::span<const HistogramPtr> left = histograms; !left.empty();) {
      const std::size_t n = HistogramEncoder::fitting(left);
      ASSERT_GT(n, 0U);
      std::string block;
      encoder.encode(left.first(n), round % 2 == 0, block);
      ASSERT_TRUE(is_histogram_block(base::as_bytes(block)));
      const auto decoded = decode_histograms(base::as_bytes(block), n, 0, n, back);
      ASSERT_TRUE(decoded) << decoded.error().message();
      // A part of it is the same part.
      std::vector<HistogramPtr> part;
      const std::size_t first = random() % n;
      const std::size_t count = random() % (n - first + 1);
      ASSERT_TRUE(decode_histograms(base::as_bytes(block), n, first, count, part));
      ASSERT_EQ(part.size(), count);
      for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(*part[i] == *left[first + i]);
      left = left.subspan(n);
    }
    ASSERT_EQ(back.size(), histograms.size());
    for (std::size_t i = 0; i < histograms.size(); ++i) ASSERT_TRUE(same_histogram(*back[i], *histograms[i])) << i;
  }
}

TEST(HistogramCodec, buckets_that_are_added_do_not_end_the_block) {
  ObservedHistogram client(2);
  std::vector<HistogramPtr> histograms;
  for (int i = 0; i < 480; ++i) {
    client.observe(i < 100 ? 1 : 20);
    histograms.push_back(std::make_shared<const Histogram>(client.histogram()));
  }
  EXPECT_GT(histograms.back()->positive.size(), histograms.front()->positive.size());
  EXPECT_EQ(HistogramEncoder::fitting(histograms), histograms.size());
}

TEST(HistogramCodec, buckets_that_stand_still_take_a_bit_and_a_varint) {
  Histogram h;
  h.is_integer = true;
  h.positive_spans = {{0, 160}};
  h.positive.assign(160, 5);
  h.count = 800;
  h.sum = 1;
  const std::vector<HistogramPtr> histograms(480, std::make_shared<const Histogram>(h));
  std::string block;
  HistogramEncoder().encode(histograms, false, block);
  EXPECT_LT(block.size(), 240U);
}

TEST(HistogramCodec, large_histograms_get_few_to_a_block) {
  Histogram h;
  h.positive_spans = {{0, model::kHistogramBucketsMax}};
  h.negative_spans = {{0, model::kHistogramBucketsMax}};
  h.positive.assign(model::kHistogramBucketsMax, 1);
  h.negative.assign(model::kHistogramBucketsMax, 1);
  h.count = 2 * static_cast<double>(model::kHistogramBucketsMax);
  const std::vector<HistogramPtr> histograms(20, std::make_shared<const Histogram>(h));
  const std::size_t n = HistogramEncoder::fitting(histograms);
  EXPECT_LE(n * histogram_cells(h), kHistogramCellsMax);
  std::string block;
  HistogramEncoder().encode(std::span(histograms).first(n), false, block);
  std::vector<HistogramPtr> back;
  ASSERT_TRUE(decode_histograms(base::as_bytes(block), n, 0, n, back));
  EXPECT_TRUE(*back.back() == h);
}

TEST(HistogramCodec, changed_bytes_are_corrupt_or_read_in_bounds) {
  std::mt19937_64 random(3);
  HistogramEncoder encoder;
  std::size_t corrupt = 0;
  for (int round = 0; round < 5000; ++round) {
    const auto histograms = random_histograms(random, 1 + random() % 20);
    const std::size_t n = HistogramEncoder::fitting(histograms);
    std::string block;
    encoder.encode(std::span(histograms).first(n), false, block);
    for (int change = 0; change < 2; ++change) block[random() % block.size()] = static_cast<char>(random());
    std::vector<HistogramPtr> back;
    const auto decoded = decode_histograms(base::as_bytes(block), n, 0, n, back);
    if (!decoded) {
      ++corrupt;
      EXPECT_EQ(decoded.error().code(), base::ErrorCode::kCorrupt);
      EXPECT_TRUE(back.empty());
      continue;
    }
    ASSERT_EQ(back.size(), n);
  }
  EXPECT_GT(corrupt, 1000U);
}

}  // namespace
}  // namespace qd::store::metrics
