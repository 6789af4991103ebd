// Histograms that come late, through every form that the store keeps late samples in.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>
#include <variant>

#include "store/metrics/histogram_test_data.h"
#include "store/metrics/late_buffer.h"
#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

using model::CounterReset;
using model::Histogram;

// A number or a histogram.
using Value = std::variant<double, Histogram>;
using Values = std::map<TimestampMs, Value>;

bool same(const Value& a, const Value& b) {
  if (a.index() != b.index()) return false;
  if (const auto* number = std::get_if<double>(&a)) return *number == std::get<double>(b);
  return std::get<Histogram>(a) == std::get<Histogram>(b);
}

std::string shown(const Value& value) {
  const auto* histogram = std::get_if<Histogram>(&value);
  return histogram == nullptr ? fmt::format("{}", std::get<double>(value))
                              : fmt::format("{{count:{} sum:{} buckets:[{}]}}", histogram->count, histogram->sum,
                                            fmt::join(histogram->positive, " "));
}

Histogram of_count(double count) {
  Histogram h;
  h.is_integer = true;
  h.positive_spans = {{0, 1}};
  h.positive = {count};
  h.count = h.sum = count;
  return h;
}

class LateHistogramsTest : public StoreTest {
 protected:
  LateHistogramsTest() { options_.retention_ms = 0; }

  struct Late {
    int series;
    TimestampMs time;
    Value value;
  };

  // The outcomes in order. Committed unless nothing was taken.
  std::vector<AppendOutcome> put_late(const std::vector<Late>& samples, bool of_any_age = true) {
    auto appender = store_->appender();
    if (of_any_age) appender->take_late();
    std::vector<AppendOutcome> outcomes;
    for (const Late& sample : samples) {
      const auto ref = appender->series(series_labels(sample.series));
      EXPECT_TRUE(ref);
      outcomes.push_back(
          std::visit([&](const auto& value) { return appender->append(*ref, sample.time, value); }, sample.value));
    }
    const auto committed = appender->commit();
    EXPECT_TRUE(committed) << committed.error().message();
    return outcomes;
  }
  AppendOutcome put_late(int series, TimestampMs time, const Value& value) {
    return put_late(std::vector<Late>{{series, time, value}}).front();
  }

  // Live histograms of series 0 up to kStart + `until`, maintained, so that nearly all is sealed.
  void live(TimestampMs until) {
    for (TimestampMs t = 0; t <= until; t += 10'000) {
      ASSERT_EQ(put_late({{0, kStart + t, of_count(static_cast<double>(t))}}, false).front(), AppendOutcome::kOk);
      ASSERT_TRUE(store_->maintain(kStart + t));
    }
  }

  std::map<std::string, Values> content_of(TimestampMs from = -kAll, TimestampMs to = kAll) {
    std::map<std::string, Values> all;
    const auto set = store_->select({}, from, to, 1000);
    EXPECT_TRUE(set);
    Columns columns;
    for (std::size_t i = 0; set && i < (*set)->size(); ++i) {
      const auto read = (*set)->read(i, from, to, columns);
      EXPECT_TRUE(read) << read.error().message();
      Values values;
      for (std::size_t k = 0; k < columns.size(); ++k) {
        const bool number = columns.histograms.empty() || columns.histograms[k] == nullptr;
        if (k > 0) EXPECT_LT(columns.times[k - 1], columns.times[k]);
        if (!number) EXPECT_TRUE(std::isnan(columns.values[k]) && !model::is_stale_nan(columns.values[k]));
        values.emplace(columns.times[k], number ? Value(columns.values[k]) : Value(*columns.histograms[k]));
      }
      if (!values.empty()) all[(*set)->labels(i).to_string()] = std::move(values);
    }
    return all;
  }
  Values values_of(int series) { return content_of()[series_labels(series).to_string()]; }

  static void expect_same(const std::map<std::string, Values>& found, const std::map<std::string, Values>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [labels, values] : expected) {
      const auto its = found.find(labels);
      ASSERT_NE(its, found.end()) << labels;
      ASSERT_EQ(its->second.size(), values.size()) << labels;
      for (auto a = its->second.begin(), b = Values::const_iterator(values.begin()); a != its->second.end(); ++a, ++b) {
        ASSERT_EQ(a->first, b->first) << labels;
        ASSERT_TRUE(same(a->second, b->second))
            << labels << " at " << a->first << ": " << shown(a->second) << ", not " << shown(b->second);
      }
    }
  }
};

TEST_F(LateHistogramsTest, are_taken_wherever_they_fall_and_stay) {
  open();
  live(300'000);
  std::map<std::string, Values> expected = content_of();
  const auto take = [&](int series, TimestampMs time, const Value& value) {
    ASSERT_EQ(put_late(series, time, value), AppendOutcome::kOk);
    expected[series_labels(series).to_string()].emplace(time, value);
  };
  take(0, kStart + 295'000, of_count(2));     // older than the newest
  take(0, kStart + 15'000, of_count(3));      // sealed
  take(1, kStart - 86'400'000, of_count(4));  // of a series that there was not
  take(0, kStart + 301'000, of_count(5));     // in order
  take(0, kStart + 16'000, 6.0);              // a number among them
  take(2, kStart - 86'400'000, 7.0);          // a series that has only numbers
  take(1, kStart - 86'300'000, model::stale_nan());
  expected[series_labels(1).to_string()].erase(kStart - 86'300'000);  // NaN is no other NaN's equal
  auto found = content_of();
  EXPECT_EQ(found[series_labels(1).to_string()].erase(kStart - 86'300'000), 1U);
  expect_same(found, expected);
  EXPECT_EQ(store_->stats().late_samples, 6U);
  open();
  found = content_of();
  EXPECT_EQ(found[series_labels(1).to_string()].erase(kStart - 86'300'000), 1U);
  expect_same(found, expected);
  EXPECT_EQ(store_->stats().late_samples, 6U);
  // Sealed, the log cut, merged.
  for (TimestampMs t = 310'000; t < 4'000'000; t += 10'000) {
    take(0, kStart + t, of_count(static_cast<double>(t)));
    ASSERT_TRUE(store_->maintain(kStart + t));
  }
  EXPECT_EQ(store_->stats().late_samples, 0U);
  open();
  found = content_of();
  EXPECT_EQ(found[series_labels(1).to_string()].erase(kStart - 86'300'000), 1U);
  expect_same(found, expected);
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
}

TEST_F(LateHistogramsTest, what_is_known_of_a_reset_is_not_kept_as_others_may_stand_between) {
  open();
  live(300'000);
  Histogram counted_on = of_count(7);
  counted_on.reset = CounterReset::kNotReset;
  Histogram gauge = of_count(7);
  gauge.reset = CounterReset::kGauge;
  EXPECT_EQ(put_late({{1, kStart + 5'000, counted_on}, {1, kStart + 6'000, gauge}}),
            (std::vector{AppendOutcome::kOk, AppendOutcome::kOk}));
  EXPECT_EQ(put_late(0, kStart + 5'000, counted_on), AppendOutcome::kOk);
  EXPECT_EQ(put_late(0, kStart + 6'000, gauge), AppendOutcome::kOk);
  const Values values = values_of(0);
  EXPECT_EQ(std::get<Histogram>(values.at(kStart + 5'000)).reset, CounterReset::kUnknown);
  EXPECT_EQ(std::get<Histogram>(values.at(kStart + 6'000)).reset, CounterReset::kGauge);
}

TEST_F(LateHistogramsTest, another_at_a_time_is_a_duplicate_wherever_the_first_stands) {
  open();
  live(300'000);
  const auto& stored = registry_.counter("quarterdeck_store_samples_appended_total", "");
  const auto twice = [&](TimestampMs time, double count) {
    SCOPED_TRACE(time);
    EXPECT_EQ(put_late(0, time, of_count(count)), AppendOutcome::kOk);
    const auto before = stored.value();
    Histogram again = of_count(count);
    again.reset = CounterReset::kReset;
    EXPECT_EQ(put_late(0, time, again), AppendOutcome::kOk);
    EXPECT_EQ(put_late(0, time, of_count(count + 1)), AppendOutcome::kDuplicate);
    EXPECT_EQ(put_late(0, time, 4.0), AppendOutcome::kDuplicate);
    EXPECT_EQ(stored.value(), before);
  };
  twice(kStart, 0);                  // in a segment
  twice(kStart + 280'000, 280'000);  // in the head
  twice(kStart + 300'000, 300'000);  // the newest
  twice(kStart + 5'000, 9);          // among the late ones
  EXPECT_EQ(put_late(0, kStart + 6'000, 1.0), AppendOutcome::kOk);
  EXPECT_EQ(put_late(0, kStart + 6'000, of_count(1)), AppendOutcome::kDuplicate);
  // In one batch: late against late, and late against in order.
  EXPECT_EQ(put_late({{0, kStart + 7'000, of_count(1)}, {0, kStart + 7'000, of_count(1)}, {0, kStart + 7'000, 1.0}}),
            (std::vector{AppendOutcome::kOk, AppendOutcome::kOk, AppendOutcome::kDuplicate}));
  EXPECT_EQ(put_late({{0, kStart + 310'000, of_count(1)},
                      {0, kStart + 320'000, of_count(1)},
                      {0, kStart + 310'000, of_count(2)},
                      {0, kStart + 310'000, of_count(1)},
                      {0, kStart + 315'000, of_count(3)}}),
            (std::vector{AppendOutcome::kOk, AppendOutcome::kOk, AppendOutcome::kDuplicate, AppendOutcome::kOk,
                         AppendOutcome::kOk}));
  // Sealed by themselves.
  ASSERT_EQ(put_late(0, kStart + 500'000, of_count(1)), AppendOutcome::kOk);
  ASSERT_TRUE(store_->maintain(kStart + 500'000));
  ASSERT_EQ(store_->stats().late_samples, 0U);
  twice(kStart + 5'000, 9);
}

TEST_F(LateHistogramsTest, those_that_nobody_could_send_are_refused) {
  open();
  live(300'000);
  Histogram wrong = of_count(3);
  wrong.positive = {1, 2, 3};
  EXPECT_EQ(put_late(0, kStart + 5'000, wrong), AppendOutcome::kInvalid);
  EXPECT_EQ(store_->stats().late_samples, 0U);
}

TEST_F(LateHistogramsTest, the_out_of_order_window_is_theirs_as_well) {
  open();
  live(300'000);
  const auto outcome = [&](TimestampMs time) { return put_late({{0, time, of_count(77)}}, false).front(); };
  EXPECT_EQ(outcome(kStart + 299'000), AppendOutcome::kOutOfOrder);
  EXPECT_EQ(outcome(kStart + 1'000), AppendOutcome::kTooOld);
  options_.out_of_order_window_ms = 60'000;
  store_->set_options(options_);
  EXPECT_EQ(outcome(kStart + 299'000), AppendOutcome::kOk);
  EXPECT_EQ(outcome(kStart + 240'001), AppendOutcome::kOk);
  EXPECT_EQ(outcome(kStart + 239'999), AppendOutcome::kTooOld);
  EXPECT_EQ(values_of(0).count(kStart + 240'001), 1U);
}

TEST_F(LateHistogramsTest, what_is_deleted_may_be_told_anew) {
  open();
  live(300'000);
  ASSERT_EQ(put_late(0, kStart + 15'000, of_count(3)), AppendOutcome::kOk);
  const std::vector<std::vector<Matcher>> selectors = {{Matcher::equal("instance", "00000")}};
  ASSERT_TRUE(store_->delete_series(selectors, kStart, kStart + 100'000));
  EXPECT_EQ(values_of(0).begin()->first, kStart + 110'000);
  EXPECT_EQ(put_late(0, kStart + 15'000, of_count(4)), AppendOutcome::kOk);
  const Value first = values_of(0).begin()->second;
  EXPECT_TRUE(same(first, of_count(4)));
}

// Some buckets are as much as many numbers: what waits is bounded by what it takes, not by how many there are.
TEST_F(LateHistogramsTest, are_sealed_when_what_they_take_is_due) {
  open();
  live(30'000);
  Histogram wide = of_count(1);
  wide.positive_spans = {{0, 8'000}};
  wide.positive.assign(8'000, 1);
  wide.count = 8'000;
  SampleBatch batch;
  batch.refs = {1};
  batch.times = {kStart};
  batch.values = {0};
  batch.histograms = {std::make_shared<const Histogram>(wide)};
  ASSERT_GT(late_weight(batch), 2'500U);
  std::vector<Late> samples;
  for (int i = 0; i < 380; ++i) samples.push_back({1, kStart - 1'000'000 + i * 1000, wide});
  put_late(samples);
  ASSERT_TRUE(store_->maintain(kStart + 30'000));
  EXPECT_EQ(store_->stats().late_samples, 0U);
  EXPECT_EQ(values_of(1).size(), 380U);
}

TEST_F(LateHistogramsTest, over_many_windows_are_all_written) {
  open();
  live(30'000);
  std::map<std::string, Values> expected = content_of();
  std::vector<Late> samples;
  // Two hours apart over three years, with holes.
  for (int i = 0; i < 12'000; ++i) {
    if (i / 1000 % 3 == 1) continue;
    samples.push_back({1 + i % 2, kStart - 94'000'000'000 + i * 7'200'000LL, of_count(i)});
    expected[series_labels(samples.back().series).to_string()].emplace(samples.back().time, samples.back().value);
  }
  put_late(samples);
  ASSERT_EQ(put_late(0, kStart + 360'000, of_count(1)), AppendOutcome::kOk);
  expected[series_labels(0).to_string()].emplace(kStart + 360'000, of_count(1));
  ASSERT_TRUE(store_->maintain(kStart + 360'000));
  EXPECT_EQ(store_->stats().late_samples, 0U);
  EXPECT_GT(store_->stats().segments, 32U);
  expect_same(content_of(), expected);
}

// Any mix of late and live numbers and histograms, maintenance, restarts and failing disks is the same as a map by
// time, in which what came first stays.
TEST_F(LateHistogramsTest, are_a_map_by_time_whatever_comes_in_which_order) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    store_.reset();
    std::filesystem::remove_all(dir_.path());
    open();
    std::vector<Histogram> some;
    while (some.size() < 8) {
      some.push_back(random_histogram(random));
      if (std::isnan(some.back().sum)) some.pop_back();  // == finds it another each time
    }
    std::map<std::string, Values> reference;
    TimestampMs now = kStart;
    const auto check = [&] {
      expect_same(content_of(), reference);
      const TimestampMs from = now - below(600) * 1000;
      const TimestampMs to = from + below(300) * 1000;
      std::map<std::string, Values> part = reference;
      for (auto& [labels, of] : part)
        std::erase_if(of, [&](const auto& sample) { return sample.first < from || sample.first > to; });
      std::erase_if(part, [](const auto& one) { return one.second.empty(); });
      expect_same(content_of(from, to), part);
    };
    for (int step = 0; step < 500; ++step) {
      now += below(3) * 1000;
      std::vector<Late> batch;
      for (int i = below(12); i >= 0; --i) {
        const TimestampMs back = below(4) == 0 ? 0 : below(below(5) == 0 ? 3'000 : 120) * 1000;
        Value value = static_cast<double>(below(2));
        if (below(3) > 0) value = some[static_cast<std::size_t>(below(8))];
        batch.push_back({below(5), now - back, std::move(value)});
      }
      const auto outcomes = put_late(batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        auto& series = reference[series_labels(batch[i].series).to_string()];
        const auto [at, is_new] = series.try_emplace(batch[i].time, batch[i].value);
        ASSERT_EQ(outcomes[i],
                  is_new || same(at->second, batch[i].value) ? AppendOutcome::kOk : AppendOutcome::kDuplicate)
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

TEST_F(LateHistogramsTest, what_a_killed_process_had_acknowledged_is_there_unaltered) {
  options_.seal_interval_ms = 1000;
  // Step n of the child: a late histogram of each series, each step's at a time of its own, far and near in turn.
  const auto time_of = [](int step) { return kStart - (step * 7919 % 10'007) * 100 - 50; };
  int acknowledged = 0;
  for (int round = 0; round < 8; ++round) {
    acknowledged = steps_before_a_kill(acknowledged, acknowledged + 39 + round * 11, [&](int step) {
      if (step % 7 == 0) (void)store_->maintain(kStart + step * 50);
      std::vector<Late> batch;
      for (int i = 0; i < 5; ++i) batch.push_back({i, time_of(step), of_count(step)});
      const auto outcomes = put_late(batch);
      return std::ranges::count(outcomes, AppendOutcome::kOk) == 5 && put(9, kStart + step * 50, 1);
    });
    ASSERT_FALSE(HasFailure());
    auto found = content_of();
    // The batch that was being written may be there as well, whole.
    const auto steps = static_cast<int>(found[series_labels(0).to_string()].size());
    ASSERT_GE(steps, acknowledged);
    ASSERT_LE(steps, acknowledged + 1);
    Values values;
    for (int i = 0; i < steps; ++i) values.emplace(time_of(i), of_count(i));
    std::map<std::string, Values> expected;
    for (int i = 0; i < 5; ++i) expected[series_labels(i).to_string()] = values;
    found.erase(series_labels(9).to_string());
    expect_same(found, expected);
    acknowledged = steps;
  }
}

}  // namespace
}  // namespace qd::store::metrics
