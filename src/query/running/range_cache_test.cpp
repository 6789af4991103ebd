#include "query/running/range_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "query/promql/grid.h"
#include "query/promql/memory_querier.h"
#include "query/promql/parser.h"
#include "query/running/cacheable.h"

namespace qd::query::running {
namespace {

using model::LabelSet;
using model::TimestampMs;
using promql::Matrix;
using promql::QueryResult;

constexpr std::uint64_t kBytes = 16 << 20;
constexpr std::int64_t kStep = 15'000;
constexpr TimestampMs kBegin = 1'700'000'010'000;

class RangeCacheTest : public ::testing::Test {
 protected:
  base::Result<QueryResult> cached(const std::string& text, TimestampMs start, TimestampMs end,
                                   std::int64_t step = kStep, const promql::QueryOptions& options = {}) {
    QD_ASSIGN(const auto expr, promql::parse(text, {.experimental = options.experimental}));
    return cache_.range({*expr, text, start, end, step}, options);
  }
  base::Result<QueryResult> direct(const std::string& text, TimestampMs start, TimestampMs end,
                                   std::int64_t step = kStep, const promql::QueryOptions& options = {}) {
    return engine_.range(data_, text, start, end, step, options);
  }
  void add(const LabelSet& labels, TimestampMs time, double value) {
    data_.add(labels, time, value);
    changes_.note(time);
  }
  std::uint64_t samples_read(const std::string& text, TimestampMs start, TimestampMs end) {
    return cached(text, start, end)->stats.samples_read;
  }

  base::SystemClock clock_;
  base::Registry registry_;
  promql::MemoryQuerier data_;
  store::metrics::ChangeLog changes_;
  promql::Engine engine_{nullptr, clock_};
  RangeCache cache_{engine_, data_, changes_, registry_, kBytes};
  base::Counter& hits_ = registry_.counter("quarterdeck_query_cache_hits_total", "");
  base::Counter& misses_ = registry_.counter("quarterdeck_query_cache_misses_total", "");
};

// The same series, steps and annotations, and values but for the last bits.
::testing::AssertionResult same(const base::Result<QueryResult>& a, const base::Result<QueryResult>& b) {
  if (!a || !b) {
    if (a.has_value() == b.has_value()) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "one failed: " << (a ? b.error().message() : a.error().message());
  }
  const auto& x = std::get<Matrix>(a->value);
  const auto& y = std::get<Matrix>(b->value);
  if (x.size() != y.size()) return ::testing::AssertionFailure() << x.size() << " and " << y.size() << " series";
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i].labels != y[i].labels)
      return ::testing::AssertionFailure() << x[i].labels.to_string() << " and " << y[i].labels.to_string();
    if (x[i].samples.size() != y[i].samples.size())
      return ::testing::AssertionFailure()
             << x[i].labels.to_string() << ": " << x[i].samples.size() << " and " << y[i].samples.size() << " samples";
    for (std::size_t k = 0; k < x[i].samples.size(); ++k) {
      const double u = x[i].samples[k].value;
      const double v = y[i].samples[k].value;
      const bool equal = u == v || (std::isnan(u) && std::isnan(v)) || std::fabs(u - v) <= 1e-12 * std::fabs(u);
      if (x[i].samples[k].time_ms != y[i].samples[k].time_ms || !equal)
        return ::testing::AssertionFailure()
               << x[i].labels.to_string() << " at " << x[i].samples[k].time_ms << ": " << u << " and " << v;
    }
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto equal = [](const promql::HistogramSample& h, const promql::HistogramSample& g) {
      return h.time_ms == g.time_ms && *h.histogram == *g.histogram;
    };
    if (!std::ranges::equal(x[i].histograms, y[i].histograms, equal))
      return ::testing::AssertionFailure() << x[i].labels.to_string() << ": histograms differ";
  }
  if (a->warnings != b->warnings) return ::testing::AssertionFailure() << "warnings differ";
  if (a->infos != b->infos) return ::testing::AssertionFailure() << "infos differ";
  return ::testing::AssertionSuccess();
}

TEST_F(RangeCacheTest, only_the_new_end_is_computed) {
  const LabelSet a{{"__name__", "a_total"}};
  for (int i = 0; i <= 240; ++i) add(a, kBegin + i * kStep, i);
  const TimestampMs end = kBegin + 240 * kStep;
  const auto whole = samples_read("rate(a_total[1m])", kBegin, end);
  EXPECT_GT(whole, 230U);
  EXPECT_EQ(samples_read("rate(a_total[1m])", kBegin, end), 0U);
  add(a, end + kStep, 241);
  EXPECT_LE(samples_read("rate(a_total[1m])", kBegin + kStep, end + kStep), 8U);
  EXPECT_TRUE(same(cached("rate( a_total[1m] )", kBegin + kStep, end + kStep),
                   direct("rate(a_total[1m])", kBegin + kStep, end + kStep)));
  EXPECT_EQ(hits_.value(), 3U);
  EXPECT_EQ(misses_.value(), 1U);
}

TEST_F(RangeCacheTest, a_late_sample_is_seen_and_what_is_older_stays) {
  const LabelSet a{{"__name__", "a_total"}};
  const LabelSet late{{"__name__", "a_total"}, {"late", "1"}};
  for (int i = 0; i <= 240; ++i) add(a, kBegin + i * kStep, i);
  const TimestampMs end = kBegin + 240 * kStep;
  static_cast<void>(cached("sum(a_total)", kBegin, end));
  add(late, kBegin + 200 * kStep, 1000);
  const auto result = cached("sum(a_total)", kBegin, end);
  EXPECT_TRUE(same(result, direct("sum(a_total)", kBegin, end)));
  EXPECT_LT(result->stats.samples_read, 120U);
  // What is noted without a time may be anything: a deletion, an import.
  changes_.note(model::kMinTimestampMs);
  EXPECT_GT(samples_read("sum(a_total)", kBegin, end), 230U);
}

TEST_F(RangeCacheTest, native_histograms_are_cut_and_joined_as_numbers_are) {
  const LabelSet a{{"__name__", "a"}};
  const auto add_histogram = [&](int i) {
    model::Histogram histogram;
    histogram.is_integer = true;
    histogram.count = histogram.sum = i;
    histogram.positive_spans = {{0, 1}};
    histogram.positive = {static_cast<double>(i)};
    data_.add(a, kBegin + i * kStep, std::make_shared<const model::Histogram>(std::move(histogram)));
    changes_.note(kBegin + i * kStep);
  };
  for (int i = 0; i <= 240; ++i) add_histogram(i);
  const TimestampMs end = kBegin + 240 * kStep;
  static_cast<void>(cached("a", kBegin, end));
  add_histogram(241);
  const auto moved = cached("a", kBegin + kStep, end + kStep);
  EXPECT_TRUE(same(moved, direct("a", kBegin + kStep, end + kStep)));
  EXPECT_EQ(std::get<Matrix>(moved->value)[0].histograms.size(), 241U);
  EXPECT_EQ(hits_.value(), 1U);
}

TEST_F(RangeCacheTest, other_options_have_answers_of_their_own) {
  const LabelSet a{{"__name__", "a"}};
  add(a, kBegin, 1);
  const TimestampMs end = kBegin + 100 * kStep;
  promql::QueryOptions brief;
  brief.lookback_ms = 60'000;
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(same(cached("a", kBegin, end), direct("a", kBegin, end)));
    EXPECT_TRUE(same(cached("a", kBegin, end, kStep, brief), direct("a", kBegin, end, kStep, brief)));
  }
  EXPECT_NE(std::get<Matrix>(cached("a", kBegin, end)->value)[0].samples.size(),
            std::get<Matrix>(cached("a", kBegin, end, kStep, brief)->value)[0].samples.size());
}

TEST_F(RangeCacheTest, annotations_are_those_of_the_range_asked_for) {
  const LabelSet a{{"__name__", "plainly_no_counter"}};
  for (int i = 0; i <= 40; ++i) add(a, kBegin + i * kStep, i);
  const std::string text = "rate(plainly_no_counter[1m])";
  const TimestampMs end = kBegin + 80 * kStep;
  ASSERT_FALSE(direct(text, kBegin, end)->infos.empty());
  // The second half has no samples, and nothing to say.
  EXPECT_TRUE(same(cached(text, kBegin, end), direct(text, kBegin, end)));
  EXPECT_TRUE(
      same(cached(text, kBegin + 60 * kStep, end + 60 * kStep), direct(text, kBegin + 60 * kStep, end + 60 * kStep)));
  EXPECT_TRUE(same(cached(" " + text, kBegin, end), direct(" " + text, kBegin, end)));
}

TEST_F(RangeCacheTest, is_bounded) {
  for (int s = 0; s < 20; ++s) {
    for (int i = 0; i <= 100; ++i) add(LabelSet{{"__name__", "a"}, {"s", std::to_string(s)}}, kBegin + i * kStep, i);
  }
  const TimestampMs end = kBegin + 100 * kStep;
  const base::Gauge& bytes = registry_.gauge("quarterdeck_query_cache_bytes", "");
  static_cast<void>(cached("a", kBegin, end));
  const double one = bytes.value();
  ASSERT_GT(one, 20 * 100 * 16);
  cache_.set_bytes_max(static_cast<std::uint64_t>(one * 5));
  for (int i = 0; i < 50; ++i) {
    static_cast<void>(cached(fmt::format("a + {}", i), kBegin, end));
    ASSERT_LE(bytes.value(), one * 5);
  }
  EXPECT_GT(bytes.value(), one * 3);
  // The last is still there, the first is not.
  const auto before = hits_.value();
  static_cast<void>(cached("a + 49", kBegin, end));
  EXPECT_EQ(hits_.value(), before + 1);
  static_cast<void>(cached("a + 0", kBegin, end));
  EXPECT_EQ(hits_.value(), before + 1);
  cache_.set_bytes_max(0);
  EXPECT_EQ(bytes.value(), 0);
  static_cast<void>(cached("a + 0", kBegin, end));
  EXPECT_EQ(bytes.value(), 0);
}

TEST(Cacheable, tells_what_does_not_split_into_steps) {
  const auto judged = [](std::string_view text) {
    const auto expr = promql::parse(text, {.experimental = true});
    EXPECT_TRUE(expr) << text << ": " << expr.error().message();
    return expr && cacheable(**expr);
  };
  for (const char* text : {"a", "sum by (x) (rate(a[5m]))", "a offset 5m", "max_over_time(rate(a[5m])[1h:1m])",
                           "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", "topk(3, a) or absent(b)",
                           "{__name__=~\"a.*\"}", "a / on (x) group_left b", "time() - timestamp(a)", "1"}) {
    EXPECT_TRUE(judged(text)) << text;
  }
  for (const char* text : {"a @ end()",
                           "a @ start()",
                           "a @ 1700000000",
                           "a offset -5m",
                           "rate(a[5m] @ end())",
                           "rate(a[5m] offset -1m)",
                           "max_over_time(a[1h:1m] @ end())",
                           "sum(max_over_time(a[1h:1m] offset -1m))",
                           "limitk(2, a)",
                           "limit_ratio(0.5, a)",
                           "label_replace(a, \"x\", \"$1\", \"y\", \"(.*)\")",
                           "label_join(a, \"x\", \"-\", \"y\")",
                           "info(a)",
                           "rate({__name__=~\"a.*\"}[5m])",
                           "sum(rate({job=\"x\"}[5m]))",
                           "rate((a or b)[5m:1m])",
                           "rate(a[5m] smoothed)",
                           "a[5m] anchored",
                           "a offset step()",
                           "rate(a[2 * step()])"}) {
    EXPECT_FALSE(judged(text)) << text;
  }
}

// Samples come in any order, dashboards ask for moving ranges of several steps: the cache is never seen but in time.
TEST_F(RangeCacheTest, answers_are_the_same_with_and_without_it) {
  const std::vector<std::string> texts = {
      "a_total",
      "rate(a_total[1m])",
      "sum by (s) (increase(a_total[2m]))",
      "sum(a_total) / count(b)",
      "max_over_time(b[90s])",
      "avg by (s) (b)",
      "topk(2, b)",
      "bottomk(1, b)",
      "quantile(0.5, b)",
      "stddev(b)",
      "absent(b{s=\"3\"})",
      "absent_over_time(b{s=\"3\"}[1m])",
      "max_over_time(sum by (s) (rate(a_total[1m]))[3m:30s])",
      "b offset 1m",
      "b offset -1m",
      "b @ end()",
      "sum_over_time(b[1m] @ 1700000500)",
      "count_values(\"v\", b % 3)",
      "timestamp(b) - time()",
      "b > 5",
      "b > bool on (s) a_total",
      "a_total or b",
      "a_total unless on (s) b",
      "changes(b[2m])",
      "rate(b[1m])",
      "label_replace(b, \"z\", \"$1\", \"s\", \"(.*)\")",
      "sum(rate({__name__=~\"a_.*|b\"}[1m]))",
      "-b",
      "scalar(b{s=\"1\"}) + time()",
      "quantile_over_time(1.5, b[1m])",
      "histogram_quantile(0.9, sum by (le) (c_bucket))",
      "b{s=\"1\"} + on () group_right () b",
  };
  for (const unsigned seed : {1U, 2U, 3U}) {
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t n) { return static_cast<int>(random() % n); };
    TimestampMs now = kBegin;
    for (int round = 0; round < 600; ++round) {
      // Scrapes that are on time, a few that lag, and now and then one from long ago.
      const int appends = below(6);
      for (int i = 0; i < appends; ++i) {
        const int s = below(4);
        const std::string series = std::to_string(s);
        const std::int64_t age = below(20) == 0 ? below(1'500) * 1'000LL : below(4) == 0 ? below(60) * 1'000LL : 0;
        const double value = below(50) == 0 ? promql::kAbsent : below(100);
        add(LabelSet{{"__name__", "a_total"}, {"s", series}}, now - age, below(30) == 0 ? 0 : round * 3.0 + s);
        add(LabelSet{{"__name__", "b"}, {"s", series}}, now - age, value);
        add(LabelSet{{"__name__", "c_bucket"}, {"le", s == 3 ? "+Inf" : series}}, now - age, s * 10 + below(10));
      }
      now += below(3) * 5'000;
      const std::string& text = texts[static_cast<std::size_t>(below(static_cast<std::uint32_t>(texts.size())))];
      const std::int64_t step = below(2) == 0 ? kStep : 5'000;
      const TimestampMs end = (now + below(3) * 5'000 - 10'000) / step * step + below(4) / 3 * 1'000;
      const TimestampMs start = end - (below(3) == 0 ? 600'000 : 300'000) / step * step + below(6) / 5 * step;
      const auto expected = direct(text, start, end, step);
      ASSERT_TRUE(same(cached(text, start, end, step), expected))
          << "seed " << seed << " round " << round << ": " << text;
    }
  }
  EXPECT_GT(hits_.value(), 50U);
}

}  // namespace
}  // namespace qd::query::running
