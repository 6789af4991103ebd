// Native histograms through the whole engine, where the scripts (tests/scenarios/promql/histograms.test) cannot look:
// threads, limits, names, what results hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <memory>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "model/histogram_estimates.h"
#include "query/promql/engine.h"
#include "query/promql/memory_querier.h"

namespace qd::query::promql {
namespace {

using testing::HasSubstr;

model::HistogramPtr histogram(double first, double second) {
  auto out = std::make_shared<model::Histogram>();
  out->count = first + second;
  out->sum = first + 3 * second;
  out->positive_spans = {{1, 2}};
  out->positive = {first, second};
  return out;
}

class EngineHistogramTest : public testing::Test {
 protected:
  // Series `name` with label i = "0" up to n - 1, one histogram a minute that grows by `i` and 1.
  void add(std::string_view name, int n) {
    for (int i = 0; i < n; ++i) {
      const std::string number = fmt::format("{}", i);
      const std::string group = fmt::format("{}", i % 40);
      const model::LabelSet labels{{"__name__", name}, {"group", group}, {"i", number}};
      for (int t = 0; t < 10; ++t) querier_.add(labels, t * 60'000, histogram(1 + 0.1 * i * t, t));
    }
  }

  static std::string shown(const base::Result<QueryResult>& result) {
    if (!result) return "error: " + result.error().message();
    std::string out;
    if (const auto* vector = std::get_if<Vector>(&result->value)) {
      for (const VectorSample& sample : *vector) {
        out += sample.labels.to_string() + " " +
               (sample.histogram == nullptr ? fmt::format("{}", sample.value) : model::to_string(*sample.histogram)) +
               "\n";
      }
      return out;
    }
    for (const MatrixSeries& series : std::get<Matrix>(result->value)) {
      out += series.labels.to_string();
      for (const model::Sample& sample : series.samples) out += fmt::format(" {}@{}", sample.value, sample.time_ms);
      for (const HistogramSample& sample : series.histograms) {
        out += fmt::format(" {}@{}", model::to_string(*sample.histogram), sample.time_ms);
      }
      out += "\n";
    }
    return out;
  }

  std::string instant(std::string_view query, const QueryOptions& options = {}) const {
    return shown(engine_.instant(querier_, query, 60'000, options));
  }

  MemoryQuerier querier_;
  const base::SystemClock clock_;
  const Engine engine_{nullptr, clock_};
};

TEST_F(EngineHistogramTest, results_hold_numbers_and_histograms_at_their_times) {
  const model::LabelSet labels{{"__name__", "m"}};
  querier_.add(labels, 0, 5.0);
  querier_.add(labels, 60'000, histogram(1, 2));
  EXPECT_EQ(instant("m"), "m {count:3, sum:7, (1,2]:1, (2,4]:2}\n");
  EXPECT_EQ(shown(engine_.range(querier_, "m", 0, 60'000, 60'000)), "m 5@0 {count:3, sum:7, (1,2]:1, (2,4]:2}@60000\n");
  EXPECT_EQ(instant("m[5m]"), "m 5@0 {count:3, sum:7, (1,2]:1, (2,4]:2}@60000\n");
}

TEST_F(EngineHistogramTest, functions_take_the_name_off_at_once_without_delayed_removal) {
  querier_.add({{"__name__", "m"}, {"a", "1"}}, 0, histogram(1, 2));
  EXPECT_EQ(instant("m * 2"), R"({a="1"} {count:6, sum:14, (1,2]:2, (2,4]:4})"
                              "\n");
  EXPECT_EQ(instant("-m"), R"({a="1"} {count:-3, sum:-7, (1,2]:-1, (2,4]:-2})"
                           "\n");
  EXPECT_EQ(instant("histogram_count(m)"), "{a=\"1\"} 3\n");
  EXPECT_EQ(instant("m >/ 2"), R"(m{a="1"} {count:2, sum:5.656854249492381, (2,4]:2})"
                               "\n");
  querier_.add({{"__name__", "n"}, {"a", "1"}}, 0, 7.0);
  EXPECT_THAT(instant(R"({a="1"} * 2)"), HasSubstr("same labelset"));
}

TEST_F(EngineHistogramTest, sums_are_the_same_on_any_number_of_threads) {
  add("h", 200);
  base::ThreadPool pool(4, 1000);
  const Engine parallel(&pool, clock_);
  // Few groups are added up from parts; many are dealt out whole.
  for (const char* query : {"sum(rate(h[5m]))", "avg by (group) (h)", "sum(h)", "count(h)", "avg(h)",
                            "histogram_quantile(0.9, sum by (group) (rate(h[5m])))"}) {
    const std::string alone = shown(engine_.range(querier_, query, 240'000, 540'000, 60'000));
    EXPECT_EQ(shown(parallel.range(querier_, query, 240'000, 540'000, 60'000)), alone) << query;
    EXPECT_THAT(alone, HasSubstr("@540000")) << query;
  }
}

TEST_F(EngineHistogramTest, histograms_are_charged_by_their_size) {
  add("h", 100);
  QueryOptions options;
  options.samples_limit = 1000;  // numbers would need a tenth of it
  for (const char* query : {"h * 2", "h", "rate(h[5m])", "sum by (i) (h)", "h + h", "h[10m]"}) {
    EXPECT_THAT(shown(engine_.instant(querier_, query, 240'000, options)), HasSubstr("query.samples_limit")) << query;
  }
  EXPECT_THAT(shown(engine_.instant(querier_, "sum(h)", 240'000, options)), HasSubstr("{}"));
}

TEST_F(EngineHistogramTest, a_histogram_in_a_label_has_a_length_limit) {
  auto wide = std::make_shared<model::Histogram>();
  wide->schema = 8;
  wide->positive_spans = {{0, 5000}};
  wide->positive.assign(5000, 1);
  wide->count = 5000;
  querier_.add({{"__name__", "wide"}}, 60'000, wide);
  EXPECT_THAT(instant(R"(count_values("v", wide))"), HasSubstr("more than 65536 bytes"));
}

TEST_F(EngineHistogramTest, hostile_layouts_are_survived) {
  auto odd = std::make_shared<model::Histogram>();
  odd->schema = 8;
  odd->zero_threshold = 1e300;
  odd->count = 1e300;
  odd->sum = -std::numeric_limits<double>::infinity();
  odd->positive_spans = {{2'000'000'000, 1}, {0, 0}, {100'000'000, 1}};
  odd->positive = {std::numeric_limits<double>::max(), 1};
  odd->negative_spans = {{-2'147'483'648, 1}, {2'147'483'647, 1}};
  odd->negative = {1, std::numeric_limits<double>::quiet_NaN()};
  querier_.add({{"__name__", "m"}, {"a", "1"}}, 0, odd);
  querier_.add({{"__name__", "m"}, {"a", "1"}}, 30'000, histogram(1, 2));
  querier_.add({{"__name__", "m"}, {"a", "2"}}, 0, histogram(1, 2));
  querier_.add({{"__name__", "m"}, {"a", "2"}}, 30'000, odd);
  for (const char* query :
       {"sum(m)", "avg(m)", "rate(m[2m])", "increase(m[2m])", "irate(m[2m])", "delta(m[2m])", "sum_over_time(m[2m])",
        "avg_over_time(m[2m])", "histogram_quantile(0.5, m)", "histogram_fraction(-1, 1, m)", "histogram_stddev(m)",
        "m </ 1", "m >/ -1", "m - on(a) m", "m * Inf", "m / 0", "resets(m[2m])", "changes(m[2m])"}) {
    EXPECT_THAT(instant(query), testing::Not(HasSubstr("error"))) << query;
  }
}

}  // namespace
}  // namespace qd::query::promql
