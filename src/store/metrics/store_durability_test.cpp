#include "store/metrics/store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/clock.h"
#include "base/strings.h"
#include "store/metrics/manifest.h"
#include "store/metrics/store_fixture.h"
#include "store/metrics/wal.h"
#include "store/metrics/wal_reader.h"

namespace qd::store::metrics {
namespace {

TEST_F(StoreTest, replay_finds_everything_acknowledged) {
  open();
  for (int step = 0; step < 300; ++step) ASSERT_TRUE(put_all(30, kStart + step * 100));
  const Content before = content();
  ASSERT_EQ(before, expected(30, kStart, kStart + 29'900, 100));
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(30, kStart + 30'000));
  open();
  EXPECT_EQ(content(), expected(30, kStart, kStart + 30'000, 100));
}

TEST_F(StoreTest, replay_cuts_a_torn_tail) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  ASSERT_TRUE(put(1, kStart + 1000, 2));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto size = std::filesystem::file_size(segment);
  std::filesystem::resize_file(segment, size - 3);
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
  EXPECT_EQ(damaged_copies("wal"), 0U);
  EXPECT_EQ(registry_.counter("quarterdeck_store_torn_tails_total", "").value(), 1U);
  ASSERT_TRUE(put(1, kStart + 1000, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 1000, 3}}}}));
}

TEST_F(StoreTest, every_cut_of_the_log_leaves_a_prefix_of_the_batches) {
  open();
  for (int step = 0; step < 5; ++step) ASSERT_TRUE(put_all(4, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto whole = *base::read_file(posix_, segment, 1 << 20);
  std::size_t last = 0;
  for (std::size_t size = 0; size <= whole.size(); size += 3) {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::create_directories(dir_.path() / "wal");
    ASSERT_TRUE(base::write_file_atomically(posix_, segment, whole.substr(0, size)));
    open();
    const Content found = content();
    if (found.empty()) continue;
    const std::size_t steps = found.begin()->second.size();
    ASSERT_EQ(found, expected(4, kStart, kStart + static_cast<TimestampMs>(steps - 1) * 1000, 1000)) << size;
    ASSERT_GE(steps, last);
    last = steps;
  }
  EXPECT_GE(last, 4U);
}

TEST_F(StoreTest, a_flipped_bit_in_the_log_costs_one_record_and_is_set_aside) {
  open();
  for (int step = 0; step < 50; ++step) ASSERT_TRUE(put_all(20, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  flip(segment, std::filesystem::file_size(segment) / 2);
  open();
  Content damaged = content();
  Content whole = expected(20, kStart, kStart + 49'000, 1000);
  ASSERT_EQ(damaged.size(), whole.size());
  for (const auto& [labels, samples] : damaged) {
    EXPECT_EQ(samples.size(), 49U);
    for (const auto& sample : samples) EXPECT_NE(std::ranges::find(whole[labels], sample), whole[labels].end());
  }
  EXPECT_EQ(damaged_copies("wal"), 1U);
  // What was set aside is not met again, and nothing else is lost.
  open();
  EXPECT_EQ(content(), damaged);
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 1U);
}

TEST_F(StoreTest, any_flipped_bit_in_the_log_never_alters_a_sample) {
  open();
  for (int step = 0; step < 6; ++step) ASSERT_TRUE(put_all(3, kStart + step * 1000));
  store_.reset();
  const auto segment = Wal::segment_path(dir_.path() / "wal", 1);
  const auto bytes = *base::read_file(posix_, segment, 1 << 20);
  const Content whole = expected(3, kStart, kStart + 5000, 1000);
  for (std::size_t offset = 0; offset < bytes.size(); offset += 5) {
    std::filesystem::remove_all(dir_.path());
    std::filesystem::create_directories(dir_.path() / "wal");
    ASSERT_TRUE(base::write_file_atomically(posix_, segment, bytes));
    flip(segment, offset);
    auto opened = Store::open(files_, dir_.path(), options_, base::Log::silent(), registry_);
    if (!opened) {
      EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid) << offset;  // the version field
      continue;
    }
    store_ = std::move(*opened);
    for (const auto& [labels, samples] : content()) {
      ASSERT_TRUE(whole.contains(labels));
      for (const auto& sample : samples) {
        ASSERT_NE(std::ranges::find(whole.at(labels), sample), whole.at(labels).end()) << offset;
      }
    }
    store_.reset();
  }
}

TEST_F(StoreTest, a_full_disk_refuses_the_batch_and_leaves_no_trace) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  for (const std::uint64_t room : {0, 5, 40}) {
    files_.fail_after_bytes(room, ENOSPC);
    const auto refused = put_all(12, kStart + 1000);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(content(), expected(10, kStart, kStart, 1000));
    files_.heal();
  }
  ASSERT_TRUE(put_all(12, kStart + 2000));
  const Content before = content();
  ASSERT_EQ(before.size(), 12U);
  open();
  EXPECT_EQ(content(), before);
  EXPECT_EQ(registry_.counter("quarterdeck_store_torn_tails_total", "").value(), 0U);
  EXPECT_EQ(damaged_copies("wal"), 0U);
}

TEST_F(StoreTest, a_failed_truncate_keeps_refusing_until_it_succeeds) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  files_.fail_after_bytes(10, ENOSPC);
  files_.fail_call(FaultyFiles::Call::kTruncate, 1, EIO);
  EXPECT_EQ(put(1, kStart + 1, 2).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(put(1, kStart + 2, 2).error().code(), ErrorCode::kUnavailable);
  files_.heal();
  ASSERT_TRUE(put(1, kStart + 3, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 3, 3}}}}));
}

TEST_F(StoreTest, a_failed_sync_refuses_the_batch_when_each_is_synced) {
  options_.sync = StoreOptions::Sync::kCommit;
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  files_.fail_call(FaultyFiles::Call::kSync, 1, EIO);
  EXPECT_EQ(put(1, kStart + 1, 2).error().code(), ErrorCode::kUnavailable);
  files_.heal();
  ASSERT_TRUE(put(1, kStart + 2, 3));
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}, {kStart + 2, 3}}}}));
}

TEST_F(StoreTest, what_a_killed_process_had_acknowledged_is_there_unaltered) {
  options_.seal_interval_ms = 1000;
  options_.retention_ms = 0;
  int acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    acknowledged = steps_before_a_kill(acknowledged, acknowledged + 39 + round * 11, [&](int step) {
      if (step % 7 == 0) (void)store_->maintain(kStart + step * 50);
      return put_all(5, kStart + step * 50).has_value();
    });
    ASSERT_FALSE(HasFailure());
    Content found = content();
    ASSERT_EQ(found.size(), 5U);
    // The batch that was being written may be there as well, whole.
    const auto steps = static_cast<int>(found.begin()->second.size());
    ASSERT_GE(steps, acknowledged);
    ASSERT_EQ(found, expected(5, kStart, kStart + (steps - 1) * 50, 50));
    acknowledged = steps;
  }
}

// Opens with a log that is kept. A file of the log holds a few batches only.
class StoreLossTest : public StoreTest {
 protected:
  StoreLossTest() { options_.wal_segment_bytes = 300; }

  void write_log(int batches) {
    open();
    for (int step = 0; step < batches; ++step) ASSERT_TRUE(put_all(4, kStart + step * 1000));
    store_.reset();
  }

  // The lines of this level that opening wrote.
  std::vector<std::string> lines(std::string_view level) {
    store_.reset();
    const auto path = output_.path() / "log";
    std::FILE* const file = std::fopen(path.c_str(), "w");
    EXPECT_NE(file, nullptr);
    if (file == nullptr) return {};
    {
      base::SystemClock clock;
      base::Log log(clock, ::fileno(file), base::LogFormat::kJson, base::LogLevel::kInfo);
      auto opened = Store::open(files_, dir_.path(), options_, log, registry_);
      EXPECT_TRUE(opened) << opened.error().message();
      if (opened) found_ = (*opened)->stats().head_samples;
    }
    std::fclose(file);
    std::vector<std::string> result;
    const std::string text = *base::read_file(posix_, path, 1 << 20);
    for (const std::string_view line : base::split(text, '\n')) {
      if (line.find(fmt::format(R"("level":"{}")", level)) != std::string_view::npos) result.emplace_back(line);
    }
    return result;
  }

  std::filesystem::path segment(std::uint64_t number) { return Wal::segment_path(dir_.path() / "wal", number); }
  std::uint64_t damaged_parts() { return registry_.counter("quarterdeck_store_damaged_parts_total", "").value(); }
  // Samples in one file of the log.
  std::size_t samples_in(std::uint64_t number) {
    struct Counting final : WalSink {
      void series(std::span<const LoggedSeries>) override {}
      void samples(const SampleBatch& batch) override { n += batch.size(); }
      void exemplars(std::span<const RefExemplar>) override {}
      std::size_t n = 0;
    } counting;
    std::uint64_t records = 0;
    const auto mapping = posix_.map(segment(number));
    EXPECT_TRUE(mapping);
    if (mapping) (void)read_wal_segment((*mapping)->bytes(), counting, records);
    return counting.n;
  }

  TempDir output_;
  std::size_t found_ = 0;  // samples in the head after the last lines()
};

TEST_F(StoreLossTest, an_emptied_file_amid_the_log_is_told_once) {
  write_log(40);
  ASSERT_GE(names("wal").size(), 4U);
  const std::size_t lost = samples_in(2);
  ASSERT_GT(lost, 0U);
  std::filesystem::resize_file(segment(2), 0);
  const auto errors = lines("error");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find("00000002.wal"), std::string::npos) << errors[0];
  EXPECT_EQ(damaged_parts(), 1U);
  EXPECT_EQ(found_, 160 - lost);
  EXPECT_EQ(lines("error"), std::vector<std::string>{});
  EXPECT_EQ(found_, 160 - lost);
  EXPECT_EQ(damaged_parts(), 1U);
}

TEST_F(StoreLossTest, a_file_missing_from_the_log_is_told_once) {
  write_log(40);
  ASSERT_GE(names("wal").size(), 5U);
  const std::size_t lost = samples_in(2) + samples_in(3);
  std::filesystem::remove(segment(2));
  std::filesystem::remove(segment(3));
  const auto errors = lines("error");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find("00000002.wal"), std::string::npos) << errors[0];
  EXPECT_NE(errors[0].find(R"("files":2)"), std::string::npos) << errors[0];
  EXPECT_EQ(damaged_parts(), 1U);
  EXPECT_EQ(found_, 160 - lost);
  EXPECT_EQ(lines("error"), std::vector<std::string>{});
}

TEST_F(StoreLossTest, samples_whose_series_went_with_the_first_file_are_counted_unless_sealed) {
  write_log(40);
  ASSERT_GT(160 - samples_in(1), 40U);
  std::filesystem::remove(segment(1));
  // All but the newest ten of the forty seconds stand in segments, as far as the manifest says.
  auto manifest = **Manifest::read(posix_, dir_.path() / "MANIFEST");
  manifest.sealed_until_ms = kStart + 30'000;
  ASSERT_TRUE(manifest.write(posix_, dir_.path() / "MANIFEST"));
  const auto errors = lines("error");
  ASSERT_EQ(errors.size(), 2U);
  EXPECT_NE(errors[0].find("00000001.wal"), std::string::npos) << errors[0];
  EXPECT_NE(errors[1].find(R"("samples":40,)"), std::string::npos) << errors[1];
  EXPECT_EQ(found_, 0U);
  EXPECT_EQ(damaged_parts(), 1U);
  EXPECT_EQ(lines("error"), std::vector<std::string>{});
}

TEST_F(StoreLossTest, samples_of_unknown_series_are_counted_even_where_no_damage_is_found) {
  write_log(40);
  const std::size_t left = 160 - samples_in(1);
  // Cut between two records, as if none had been written.
  std::filesystem::resize_file(segment(1), kWalHeaderBytes);
  const auto errors = lines("error");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_NE(errors[0].find(fmt::format(R"("samples":{},)", left)), std::string::npos) << errors[0];
  EXPECT_EQ(damaged_parts(), 1U);
}

TEST_F(StoreLossTest, series_that_were_dropped_after_sealing_are_not_counted_as_lost) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) {
    ASSERT_TRUE(put_all(t < 50'000 ? 9 : 3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + t));
    EXPECT_EQ(lines("error"), std::vector<std::string>{});
    open();
  }
  EXPECT_EQ(store_->stats().head_series, 3U);
  EXPECT_EQ(damaged_parts(), 0U);
}

TEST_F(StoreLossTest, a_crash_while_the_newest_file_was_made_is_no_error_then_or_later) {
  write_log(40);
  for (const std::size_t size : {0, 7}) {
    const std::uint64_t newest = Wal::list(posix_, dir_.path() / "wal")->back() + 1;
    ASSERT_TRUE(base::write_file_atomically(posix_, segment(newest), wal_header(newest).substr(0, size)));
    for (int opening = 0; opening < 3; ++opening) {
      EXPECT_EQ(lines("error"), std::vector<std::string>{});
      EXPECT_EQ(found_, 160U);
    }
  }
  EXPECT_EQ(damaged_parts(), 0U);
}

TEST_F(StoreLossTest, a_log_of_which_nothing_is_left_is_told) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  store_.reset();
  ASSERT_GT((*Manifest::read(posix_, dir_.path() / "MANIFEST"))->log_first, 1U);
  for (const std::uint64_t number : *Wal::list(posix_, dir_.path() / "wal")) std::filesystem::remove(segment(number));
  EXPECT_EQ(lines("error").size(), 1U);
  EXPECT_EQ(lines("error"), std::vector<std::string>{});
}

TEST_F(StoreLossTest, a_file_of_series_too_short_for_its_header_is_told_once) {
  for (const std::size_t size : {0, 15}) {
    std::filesystem::remove_all(dir_.path());
    open();
    for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put_all(3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + 200'000));
    ASSERT_TRUE(put_all(3, kStart + 201'000));
    store_.reset();
    const auto manifest = **Manifest::read(posix_, dir_.path() / "MANIFEST");
    ASSERT_EQ(manifest.series_files.size(), 1U);
    const auto path = numbered(dir_.path() / "head", manifest.series_files[0], ".series");
    std::filesystem::resize_file(path, size);
    const std::uint64_t before = damaged_parts();
    const auto errors = lines("error");
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_NE(errors[0].find(path.filename().native()), std::string::npos) << errors[0];
    EXPECT_NE(errors[1].find(R"("samples":3,)"), std::string::npos) << errors[1];
    EXPECT_EQ(damaged_parts(), before + 1);
    EXPECT_EQ(lines("error"), std::vector<std::string>{});
  }
}

TEST_F(StoreLossTest, new_series_do_not_take_over_what_lost_ones_left) {
  open();
  for (TimestampMs t = 0; t <= 209'000; t += 1000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 209'000));
  store_.reset();
  const auto manifest = **Manifest::read(posix_, dir_.path() / "MANIFEST");
  std::filesystem::resize_file(numbered(dir_.path() / "head", manifest.series_files[0], ".series"), 0);
  open();
  ASSERT_TRUE(put(2, kStart + 211'000, 2));
  ASSERT_TRUE(put(3, kStart + 150'000, 3));
  ASSERT_TRUE(store_->maintain(kStart + 211'000));
  open();
  EXPECT_EQ(content()[series_labels(2).to_string()], (Samples{{kStart + 211'000, 2}}));
}

}  // namespace
}  // namespace qd::store::metrics
