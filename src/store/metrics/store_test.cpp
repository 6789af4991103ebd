#include "store/metrics/store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

TEST_F(StoreTest, outcomes_are_those_of_prometheus_without_an_out_of_order_window) {
  open();
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(1));
  EXPECT_NE(ref, 0U);
  EXPECT_EQ(*appender->series(series_labels(1)), ref);
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->pending(), 1U);
  EXPECT_EQ(appender->append(ref, kStart, 2), AppendOutcome::kDuplicate);
  EXPECT_EQ(appender->append(ref, kStart - 1, 1), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(appender->append(ref + 1, kStart, 1), AppendOutcome::kUnknownSeries);
  EXPECT_EQ(appender->append(0, kStart, 1), AppendOutcome::kUnknownSeries);
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->pending(), 0U);
  EXPECT_EQ(appender->append(ref, kStart, model::stale_nan()), AppendOutcome::kDuplicate);
  EXPECT_EQ(appender->append(ref, kStart - 1, 1), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
}

TEST_F(StoreTest, nothing_is_visible_before_commit_or_after_an_abandoned_batch) {
  open();
  {
    auto appender = store_->appender();
    const SeriesRef ref = *appender->series(series_labels(1));
    ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
    EXPECT_TRUE(content().empty());
  }
  EXPECT_TRUE(content().empty());
  ASSERT_TRUE(put(1, kStart, 7));
  EXPECT_EQ(content().size(), 1U);
}

TEST_F(StoreTest, a_series_made_by_an_abandoned_batch_is_logged_with_its_first_sample) {
  open();
  auto abandoned = store_->appender();
  const SeriesRef ref = *abandoned->series(series_labels(1));
  abandoned.reset();
  auto appender = store_->appender();
  ASSERT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  open();
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart, 1}}}}));
}

TEST_F(StoreTest, limits_name_their_settings) {
  options_.series_limit = 2;
  options_.labels_limit_bytes = 100;
  open();
  auto appender = store_->appender();
  EXPECT_EQ(appender->series(LabelSet{}).error().code(), ErrorCode::kInvalid);
  const std::string long_value(100, 'x');
  const auto large = appender->series(LabelSet{{"__name__", long_value}});
  EXPECT_EQ(large.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(large.error().message().find("store.metrics.labels_limit_bytes"), std::string::npos);
  ASSERT_TRUE(appender->series(series_labels(1)));
  ASSERT_TRUE(appender->series(series_labels(2)));
  const auto third = appender->series(series_labels(3));
  EXPECT_EQ(third.error().code(), ErrorCode::kLimit);
  EXPECT_NE(third.error().message().find("store.metrics.series_limit"), std::string::npos);
  EXPECT_TRUE(appender->series(series_labels(1)));
}

TEST_F(StoreTest, the_future_is_bounded_by_the_clock_of_maintain) {
  open();
  ASSERT_TRUE(put(1, kStart + 50LL * 365 * 86'400'000, 1));
  ASSERT_TRUE(store_->maintain(kStart));
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(2));
  EXPECT_EQ(appender->append(ref, kStart + options_.future_limit_ms, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart + options_.future_limit_ms + 1, 1), AppendOutcome::kTooFarInFuture);
  EXPECT_EQ(store_->stats().segments, 0U);
}

TEST_F(StoreTest, a_batch_overtaken_by_another_is_refused_whole) {
  open();
  auto slow = store_->appender();
  const SeriesRef one = *slow->series(series_labels(1));
  const SeriesRef two = *slow->series(series_labels(2));
  ASSERT_EQ(slow->append(one, kStart, 1), AppendOutcome::kOk);
  ASSERT_EQ(slow->append(two, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(put(1, kStart + 1000, 5));
  EXPECT_EQ(slow->commit().error().code(), ErrorCode::kConflict);
  EXPECT_EQ(content(), (Content{{series_labels(1).to_string(), {{kStart + 1000, 5}}}}));
  open();
  EXPECT_EQ(content().size(), 1U);
}

TEST_F(StoreTest, matchers_select_by_every_kind) {
  open();
  ASSERT_TRUE(put_all(20, kStart));
  auto appender = store_->appender();
  const SeriesRef bare = *appender->series(LabelSet{{"__name__", "bare"}});
  ASSERT_EQ(appender->append(bare, kStart, 1), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  const auto count = [&](std::vector<Matcher> matchers) { return content(-kAll, kAll, std::move(matchers)).size(); };
  using Kind = Matcher::Kind;
  const auto matcher = [](Kind kind, std::string name, std::string value) {
    return *Matcher::create(kind, std::move(name), std::move(value));
  };
  EXPECT_EQ(count({}), 21U);
  EXPECT_EQ(count({Matcher::equal("job", "odd")}), 10U);
  EXPECT_EQ(count({Matcher::equal("job", "none")}), 0U);
  EXPECT_EQ(count({Matcher::equal("job", "")}), 1U);
  EXPECT_EQ(count({matcher(Kind::kNotEqual, "job", "")}), 20U);
  EXPECT_EQ(count({matcher(Kind::kNotEqual, "job", "odd")}), 11U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", "0001.")}), 10U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", "00011|00012|9")}), 2U);
  EXPECT_EQ(count({matcher(Kind::kNotRegex, "instance", "0001.")}), 11U);
  EXPECT_EQ(count({matcher(Kind::kRegex, "instance", ".*")}), 21U);
  EXPECT_EQ(count({Matcher::equal("job", "odd"), matcher(Kind::kRegex, "instance", "0001.")}), 5U);
  const auto limited = store_->select({}, 0, kAll, 20);
  EXPECT_EQ(limited.error().code(), ErrorCode::kLimit);
}

TEST_F(StoreTest, names_and_values_come_sorted_from_head_and_segments) {
  open();
  for (TimestampMs t = 0; t < 180'000; t += 10'000) {
    ASSERT_TRUE(put(t < 60'000 ? 1 : 2, kStart + t, 1));
  }
  ASSERT_TRUE(store_->maintain(kStart + 180'000));
  ASSERT_GE(store_->stats().segments, 1U);
  EXPECT_EQ(*store_->label_names({}, 0, kAll), (std::vector<std::string>{"__name__", "instance", "job"}));
  EXPECT_EQ(*store_->label_values("instance", {}, 0, kAll), (std::vector<std::string>{"00001", "00002"}));
  EXPECT_EQ(*store_->label_values("instance", {{Matcher::equal("job", "odd")}}, 0, kAll),
            (std::vector<std::string>{"00001"}));
  EXPECT_EQ(*store_->label_values("instance", {}, kStart + 170'000, kAll), (std::vector<std::string>{"00002"}));
}

TEST_F(StoreTest, a_read_sees_a_commit_whole_or_not_at_all) {
  constexpr int kSeries = 500;
  constexpr int kBatches = 300;
  options_.seal_interval_ms = 1000;
  open();
  std::atomic<bool> stop = false;
  std::atomic<int> maintained = 0;
  std::thread writer([&] {
    auto appender = store_->appender();
    bool waited = false;
    for (int batch = 0; batch < kBatches;) {
      // However slow the other thread is, it seals in the middle of it.
      if (batch == kBatches / 2 && !std::exchange(waited, true)) {
        const int before = maintained;
        while (maintained < before + 2) std::this_thread::yield();
      }
      bool taken = true;
      for (int i = 0; i < kSeries && taken; ++i) {
        const SeriesRef ref = *appender->series(series_labels(i));
        taken = appender->append(ref, kStart + batch * 20, batch) == AppendOutcome::kOk;
      }
      if (appender->commit() && taken) ++batch;
    }
    stop = true;
  });
  std::thread sealer([&] {
    while (!stop) {
      EXPECT_TRUE(store_->maintain(kStart + kBatches * 20));
      ++maintained;
    }
  });
  std::size_t reads = 0;
  while (!stop || reads == 0) {
    const auto set = store_->select({}, kStart, kAll, 10'000);
    ASSERT_TRUE(set);
    Columns columns;
    std::size_t samples = 0;
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      ASSERT_TRUE((*set)->read(i, kStart, kAll, columns));
      if (i == 0) samples = columns.size();
      ASSERT_EQ(columns.size(), samples) << i << " of " << (*set)->size();
      for (std::size_t k = 0; k < columns.size(); ++k) ASSERT_EQ(columns.values[k], static_cast<double>(k));
    }
    if (samples > 0) {
      ASSERT_EQ((*set)->size(), static_cast<std::size_t>(kSeries));
    }
    ++reads;
  }
  writer.join();
  sealer.join();
  EXPECT_GT(store_->stats().segments, 0U);
  const Content all = content();
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kSeries));
  for (const auto& [labels, samples] : all) EXPECT_EQ(samples.size(), static_cast<std::size_t>(kBatches));
}

TEST_F(StoreTest, commits_of_many_threads_all_survive) {
  constexpr int kThreads = 6;
  constexpr int kBatches = 60;
  options_.sync = StoreOptions::Sync::kCommit;
  open();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      auto appender = store_->appender();
      for (int batch = 0; batch < kBatches; ++batch) {
        // Series interleave between threads, and each thread makes its own.
        for (int i = 0; i < 10; ++i) {
          const SeriesRef ref = *appender->series(series_labels(i * kThreads + thread));
          EXPECT_EQ(appender->append(ref, kStart + batch, batch), AppendOutcome::kOk);
        }
        EXPECT_TRUE(appender->commit());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const Content before = content();
  ASSERT_EQ(before.size(), 10U * kThreads);
  for (const auto& [labels, samples] : before) EXPECT_EQ(samples.size(), static_cast<std::size_t>(kBatches));
  open();
  EXPECT_EQ(content(), before);
}

TEST_F(StoreTest, random_histories_equal_a_naive_model) {
  for (const unsigned seed : {1U, 2U, 3U, 4U}) {
    std::filesystem::remove_all(dir_.path());
    std::mt19937 random(seed);
    options_.seal_interval_ms = 1000;
    options_.wal_segment_bytes = 20'000;
    options_.retention_ms = 0;
    open();
    std::map<int, std::map<TimestampMs, double>> model;
    TimestampMs now = kStart;
    for (int step = 0; step < 1500; ++step) {
      now += static_cast<TimestampMs>(random() % 60);
      auto appender = store_->appender();
      std::vector<std::tuple<int, TimestampMs, double>> batch;
      const int n = static_cast<int>(random() % 20);
      for (int k = 0; k < n; ++k) {
        const int series = static_cast<int>(random() % 40) + step / 200 * 10;
        const TimestampMs time = now - static_cast<TimestampMs>(random() % 10 == 0 ? random() % 3000 : 0);
        double value = static_cast<double>(random() % 1000) / (random() % 2 == 0 ? 1 : 8);
        if (random() % 20 == 0) value = model::stale_nan();
        const SeriesRef ref = *appender->series(series_labels(series));
        if (appender->append(ref, time, value) == AppendOutcome::kOk) batch.emplace_back(series, time, value);
      }
      const bool fails = random() % 50 == 0;
      if (fails) files_.fail_after_bytes(random() % 100, ENOSPC);
      const bool committed = appender->commit().has_value();
      files_.heal();
      if (committed) {
        for (const auto& [series, time, value] : batch) model[series].try_emplace(time, value);
      }
      if (random() % 10 == 0) ASSERT_TRUE(store_->maintain(now));
      if (random() % 150 == 0) {
        if (random() % 2 == 0) {
          files_.crash();
          store_.reset();
          files_.heal();
        }
        open();
      }
    }
    const auto compare = [&](TimestampMs from, TimestampMs to) {
      const Content found = content(from, to);
      std::size_t series_with_samples = 0;
      for (const auto& [series, samples] : model) {
        Samples wanted;
        for (const auto& [time, value] : samples) {
          if (time >= from && time <= to) wanted.emplace_back(time, value);
        }
        if (wanted.empty()) continue;
        ++series_with_samples;
        const auto it = found.find(series_labels(series).to_string());
        ASSERT_NE(it, found.end()) << series;
        ASSERT_EQ(it->second.size(), wanted.size()) << series;
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          ASSERT_EQ(it->second[i].first, wanted[i].first);
          ASSERT_EQ(std::bit_cast<std::uint64_t>(it->second[i].second), std::bit_cast<std::uint64_t>(wanted[i].second));
        }
      }
      ASSERT_EQ(found.size(), series_with_samples);
    };
    compare(-kAll, kAll);
    for (int i = 0; i < 30; ++i) {
      const TimestampMs from = kStart + static_cast<TimestampMs>(random()) % (now - kStart);
      compare(from, from + static_cast<TimestampMs>(random() % 10'000));
    }
    EXPECT_GT(store_->stats().segments, 0U);
  }
}

TEST_F(StoreTest, it_tells_from_when_on_samples_changed) {
  options_.retention_ms = 15 * 60'000;
  open();
  const ChangeLog& log = store_->change_log();
  ASSERT_TRUE(put_all(3, kStart));
  const auto first = log.generation();
  EXPECT_EQ(log.changed_since(first), ChangeLog::kUnchanged);
  ASSERT_TRUE(put(0, kStart + 20'000, 1));
  EXPECT_EQ(log.changed_since(first), kStart + 20'000);
  // Another series lags behind.
  const auto second = log.generation();
  ASSERT_TRUE(put(1, kStart + 10'000, 1));
  EXPECT_EQ(log.changed_since(second), kStart + 10'000);
  // A late sample of the same one is refused, and then taken.
  const auto third = log.generation();
  EXPECT_FALSE(put(1, kStart - 10'000, 1));
  EXPECT_EQ(log.generation(), third);
  auto appender = store_->appender();
  appender->take_late();
  const auto ref = appender->series(series_labels(1));
  ASSERT_TRUE(ref);
  ASSERT_EQ(appender->append(*ref, kStart - 10'000, 1), AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(log.changed_since(third), kStart - 10'000);
  // Sealing moves samples; retention takes them away.
  for (int s = 1; s < 8; ++s) ASSERT_TRUE(put_all(3, kStart + s * 60'000));
  const auto fourth = log.generation();
  ASSERT_TRUE(store_->maintain(kStart + 8 * 60'000));
  EXPECT_GT(store_->stats().segments, 0U);
  EXPECT_EQ(log.generation(), fourth);
  for (const int minute : {17, 26}) {
    ASSERT_TRUE(put_all(3, kStart + minute * 60'000));
    ASSERT_TRUE(store_->maintain(kStart + minute * 60'000));
  }
  ASSERT_TRUE(store_->maintain(kStart + 26 * 60'000));
  EXPECT_EQ(log.changed_since(fourth), model::kMinTimestampMs);
}

TEST_F(StoreTest, it_tells_what_it_holds) {
  open();
  ASSERT_TRUE(put_all(10, kStart));
  auto appender = store_->appender();
  appender->metadata("m", {model::MetricType::kGauge, "An m.", "bytes"});
  const StoreStats stats = store_->stats();
  EXPECT_EQ(stats.head_series, 10U);
  EXPECT_EQ(stats.head_samples, 10U);
  EXPECT_EQ(stats.samples_appended, 10U);
  EXPECT_EQ(stats.head_min_ms, kStart);
  EXPECT_GT(stats.wal_bytes, 100U);
  const Cardinality cardinality = store_->cardinality(2);
  EXPECT_EQ(cardinality.series, 10U);
  EXPECT_EQ(cardinality.label_pairs, 13U);
  ASSERT_EQ(cardinality.values_by_label.size(), 2U);
  EXPECT_EQ(cardinality.values_by_label[0].name, "instance");
  EXPECT_EQ(cardinality.values_by_label[0].value, 10U);
  EXPECT_EQ(cardinality.series_by_metric[0].value, 10U);
  EXPECT_EQ(cardinality.series_by_pair[0].name, "__name__=m");
  EXPECT_EQ(cardinality.series_by_pair[1].name, "job=even");
  EXPECT_EQ(cardinality.label_names, 3U);
  EXPECT_EQ(cardinality.jobs, 2U);
  EXPECT_EQ(cardinality.targets, 10U);
  ASSERT_EQ(cardinality.series_by_job.size(), 2U);
  EXPECT_EQ(cardinality.series_by_job[1].name, "odd");
  EXPECT_EQ(cardinality.series_by_job[1].value, 5U);
  ASSERT_EQ(cardinality.series_by_target.size(), 2U);
  EXPECT_EQ(cardinality.series_by_target[1].job, "even");
  EXPECT_EQ(cardinality.series_by_target[1].instance, "00002");
  EXPECT_EQ(store_->metadata().at("m").help, "An m.");
}

TEST_F(StoreTest, what_senders_say_of_families_is_bounded) {
  open();
  auto appender = store_->appender();
  // A gigabyte in all, if all of it were kept; each in every length that it may have.
  const std::string name(1 << 20, 'n');
  for (int i = 0; i < 1000; ++i) {
    const std::string family = name + fmt::to_string(i);
    appender->metadata(family, {model::MetricType::kGauge, "short", ""});
    appender->metadata(family, {model::MetricType::kGauge, std::string(model::kHelpBytesMax, 'h'), ""});
  }
  const auto kept = store_->metadata();
  ASSERT_FALSE(kept.empty());
  std::size_t bytes = 0;
  for (const auto& [family, metadata] : kept) bytes += family.size() + metadata.help.size() + metadata.unit.size();
  EXPECT_LE(bytes, std::size_t{64} << 20);
  EXPECT_GE(bytes, std::size_t{60} << 20);
  EXPECT_EQ(kept.begin()->second.help.size(), model::kHelpBytesMax) << "what is said anew counts once";
}

TEST_F(StoreTest, cardinality_is_counted_over_many_pieces) {
  open();
  auto appender = store_->appender();
  constexpr int kMany = 10'000;
  for (int i = 0; i < kMany; ++i) {
    const std::string instance = std::to_string(i % 100);
    const std::string path = std::to_string(i);
    const auto ref =
        appender->series({{"__name__", i % 10 == 0 ? "rare" : "often"}, {"instance", instance}, {"path", path}});
    ASSERT_TRUE(ref);
  }
  const Cardinality found = store_->cardinality(3);
  EXPECT_EQ(found.series, 10'000U);
  EXPECT_EQ(found.label_pairs, 2U + 100U + 10'000U);
  EXPECT_EQ(found.targets, 100U);
  EXPECT_EQ(found.series_by_target[2].series, 100U);
  EXPECT_EQ(found.series_by_target[2].instance, "10");
  EXPECT_EQ(found.series_by_metric[0].name, "often");
  EXPECT_EQ(found.series_by_metric[0].value, 9'000U);
  EXPECT_EQ(found.values_by_label[0].name, "path");
  EXPECT_EQ(found.values_by_label[0].value, 10'000U);
  EXPECT_EQ(found.series_by_pair[2].name, "instance=0");
  options_.series_limit = 10'000;
  store_->set_options(options_);
  EXPECT_EQ(appender->series({{"__name__", "more"}}).error().code(), ErrorCode::kLimit);
  EXPECT_EQ(registry_.counter("quarterdeck_store_series_refused_total", "").value(), 1U);
  EXPECT_EQ(store_->cardinality(1).series_limit, 10'000U);
}

}  // namespace
}  // namespace qd::store::metrics
