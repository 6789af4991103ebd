#include "store/metrics/wal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <random>

#include "base/bytes.h"
#include "base/faulty_files.h"
#include "base/temp_directory.h"
#include "store/metrics/exemplars.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/histogram_test_data.h"
#include "store/metrics/wal_reader.h"

namespace qd::store::metrics {
namespace {

SampleBatch random_batch(std::mt19937_64& random) {
  SampleBatch batch;
  SeriesRef ref = random() % 1000 + (random() % 3 << 32);
  model::TimestampMs time = static_cast<model::TimestampMs>(random() % 2'000'000'000'000);
  const bool one_time = random() % 2 == 0;
  const std::size_t n = random() % 200 + 1;
  for (std::size_t i = 0; i < n; ++i) {
    ref = random() % 10 == 0 ? random() : ref + 1;
    if (!one_time) time += static_cast<model::TimestampMs>(random() % 1000) - 500;
    batch.refs.push_back(ref);
    batch.times.push_back(time);
    switch (random() % 4) {
      case 0:
        batch.values.push_back(static_cast<double>(random() % 300) - 20);
        break;
      case 1:
        batch.values.push_back(static_cast<double>(random() % 100'000) / 100);
        break;
      case 2:
        batch.values.push_back(std::bit_cast<double>(random()));
        break;
      default:
        batch.values.push_back(random() % 2 == 0 ? -0.0 : model::stale_nan());
        break;
    }
  }
  return batch;
}

class Collector final : public WalSink {
 public:
  void series(std::span<const LoggedSeries> series) override {
    for (const auto& one : series) series_.emplace_back(one.ref, std::string(one.label_bytes));
  }
  void samples(const SampleBatch& batch) override { batches_.push_back(batch); }
  void exemplars(std::span<const RefExemplar> exemplars) override {
    exemplars_.insert(exemplars_.end(), exemplars.begin(), exemplars.end());
  }
  std::vector<RefExemplar> exemplars_;
  std::vector<std::pair<SeriesRef, std::string>> series_;
  std::vector<SampleBatch> batches_;
};

TEST(WalRecord, batches_come_back_bit_by_bit) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const SampleBatch batch = random_batch(random);
    std::string out = "before";
    ASSERT_TRUE(append_samples_record(out, batch));
    WalRecord record;
    ASSERT_TRUE(read_record(base::as_bytes(out), 6, record));
    EXPECT_EQ(record.type, WalRecordType::kSamples);
    EXPECT_EQ(record.bytes, out.size() - 6);
    SampleBatch back;
    ASSERT_TRUE(decode_samples(record.payload, back));
    EXPECT_EQ(back.refs, batch.refs);
    EXPECT_EQ(back.times, batch.times);
    ASSERT_EQ(back.values.size(), batch.values.size());
    for (std::size_t i = 0; i < batch.size(); ++i)
      EXPECT_EQ(std::bit_cast<std::uint64_t>(back.values[i]), std::bit_cast<std::uint64_t>(batch.values[i]));
  }
}

TEST(WalRecord, late_samples_come_back_with_the_others_of_their_batch) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const SampleBatch late = random_batch(random);
    const SampleBatch others = round % 2 == 0 ? random_batch(random) : SampleBatch{};
    std::string out;
    ASSERT_TRUE(append_late_record(out, late, others));
    WalRecord record;
    ASSERT_TRUE(read_record(base::as_bytes(out), 0, record));
    EXPECT_EQ(record.type, WalRecordType::kLate);
    SampleBatch late_back;
    SampleBatch back;
    ASSERT_TRUE(decode_late(record, late_back, back));
    EXPECT_EQ(late_back.refs, late.refs);
    EXPECT_EQ(late_back.times, late.times);
    EXPECT_EQ(back.refs, others.refs);
    EXPECT_EQ(back.times, others.times);
    for (std::size_t cut = 0; cut < record.payload.size(); cut += 1 + record.payload.size() / 20) {
      WalRecord part = record;
      part.payload = record.payload.first(cut);
      const bool whole = decode_late(part, late_back, back);
      if (others.size() == 0) EXPECT_FALSE(whole) << cut;
    }
  }
}

TEST(WalRecord, late_histograms_come_back_with_the_others_of_their_batch) {
  std::mt19937_64 random(4);
  const auto with_histograms = [&](SampleBatch batch) {
    batch.histograms.resize(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (i > 0 && random() % 3 == 0) continue;
      batch.histograms[i] = std::make_shared<const model::Histogram>(random_histogram(random));
      batch.values[i] = histogram_mark(*batch.histograms[i]);
    }
    return batch;
  };
  const auto expect_same = [](const SampleBatch& back, const SampleBatch& batch) {
    EXPECT_EQ(back.refs, batch.refs);
    EXPECT_EQ(back.times, batch.times);
    ASSERT_EQ(back.histograms.size(), batch.histograms.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(back.values[i]), std::bit_cast<std::uint64_t>(batch.values[i]));
      if (batch.histograms.empty()) continue;
      ASSERT_EQ(back.histograms[i] == nullptr, batch.histograms[i] == nullptr);
      if (batch.histograms[i] != nullptr) EXPECT_TRUE(same_histogram(*back.histograms[i], *batch.histograms[i]));
    }
  };
  for (int round = 0; round < 60; ++round) {
    // Histograms in either part, or in both; at least one, so that the part is told from one of numbers.
    SampleBatch late = random_batch(random);
    SampleBatch others = round % 2 == 0 ? random_batch(random) : SampleBatch{};
    if (round % 3 != 0 || others.size() == 0) late = with_histograms(std::move(late));
    if (round % 3 != 1 && others.size() > 0) others = with_histograms(std::move(others));
    std::string out;
    ASSERT_TRUE(append_late_record(out, late, others));
    WalRecord record;
    ASSERT_TRUE(read_record(base::as_bytes(out), 0, record));
    EXPECT_EQ(record.type, WalRecordType::kLateHistograms);
    SampleBatch late_back;
    SampleBatch back;
    ASSERT_TRUE(decode_late(record, late_back, back));
    expect_same(late_back, late);
    expect_same(back, others);
    for (std::size_t cut = 0; cut < record.payload.size(); cut += 1 + record.payload.size() / 20) {
      WalRecord part = record;
      part.payload = record.payload.first(cut);
      const bool whole = decode_late(part, late_back, back);
      if (others.size() == 0) EXPECT_FALSE(whole) << cut;
    }
  }
}

TEST(WalRecord, exemplars_take_as_many_records_as_they_need) {
  std::vector<RefExemplar> exemplars;
  for (int i = 0; i < 40'000; ++i) {
    model::Exemplar exemplar{.labels = model::LabelSet{{"trace_id", std::string(100, 'a')}}};
    exemplar.time_ms = 1'700'000'000'000 + i;
    exemplar.value = i;
    exemplars.push_back({static_cast<SeriesRef>(i), std::move(exemplar)});
  }
  std::string out;
  append_exemplars_records(out, {});
  EXPECT_TRUE(out.empty());
  append_exemplars_records(out, exemplars);
  std::size_t records = 0;
  std::size_t found = 0;
  WalRecord record;
  std::vector<RefExemplar> part;
  for (std::size_t at = 0; at < out.size(); at += record.bytes, ++records) {
    ASSERT_TRUE(read_record(base::as_bytes(out), at, record));
    EXPECT_LT(record.bytes, 1'100'000U);
    ASSERT_TRUE(decode_exemplars(record.payload, part));
    for (const RefExemplar& one : part) {
      EXPECT_EQ(one.ref, exemplars[found].ref);
      EXPECT_TRUE(same_exemplar(one.exemplar, exemplars[found++].exemplar));
    }
  }
  EXPECT_EQ(found, exemplars.size());
  EXPECT_GE(records, 4U);
}

TEST(WalRecord, a_scrape_of_the_same_series_costs_little_beyond_its_values) {
  SampleBatch batch;
  for (std::size_t i = 0; i < 10'000; ++i) {
    batch.refs.push_back((1ULL << 32) + i);
    batch.times.push_back(1'700'000'000'000);
    batch.values.push_back(static_cast<double>(i % 100));
  }
  std::string out;
  ASSERT_TRUE(append_samples_record(out, batch));
  EXPECT_LT(out.size(), 10'000U + 40);
}

TEST(WalRecord, hostile_payloads_are_refused_without_growing) {
  std::mt19937_64 random(2);
  SampleBatch batch;
  std::vector<LoggedSeries> series;
  for (int round = 0; round < 20'000; ++round) {
    std::string out;
    ASSERT_TRUE(append_samples_record(out, random_batch(random)));
    std::string payload = out.substr(kWalRecordHeaderBytes);
    for (int change = 0; change < 3; ++change)
      payload[random() % std::min<std::size_t>(payload.size(), 20)] ^= static_cast<char>(random());
    if (decode_samples(base::as_bytes(payload), batch)) {
      EXPECT_LE(batch.size(), payload.size());
      EXPECT_EQ(batch.times.size(), batch.size());
      EXPECT_EQ(batch.values.size(), batch.size());
    }
    (void)decode_series(base::as_bytes(payload), series);
    SampleBatch late;
    for (const auto type : {WalRecordType::kLate, WalRecordType::kLateHistograms}) {
      WalRecord record;
      record.type = type;
      record.payload = base::as_bytes(payload);
      (void)decode_late(record, late, batch);
    }
    EXPECT_LE(late.size() + batch.size(), payload.size());
    EXPECT_LE(series.size(), payload.size());
  }
}

TEST(WalReader, damage_anywhere_costs_the_records_it_touches_and_no_other) {
  std::mt19937_64 random(5);
  std::vector<SampleBatch> batches;
  std::vector<std::size_t> ends;
  std::string bytes = wal_header(1);
  for (int i = 0; i < 30; ++i) {
    batches.push_back(random_batch(random));
    ASSERT_TRUE(append_samples_record(bytes, batches.back()));
    ends.push_back(bytes.size());
  }
  for (int round = 0; round < 500; ++round) {
    std::string damaged = bytes;
    const std::size_t offset = kWalHeaderBytes + random() % (bytes.size() - kWalHeaderBytes);
    const auto hit = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), offset) - ends.begin());
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random() % 8));
    Collector found;
    std::uint64_t records = 0;
    const auto parts = read_wal_segment(base::as_bytes(damaged), found, records);
    ASSERT_EQ(found.batches_.size(), batches.size() - 1) << offset;
    ASSERT_EQ(parts.size(), 1U);
    EXPECT_EQ(parts[0].offset + parts[0].bytes, ends[hit]);
    EXPECT_EQ(parts[0].at_end, hit + 1 == batches.size());
    for (std::size_t i = 0; i < found.batches_.size(); ++i)
      EXPECT_EQ(found.batches_[i].refs, batches[i < hit ? i : i + 1].refs);
  }
}

class WalTest : public ::testing::Test {
 protected:
  std::string record(double value) {
    SampleBatch batch{{1}, {1000}, {value}};
    std::string out;
    EXPECT_TRUE(append_samples_record(out, batch));
    return out;
  }
  std::vector<double> values() {
    Collector found;
    EXPECT_TRUE(read_wal(posix_, dir_, 1, base::Log::silent(), found));
    std::vector<double> out;
    for (const auto& batch : found.batches_) out.push_back(batch.values[0]);
    return out;
  }
  const base::TempDirectory temporary_;
  const std::filesystem::path dir_ = temporary_.path();
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
};

TEST_F(WalTest, segments_follow_each_other_and_old_ones_are_removed) {
  auto wal = *Wal::create(files_, dir_, 1, 100);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(wal->append(record(1000 + i)));
  EXPECT_GT(Wal::list(posix_, dir_)->size(), 3U);
  EXPECT_EQ(values().size(), 20U);
  ASSERT_TRUE(wal->sync());
  const auto first = *wal->rotate();
  EXPECT_EQ(*wal->rotate(), first);
  ASSERT_TRUE(wal->append(record(7)));
  ASSERT_TRUE(wal->remove_before(first));
  EXPECT_EQ(values(), std::vector<double>{7});
  EXPECT_EQ(wal->bytes(), std::filesystem::file_size(Wal::segment_path(dir_, first)));
}

TEST_F(WalTest, a_segment_that_cannot_be_started_refuses_and_recovers) {
  auto wal = *Wal::create(files_, dir_, 1, 40);
  ASSERT_TRUE(wal->append(record(1)));
  files_.fail_call(base::FaultyFiles::Call::kCreate, 1, ENOSPC);
  EXPECT_FALSE(wal->append(record(3)));
  files_.heal();
  ASSERT_TRUE(wal->append(record(4)));
  const auto found = values();
  EXPECT_EQ(found.front(), 1);
  EXPECT_EQ(found.back(), 4);
  EXPECT_EQ(std::count(found.begin(), found.end(), 3), 0);
}

TEST_F(WalTest, a_sync_that_failed_is_done_again) {
  auto wal = *Wal::create(files_, dir_, 1, 1 << 20);
  ASSERT_TRUE(wal->append(record(1)));
  files_.fail_call(base::FaultyFiles::Call::kSync, 1, EIO);
  EXPECT_FALSE(wal->sync());
  EXPECT_FALSE(wal->sync());
  files_.heal();
  EXPECT_TRUE(wal->sync());
}

}  // namespace
}  // namespace qd::store::metrics
