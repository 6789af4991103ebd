#include "store/metrics/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/files.h"
#include "base/temp_directory.h"
#include "store/metrics/histogram_test_data.h"
#include "store/metrics/segment_format.h"
#include "store/metrics/segment_test_data.h"

namespace qd::store::metrics {
namespace {

class MergeTest : public testing::Test {
 protected:
  std::shared_ptr<const Segment> write(const TestSeries& all) {
    return write_segment(files_, directory_ / ("in-" + std::to_string(written_++)), all);
  }

  base::PosixFiles files_;
  base::TempDirectory directory_;
  std::filesystem::path path_ = directory_ / "merged";
  int written_ = 0;
};

TEST_F(MergeTest, agrees_with_maps_and_the_later_segment_wins) {
  for (std::uint64_t round = 0; round < 6; ++round) {
    std::vector<std::shared_ptr<const Segment>> segments;
    TestSeries expected;
    TimestampMs drop_before = model::kMinTimestampMs;
    for (std::uint64_t i = 0; i < 1 + round; ++i) {
      TestSeries all = random_series(round * 10 + i, 60, 300);
      // A third of the series also with the times of before, at other values.
      std::size_t n = 0;
      for (const auto& [labels, samples] : expected) {
        if (n++ % 3 != 0) continue;
        for (const auto& [time, bits] : samples) all[labels][time] = bits + 1;
      }
      segments.push_back(write(all));
      for (const auto& [labels, samples] : all) {
        for (const auto& [time, bits] : samples) expected[labels][time] = bits;
      }
    }
    if (round % 2 == 1) {
      drop_before = segments[0]->info().min_ms + 1'500'000;
      for (auto& [labels, samples] : expected) samples.erase(samples.begin(), samples.lower_bound(drop_before));
      std::erase_if(expected, [](const auto& entry) { return entry.second.empty(); });
    }
    const auto info = merge_segments(files_, segments, path_, drop_before, {.level = 2});
    ASSERT_TRUE(info) << info.error().message();
    const auto merged = *Segment::open(files_, path_);
    EXPECT_EQ(contents(*merged), expected);
    EXPECT_EQ(merged->info().level, 2U);
    EXPECT_EQ(merged->info().samples, info->samples);
  }
}

TEST_F(MergeTest, histograms_and_exemplars_come_along_and_the_later_segment_wins) {
  std::mt19937_64 random(4);
  const LabelSet labels{{"__name__", "latency"}};
  std::map<TimestampMs, std::pair<double, model::HistogramPtr>> expected;
  std::vector<std::shared_ptr<const Segment>> segments;
  for (int n = 0; n < 3; ++n) {
    // Each begins in the middle of the one before; numbers stand amid histograms.
    auto histograms = random_histograms(random, 100);
    std::vector<TimestampMs> times;
    std::vector<double> values;
    for (std::size_t i = 0; i < histograms.size(); ++i) {
      if (i % 10 > 6) histograms[i] = nullptr;
      times.push_back(1000 + n * 500 + static_cast<TimestampMs>(i) * 10);
      values.push_back(n);
      expected[times[i]] = {values[i], histograms[i]};
    }
    const std::vector<model::Exemplar> exemplars = {{.labels = {}, .value = 1, .time_ms = 1000},
                                                    {.labels = {}, .value = 2, .time_ms = 1001 + n}};
    const auto path = directory_ / ("mixed-" + std::to_string(n));
    auto writer = *SegmentWriter::create(files_, path, {});
    ASSERT_TRUE(
        writer->add(labels, {.times = times, .values = values, .histograms = histograms, .exemplars = exemplars}));
    ASSERT_TRUE(writer->finish());
    segments.push_back(*Segment::open(files_, path));
  }
  ASSERT_TRUE(merge_segments(files_, segments, path_, model::kMinTimestampMs, {.compress_cold = true}));
  const auto merged = *Segment::open(files_, path_);
  EXPECT_TRUE(merged->verify());
  Columns columns;
  ASSERT_TRUE(merged->read(0, model::kMinTimestampMs, model::kMaxTimestampMs, columns));
  ASSERT_EQ(columns.size(), expected.size());
  std::size_t i = 0;
  for (const auto& [time, sample] : expected) {
    ASSERT_EQ(columns.times[i], time);
    ASSERT_EQ(columns.histograms[i] == nullptr, sample.second == nullptr) << time;
    if (sample.second == nullptr) {
      EXPECT_EQ(columns.values[i], sample.first);
    } else {
      EXPECT_TRUE(same_histogram(*columns.histograms[i], *sample.second));
    }
    ++i;
  }
  std::vector<model::Exemplar> exemplars;
  ASSERT_TRUE(merged->exemplars(0, model::kMinTimestampMs, model::kMaxTimestampMs, exemplars));
  EXPECT_EQ(exemplars.size(), 4U);  // the one that all have is one
  EXPECT_EQ(merged->info().exemplars_max_ms, 1003);
}

TEST_F(MergeTest, nothing_left_is_not_found_and_leaves_no_file) {
  const auto segment = write(random_series(1, 5, 5));
  const std::vector<std::shared_ptr<const Segment>> segments = {segment};
  const auto merged = merge_segments(files_, segments, path_, segment->info().max_ms + 1, {});
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(*files_.list(directory_.path()), testing::ElementsAre("in-0"));
}

TEST_F(MergeTest, a_damaged_input_is_named_and_nothing_is_written) {
  const auto good = write(random_series(1, 5, 50));
  const auto path = directory_ / "damaged";
  write_segment(files_, path, random_series(2, 5, 50));
  std::string bytes = *base::read_file(files_, path, std::size_t{1} << 30);
  bytes[kSegmentHeaderBytes + 2] ^= 1;
  const auto bad = *Segment::from_bytes(base::as_bytes(bytes), path);
  const std::vector<std::shared_ptr<const Segment>> segments = {good, bad};
  const auto merged = merge_segments(files_, segments, path_, 0, {});
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().code(), base::ErrorCode::kCorrupt);
  EXPECT_THAT(merged.error().message(), testing::HasSubstr(path.native()));
  EXPECT_FALSE(*files_.exists(path_));
}

}  // namespace
}  // namespace qd::store::metrics
