#include "store/metrics/store.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

TEST_F(StoreTest, sealing_moves_windows_to_segments_without_a_gap_or_a_double) {
  open();
  for (TimestampMs t = 0; t <= 300'000; t += 1000) ASSERT_TRUE(put_all(7, kStart + t));
  const Content before = content();
  ASSERT_TRUE(store_->maintain(kStart + 300'000));
  EXPECT_GE(store_->stats().segments, 1U);
  EXPECT_EQ(content(), before);
  EXPECT_LE(store_->stats().head_samples, 7U * 110);
  EXPECT_GE(store_->stats().head_min_ms, kStart + 200'000);
  // The log is cut: what was there before the seal is gone from it.
  EXPECT_LT(store_->stats().wal_bytes, 100U);
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(7, kStart + 301'000));
  EXPECT_EQ(content(), expected(7, kStart, kStart + 301'000, 1000));
}

TEST_F(StoreTest, queries_see_everything_while_a_window_is_sealed) {
  open();
  for (TimestampMs t = 0; t <= 100'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const TimestampMs now = kStart + 100'000;
  const Content before = content(-kAll, now);
  int looks = 0;
  for (const auto call : {FaultyFiles::Call::kCreate, FaultyFiles::Call::kSync, FaultyFiles::Call::kRename}) {
    files_.watch(call, [&](const std::filesystem::path&) {
      ++looks;
      EXPECT_EQ(content(-kAll, now), before);
    });
  }
  ASSERT_TRUE(store_->maintain(now));
  files_.heal();
  EXPECT_EQ(store_->stats().segments, 1U);
  EXPECT_GE(looks, 3);
  EXPECT_EQ(content(), before);
  EXPECT_EQ(store_->stats().head_min_ms, kStart + 60'000);
}

// What is applied while a window is sealed, and lies before all that was there.
TEST_F(StoreTest, the_head_begins_with_what_came_while_a_window_was_sealed) {
  open();
  for (TimestampMs t = 0; t <= 50'000; t += 1000) ASSERT_TRUE(put(0, kStart + t, 1));
  ASSERT_TRUE(put(1, kStart + 100'000, 1));
  bool came = false;
  files_.watch(FaultyFiles::Call::kCreate, [&](const std::filesystem::path& path) {
    if (came || path.native().find(".seg") == std::string::npos) return;
    came = true;
    EXPECT_TRUE(put(0, kStart + 70'000, 2));
  });
  ASSERT_TRUE(store_->maintain(kStart + 100'000));
  files_.heal();
  EXPECT_TRUE(came);
  EXPECT_EQ(store_->stats().head_min_ms, kStart + 70'000);
}

TEST_F(StoreTest, samples_before_the_sealed_boundary_are_too_old) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kTooOld);
  EXPECT_EQ(appender->append(ref, kStart + 199'000, 1), AppendOutcome::kOk);
  open();
  appender = store_->appender();
  const SeriesRef again = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(again, kStart, 1), AppendOutcome::kTooOld);
}

TEST_F(StoreTest, a_batch_gathered_before_its_window_was_sealed_is_refused_whole) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  EXPECT_EQ(appender->commit().error().code(), ErrorCode::kConflict);
}

TEST_F(StoreTest, series_without_new_samples_are_dropped_and_their_references_unknown) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  auto appender = store_->appender();
  const SeriesRef dead = *appender->series(series_labels(3));
  for (TimestampMs t = 10'000; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  EXPECT_EQ(store_->stats().head_series, 1U);
  EXPECT_EQ(appender->append(dead, kStart + 200'000, 1), AppendOutcome::kUnknownSeries);
  const SeriesRef again = *appender->series(series_labels(3));
  EXPECT_NE(again, dead);
  EXPECT_EQ(appender->append(again, kStart + 200'000, 5), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(dead, kStart + 200'000, 1), AppendOutcome::kUnknownSeries);
  ASSERT_TRUE(appender->commit());
  const Content before = content();
  ASSERT_EQ(before.size(), 10U);
  EXPECT_EQ(before.at(series_labels(3).to_string()).size(), 2U);
  open();
  EXPECT_EQ(content(), before);
}

TEST_F(StoreTest, a_selection_made_before_sealing_still_reads_what_it_saw) {
  open();
  for (TimestampMs t = 0; t <= 100'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const auto set = store_->select({}, 0, kAll, 100);
  ASSERT_TRUE(set);
  for (TimestampMs t = 101'000; t <= 400'000; t += 1000) ASSERT_TRUE(put(0, kStart + t, value_at(0, kStart + t)));
  ASSERT_TRUE(store_->maintain(kStart + 400'000));
  ASSERT_TRUE(store_->maintain(kStart + 401'000));
  Columns columns;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE((*set)->read(i, 0, kAll, columns));
    ASSERT_EQ(columns.size(), 101U) << i;
    EXPECT_EQ(columns.times.back(), kStart + 100'000);
  }
}

TEST_F(StoreTest, a_crash_at_any_step_of_sealing_loses_and_doubles_nothing) {
  using Call = FaultyFiles::Call;
  for (const Call call :
       {Call::kCreate, Call::kAppend, Call::kSync, Call::kRename, Call::kRemove, Call::kSyncDirectory, Call::kMap}) {
    for (std::uint64_t nth = 1; nth <= 12; ++nth) {
      std::filesystem::remove_all(dir_.path());
      open();
      for (TimestampMs t = 0; t <= 140'000; t += 3000) ASSERT_TRUE(put_all(3, kStart + t));
      const Content before = content();
      files_.fail_call(call, nth, EIO);
      const auto maintained = store_->maintain(kStart + 140'000);
      // While it fails, everything can be read, and once the disk works again, written.
      EXPECT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      // The process dies here: nothing of what it holds reaches the disk any more.
      files_.heal();
      files_.crash();
      store_.reset();
      files_.heal();
      open();
      ASSERT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      ASSERT_TRUE(store_->maintain(kStart + 140'000));
      ASSERT_EQ(content(), before) << static_cast<int>(call) << " " << nth;
      ASSERT_EQ(store_->stats().segments, 1U);
      if (maintained) break;
    }
  }
}

TEST_F(StoreTest, sealing_that_failed_is_done_again_by_the_same_process) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const Content before = content();
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_FALSE(store_->maintain(kStart + 140'000));
  EXPECT_EQ(content(), before);
  files_.heal();
  EXPECT_TRUE(store_->maintain(kStart + 140'000));
  EXPECT_EQ(store_->stats().segments, 1U);
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(3, kStart + 141'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 141'000, 1000));
}

TEST_F(StoreTest, what_nothing_names_is_removed_when_opening) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  store_.reset();
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "segments" / "00000009.seg", "half"));
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "segments" / "00000010.seg.tmp", "half"));
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "head" / "00000009.chunks", "half"));
  open();
  EXPECT_TRUE(names("segments").empty());
  EXPECT_TRUE(names("head").empty());
  EXPECT_EQ(content().size(), 1U);
}

TEST_F(StoreTest, a_damaged_segment_is_set_aside_and_the_rest_is_served) {
  options_.retention_ms = 30 * 60'000;  // too short for merges
  open();
  for (TimestampMs t = 0; t <= 250'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 250'000));
  const auto segments = names("segments");
  ASSERT_GE(segments.size(), 2U);
  store_.reset();
  const auto path = dir_.path() / "segments" / segments[0];
  flip(path, std::filesystem::file_size(path) - 10);
  open();
  EXPECT_EQ(damaged_copies("segments"), 1U);
  const Content left = content();
  ASSERT_EQ(left.size(), 3U);
  EXPECT_LT(left.begin()->second.size(), 251U);
  EXPECT_EQ(left.begin()->second.back().first, kStart + 250'000);
}

TEST_F(StoreTest, a_damaged_file_of_chunks_is_set_aside_and_the_rest_is_served) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 140'000));
  ASSERT_TRUE(put_all(3, kStart + 141'000));
  store_.reset();
  const auto path = dir_.path() / "head" / "00000001.chunks";
  ASSERT_TRUE(std::filesystem::exists(path));
  flip(path, std::filesystem::file_size(path) - 100);
  open();
  EXPECT_EQ(damaged_copies("head"), 1U);
  Content left = content();
  ASSERT_EQ(left.size(), 3U);
  for (const auto& [labels, samples] : left) {
    EXPECT_EQ(samples.size(), 61U);  // the sealed minute, and what came after the log was cut
    EXPECT_EQ(samples.back().first, kStart + 141'000);
  }
  ASSERT_TRUE(put_all(3, kStart + 142'000));
  open();
  EXPECT_EQ(content().begin()->second.size(), 62U);
  EXPECT_EQ(damaged_copies("head"), 1U);
}

TEST_F(StoreTest, a_damaged_chunk_is_told_to_its_readers_and_passed_over_when_sealing) {
  open();
  for (TimestampMs t = 0; t <= 140'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 140'000));
  store_.reset();
  const auto path = dir_.path() / "head" / "00000001.chunks";
  flip(path, 30);
  open();
  const auto set = store_->select({}, 0, kAll, 100);
  ASSERT_TRUE(set);
  Columns columns;
  const auto damaged = (*set)->read(0, 0, kAll, columns);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().message().find(path.native()), std::string::npos);
  EXPECT_TRUE((*set)->read(1, 0, kAll, columns));
  EXPECT_EQ(columns.size(), 141U);
  for (TimestampMs t = 141'000; t <= 240'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 240'000));
  EXPECT_EQ(store_->stats().head_min_ms, kStart + 180'000);
  const Content left = content();
  EXPECT_LT(left.at(series_labels(0).to_string()).size(), 241U);
  EXPECT_EQ(left.at(series_labels(1).to_string()).size(), 241U);
}

TEST_F(StoreTest, a_damaged_manifest_is_rebuilt_from_what_is_there) {
  open();
  for (TimestampMs t = 0; t <= 250'000; t += 1000) ASSERT_TRUE(put_all(3, kStart + t));
  const Content before = content();
  ASSERT_TRUE(store_->maintain(kStart + 250'000));
  store_.reset();
  flip(dir_.path() / "MANIFEST", 60);
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(put_all(3, kStart + 251'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 251'000, 1000));
}

TEST_F(StoreTest, a_newer_format_is_refused_by_name) {
  open();
  store_.reset();
  ASSERT_TRUE(base::write_file_atomically(posix_, dir_.path() / "MANIFEST", "quarterdeck-metrics-manifest 3\nx y\n"));
  const auto opened = Store::open(files_, dir_.path(), options_, base::Log::silent(), registry_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(opened.error().message().find("format 3"), std::string::npos);
}

TEST_F(StoreTest, retention_drops_segments_by_time) {
  options_.retention_ms = 300'000;
  open();
  for (TimestampMs t = 0; t <= 600'000; t += 5000) {
    ASSERT_TRUE(put_all(3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  const Content left = content();
  EXPECT_GE(left.begin()->second.front().first, kStart + 600'000 - 300'000 - 60'000);
  EXPECT_LE(left.begin()->second.front().first, kStart + 600'000 - 300'000);
  // A clock that was set far ahead drops nothing that is not old by the samples' own time.
  ASSERT_TRUE(store_->maintain(kStart + 1'000'000'000'000));
  EXPECT_EQ(content(), left);
}

TEST_F(StoreTest, retention_makes_room_on_a_full_disk) {
  open();
  for (TimestampMs t = 0; t <= 600'000; t += 5000) ASSERT_TRUE(put_all(3, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 600'000));
  const std::size_t before = names("segments").size();
  options_.retention_ms = 120'000;
  store_->set_options(options_);
  files_.fail_after_bytes(0, ENOSPC);
  EXPECT_FALSE(store_->maintain(kStart + 600'000));
  EXPECT_LT(names("segments").size(), before);
  const Content left = content();
  // The manifest could not be written: it still names what is gone.
  files_.heal();
  files_.crash();
  store_.reset();
  files_.heal();
  open();
  EXPECT_EQ(content(), left);
}

TEST_F(StoreTest, retention_drops_the_oldest_segments_past_the_size) {
  open();
  for (TimestampMs t = 0; t <= 600'000; t += 5000) ASSERT_TRUE(put_all(50, kStart + t));
  ASSERT_TRUE(store_->maintain(kStart + 600'000));
  const StoreStats before = store_->stats();
  ASSERT_GT(before.segments, 3U);
  options_.retention_bytes = before.segment_bytes / 2;
  store_->set_options(options_);
  ASSERT_TRUE(store_->maintain(kStart + 600'000));
  EXPECT_LT(store_->stats().segments, before.segments);
  EXPECT_LE(store_->stats().segment_bytes, options_.retention_bytes);
  EXPECT_EQ(names("segments").size(), store_->stats().segments);
}

TEST_F(StoreTest, segments_merge_as_they_age) {
  options_.retention_ms = 60 * 60'000;
  open();
  for (TimestampMs t = 0; t <= 1'200'000; t += 10'000) {
    ASSERT_TRUE(put_all(3, kStart + t));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  EXPECT_LT(store_->stats().segments, 10U);
  EXPECT_GT(registry_.counter("quarterdeck_store_merges_total", "").value(), 2U);
  EXPECT_EQ(content(), expected(3, kStart, kStart + 1'200'000, 10'000));
  open();
  EXPECT_EQ(content(), expected(3, kStart, kStart + 1'200'000, 10'000));
}

}  // namespace
}  // namespace qd::store::metrics
