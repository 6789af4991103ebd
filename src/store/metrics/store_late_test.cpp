#include <gtest/gtest.h>

#include <cerrno>
#include <random>
#include <thread>

#include "store/metrics/manifest.h"
#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

class StoreLateTest : public StoreTest {
 protected:
  StoreLateTest() { options_.retention_ms = 0; }

  struct Late {
    int series;
    TimestampMs time;
    double value;
  };

  // Appends as remote write does; the outcomes in order. Committed unless nothing was taken.
  std::vector<AppendOutcome> put_late(const std::vector<Late>& samples) {
    auto appender = store_->appender();
    appender->take_late();
    std::vector<AppendOutcome> outcomes;
    for (const Late& sample : samples) {
      const auto ref = appender->series(series_labels(sample.series));
      EXPECT_TRUE(ref);
      outcomes.push_back(appender->append(*ref, sample.time, sample.value));
    }
    const auto committed = appender->commit();
    EXPECT_TRUE(committed) << committed.error().message();
    return outcomes;
  }
  AppendOutcome put_late(int series, TimestampMs time, double value) {
    return put_late(std::vector<Late>{{series, time, value}}).front();
  }

  // Live samples of one series up to kStart + `until`, maintained, so that nearly all is sealed.
  void live(TimestampMs until) {
    for (TimestampMs t = 0; t <= until; t += 10'000) {
      ASSERT_TRUE(put(0, kStart + t, 1));
      ASSERT_TRUE(store_->maintain(kStart + t));
    }
  }
  Samples samples_of(int series) { return content()[series_labels(series).to_string()]; }
  std::vector<std::uint64_t> segments() { return (*Manifest::read(posix_, dir_.path() / "MANIFEST"))->segments; }
};

TEST_F(StoreLateTest, what_is_older_than_the_newest_or_than_what_is_sealed_is_taken_and_stays) {
  open();
  live(300'000);
  EXPECT_EQ(put_late(0, kStart + 295'000, 2), AppendOutcome::kOk);     // older than the newest
  EXPECT_EQ(put_late(0, kStart + 15'000, 3), AppendOutcome::kOk);      // sealed
  EXPECT_EQ(put_late(1, kStart - 86'400'000, 4), AppendOutcome::kOk);  // of a series that there was not
  EXPECT_EQ(put_late(0, kStart + 301'000, 5), AppendOutcome::kOk);     // in order
  const Content before = content();
  EXPECT_EQ(before.at(series_labels(1).to_string()), (Samples{{kStart - 86'400'000, 4}}));
  Samples all;
  for (TimestampMs t = 0; t <= 300'000; t += 10'000) all.emplace_back(kStart + t, 1);
  all.emplace_back(kStart + 295'000, 2);
  all.emplace_back(kStart + 15'000, 3);
  all.emplace_back(kStart + 301'000, 5);
  std::ranges::sort(all);
  EXPECT_EQ(before.at(series_labels(0).to_string()), all);
  EXPECT_EQ(store_->stats().late_samples, 3U);
  EXPECT_EQ(store_->stats().late_min_ms, kStart - 86'400'000);
  EXPECT_EQ(store_->stats().late_max_ms, kStart + 295'000);
  open();
  EXPECT_EQ(content(), before);
  EXPECT_EQ(store_->stats().late_samples, 3U);
}

TEST_F(StoreLateTest, a_batch_of_late_numbers_and_of_histograms_is_one_record) {
  open();
  live(100'000);
  {
    auto appender = store_->appender();
    appender->take_late();
    const auto first = *appender->series(series_labels(0));
    const auto second = *appender->series(series_labels(1));
    model::Histogram histogram;
    histogram.is_integer = true;
    histogram.count = histogram.sum = 2;
    histogram.positive_spans = {{0, 1}};
    histogram.positive = {2};
    EXPECT_EQ(appender->append(first, kStart + 5'000, 7.0), AppendOutcome::kOk);
    EXPECT_EQ(appender->append(second, kStart + 101'000, histogram), AppendOutcome::kOk);
    EXPECT_EQ(appender->append(second, kStart + 102'000, histogram), AppendOutcome::kOk);
    ASSERT_TRUE(appender->commit());
  }
  open();
  EXPECT_EQ(samples_of(1).size(), 2U);
  EXPECT_EQ(std::ranges::count(samples_of(0), std::pair<TimestampMs, double>(kStart + 5'000, 7.0)), 1);
  const auto set = store_->select(std::vector<Matcher>{Matcher::equal("instance", "00001")}, -kAll, kAll, 10);
  Columns columns;
  ASSERT_TRUE((*set)->read(0, -kAll, kAll, columns));
  ASSERT_EQ(columns.histograms.size(), 2U);
  EXPECT_EQ(columns.histograms[1]->positive, std::vector<double>{2});
}

TEST_F(StoreLateTest, it_is_told_where_it_is_not_asked_for) {
  open();
  live(300'000);
  const auto outcome = [&](int series, TimestampMs time) {
    auto appender = store_->appender();
    return appender->append(*appender->series(series_labels(series)), time, 7);
  };
  EXPECT_EQ(outcome(0, kStart + 299'000), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(outcome(0, kStart + 1'000), AppendOutcome::kTooOld);
  options_.out_of_order_window_ms = 60'000;
  store_->set_options(options_);
  EXPECT_EQ(outcome(0, kStart + 299'000), AppendOutcome::kOk);
  EXPECT_EQ(outcome(0, kStart + 240'000), AppendOutcome::kDuplicate);
  EXPECT_EQ(outcome(0, kStart + 240'001), AppendOutcome::kOk);
  EXPECT_EQ(outcome(0, kStart + 239'999), AppendOutcome::kTooOld);
  EXPECT_EQ(outcome(1, kStart + 239'999), AppendOutcome::kTooOld);
}

TEST_F(StoreLateTest, nothing_beyond_the_retention_is_taken) {
  options_.retention_ms = 3'600'000;
  open();
  live(300'000);
  const TimestampMs oldest = kStart + 300'000 - 3'600'000;
  EXPECT_EQ(put_late(0, oldest, 1), AppendOutcome::kOk);
  EXPECT_EQ(put_late(0, oldest - 1, 1), AppendOutcome::kTooOld);
}

TEST_F(StoreLateTest, another_value_at_a_time_is_a_duplicate_wherever_the_first_stands) {
  open();
  live(300'000);
  const auto twice = [&](TimestampMs time, double there) {
    EXPECT_EQ(put_late(0, time, there), AppendOutcome::kOk) << time;
    EXPECT_EQ(put_late(0, time, there + 1), AppendOutcome::kDuplicate) << time;
  };
  const auto stored = registry_.counter("quarterdeck_store_samples_appended_total", "").value();
  twice(kStart, 1);            // in a segment
  twice(kStart + 280'000, 1);  // in the head
  twice(kStart + 300'000, 1);  // the newest
  EXPECT_EQ(registry_.counter("quarterdeck_store_samples_appended_total", "").value(), stored);
  twice(kStart + 5'000, 9);  // among the late ones
  // In one batch: late against late, and late against in order.
  EXPECT_EQ(put_late({{0, kStart + 7'000, 1}, {0, kStart + 7'000, 1}, {0, kStart + 7'000, 2}}),
            (std::vector{AppendOutcome::kOk, AppendOutcome::kOk, AppendOutcome::kDuplicate}));
  EXPECT_EQ(put_late({{0, kStart + 310'000, 1},
                      {0, kStart + 320'000, 1},
                      {0, kStart + 310'000, 2},
                      {0, kStart + 310'000, 1},
                      {0, kStart + 315'000, 3},
                      {0, kStart + 315'000, 4}}),
            (std::vector{AppendOutcome::kOk, AppendOutcome::kOk, AppendOutcome::kDuplicate, AppendOutcome::kOk,
                         AppendOutcome::kOk, AppendOutcome::kDuplicate}));
  const Samples all = samples_of(0);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].first, all[i].first);
  // Sealed by themselves.
  ASSERT_TRUE(put(0, kStart + 500'000, 1));
  ASSERT_TRUE(store_->maintain(kStart + 500'000));
  ASSERT_EQ(store_->stats().late_samples, 0U);
  twice(kStart + 5'000, 9);
  twice(kStart + 315'000, 3);
}

TEST_F(StoreLateTest, sealed_they_lie_in_segments_of_their_own_and_are_merged_away) {
  open();
  live(300'000);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(put_late(i % 7, kStart + 1'001 + i * 500, i), AppendOutcome::kOk);
  const Content before = content();
  const std::size_t regular = segments().size();
  ASSERT_TRUE(put(0, kStart + 360'000, 1));
  ASSERT_TRUE(store_->maintain(kStart + 360'000));
  EXPECT_EQ(store_->stats().late_samples, 0U);
  EXPECT_GT(segments().size(), regular);
  Content after = content();
  after[series_labels(0).to_string()].pop_back();
  EXPECT_EQ(after, before);
  // The log that had them is cut, so they are not found twice.
  for (TimestampMs t = 370'000; t < 4'000'000; t += 10'000) {
    ASSERT_TRUE(put(0, kStart + t, 1));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  open();
  const TimestampMs sealed_until = (*Manifest::read(posix_, dir_.path() / "MANIFEST"))->sealed_until_ms;
  std::size_t sealed = 0;
  for (const auto& [labels, of] : content(-kAll, sealed_until - 1)) sealed += of.size();
  EXPECT_EQ(store_->stats().segment_samples, sealed);
  EXPECT_LT(segments().size(), 10U);
  for (int i = 1; i < 7; ++i) EXPECT_EQ(samples_of(i), before.at(series_labels(i).to_string()));
}

TEST_F(StoreLateTest, many_are_sealed_before_the_log_is_cut_and_replay_does_not_find_them_again) {
  open();
  live(30'000);
  std::vector<Late> batch;
  for (int i = 0; i < 1'100'000; ++i)
    batch.push_back({1 + i / 100'000, kStart - 200'000'000 + (i % 100'000) * 1000, 1});
  put_late(batch);
  ASSERT_TRUE(store_->maintain(kStart + 30'000));
  EXPECT_EQ(store_->stats().late_samples, 0U);
  EXPECT_EQ(store_->stats().segment_samples, 1'100'000U);
  EXPECT_EQ((*Manifest::read(posix_, dir_.path() / "MANIFEST"))->log_first, 1U);
  EXPECT_EQ(put_late(0, kStart + 5'000, 8), AppendOutcome::kOk);
  const Content before = content();
  open();
  EXPECT_EQ(store_->stats().late_samples, 1U);
  EXPECT_EQ(content(), before);
  EXPECT_EQ(samples_of(3).size(), 100'000U);
}

TEST_F(StoreLateTest, a_manifest_that_is_lost_costs_no_sample) {
  open();
  live(300'000);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(put_late(i % 3, kStart + 1'001 + i * 500, i), AppendOutcome::kOk);
  ASSERT_EQ(put_late(0, kStart + 299'000, 5), AppendOutcome::kOk);  // sealed, it lies beyond what is sealed otherwise
  ASSERT_TRUE(put(0, kStart + 360'000, 1));
  ASSERT_TRUE(store_->maintain(kStart + 360'000));
  ASSERT_EQ(put_late(0, kStart + 298'000, 5), AppendOutcome::kOk);
  const Content before = content();
  store_.reset();
  std::filesystem::remove(dir_.path() / "MANIFEST");
  open();
  EXPECT_EQ(content(), before);
}

TEST_F(StoreLateTest, names_and_values_know_series_that_have_only_late_samples) {
  open();
  live(100'000);
  EXPECT_EQ(put_late(77, kStart - 500'000, 1), AppendOutcome::kOk);
  const auto values = store_->label_values("instance", {}, kStart - 600'000, kStart - 400'000);
  ASSERT_TRUE(values);
  EXPECT_EQ(*values, std::vector<std::string>{"00077"});
  EXPECT_EQ(store_->label_names({}, kStart - 600'000, kStart - 400'000)->size(), 3U);
  EXPECT_TRUE(store_->label_names({}, kStart - 600'000, kStart - 550'000)->empty());
}

TEST_F(StoreLateTest, a_full_disk_seals_nothing_by_halves_and_goes_on_later) {
  open();
  live(300'000);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(put_late(i % 7, kStart + 1'001 + i * 500, i), AppendOutcome::kOk);
  ASSERT_TRUE(put(0, kStart + 360'000, 1));
  const Content before = content();
  for (const std::uint64_t room : {0, 100, 1'000, 2'000, 4'000}) {
    files_.fail_after_bytes(room, ENOSPC);
    (void)store_->maintain(kStart + 360'000);
    EXPECT_EQ(content(), before) << room;
    files_.heal();
  }
  open();
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(store_->maintain(kStart + 360'000));
  EXPECT_EQ(content(), before);
  EXPECT_EQ(store_->stats().late_samples, 0U);
}

// Any mix of late and live samples, maintenance, restarts and failing disks is the same as a map by time, in which
// what came first stays.
TEST_F(StoreLateTest, is_a_map_by_time_whatever_comes_in_which_order) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    store_.reset();
    std::filesystem::remove_all(dir_.path());
    options_.seal_interval_ms = 60'000;
    open();
    std::map<std::string, std::map<TimestampMs, double>> reference;
    TimestampMs now = kStart;
    const auto check = [&] {
      Content expected;
      for (const auto& [labels, of] : reference) expected[labels] = Samples(of.begin(), of.end());
      ASSERT_EQ(content(), expected);
      const TimestampMs from = now - below(600) * 1000;
      const TimestampMs to = from + below(300) * 1000;
      for (auto& [labels, of] : expected)
        std::erase_if(of, [&](const auto& sample) { return sample.first < from || sample.first > to; });
      std::erase_if(expected, [](const auto& one) { return one.second.empty(); });
      ASSERT_EQ(content(from, to), expected);
    };
    for (int step = 0; step < 600; ++step) {
      now += below(3) * 1000;
      std::vector<Late> batch;
      for (int i = below(12); i >= 0; --i) {
        const TimestampMs back = below(4) == 0 ? 0 : below(below(5) == 0 ? 3'000 : 120) * 1000;
        batch.push_back({below(5), now - back, static_cast<double>(below(3))});
      }
      const auto outcomes = put_late(batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        auto& series = reference[series_labels(batch[i].series).to_string()];
        const auto [at, is_new] = series.try_emplace(batch[i].time, batch[i].value);
        ASSERT_EQ(outcomes[i], is_new || at->second == batch[i].value ? AppendOutcome::kOk : AppendOutcome::kDuplicate)
            << step << " " << i;
      }
      if (below(8) == 0) {
        if (below(5) == 0) files_.fail_after_bytes(static_cast<std::uint64_t>(below(3'000)), ENOSPC);
        (void)store_->maintain(now);
        files_.heal();
      }
      if (below(60) == 0) open();
      if (below(40) == 0) check();
      if (HasFatalFailure()) return;
    }
    check();
  }
}

TEST_F(StoreLateTest, batches_of_many_threads_are_judged_against_each_other) {
  open();
  live(300'000);
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int step = 0; step < 200; ++step) {
        while (true) {
          auto appender = store_->appender();
          appender->take_late();
          for (int i = 0; i < 5; ++i) {
            const auto ref = appender->series(series_labels(i));
            // Each time of each series is contended, with a value of the writer's own.
            (void)appender->append(*ref, kStart - step * 1000, writer);
          }
          const auto committed = appender->commit();
          if (committed) break;
          ASSERT_EQ(committed.error().code(), ErrorCode::kConflict) << committed.error().message();
          ++conflicts;
        }
      }
    });
  }
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store_->maintain(kStart + 300'000));
  for (auto& writer : writers) writer.join();
  for (int i = 1; i < 5; ++i) EXPECT_EQ(samples_of(i).size(), 200U);
  const auto& appended = registry_.counter("quarterdeck_store_late_samples_total", "");
  EXPECT_EQ(appended.value(), 1000U - 1U);  // series 0 has one at kStart itself
}

TEST_F(StoreLateTest, what_a_killed_process_had_acknowledged_late_is_there_unaltered) {
  options_.seal_interval_ms = 1000;
  // Step n of the child: five late samples, each step's at a time of its own, far and near in turn.
  const auto time_of = [](int step) { return kStart - (step * 7919 % 10'007) * 100 - 50; };
  int acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    acknowledged = steps_before_a_kill(acknowledged, acknowledged + 39 + round * 11, [&](int step) {
      if (step % 7 == 0) (void)store_->maintain(kStart + step * 50);
      auto appender = store_->appender();
      appender->take_late();
      bool taken = true;
      for (int i = 0; i < 5; ++i)
        taken =
            taken && appender->append(*appender->series(series_labels(i)), time_of(step), step) == AppendOutcome::kOk;
      return taken && appender->commit() && put(9, kStart + step * 50, 1);
    });
    ASSERT_FALSE(HasFailure());
    Content found = content();
    // The batch that was being written may be there as well, whole.
    const auto steps = static_cast<int>(found[series_labels(0).to_string()].size());
    ASSERT_GE(steps, acknowledged);
    ASSERT_LE(steps, acknowledged + 1);
    Samples expected;
    for (int i = 0; i < steps; ++i) expected.emplace_back(time_of(i), i);
    std::ranges::sort(expected);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(found[series_labels(i).to_string()], expected);
    // The child's next step is the first that is not there; the live series goes on behind what it has.
    acknowledged = std::max(steps, static_cast<int>(found[series_labels(9).to_string()].size()));
    for (int i = steps; i < acknowledged; ++i) FAIL() << "a live sample outlived its late one";
  }
}

}  // namespace
}  // namespace qd::store::metrics
