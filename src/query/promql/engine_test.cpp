#include "query/promql/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/strings.h"
#include "base/thread_pool.h"
#include "query/promql/memory_querier.h"
#include "query/promql/parser.h"

namespace qd::query::promql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Stands still and counts who looks at it.
class CountingClock final : public base::Clock {
 public:
  std::int64_t wall_ms() const override { return 0; }
  std::int64_t monotonic_ns() const override {
    ++looks;
    return 0;
  }
  mutable int looks = 0;
};

class EngineTest : public testing::Test {
 protected:
  // `labels` as name{a="b"}; one value every 10 s from 0.
  void add(const model::LabelSet& labels, const std::vector<double>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      querier_.add(labels, static_cast<std::int64_t>(i) * 10'000, values[i]);
    }
  }

  std::string instant(std::string_view query, std::int64_t time_ms, const QueryOptions& options = {}) const {
    const auto result = engine_.instant(querier_, query, time_ms, options);
    return result ? shown(*result) : "error: " + result.error().message();
  }
  std::string range(std::string_view query, std::int64_t start_ms, std::int64_t end_ms, std::int64_t step_ms,
                    const QueryOptions& options = {}) const {
    const auto result = engine_.range(querier_, query, start_ms, end_ms, step_ms, options);
    return result ? shown(*result) : "error: " + result.error().message();
  }

  static std::string shown(const QueryResult& result) {
    if (const auto* scalar = std::get_if<ScalarValue>(&result.value)) return base::format_float(scalar->value);
    if (const auto* string = std::get_if<StringValue>(&result.value)) return string->value;
    std::vector<std::string> lines;
    if (const auto* vector = std::get_if<Vector>(&result.value)) {
      for (const VectorSample& sample : *vector) {
        lines.push_back(sample.labels.to_string() + " " + base::format_float(sample.value));
      }
    } else {
      for (const MatrixSeries& series : std::get<Matrix>(result.value)) {
        std::string line = series.labels.to_string();
        for (const model::Sample& sample : series.samples) {
          line += fmt::format(" {}@{}", base::format_float(sample.value), sample.time_ms / 1000);
        }
        lines.push_back(line);
      }
    }
    return fmt::format("{}", fmt::join(lines, "; "));
  }

  MemoryQuerier querier_;
  base::SystemClock clock_;
  base::ThreadPool pool_{3, 100};
  Engine engine_{&pool_, clock_};
};

TEST_F(EngineTest, an_instant_query_answers_with_what_its_expression_is) {
  add({{"__name__", "m"}, {"a", "b"}}, {1, 2, 3});
  EXPECT_EQ(instant("m", 20'000), "m{a=\"b\"} 3");
  EXPECT_EQ(instant("1 + 2 * 3", 0), "7");
  EXPECT_EQ(instant("'text'", 0), "text");
  EXPECT_EQ(instant("m[15s]", 20'000), "m{a=\"b\"} 2@10 3@20");
  EXPECT_EQ(instant("time()", 12'500), "12.5");
  EXPECT_EQ(instant("rate(m[20s])[20s:10s]", 30'000), "{a=\"b\"} 0.1@20");
}

TEST_F(EngineTest, a_range_query_answers_with_a_matrix_in_label_order) {
  add({{"__name__", "m"}, {"a", "2"}}, {1, 2, 3});
  add({{"__name__", "m"}, {"a", "1"}}, {4, 5, 6});
  EXPECT_EQ(range("m", 0, 25'000, 10'000), "m{a=\"1\"} 4@0 5@10 6@20; m{a=\"2\"} 1@0 2@10 3@20");
  EXPECT_EQ(range("1", 0, 2000, 1000), "{} 1@0 1@1 1@2");
  EXPECT_EQ(range("sort_desc(m)", 0, 10'000, 10'000), "m{a=\"1\"} 4@0 5@10; m{a=\"2\"} 1@0 2@10");
  EXPECT_THAT(range("m[5m]", 0, 1000, 1000), HasSubstr("invalid expression type \"range vector\" for range query"));
  EXPECT_THAT(range("'a'", 0, 1000, 1000), HasSubstr("invalid expression type \"string\""));
  EXPECT_THAT(range("m", 0, 1000, 0), HasSubstr("step"));
  EXPECT_THAT(range("m", 1000, 0, 1000), HasSubstr("before its start"));
}

TEST_F(EngineTest, lookback_is_open_on_its_left_and_ends_at_a_stale_marker) {
  add({{"__name__", "m"}}, {1, 2, model::stale_nan()});
  add({{"__name__", "n"}}, {5});
  EXPECT_EQ(instant("m", 19'999), "m 2");
  EXPECT_EQ(instant("m", 20'000), "");
  EXPECT_EQ(instant("n", 299'999), "n 5");
  EXPECT_EQ(instant("n", 300'000), "");
  QueryOptions options;
  options.lookback_ms = 1000;
  EXPECT_EQ(instant("n", 999, options), "n 5");
  EXPECT_EQ(instant("n", 1000, options), "");
}

TEST_F(EngineTest, names_go_at_once_unless_their_removal_is_delayed) {
  add({{"__name__", "a_total"}, {"x", "1"}}, {1, 2, 3});
  add({{"__name__", "b_total"}, {"x", "1"}}, {1, 2, 3});
  const char* both = "rate({__name__=~'.*_total'}[30s])";
  EXPECT_THAT(instant(both, 20'000), HasSubstr("vector cannot contain metrics with the same labelset"));
  EXPECT_THAT(instant(fmt::format("sum({})", both), 20'000), HasSubstr("same labelset"));
  EXPECT_EQ(instant("sum by (__name__) (rate(a_total[30s]))", 20'000), "{} 0.1");
  QueryOptions delayed;
  delayed.delayed_name_removal = true;
  EXPECT_THAT(instant(both, 20'000, delayed), HasSubstr("same labelset"));
  EXPECT_EQ(instant(fmt::format("sum({})", both), 20'000, delayed), "{} 0.2");
}

TEST_F(EngineTest, series_that_only_differ_in_name_join_where_they_do_not_overlap) {
  add({{"__name__", "a"}}, {1, model::stale_nan()});
  querier_.add({{"__name__", "b"}}, 10'000, 7);
  EXPECT_EQ(range("-{__name__=~'a|b'}", 0, 10'000, 10'000), "{} -1@0 -7@10");
  EXPECT_EQ(range("sum(abs({__name__=~'a|b'}))", 0, 10'000, 10'000), "{} 1@0 7@10");
}

TEST_F(EngineTest, ambiguous_matches_name_the_label_set) {
  add({{"__name__", "l"}, {"a", "1"}}, {1});
  add({{"__name__", "r"}, {"a", "1"}, {"b", "1"}}, {1});
  add({{"__name__", "r"}, {"a", "1"}, {"b", "2"}}, {1});
  EXPECT_EQ(instant("l + on(a) r", 0),
            "error: found duplicate series for the match group {a=\"1\"} on the right hand-side of the operation: "
            "[r{a=\"1\", b=\"2\"}, r{a=\"1\", b=\"1\"}];many-to-many matching not allowed: matching labels must be "
            "unique on one side");
  EXPECT_THAT(instant("r + on(a) l", 0), HasSubstr("multiple matches for labels: many-to-one matching must be explicit "
                                                   "(group_left/group_right)"));
  EXPECT_THAT(instant("r > on(a) l", 0), HasSubstr("many-to-one matching must be explicit"));
  EXPECT_THAT(instant("sum without(b) (r) + on(a) group_left(b) r", 0), HasSubstr("found duplicate series"));
  EXPECT_THAT(instant("label_replace(r, 'b', '', 'b', '.*')", 0), HasSubstr("same labelset"));
}

TEST_F(EngineTest, a_match_is_only_ambiguous_where_both_series_have_a_value) {
  add({{"__name__", "l"}}, {1, 2, 3});
  add({{"__name__", "r"}, {"b", "1"}}, {10, model::stale_nan()});
  querier_.add({{"__name__", "r"}, {"b", "2"}}, 10'000, 20);
  EXPECT_EQ(range("l + on() r", 0, 20'000, 10'000), "{} 11@0 22@10 23@20");
}

TEST_F(EngineTest, topk_and_sort_keep_their_order_in_an_instant_query) {
  for (int i = 0; i < 5; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, {static_cast<double>(i * 7 % 5)});
  EXPECT_EQ(instant("topk(2, m)", 0), "m{i=\"2\"} 4; m{i=\"4\"} 3");
  EXPECT_EQ(instant("sort_desc(m)", 0), "m{i=\"2\"} 4; m{i=\"4\"} 3; m{i=\"1\"} 2; m{i=\"3\"} 1; m{i=\"0\"} 0");
}

TEST_F(EngineTest, remarks_carry_their_place) {
  add({{"__name__", "m"}}, {1, 2, 3});
  const auto info = engine_.instant(querier_, "1 + rate(m[20s])", 20'000);
  ASSERT_TRUE(info);
  EXPECT_THAT(info->infos, ElementsAre("PromQL info: metric might not be a counter, name does not end in "
                                       "_total/_sum/_count/_bucket: \"m\" (1:10)"));
  EXPECT_TRUE(info->warnings.empty());
  const auto warning = engine_.instant(querier_, "quantile(1.5, m)", 0);
  ASSERT_TRUE(warning);
  EXPECT_THAT(warning->warnings,
              ElementsAre("PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"));
}

TEST_F(EngineTest, the_same_whatever_the_number_of_threads) {
  for (int i = 0; i < 3000; ++i) {
    const std::string id = std::to_string(i);
    const std::string group = std::to_string(i % 40);
    std::vector<double> values;
    for (int s = 0; s < 20; ++s) values.push_back(0.1 * i + s * s % 7 / 3.0);
    add({{"__name__", "m_total"}, {"id", id}, {"group", group}}, values);
  }
  const Engine alone(nullptr, clock_);
  for (const char* query :
       {"sum(rate(m_total[1m]))", "stddev(m_total)", "avg by (group) (m_total)", "max(m_total) - min(m_total)",
        "quantile(0.3, m_total)", "m_total % 3", "count by (group) (m_total > 100)", "topk(7, m_total)"}) {
    const auto many = engine_.range(querier_, query, 0, 200'000, 10'000);
    const auto one = alone.range(querier_, query, 0, 200'000, 10'000);
    ASSERT_TRUE(many && one) << query;
    EXPECT_EQ(shown(*many), shown(*one)) << query;
  }
}

TEST_F(EngineTest, each_series_is_read_once) {
  for (int i = 0; i < 100; ++i) add({{"__name__", "m_total"}, {"i", std::to_string(i)}}, std::vector<double>(30, i));
  const auto result = engine_.range(querier_, "sum(rate(m_total[1m]))", 0, 290'000, 1'000);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stats.series, 100U);
  EXPECT_EQ(result->stats.samples_read, 3000U);
  // Group rows and one series a thread, not a hundred rows.
  EXPECT_LT(result->stats.samples_peak, 100U * 291U);
}

TEST_F(EngineTest, limits_name_their_setting) {
  for (int i = 0; i < 100; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, std::vector<double>(30, i));
  QueryOptions samples;
  samples.samples_limit = 1000;
  EXPECT_THAT(range("m", 0, 290'000, 1000, samples), HasSubstr("(query.samples_limit)"));
  EXPECT_THAT(instant("sum_over_time(vector(1)[100y:1ms])", 0, samples), HasSubstr("(query.samples_limit)"));
  EXPECT_THAT(range("1", 0, 1'000'000'000'000'000, 1), HasSubstr("(query.samples_limit)"));
  QueryOptions memory;
  memory.memory_limit_bytes = 10'000;
  EXPECT_THAT(range("m", 0, 290'000, 1000, memory), HasSubstr("(query.memory_limit)"));
  QueryOptions series;
  series.series_limit = 99;
  EXPECT_THAT(instant("m", 0, series), HasSubstr("(query.series_limit)"));
  EXPECT_EQ(instant("count(m)", 0), "{} 100");
}

TEST_F(EngineTest, label_functions_make_no_endless_values) {
  add({{"__name__", "m"}, {"x", std::string(1024, 'a')}}, {1});
  const auto doubled = [](int levels) {
    std::string query = "m";
    for (int i = 0; i < levels; ++i) query = fmt::format("label_join({}, 'x', '', 'x', 'x')", query);
    return query;
  };
  const auto replaced = [](int levels) {
    std::string query = "m";
    for (int i = 0; i < levels; ++i) query = fmt::format("label_replace({}, 'x', '$1$1', 'x', '(.*)')", query);
    return query;
  };
  // Six levels give 64 KiB, which is still allowed.
  EXPECT_EQ(instant(fmt::format("count({})", doubled(6)), 0), "{} 1");
  EXPECT_EQ(instant(fmt::format("count({})", replaced(6)), 0), "{} 1");
  for (const auto& [query, function] : {std::pair{doubled(26), "label_join() would set label \"x\""},
                                        std::pair{doubled(7), "label_join() would set label \"x\""},
                                        std::pair{replaced(26), "label_replace() would set label \"x\""},
                                        std::pair{replaced(7), "label_replace() would set label \"x\""}}) {
    const auto result = engine_.instant(querier_, query, 0);
    ASSERT_FALSE(result) << query;
    EXPECT_EQ(result.error().code(), base::ErrorCode::kLimit);
    EXPECT_THAT(result.error().message(), HasSubstr(function));
    EXPECT_THAT(result.error().message(), HasSubstr("more than 65536 bytes"));
  }
}

TEST_F(EngineTest, labels_count_towards_the_memory_limit) {
  for (int i = 0; i < 100; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, {static_cast<double>(i)});
  const std::string text(2000, 'a');
  QueryOptions options;
  options.memory_limit_bytes = 100'000;
  const std::vector<std::string> queries = {
      fmt::format("label_replace(m, 'x', '{}', '', '')", text),
      fmt::format("label_join(m, 'x', '{}', 'i', 'i')", text),
      fmt::format("count_values('{}', m)", text),
      // One long value, copied to each row.
      fmt::format("m * on() group_left(x) label_replace(m{{i='7'}}, 'x', '{}', '', '')", text),
  };
  for (const std::string& query : queries) {
    EXPECT_THAT(instant(query, 0, options), HasSubstr("(query.memory_limit)")) << query;
    EXPECT_EQ(instant(fmt::format("count({})", query), 0), "{} 100") << query;
  }
  // What one operand held is given back before the next takes its own.
  std::string query = fmt::format("count(label_replace(m{{i='7'}}, 'x', '{}', '', ''))", text);
  std::string sum = query;
  for (int i = 0; i < 20; ++i) sum += " + " + query;
  options.memory_limit_bytes = 12'000;
  EXPECT_EQ(instant(sum, 0, options), "{} 21");
}

TEST_F(EngineTest, label_functions_look_at_the_time_row_by_row) {
  for (int i = 0; i < 100; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, {1});
  const CountingClock clock;
  const Engine engine(nullptr, clock);
  const auto looks = [&](std::string_view query) {
    clock.looks = 0;
    EXPECT_TRUE(engine.instant(querier_, query, 0)) << query;
    return clock.looks;
  };
  const int plain = looks("m");
  EXPECT_GE(looks("label_join(m, 'x', '', 'i')"), plain + 200);
  EXPECT_GE(looks("label_replace(m, 'x', '$1', 'i', '(.*)')"), plain + 200);
}

TEST_F(EngineTest, what_was_charged_is_given_back) {
  for (int i = 0; i < 20; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, std::vector<double>(30, i));
  QueryOptions options;
  options.samples_limit = 20 * 30 * 3;
  // Ten terms one after the other hold two operands and a result at once.
  std::string query = "m";
  for (int i = 0; i < 10; ++i) query += " + m";
  EXPECT_THAT(range(query, 0, 290'000, 10'000, options), HasSubstr("{i=\"0\"} 0@0"));
}

TEST_F(EngineTest, what_is_sorted_is_charged_too) {
  add({{"__name__", "m"}}, std::vector<double>(1000, 1));
  QueryOptions options;
  options.samples_limit = 1200;
  options.experimental = true;
  EXPECT_THAT(instant("max_over_time(m[1d])", 10'000'000, options), HasSubstr("{} 1"));
  for (const char* query : {"quantile_over_time(0.5, m[1d])", "mad_over_time(m[1d])"})
    EXPECT_THAT(instant(query, 10'000'000, options), HasSubstr("(query.samples_limit)")) << query;
}

TEST_F(EngineTest, a_cancelled_query_stops) {
  add({{"__name__", "m"}}, {1});
  QueryOptions options;
  options.cancel.cancel();
  const auto result = engine_.instant(querier_, "sum(m)", 0, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), base::ErrorCode::kCancelled);
}

// A second passes whenever somebody looks.
class HastyClock final : public base::Clock {
 public:
  std::int64_t wall_ms() const override { return 0; }
  std::int64_t monotonic_ns() const override { return now_.fetch_add(1'000'000'000); }

 private:
  mutable std::atomic<std::int64_t> now_{0};
};

TEST_F(EngineTest, a_slow_query_times_out_and_names_the_setting) {
  for (int i = 0; i < 100; ++i) add({{"__name__", "m"}, {"i", std::to_string(i)}}, {1});
  const HastyClock clock;
  const Engine engine(&pool_, clock);
  QueryOptions options;
  options.timeout_ms = 20'000;
  const auto result = engine.instant(querier_, "sum(m)", 0, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), base::ErrorCode::kTimeout);
  EXPECT_THAT(result.error().message(), HasSubstr("(query.timeout)"));
}

TEST_F(EngineTest, sums_do_not_lose_small_addends) {
  add({{"__name__", "m"}, {"i", "1"}}, {1e100, 1, -1e100, 1});
  add({{"__name__", "m"}, {"i", "2"}}, {1, 1, 1, 1});
  add({{"__name__", "m"}, {"i", "3"}}, {-1e100, 1, 1, 1});
  EXPECT_EQ(instant("sum_over_time(m{i='1'}[40s])", 30'000), "{i=\"1\"} 2");
  EXPECT_EQ(instant("avg_over_time(m{i='1'}[40s])", 30'000), "{i=\"1\"} 0.5");
  EXPECT_EQ(instant("sum(m)", 0), "{} 1");
}

TEST_F(EngineTest, averages_do_not_overflow) {
  add({{"__name__", "m"}, {"i", "1"}}, {1.5e308, 1.5e308, 1.5e308, 1.5e308, 1.5e308});
  add({{"__name__", "m"}, {"i", "2"}}, {1.5e308, 1.5e308, 1.5e308, 1.5e308, 1.5e308});
  EXPECT_EQ(instant("avg(m) == bool 1.5e308", 0), "{} 1");
  EXPECT_EQ(instant("sum(m)", 0), "{} +Inf");
  EXPECT_EQ(instant("avg_over_time(m[1m]) / 1.5e308 > bool 0.999999", 40'000), "{i=\"1\"} 1; {i=\"2\"} 1");
}

TEST_F(EngineTest, a_kept_tree_can_be_evaluated_again) {
  add({{"__name__", "m"}}, {1, 2});
  const auto expr = parse("m * 2");
  ASSERT_TRUE(expr);
  for (const double expected : {2.0, 4.0}) {
    const auto result = engine_.instant(querier_, **expr, "m * 2", expected == 2 ? 0 : 10'000);
    ASSERT_TRUE(result);
    EXPECT_EQ(std::get<Vector>(result->value)[0].value, expected);
  }
}

TEST_F(EngineTest, times_out_of_range_are_refused) {
  EXPECT_THAT(instant("1", std::numeric_limits<std::int64_t>::max()), HasSubstr("out of range"));
  EXPECT_THAT(instant("m @ 9e15", 0), testing::Not(HasSubstr("out of range")));
  EXPECT_EQ(instant("m @ -9e15 offset 200y", 0), "");
}

// A querier whose store has failed.
class BrokenQuerier final : public store::metrics::Querier {
 public:
  base::Result<std::unique_ptr<store::metrics::SeriesSet>> select(std::span<const model::Matcher>, model::TimestampMs,
                                                                  model::TimestampMs, std::size_t) const override {
    return base::fail(base::ErrorCode::kCorrupt, "segment 7 is damaged at offset 12");
  }
  base::Result<std::vector<std::string>> label_names(std::span<const model::Matcher>, model::TimestampMs,
                                                     model::TimestampMs) const override {
    return std::vector<std::string>{};
  }
  base::Result<std::vector<std::string>> label_values(std::string_view, std::span<const model::Matcher>,
                                                      model::TimestampMs, model::TimestampMs) const override {
    return std::vector<std::string>{};
  }
};

TEST_F(EngineTest, what_the_store_fails_with_is_what_the_query_fails_with) {
  const auto result = engine_.instant(BrokenQuerier(), "sum(rate(m[5m]))", 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), base::ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace qd::query::promql
