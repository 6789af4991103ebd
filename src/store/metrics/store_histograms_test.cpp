// Histograms and exemplars through every form that the store keeps samples in.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <random>

#include "store/metrics/exemplars.h"
#include "store/metrics/histogram_test_data.h"
#include "store/metrics/segment.h"
#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

using model::Exemplar;
using model::Histogram;
using model::HistogramPtr;

class HistogramStoreTest : public StoreTest {
 protected:
  AppendOutcome put_histogram(int i, TimestampMs time, const Histogram& histogram) {
    auto appender = store_->appender();
    const auto ref = appender->series(series_labels(i));
    EXPECT_TRUE(ref);
    const AppendOutcome outcome = appender->append(*ref, time, histogram);
    EXPECT_TRUE(appender->commit());
    return outcome;
  }

  Columns read(int i, TimestampMs from = -kAll, TimestampMs to = kAll) {
    Columns columns;
    const std::vector<Matcher> matchers = {
        *Matcher::create(Matcher::Kind::kEqual, "instance", std::string(series_labels(i).get("instance")))};
    const auto set = store_->select(matchers, from, to, 10);
    EXPECT_TRUE(set);
    if (!set || (*set)->size() == 0) return columns;
    const auto status = (*set)->read(0, from, to, columns);
    EXPECT_TRUE(status) << status.error().message();
    return columns;
  }

  // Series 0: histograms; 1: numbers; 2: some of each. One of each a second.
  void fill(int seconds) {
    fill(seconds, [](int s) { return kStart + s * 1000; });
  }
  void fill(int steps, const std::function<TimestampMs(int)>& time_of) {
    std::mt19937_64 random(11);
    auto histograms = random_histograms(random, static_cast<std::size_t>(steps));
    for (int s = 0; s < steps; ++s) {
      const TimestampMs time = time_of(s);
      auto appender = store_->appender();
      const auto& histogram = histograms[static_cast<std::size_t>(s)];
      const bool number = s / 7 % 3 == 1;
      ASSERT_EQ(appender->append(*appender->series(series_labels(0)), time, *histogram), AppendOutcome::kOk);
      ASSERT_EQ(appender->append(*appender->series(series_labels(1)), time, s), AppendOutcome::kOk);
      const SeriesRef mixed = *appender->series(series_labels(2));
      ASSERT_EQ(number ? appender->append(mixed, time, s) : appender->append(mixed, time, *histogram),
                AppendOutcome::kOk);
      ASSERT_TRUE(appender->commit());
      expected_.times.push_back(time);
      expected_.values.push_back(number ? s : -1);
      expected_.histograms.push_back(number ? nullptr : histogram);
      histograms_.push_back(histogram);
    }
  }

  void check(TimestampMs from = -kAll, TimestampMs to = kAll) {
    const auto first = static_cast<std::size_t>(std::lower_bound(expected_.times.begin(), expected_.times.end(), from) -
                                                expected_.times.begin());
    const auto end = static_cast<std::size_t>(std::upper_bound(expected_.times.begin(), expected_.times.end(), to) -
                                              expected_.times.begin());
    const Columns only = read(0, from, to);
    const Columns numbers = read(1, from, to);
    const Columns mixed = read(2, from, to);
    ASSERT_EQ(only.size(), end - first);
    ASSERT_EQ(numbers.size(), end - first);
    ASSERT_EQ(mixed.size(), end - first);
    EXPECT_TRUE(numbers.histograms.empty());
    bool any = false;
    for (std::size_t i = first; i < end; ++i) {
      const std::size_t k = i - first;
      ASSERT_EQ(only.times[k], expected_.times[i]);
      ASSERT_EQ(only.histograms.size(), only.size());
      ASSERT_NE(only.histograms[k], nullptr);
      ASSERT_TRUE(same_histogram(*only.histograms[k], *histograms_[i])) << i;
      ASSERT_FALSE(model::is_stale_nan(only.values[k]));
      any = any || expected_.histograms[i] != nullptr;
      if (expected_.histograms[i] != nullptr) {
        ASSERT_NE(mixed.histograms[k], nullptr);
        ASSERT_TRUE(same_histogram(*mixed.histograms[k], *expected_.histograms[i])) << i;
      } else {
        ASSERT_EQ(mixed.values[k], expected_.values[i]);
        ASSERT_TRUE(mixed.histograms.empty() || mixed.histograms[k] == nullptr);
      }
    }
    EXPECT_EQ(mixed.histograms.empty(), !any);
  }

  Columns expected_;  // of series 2
  std::vector<HistogramPtr> histograms_;
};

TEST_F(HistogramStoreTest, histograms_and_numbers_come_back_from_the_head_in_any_range) {
  open();
  fill(200);
  check();
  std::mt19937_64 random(5);
  for (int round = 0; round < 100; ++round) {
    const TimestampMs from = kStart + static_cast<TimestampMs>(random() % 200'000);
    check(from, from + static_cast<TimestampMs>(random() % 30'000));
  }
}

TEST_F(HistogramStoreTest, samples_that_are_weeks_apart_come_back_from_the_head) {
  constexpr TimestampMs kDay = 86'400'000;
  // As long as a chunk may last is between 24 and 25 days: one after the other, just below, at and above it, and years.
  const std::vector<TimestampMs> gaps = {1000,      1000, 20 * kDay,       20 * kDay, INT32_MAX - 1000, 1000, 1,
                                         INT32_MAX, 1,    INT32_MAX + 1LL, 25 * kDay, 4000 * kDay,      1000};
  std::vector<TimestampMs> times = {kStart};
  for (const TimestampMs gap : gaps) times.push_back(times.back() + gap);
  open();
  fill(static_cast<int>(times.size()), [&](int i) { return times[static_cast<std::size_t>(i)]; });
  check();
  for (const TimestampMs from : times) {
    check(from);
    check(from + 1, from + 21 * kDay);
  }
  open();
  check();
}

TEST_F(HistogramStoreTest, replay_gives_back_what_was_acknowledged) {
  open();
  fill(100);
  open();
  check();
}

TEST_F(HistogramStoreTest, sealed_reopened_and_merged_they_are_the_same) {
  open();
  fill(400);
  ASSERT_TRUE(store_->maintain(kStart + 400'000));
  ASSERT_GE(store_->stats().segments, 1U);
  check();
  check(kStart + 30'500, kStart + 91'000);
  // What the head still has is in files of chunks, and the log is cut.
  EXPECT_TRUE(std::ranges::any_of(names("head"), [](const auto& name) { return name.ends_with(".chunks"); }));
  EXPECT_LT(store_->stats().wal_bytes, 100U);
  open();
  check();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store_->maintain(kStart + 400'000));
  check();
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
}

TEST_F(HistogramStoreTest, outcomes_are_those_of_numbers) {
  open();
  ObservedHistogram client(1);
  client.observe(10);
  const Histogram first = client.histogram();
  client.observe(1);
  const Histogram second = client.histogram();
  EXPECT_EQ(put_histogram(1, kStart + 1000, first), AppendOutcome::kOk);
  EXPECT_EQ(put_histogram(1, kStart + 1000, first), AppendOutcome::kOk);
  EXPECT_EQ(put_histogram(1, kStart + 1000, second), AppendOutcome::kDuplicate);
  EXPECT_EQ(put_histogram(1, kStart, second), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(read(1).size(), 1U);
  EXPECT_FALSE(put(1, kStart + 1000, 3));  // a number at the time of a histogram is another value
  open();
  EXPECT_EQ(put_histogram(1, kStart + 1000, first), AppendOutcome::kOk);
  EXPECT_EQ(put_histogram(1, kStart + 1000, second), AppendOutcome::kDuplicate);
  EXPECT_EQ(read(1).size(), 1U);
  Histogram wrong = second;
  wrong.count -= 1;
  EXPECT_EQ(put_histogram(1, kStart + 2000, wrong), AppendOutcome::kInvalid);
  auto appender = store_->appender();
  EXPECT_EQ(appender->append(99, kStart, first), AppendOutcome::kUnknownSeries);
}

TEST_F(HistogramStoreTest, one_batch_may_hold_both_kinds_of_one_series) {
  open();
  ObservedHistogram client(1);
  client.observe(10);
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(4));
  EXPECT_EQ(appender->append(ref, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart + 1, client.histogram()), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart + 2, 2), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(ref, kStart + 1, client.histogram()), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(appender->pending(), 3U);
  ASSERT_TRUE(appender->commit());
  for (int round = 0; round < 2; ++round) {
    const Columns columns = read(4);
    ASSERT_EQ(columns.times, (std::vector<TimestampMs>{kStart, kStart + 1, kStart + 2}));
    EXPECT_EQ(columns.values[0], 1);
    EXPECT_TRUE(*columns.histograms[1] == client.histogram());
    EXPECT_EQ(columns.values[2], 2);
    open();
  }
}

TEST_F(HistogramStoreTest, a_stale_marker_ends_a_series_of_histograms) {
  open();
  ObservedHistogram client(1);
  client.observe(10);
  Histogram stale = client.histogram();
  stale.sum = model::stale_nan();
  ASSERT_EQ(put_histogram(1, kStart, client.histogram()), AppendOutcome::kOk);
  ASSERT_EQ(put_histogram(1, kStart + 1, stale), AppendOutcome::kOk);
  ASSERT_EQ(put_histogram(2, kStart, client.histogram()), AppendOutcome::kOk);
  ASSERT_TRUE(put(2, kStart + 1, model::stale_nan()));
  for (const int i : {1, 2}) {
    const Columns columns = read(i);
    ASSERT_EQ(columns.size(), 2U);
    EXPECT_EQ(columns.histograms[1], nullptr);
    EXPECT_TRUE(model::is_stale_nan(columns.values[1]));
  }
}

TEST_F(HistogramStoreTest, a_flipped_bit_in_the_log_costs_one_batch_and_is_told) {
  open();
  fill(50);
  store_.reset();
  const auto log = dir_.path() / "wal" / "00000001.wal";
  flip(log, std::filesystem::file_size(log) / 2);
  open();
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 1U);
  const Columns columns = read(0);
  EXPECT_EQ(columns.size(), 49U);
  for (const HistogramPtr& histogram : columns.histograms) {
    EXPECT_TRUE(std::ranges::any_of(histograms_, [&](const auto& h) { return same_histogram(*h, *histogram); }));
  }
}

TEST_F(HistogramStoreTest, a_torn_tail_loses_only_what_was_not_whole) {
  open();
  fill(50);
  store_.reset();
  const auto log = dir_.path() / "wal" / "00000001.wal";
  std::filesystem::resize_file(log, std::filesystem::file_size(log) - 3);
  open();
  EXPECT_EQ(read(0).size(), 49U);
  EXPECT_EQ(registry_.counter("quarterdeck_store_torn_tails_total", "").value(), 1U);
}

TEST_F(HistogramStoreTest, flipped_bits_in_a_segment_are_told_and_never_give_another_histogram) {
  open();
  fill(200);
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  const auto sealed = names("segments");
  ASSERT_FALSE(sealed.empty());
  const auto path = dir_.path() / "segments" / sealed[0];
  const auto size = std::filesystem::file_size(path);
  std::size_t told = 0;
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::size_t offset = random() % size;
    flip(path, offset);
    const auto segment = Segment::open(posix_, path);
    if (!segment || !(*segment)->verify()) ++told;
    for (std::uint32_t id = 0; segment && id < (*segment)->info().series; ++id) {
      Columns columns;
      if (!(*segment)->read(id, -kAll, kAll, columns)) continue;
      for (std::size_t i = 0; i < columns.histograms.size(); ++i) {
        if (columns.histograms[i] == nullptr) continue;
        const auto at = static_cast<std::size_t>((columns.times[i] - kStart) / 1000);
        ASSERT_TRUE(same_histogram(*columns.histograms[i], *histograms_[at]));
      }
    }
    flip(path, offset);
  }
  EXPECT_EQ(told, 200U);
}

// --- Exemplars ---

Exemplar exemplar_at(TimestampMs time, double value, std::string_view trace = "abc") {
  return {.labels = LabelSet{{"trace_id", trace}}, .value = value, .time_ms = time};
}

class ExemplarStoreTest : public StoreTest {
 protected:
  std::uintmax_t log_bytes() const {
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path() / "wal")) bytes += entry.file_size();
    return bytes;
  }
  // Two windows are due, and a thousand exemplars stand behind them.
  void open_with_a_thousand() {
    open();
    for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
    for (int i = 0; i < 1000; ++i)
      ASSERT_EQ(put_exemplar(i % 100, exemplar_at(kStart + 200'001 + i, i)), AppendOutcome::kOk);
  }
  AppendOutcome put_exemplar(int i, const Exemplar& exemplar, bool sample = true) {
    auto appender = store_->appender();
    const SeriesRef ref = *appender->series(series_labels(i));
    if (sample) EXPECT_EQ(appender->append(ref, exemplar.time_ms, exemplar.value), AppendOutcome::kOk);
    const AppendOutcome outcome = appender->exemplar(ref, exemplar);
    EXPECT_TRUE(appender->commit());
    return outcome;
  }
  std::vector<SeriesExemplars> found(TimestampMs from = -kAll, TimestampMs to = kAll, std::string name = "m") {
    const std::vector<std::vector<Matcher>> selectors = {
        {*Matcher::create(Matcher::Kind::kEqual, "__name__", std::move(name))}};
    const auto result = store_->exemplars(selectors, from, to, 100);
    EXPECT_TRUE(result) << result.error().message();
    return result ? *result : std::vector<SeriesExemplars>();
  }
  // "instance: value@seconds …" a series.
  std::vector<std::string> shown(TimestampMs from = -kAll, TimestampMs to = kAll) {
    std::vector<std::string> lines;
    for (const auto& [labels, exemplars] : found(from, to)) {
      std::string line(labels.get("instance"));
      line += ":";
      for (const Exemplar& one : exemplars)
        line += fmt::format(" {}@{}", one.value, static_cast<double>(one.time_ms - kStart) / 1000);
      lines.push_back(line);
    }
    return lines;
  }
};

using Lines = std::vector<std::string>;

TEST_F(ExemplarStoreTest, are_found_by_series_and_time) {
  open();
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart, 1)), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(2, exemplar_at(kStart + 1000, 2)), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 2000, 3, "def")), AppendOutcome::kOk);
  EXPECT_EQ(shown(), (Lines{"00001: 1@0 3@2", "00002: 2@1"}));
  EXPECT_EQ(shown(kStart + 1, kStart + 1500), (Lines{"00002: 2@1"}));
  EXPECT_EQ(found(-kAll, kAll, "other").size(), 0U);
  EXPECT_EQ(found()[0].exemplars[1].labels.get("trace_id"), "def");
}

TEST_F(ExemplarStoreTest, outcomes_tell_repeats_from_late_ones_and_from_too_long_labels) {
  open();
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 1000, 1)), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 1000, 1), false), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 1000, 2), false), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart, 2), false), AppendOutcome::kOutOfOrder);
  // Told without a time of its own, it is the same one as long as nothing but the time differs.
  Exemplar untimed = exemplar_at(kStart + 2000, 1);
  untimed.has_time = false;
  EXPECT_EQ(put_exemplar(1, untimed, false), AppendOutcome::kOk);
  EXPECT_EQ(shown(), (Lines{"00001: 1@1"}));
  const std::string characters(120, 'x');
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 3000, 1, characters), false), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 4000, 1, characters + "x"), false), AppendOutcome::kInvalid);
  // Characters, not bytes: "ä" is two of those.
  std::string umlauts;
  for (int i = 0; i < 120; ++i) umlauts += "\xc3\xa4";
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 5000, 1, umlauts), false), AppendOutcome::kOk);
  auto appender = store_->appender();
  EXPECT_EQ(appender->exemplar(77, exemplar_at(kStart, 1)), AppendOutcome::kUnknownSeries);
}

TEST_F(ExemplarStoreTest, the_oldest_give_way_past_the_limit_and_zero_keeps_none) {
  options_.exemplars_limit = 3;
  open();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(put_exemplar(i % 2, exemplar_at(kStart + i * 1000, i)), AppendOutcome::kOk);
  EXPECT_EQ(shown(), (Lines{"00000: 2@2 4@4", "00001: 3@3"}));
  EXPECT_EQ(registry_.counter("quarterdeck_store_exemplars_dropped_total", "").value(), 2U);
  options_.exemplars_limit = 0;
  store_->set_options(options_);
  EXPECT_EQ(put_exemplar(0, exemplar_at(kStart + 9000, 9)), AppendOutcome::kOk);
  EXPECT_EQ(shown(), Lines{});
}

TEST_F(ExemplarStoreTest, survive_a_restart_and_a_cut_log) {
  open();
  for (TimestampMs t = 0; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  // After the boundary of the seal that comes, so that only the log has them.
  EXPECT_EQ(put_exemplar(1, exemplar_at(kStart + 201'000, 1)), AppendOutcome::kOk);
  EXPECT_EQ(put_exemplar(2, exemplar_at(kStart + 202'000, 2)), AppendOutcome::kOk);
  const Lines expected = {"00001: 1@201", "00002: 2@202"};
  open();
  EXPECT_EQ(shown(), expected);
  ASSERT_TRUE(store_->maintain(kStart + 203'000));
  ASSERT_GE(store_->stats().segments, 1U);
  EXPECT_EQ(shown(), expected);
  open();
  EXPECT_EQ(shown(), expected);
  EXPECT_EQ(put_exemplar(2, exemplar_at(kStart + 202'000, 2), false), AppendOutcome::kOk);
  EXPECT_EQ(shown(), expected);
}

TEST_F(ExemplarStoreTest, live_in_segments_as_long_as_their_samples) {
  open();
  Lines all = {"00001:"};
  for (TimestampMs t = 0; t <= 400'000; t += 10'000) {
    ASSERT_EQ(put_exemplar(1, exemplar_at(kStart + t, static_cast<double>(t))), AppendOutcome::kOk);
    all[0] += fmt::format(" {}@{}", t, t / 1000);
  }
  EXPECT_EQ(shown(), all);
  ASSERT_TRUE(store_->maintain(kStart + 400'000));
  EXPECT_LT(store_->stats().head_exemplars, 20U);
  EXPECT_EQ(shown(), all);
  EXPECT_EQ(shown(kStart + 15'000, kStart + 25'000), (Lines{"00001: 20000@20"}));
  open();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(store_->maintain(kStart + 400'000));
  EXPECT_EQ(shown(), all);
  const auto appended = put_exemplar(1, exemplar_at(kStart, 7), false);
  EXPECT_EQ(appended, AppendOutcome::kTooOld);
  options_.retention_ms = 100'000;
  store_->set_options(options_);
  ASSERT_TRUE(store_->maintain(kStart + 400'000));
  EXPECT_LT(shown()[0].size(), all[0].size());
}

// One may be older than all samples of its series; the window in which it falls has none of them then.
TEST_F(ExemplarStoreTest, wait_for_a_sample_of_their_series_to_be_sealed) {
  open();
  for (TimestampMs t = 0; t <= 50'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  EXPECT_EQ(put_exemplar(2, exemplar_at(kStart + 55'000, 2), false), AppendOutcome::kOk);
  ASSERT_TRUE(put(2, kStart + 65'000, 2));
  for (TimestampMs t = 60'000; t <= 100'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 100'000));
  ASSERT_EQ(store_->stats().segments, 1U);
  const Lines expected = {"00002: 2@55"};
  EXPECT_EQ(shown(), expected);
  open();
  EXPECT_EQ(shown(), expected);
  for (TimestampMs t = 110'000; t <= 200'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 200'000));
  EXPECT_EQ(store_->stats().head_exemplars, 0U);
  EXPECT_EQ(shown(), expected);
  open();
  EXPECT_EQ(shown(), expected);
}

TEST_F(ExemplarStoreTest, go_with_their_samples_where_those_are_deleted) {
  open();
  for (TimestampMs t = 0; t <= 50'000; t += 10'000)
    ASSERT_EQ(put_exemplar(1, exemplar_at(kStart + t, 1, fmt::format("at {}", t))), AppendOutcome::kOk);
  const std::vector<std::vector<Matcher>> selectors = {{Matcher::equal("instance", "00001")}};
  ASSERT_TRUE(store_->delete_series(selectors, kStart, kStart + 55'000));
  for (TimestampMs t = 60'000; t <= 100'000; t += 10'000) ASSERT_TRUE(put(1, kStart + t, 1));
  ASSERT_TRUE(store_->maintain(kStart + 100'000));
  EXPECT_EQ(store_->stats().head_exemplars, 0U);
  EXPECT_EQ(shown(), Lines{});
}

TEST_F(ExemplarStoreTest, what_comes_while_a_window_is_sealed_stays) {
  ExemplarRing ring(10);
  ring.add(1, exemplar_at(kStart, 1));
  ring.add(2, exemplar_at(kStart, 2));
  const auto sealed = ring.select(-kAll, kStart + 60'000);
  ring.add(1, exemplar_at(kStart + 1000, 3));
  ring.add(3, exemplar_at(kStart + 2000, 4));
  ring.remove(sealed);
  const auto left = ring.all();
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].exemplar.value, 3);
  EXPECT_EQ(left[1].exemplar.value, 4);
  bool repeated = false;
  EXPECT_EQ(ring.judge(1, exemplar_at(kStart + 500, 5), repeated), AppendOutcome::kOutOfOrder);
}

TEST_F(ExemplarStoreTest, are_counted_once) {
  open();
  {
    auto appender = store_->appender();
    const SeriesRef ref = *appender->series(series_labels(1));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(appender->exemplar(ref, exemplar_at(kStart + 1000, 1)), AppendOutcome::kOk);
    ASSERT_TRUE(appender->commit());
  }
  const auto& counted = registry_.counter("quarterdeck_store_exemplars_appended_total", "");
  EXPECT_EQ(counted.value(), 1U);
  open();
  EXPECT_EQ(shown(), (Lines{"00001: 1@1"}));
  EXPECT_EQ(counted.value(), 1U);
}

TEST_F(ExemplarStoreTest, do_not_fill_the_log_where_it_cannot_be_cut) {
  open_with_a_thousand();
  // Segments of the two windows that are due are read back, chunks are not.
  files_.fail_call(FaultyFiles::Call::kMap, 3, EIO);
  EXPECT_FALSE(store_->maintain(kStart + 202'000));
  ASSERT_EQ(store_->stats().segments, 2U);
  const auto before = log_bytes();
  int failures = 0;
  for (int i = 0; i < 20; ++i) failures += store_->maintain(kStart + 202'000) ? 0 : 1;
  EXPECT_EQ(failures, 5) << "it tries ever less often";
  EXPECT_LT(log_bytes(), before + before / 2);
  files_.heal();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(store_->maintain(kStart + 202'000));
  EXPECT_EQ(store_->stats().head_exemplars, 1000U);
  EXPECT_LT(log_bytes(), before);
}

TEST_F(ExemplarStoreTest, do_not_fill_the_log_where_its_cut_fails_at_the_end) {
  open_with_a_thousand();
  // Two windows are sealed, each with a segment and a manifest; the manifest of the cut is the next.
  files_.fail_call(FaultyFiles::Call::kRename, 5, EIO);
  const auto failed = store_->maintain(kStart + 202'000);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("cutting the log"), std::string::npos) << failed.error().message();
  const auto once = log_bytes();
  int failures = 0;
  for (int i = 0; i < 60; ++i) failures += store_->maintain(kStart + 202'000) ? 0 : 1;
  EXPECT_EQ(failures, 5) << "after 1, 2, 4, 8, 16 and so on";
  EXPECT_LT(log_bytes(), 7 * once);
  files_.heal();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(store_->maintain(kStart + 202'000));
  EXPECT_LT(log_bytes(), 2 * once);
  open();
  EXPECT_EQ(store_->stats().head_exemplars, 1000U);
}

TEST_F(ExemplarStoreTest, of_a_batch_that_fails_nothing_is_kept) {
  open();
  ASSERT_EQ(put_exemplar(1, exemplar_at(kStart, 1)), AppendOutcome::kOk);
  auto appender = store_->appender();
  const SeriesRef ref = *appender->series(series_labels(1));
  ASSERT_EQ(appender->exemplar(ref, exemplar_at(kStart + 1000, 2)), AppendOutcome::kOk);
  files_.fail_call(FaultyFiles::Call::kAppend, 1, ENOSPC);
  EXPECT_FALSE(appender->commit());
  files_.heal();
  EXPECT_EQ(shown(), (Lines{"00001: 1@0"}));
}

}  // namespace
}  // namespace qd::store::metrics
