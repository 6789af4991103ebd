#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "base/bytes.h"
#include "store/metrics/manifest.h"
#include "store/metrics/store_fixture.h"
#include "store/metrics/tombstones.h"

namespace qd::store::metrics {
namespace {

class StoreDeleteTest : public StoreTest {
 protected:
  StoreDeleteTest() { options_.retention_ms = 0; }

  static std::vector<std::vector<Matcher>> all_of(std::string job) { return {{Matcher::equal("job", std::move(job))}}; }
  static std::vector<std::vector<Matcher>> only(int i) {
    return {{Matcher::equal("instance", fmt::format("{:05}", i))}};
  }
  // Samples of four series each ten seconds, maintained on the way.
  void fill(TimestampMs from, TimestampMs to) {
    for (TimestampMs t = from; t <= to; t += 10'000) {
      ASSERT_TRUE(put_all(4, kStart + t));
      ASSERT_TRUE(store_->maintain(kStart + t));
    }
  }
  AppendOutcome put_late(int i, TimestampMs time, double value) {
    auto appender = store_->appender();
    appender->take_late();
    const auto outcome = appender->append(*appender->series(series_labels(i)), time, value);
    EXPECT_TRUE(appender->commit());
    return outcome;
  }
  // Bytes of a value that stand in segments.
  std::uint64_t samples_in_segments() { return store_->stats().segment_samples; }
};

TEST_F(StoreDeleteTest, what_is_deleted_is_gone_at_once_and_stays_gone) {
  open();
  fill(0, 300'000);
  ASSERT_EQ(put_late(1, kStart + 1'234, 5), AppendOutcome::kOk);
  Content expected = content();
  const auto before = store_->select({}, -kAll, kAll, 100);
  // Over what is sealed, what is in the head, and what came late.
  ASSERT_TRUE(store_->delete_series(all_of("odd"), kStart + 1'000, kStart + 290'000));
  for (int i : {1, 3}) {
    std::erase_if(expected[series_labels(i).to_string()], [](const auto& sample) {
      return sample.first >= kStart + 1'000 && sample.first <= kStart + 290'000;
    });
  }
  EXPECT_EQ(expected[series_labels(1).to_string()].size(), 2U);
  EXPECT_EQ(content(), expected);
  EXPECT_EQ(store_->stats().tombstones, 1U);
  // Who selected before sees what was.
  Columns columns;
  ASSERT_TRUE((*before)->read(1, -kAll, kAll, columns));
  EXPECT_EQ(columns.size(), 32U);
  open();
  EXPECT_EQ(content(), expected);
  EXPECT_EQ(store_->stats().tombstones, 1U);
}

TEST_F(StoreDeleteTest, a_series_of_which_nothing_is_left_is_not_found) {
  open();
  fill(0, 300'000);
  ASSERT_TRUE(store_->delete_series(only(2), -kAll, kAll));
  const auto found = [&](TimestampMs from, TimestampMs to) { return (*store_->select({}, from, to, 100))->size(); };
  EXPECT_EQ(found(-kAll, kAll), 3U);
  EXPECT_EQ(found(kStart, kStart + 100'000), 3U);
  EXPECT_EQ(found(kStart + 250'000, kStart + 260'000), 3U);
  // It goes on.
  ASSERT_TRUE(put_all(4, kStart + 310'000));
  EXPECT_EQ(found(-kAll, kAll), 4U);
  EXPECT_EQ(content()[series_labels(2).to_string()].size(), 1U);
  open();
  EXPECT_EQ(content()[series_labels(2).to_string()].size(), 1U);
}

TEST_F(StoreDeleteTest, what_comes_later_is_not_deleted_also_at_the_same_times) {
  open();
  fill(0, 300'000);
  ASSERT_TRUE(store_->delete_series(only(0), -kAll, kAll));
  EXPECT_EQ(put_late(0, kStart + 10'000, 77), AppendOutcome::kOk);   // was sealed
  EXPECT_EQ(put_late(0, kStart + 270'000, 78), AppendOutcome::kOk);  // was in the head
  EXPECT_EQ(put_late(0, kStart + 300'000, 79), AppendOutcome::kOk);  // was the newest
  EXPECT_EQ(put_late(0, kStart + 10'000, 80), AppendOutcome::kDuplicate);
  ASSERT_TRUE(put(0, kStart + 310'000, 81));
  const Samples expected = {
      {kStart + 10'000, 77}, {kStart + 270'000, 78}, {kStart + 300'000, 79}, {kStart + 310'000, 81}};
  const auto key = series_labels(0).to_string();
  EXPECT_EQ(content()[key], expected);
  open();
  EXPECT_EQ(content()[key], expected);
  fill(320'000, 600'000);
  EXPECT_EQ(content(-kAll, kStart + 310'000)[key], expected);
  ASSERT_TRUE(store_->clean_tombstones());
  EXPECT_EQ(content(-kAll, kStart + 310'000)[key], expected);
}

TEST_F(StoreDeleteTest, sealing_and_merging_leave_it_out_and_then_nothing_is_remembered) {
  open();
  fill(0, 300'000);
  ASSERT_TRUE(store_->delete_series(all_of("even"), kStart, kStart + 300'000));
  const Content expected = content();
  fill(310'000, 4'000'000);
  EXPECT_EQ(store_->stats().tombstones, 0U);
  EXPECT_TRUE(names("tombstones").empty());
  EXPECT_EQ(content(-kAll, kStart + 300'000), expected);
  const TimestampMs sealed_until = (*Manifest::read(posix_, dir_.path() / "MANIFEST"))->sealed_until_ms;
  std::uint64_t sealed = 0;
  for (const auto& [labels, of] : content(-kAll, sealed_until - 1)) sealed += of.size();
  EXPECT_EQ(samples_in_segments(), sealed);
}

TEST_F(StoreDeleteTest, cleaning_makes_room) {
  open();
  fill(0, 300'000);
  const auto before = samples_in_segments();
  ASSERT_TRUE(store_->delete_series(only(3), kStart, kStart + 99'999));
  ASSERT_TRUE(store_->clean_tombstones());
  EXPECT_EQ(samples_in_segments(), before - 10);
  EXPECT_EQ(store_->stats().tombstones, 0U) << "none of it was in the head";
  const Content cleaned = content();
  EXPECT_EQ(cleaned.at(series_labels(3).to_string()).size(), 21U);
  open();
  EXPECT_EQ(content(), cleaned);
  // All of some segments.
  ASSERT_TRUE(
      store_->delete_series({{{*Matcher::create(Matcher::Kind::kRegex, "job", ".+")}}}, -kAll, kStart + 150'000));
  ASSERT_TRUE(store_->clean_tombstones());
  EXPECT_EQ(content().begin()->second.front().first, kStart + 160'000);
  open();
  EXPECT_EQ(content().begin()->second.front().first, kStart + 160'000);
}

TEST_F(StoreDeleteTest, nothing_is_deleted_by_halves_when_the_disk_fails) {
  open();
  fill(0, 300'000);
  ASSERT_EQ(put_late(1, kStart + 1'234, 5), AppendOutcome::kOk);
  const Content before = content();
  for (const auto call : {FaultyFiles::Call::kAppend, FaultyFiles::Call::kSync, FaultyFiles::Call::kCreate,
                          FaultyFiles::Call::kRename, FaultyFiles::Call::kSyncDirectory}) {
    for (std::uint64_t nth = 1; nth < 30; ++nth) {
      files_.fail_call(call, nth, EIO);
      const auto deleted = store_->delete_series(only(1), kStart + 5'000, kStart + 5'500);  // none has such a time
      files_.heal();
      ASSERT_EQ(content(), before);
      if (deleted) break;
    }
  }
  ASSERT_EQ(content(), before);
  files_.fail_call(FaultyFiles::Call::kRename, 1, EIO);
  EXPECT_FALSE(store_->delete_series(only(1), kStart, kStart + 5'500));
  files_.heal();
  EXPECT_EQ(content(), before);
  open();
  EXPECT_EQ(content(), before);
  for (const char* room : {"tombstones", "segments"}) {
    for (const auto& name : names(room)) EXPECT_FALSE(name.ends_with(".tmp")) << name;
  }
}

TEST_F(StoreDeleteTest, a_damaged_tombstone_is_set_aside_and_told) {
  open();
  fill(0, 100'000);
  ASSERT_TRUE(store_->delete_series(only(1), -kAll, kAll));
  store_.reset();
  const auto path = dir_.path() / "tombstones" / names("tombstones").front();
  const auto bytes = *base::read_file(posix_, path, 1 << 20);
  for (std::size_t offset = 0; offset < bytes.size(); ++offset) {
    ASSERT_FALSE(decode_tombstone(base::as_bytes(bytes).first(offset), 1, path)) << offset;
  }
  flip(path, std::filesystem::file_size(path) / 2);
  open();
  EXPECT_EQ(damaged_copies("tombstones"), 1U);
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 1U);
  EXPECT_EQ(content().size(), 4U);
}

TEST_F(StoreDeleteTest, there_are_limits_and_no_deletion_without_matchers) {
  open();
  ASSERT_TRUE(put(1, kStart, 1));
  EXPECT_EQ(store_->delete_series({{{}}}, -kAll, kAll).error().code(), ErrorCode::kInvalid);
  std::vector<std::vector<Matcher>> many(1'001, only(1).front());
  EXPECT_EQ(store_->delete_series(many, -kAll, kAll).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(content().size(), 1U);
}

// Deletions among late and live samples, maintenance, cleaning, restarts and full disks: the same as a map.
TEST_F(StoreDeleteTest, is_a_map_whatever_is_deleted_when) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    store_.reset();
    std::filesystem::remove_all(dir_.path());
    open();
    std::map<int, std::map<TimestampMs, double>> reference;
    TimestampMs now = kStart;
    const auto check = [&] {
      Content expected;
      for (const auto& [i, of] : reference) {
        if (!of.empty()) expected[series_labels(i).to_string()] = Samples(of.begin(), of.end());
      }
      ASSERT_EQ(content(), expected);
    };
    for (int step = 0; step < 500; ++step) {
      now += below(3) * 1000;
      const int i = below(5);
      const TimestampMs time = now - (below(3) == 0 ? below(900) * 1000 : 0);
      const auto [at, is_new] = reference[i].try_emplace(time, step);
      ASSERT_EQ(put_late(i, time, step), is_new ? AppendOutcome::kOk : AppendOutcome::kDuplicate) << step;
      if (below(10) == 0) {
        const TimestampMs from = now - below(1'000) * 1000;
        const TimestampMs to = from + below(600) * 1000;
        const bool one = below(2) == 0;
        if (below(6) == 0) files_.fail_after_bytes(static_cast<std::uint64_t>(below(2'000)), ENOSPC);
        const auto deleted = store_->delete_series(one ? only(i) : all_of("even"), from, to);
        files_.heal();
        if (deleted) {
          for (auto& [k, of] : reference) {
            if (one ? k == i : k % 2 == 0)
              std::erase_if(of, [&](const auto& sample) { return sample.first >= from && sample.first <= to; });
          }
        }
      }
      if (below(8) == 0) (void)store_->maintain(now);
      if (below(50) == 0) ASSERT_TRUE(store_->clean_tombstones());
      if (below(60) == 0) open();
      if (below(20) == 0) check();
      if (HasFatalFailure()) return;
    }
    check();
  }
}

// --- Snapshots ---

TEST_F(StoreDeleteTest, a_snapshot_opens_and_holds_what_was_acknowledged) {
  open();
  fill(0, 300'000);
  ASSERT_EQ(put_late(1, kStart + 1'234, 5), AppendOutcome::kOk);
  ASSERT_TRUE(store_->delete_series(only(2), kStart + 20'000, kStart + 280'000));
  ASSERT_EQ(put_late(2, kStart + 30'000, 6), AppendOutcome::kOk);
  const Content before = content();
  const auto to = dir_.path() / "snapshot";
  const auto sealed_to = dir_.path() / "sealed";
  ASSERT_TRUE(store_->snapshot(to, false));
  ASSERT_TRUE(store_->snapshot(sealed_to, true));
  // The store goes on, and the snapshot does not follow it.
  fill(310'000, 900'000);
  ASSERT_TRUE(store_->clean_tombstones());
  store_.reset();

  base::Registry registry;
  const auto read = [&](const std::filesystem::path& dir) {
    auto opened = Store::open(files_, dir, options_, base::Log::silent(), registry);
    EXPECT_TRUE(opened) << opened.error().message();
    store_ = std::move(*opened);
    Content found = content();
    EXPECT_TRUE(put_all(4, kStart + 400'000)) << "it goes on";
    EXPECT_TRUE(store_->maintain(kStart + 400'000));
    store_.reset();
    return found;
  };
  EXPECT_EQ(read(to), before);
  EXPECT_EQ(registry.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
  Content sealed = read(sealed_to);
  EXPECT_EQ(sealed[series_labels(0).to_string()].back().first, kStart + 230'000);
  EXPECT_EQ(registry.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
}

TEST_F(StoreDeleteTest, a_snapshot_without_links_is_a_copy_and_one_that_fails_leaves_nothing) {
  open();
  fill(0, 300'000);
  const Content before = content();
  const auto to = dir_.path() / "snapshot";
  files_.fail_call(FaultyFiles::Call::kLink, 1, EPERM);
  files_.fail_after_bytes(500, ENOSPC);
  EXPECT_FALSE(store_->snapshot(to, true));
  files_.heal();
  EXPECT_FALSE(std::filesystem::exists(to));
  files_.fail_call(FaultyFiles::Call::kLink, 1, EPERM);
  ASSERT_TRUE(store_->snapshot(to, false));
  files_.heal();
  auto opened = Store::open(files_, to, options_, base::Log::silent(), registry_);
  ASSERT_TRUE(opened);
  store_ = std::move(*opened);
  EXPECT_EQ(content(), before);
}

}  // namespace
}  // namespace qd::store::metrics
