// The sliding windows against the plainest evaluator there is: at each step, look at every sample.
#include "query/promql/window_functions.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "query/promql/engine.h"
#include "query/promql/memory_querier.h"
#include "query/promql/sliding_sums.h"

namespace qd::query::promql {
namespace {

using Samples = std::vector<model::Sample>;
// From the samples of one window, its begin and end and the time of evaluation, all in milliseconds.
struct Window {
  Samples samples;
  double begin;
  double end;
  double now;
};
using Reference = std::function<std::optional<double>(const Window&)>;

double sum_of(const Samples& samples) {
  long double sum = 0;
  for (const model::Sample& s : samples) sum += s.value;
  return static_cast<double>(sum);
}

double variance_of(const Samples& samples) {
  const long double mean = static_cast<long double>(sum_of(samples)) / samples.size();
  long double squares = 0;
  for (const model::Sample& s : samples) squares += (s.value - mean) * (s.value - mean);
  return static_cast<double>(squares / samples.size());
}

double quantile_of(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(rank);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  const double weight = rank - static_cast<double>(low);
  return values[low] * (1 - weight) + values[high] * weight;
}

std::vector<double> values_of(const Samples& samples) {
  std::vector<double> out;
  for (const model::Sample& s : samples) out.push_back(s.value);
  return out;
}

std::optional<double> rate_of(const Window& w, bool counter, bool per_second) {
  const Samples& s = w.samples;
  if (s.size() < 2) return std::nullopt;
  double change = s.back().value - s.front().value;
  for (std::size_t i = 1; counter && i < s.size(); ++i) {
    if (s[i].value < s[i - 1].value) change += s[i - 1].value;
  }
  const auto first = static_cast<double>(s.front().time_ms);
  const auto last = static_cast<double>(s.back().time_ms);
  const double interval = (last - first) / static_cast<double>(s.size() - 1);
  double before = first - w.begin;
  double after = w.end - last;
  if (before >= 1.1 * interval) before = interval / 2;
  if (after >= 1.1 * interval) after = interval / 2;
  if (counter && change > 0 && s.front().value >= 0) {
    before = std::min(before, (last - first) * s.front().value / change);
  }
  const double whole = change * ((last - first) + before + after) / (last - first);
  return per_second ? whole / ((w.end - w.begin) / 1000) : whole;
}

// Slope, and the value at `at`, of the least-squares line.
std::pair<double, double> line_of(const Samples& s, double at) {
  long double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const model::Sample& sample : s) {
    const long double t = (static_cast<double>(sample.time_ms) - at) / 1000;
    n += 1;
    x += t;
    y += sample.value;
    xx += t * t;
    xy += t * sample.value;
  }
  const long double slope = (xy - x * y / n) / (xx - x * x / n);
  return {static_cast<double>(slope), static_cast<double>(y / n - slope * x / n)};
}

template <typename Hit>
double pairs_of(const Samples& s, Hit&& hit) {
  double count = 0;
  for (std::size_t i = 1; i < s.size(); ++i) count += hit(s[i - 1].value, s[i].value) ? 1 : 0;
  return count;
}

const std::map<std::string, Reference>& references() {
  static const std::map<std::string, Reference> all = {
      {"rate(m{})", [](const Window& w) { return rate_of(w, true, true); }},
      {"increase(m{})", [](const Window& w) { return rate_of(w, true, false); }},
      {"delta(m{})", [](const Window& w) { return rate_of(w, false, false); }},
      {"irate(m{})",
       [](const Window& w) -> std::optional<double> {
         if (w.samples.size() < 2) return std::nullopt;
         const model::Sample b = w.samples.back();
         const model::Sample a = w.samples[w.samples.size() - 2];
         return (b.value < a.value ? b.value : b.value - a.value) / (static_cast<double>(b.time_ms - a.time_ms) / 1000);
       }},
      {"idelta(m{})",
       [](const Window& w) -> std::optional<double> {
         if (w.samples.size() < 2) return std::nullopt;
         return w.samples.back().value - w.samples[w.samples.size() - 2].value;
       }},
      {"changes(m{})", [](const Window& w) { return pairs_of(w.samples, [](double a, double b) { return a != b; }); }},
      {"resets(m{})", [](const Window& w) { return pairs_of(w.samples, [](double a, double b) { return b < a; }); }},
      {"sum_over_time(m{})", [](const Window& w) { return sum_of(w.samples); }},
      {"avg_over_time(m{})", [](const Window& w) { return sum_of(w.samples) / static_cast<double>(w.samples.size()); }},
      {"count_over_time(m{})", [](const Window& w) { return static_cast<double>(w.samples.size()); }},
      {"min_over_time(m{})",
       [](const Window& w) {
         const auto v = values_of(w.samples);
         return *std::min_element(v.begin(), v.end());
       }},
      {"max_over_time(m{})",
       [](const Window& w) {
         const auto v = values_of(w.samples);
         return *std::max_element(v.begin(), v.end());
       }},
      {"first_over_time(m{})", [](const Window& w) { return w.samples.front().value; }},
      {"last_over_time(m{})", [](const Window& w) { return w.samples.back().value; }},
      {"present_over_time(m{})", [](const Window&) { return 1.0; }},
      {"stdvar_over_time(m{})", [](const Window& w) { return variance_of(w.samples); }},
      {"stddev_over_time(m{})", [](const Window& w) { return std::sqrt(variance_of(w.samples)); }},
      {"quantile_over_time(0.3, m{})", [](const Window& w) { return quantile_of(values_of(w.samples), 0.3); }},
      {"mad_over_time(m{})",
       [](const Window& w) {
         auto v = values_of(w.samples);
         const double median = quantile_of(v, 0.5);
         for (double& x : v) x = std::fabs(x - median);
         return quantile_of(v, 0.5);
       }},
      {"ts_of_first_over_time(m{})",
       [](const Window& w) { return static_cast<double>(w.samples.front().time_ms) / 1000; }},
      {"ts_of_last_over_time(m{})",
       [](const Window& w) { return static_cast<double>(w.samples.back().time_ms) / 1000; }},
      {"deriv(m{})",
       [](const Window& w) -> std::optional<double> {
         if (w.samples.size() < 2) return std::nullopt;
         return line_of(w.samples, w.now).first;
       }},
      {"predict_linear(m{}, 60)",
       [](const Window& w) -> std::optional<double> {
         if (w.samples.size() < 2) return std::nullopt;
         const auto [slope, intercept] = line_of(w.samples, w.now);
         return intercept + 60 * slope;
       }},
  };
  return all;
}

// A counter-like series: irregular times, gaps, resets, stale markers.
Samples random_series(std::mt19937& random) {
  Samples out;
  std::int64_t time = static_cast<std::int64_t>(random() % 20'000);
  double value = 0;
  while (time < 900'000) {
    if (random() % 25 == 0) {
      out.push_back({time, model::stale_nan()});
      time += static_cast<std::int64_t>(random() % 120'000);
    } else {
      if (random() % 15 == 0) value = static_cast<double>(random() % 4);
      if (random() % 4 != 0) value += static_cast<double>(random() % 1000) / 8;
      out.push_back({time, value});
    }
    time += 1 + static_cast<std::int64_t>(random() % (random() % 3 == 0 ? 30'000 : 10'000));
  }
  return out;
}

bool close(double a, double b) {
  return std::fabs(a - b) <= 1e-9 * std::max({1.0, std::fabs(a), std::fabs(b)});
}

struct Shape {
  std::int64_t start_ms;
  std::int64_t end_ms;
  std::int64_t step_ms;
  std::int64_t range_ms;
  std::int64_t offset_ms;
  std::optional<std::int64_t> at_ms;
};

class WindowFunctions : public testing::Test {
 protected:
  void check(const std::string& function, const Reference& reference, const Samples& samples, const Shape& shape) {
    MemoryQuerier querier;
    for (const model::Sample& s : samples) querier.add({{"__name__", "m"}}, s.time_ms, s.value);
    std::string selector = fmt::format("m[{}ms]", shape.range_ms);
    if (shape.at_ms) selector += fmt::format(" @ {}", static_cast<double>(*shape.at_ms) / 1000);
    if (shape.offset_ms != 0) {
      selector += fmt::format(" offset {}{}ms", shape.offset_ms < 0 ? "-" : "", std::abs(shape.offset_ms));
    }
    std::string query = function;
    query.replace(query.find("m{}"), 3, selector);
    QueryOptions options;
    options.experimental = true;
    const auto result = engine_.range(querier, query, shape.start_ms, shape.end_ms, shape.step_ms, options);
    ASSERT_TRUE(result) << query << ": " << result.error().message();
    std::map<std::int64_t, double> got;
    for (const MatrixSeries& series : std::get<Matrix>(result->value)) {
      for (const model::Sample& s : series.samples) got[s.time_ms] = s.value;
    }
    std::size_t expected_count = 0;
    for (std::int64_t now = shape.start_ms; now <= shape.end_ms; now += shape.step_ms) {
      const std::int64_t end = shape.at_ms.value_or(now) - shape.offset_ms;
      const std::int64_t begin = end - shape.range_ms;
      Window window{{}, static_cast<double>(begin), static_cast<double>(end), static_cast<double>(now)};
      for (const model::Sample& s : samples) {
        if (s.time_ms > begin && s.time_ms <= end && !model::is_stale_nan(s.value)) window.samples.push_back(s);
      }
      const auto expected = window.samples.empty() ? std::nullopt : reference(window);
      if (!expected) {
        EXPECT_FALSE(got.contains(now)) << query << " at " << now;
        continue;
      }
      ++expected_count;
      ASSERT_TRUE(got.contains(now)) << query << " at " << now;
      EXPECT_TRUE(close(got[now], *expected)) << query << " at " << now << ": " << got[now] << " is not " << *expected;
    }
    EXPECT_EQ(got.size(), expected_count) << query;
  }

  base::SystemClock clock_;
  Engine engine_{nullptr, clock_};
};

TEST_F(WindowFunctions, slide_as_if_each_step_looked_at_every_sample) {
  std::mt19937 random(42);
  for (int round = 0; round < 12; ++round) {
    const Samples samples = random_series(random);
    const std::int64_t start = static_cast<std::int64_t>(random() % 300'000) - 100'000;
    const Shape shape{start,
                      start + 600'000 + static_cast<std::int64_t>(random() % 400'000),
                      1 + static_cast<std::int64_t>(random() % 40'000),
                      1 + static_cast<std::int64_t>(random() % 200'000),
                      round % 3 == 0 ? static_cast<std::int64_t>(random() % 200'000) - 100'000 : 0,
                      round % 4 == 1 ? std::optional<std::int64_t>(random() % 800'000) : std::nullopt};
    for (const auto& [function, reference] : references()) check(function, reference, samples, shape);
  }
}

TEST_F(WindowFunctions, slide_alike_where_windows_overlap_much) {
  std::mt19937 random(43);
  for (int round = 0; round < 4; ++round) {
    const Samples samples = random_series(random);
    const Shape shape{100'000,
                      800'000,
                      500 + static_cast<std::int64_t>(random() % 1'500),
                      60'000 + static_cast<std::int64_t>(random() % 240'000),
                      0,
                      std::nullopt};
    for (const char* function : {"sum_over_time(m{})", "avg_over_time(m{})", "deriv(m{})", "predict_linear(m{}, 60)"}) {
      check(function, references().at(function), samples, shape);
    }
  }
}

TEST_F(WindowFunctions, what_is_huge_leaves_no_trace_behind_it) {
  for (const double huge : {1e300, -1e300, std::numeric_limits<double>::infinity(), kNan}) {
    MemoryQuerier querier;
    for (int i = 0; i < 600; ++i) {
      querier.add({{"__name__", "m"}}, i * 1000, i == 300 ? huge : 0.1 * (i % 7) + 0.01 * i);
    }
    for (const std::string query :
         {"sum_over_time(m[1m])", "avg_over_time(m[1m])", "deriv(m[1m])", "predict_linear(m[1m], 60)"}) {
      const auto together = engine_.range(querier, query, 60'000, 599'000, 1000, {});
      ASSERT_TRUE(together) << together.error().message();
      const auto& samples = std::get<Matrix>(together->value).at(0).samples;
      ASSERT_EQ(samples.size(), 540U) << query;
      for (const model::Sample& sample : samples) {
        const auto alone = engine_.instant(querier, query, sample.time_ms, {});
        ASSERT_TRUE(alone) << alone.error().message();
        const double expected = std::get<Vector>(alone->value).at(0).value;
        if (!std::isfinite(expected)) {
          EXPECT_EQ(std::isnan(sample.value), std::isnan(expected)) << query << " at " << sample.time_ms;
          continue;
        }
        EXPECT_TRUE(close(sample.value, expected))
            << query << " at " << sample.time_ms << ": " << sample.value << " is not " << expected;
      }
    }
  }
}

TEST_F(WindowFunctions, an_instant_selector_takes_the_newest_sample_unless_it_is_stale) {
  std::mt19937 random(43);
  for (int round = 0; round < 20; ++round) {
    const Samples samples = random_series(random);
    MemoryQuerier querier;
    for (const model::Sample& s : samples) querier.add({{"__name__", "m"}}, s.time_ms, s.value);
    QueryOptions options;
    options.lookback_ms = 1 + static_cast<std::int64_t>(random() % 60'000);
    const auto result = engine_.range(querier, "m", 0, 900'000, 7'001, options);
    ASSERT_TRUE(result);
    std::map<std::int64_t, double> got;
    for (const MatrixSeries& series : std::get<Matrix>(result->value)) {
      for (const model::Sample& s : series.samples) got[s.time_ms] = s.value;
    }
    for (std::int64_t now = 0; now <= 900'000; now += 7'001) {
      std::optional<model::Sample> newest;
      for (const model::Sample& s : samples) {
        if (s.time_ms <= now && s.time_ms > now - options.lookback_ms) newest = s;
      }
      const bool there = newest && !model::is_stale_nan(newest->value);
      ASSERT_EQ(got.contains(now), there) << now;
      if (there) {
        EXPECT_EQ(got[now], newest->value);
      }
    }
  }
}

TEST_F(WindowFunctions, extremes_ignore_nan_beside_numbers) {
  MemoryQuerier querier;
  const std::vector<double> values = {kNan, 3, kNan, 1, 2, kNan, kNan};
  for (std::size_t i = 0; i < values.size(); ++i) {
    querier.add({{"__name__", "m"}}, static_cast<std::int64_t>(i) * 1000, values[i]);
  }
  const auto at = [&](const char* query, std::int64_t time_ms) {
    const auto result = engine_.instant(querier, query, time_ms);
    return std::get<Vector>(result->value)[0].value;
  };
  EXPECT_EQ(at("max_over_time(m[7s])", 6000), 3);
  EXPECT_EQ(at("min_over_time(m[7s])", 6000), 1);
  EXPECT_EQ(at("max_over_time(m[3s])", 4000), 2);
  EXPECT_TRUE(std::isnan(at("max_over_time(m[2s])", 6000)));
}

TEST_F(WindowFunctions, a_small_loss_at_a_reset_survives_a_huge_one) {
  MemoryQuerier querier;
  const std::vector<double> values = {9.749e17, 3.7727, -0.0};
  for (std::size_t i = 0; i < values.size(); ++i) {
    querier.add({{"__name__", "m_total"}}, static_cast<std::int64_t>(i) * 10'000, values[i]);
  }
  const auto at = [&](const char* query) {
    const auto result = engine_.instant(querier, query, 20'000);
    return std::get<Vector>(result->value)[0].value;
  };
  // 20 s of samples and half an interval before them.
  EXPECT_DOUBLE_EQ(at("increase(m_total[1m])"), 3.7727 * 1.25);
  EXPECT_DOUBLE_EQ(at("rate(m_total[1m])"), 3.7727 * 1.25 / 60);
}

TEST_F(WindowFunctions, a_subquery_is_the_window_of_its_inner_steps) {
  std::mt19937 random(44);
  const Samples samples = random_series(random);
  MemoryQuerier querier;
  for (const model::Sample& s : samples) querier.add({{"__name__", "m"}}, s.time_ms, s.value);
  const auto outer = engine_.range(querier, "sum_over_time(m[90s:7s] offset 11s)", 100'000, 800'000, 13'000);
  ASSERT_TRUE(outer);
  for (const MatrixSeries& series : std::get<Matrix>(outer->value)) {
    for (const model::Sample& s : series.samples) {
      double sum = 0;
      for (std::int64_t t = 0; t <= s.time_ms - 11'000; t += 7'000) {
        if (t <= s.time_ms - 11'000 - 90'000) continue;
        const auto inner = engine_.instant(querier, "m", t);
        for (const VectorSample& sample : std::get<Vector>(inner->value)) sum += sample.value;
      }
      EXPECT_TRUE(close(s.value, sum)) << s.time_ms << ": " << s.value << " is not " << sum;
    }
  }
}

// More samples than candidates are held for.
TEST_F(WindowFunctions, extremes_of_a_long_series_are_the_same_in_bounded_memory) {
  constexpr std::size_t kSamples = 5 * kSlidingSamplesMax / 2 + 3;  // three and a bit a candidate
  std::mt19937 random(11);
  std::vector<model::TimestampMs> times(kSamples);
  std::vector<double> values(kSamples);
  double value = 0;
  for (std::size_t i = 0; i < kSamples; ++i) {
    times[i] = static_cast<model::TimestampMs>(i) * 10 + static_cast<model::TimestampMs>(random() % 5);
    // Long ways down and up, as candidates pile up there, and holes without a number.
    value += i / 3000 % 2 == 0 ? -1 : 1;
    values[i] = i / 100 % 50 == 7 ? kNan : value + static_cast<double>(random() % 3);
  }
  MemoryQuerier querier;
  const QueryOptions options;
  const base::SystemClock clock;
  const model::TimestampMs end_ms = times.back();
  for (const std::int64_t range_ms : {15, 45, 700, 25'000, 110'000}) {
    const std::int64_t step_ms = end_ms / 700 + 1;
    const Grid grid{.start_ms = 0, .step_ms = step_ms, .count = static_cast<std::size_t>(end_ms / step_ms)};
    Context context(querier, options, nullptr, clock, "m", 0, end_ms, step_ms);
    const Moment moment;
    const WindowView view{times.data(), values.data(), kSamples, grid, moment, range_ms};
    for (const auto id : {FunctionId::kMaxOverTime, FunctionId::kMinOverTime}) {
      Scratch scratch(context);
      std::vector<double> out(grid.count);
      over_time_windows(id, view, {}, out, scratch);
      EXPECT_LE(scratch.indices.capacity(), kSlidingSamplesMax);
      const double sign = id == FunctionId::kMaxOverTime ? 1 : -1;
      for (std::size_t k = 0; k < grid.count; ++k) {
        double expected = kNan;
        const auto first = std::upper_bound(times.begin(), times.end(), view.begin(k)) - times.begin();
        for (auto i = static_cast<std::size_t>(first); i < kSamples && times[i] <= view.end(k); ++i) {
          if (!(expected * sign >= values[i] * sign) && !std::isnan(values[i])) expected = values[i];
        }
        ASSERT_TRUE(expected == out[k] || (std::isnan(expected) && std::isnan(out[k])))
            << range_ms << " " << k << ": " << out[k] << ", not " << expected;
      }
    }
  }
}

}  // namespace
}  // namespace qd::query::promql
