#include "judge/rules/rule_tests.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace qd::judge::rules {
namespace {

constexpr std::string_view kRules = R"y(groups:
  - name: alerts
    rules:
      - alert: InstanceDown
        expr: up == 0
        for: 5m
        labels: {severity: page}
        annotations: {summary: "Instance {{ $labels.instance }} down in {{ $externalLabels.site }}"}
      - alert: AlwaysFiring
        expr: 1
  - name: rules
    rules:
      - record: job:test:count_over_time1m
        expr: sum without(instance) (count_over_time(test[1m]))
      - record: twice
        expr: 2 * once
  - name: first
    rules:
      - record: once
        expr: vector(1)
)y";

// Everything that came out wrong, a line a failure.
std::string failures(std::string_view tests, std::string_view rules = kRules, const RuleTestOptions& options = {}) {
  const auto file = parse_rule_tests(tests, "t.yml");
  if (!file) return "refused: " + file.error().message();
  const auto groups = parse_rule_file(rules, "r.yml");
  if (!groups) return "rules: " + groups.error().message();
  const auto results = run_rule_tests(*file, *groups, options);
  if (!results) return "error: " + results.error().message();
  std::string out;
  for (const auto& result : *results) {
    for (const auto& failure : result.failures) {
      out += result.name + ": " + failure.where + ": " + failure.what + ": " + failure.error;
      for (const auto& line : difference(failure.expected, failure.got)) out += "\n" + line;
      out += "\n";
    }
  }
  return out;
}

TEST(rule_tests, alerts_and_expressions_are_compared) {
  EXPECT_EQ(failures(R"y(tests:
  - interval: 1m
    external_labels: {site: lab}
    input_series:
      - {series: 'up{job="prometheus", instance="a:1"}', values: 0x1440}
    alert_rule_test:
      - {eval_time: 1d, alertname: AlwaysFiring, exp_alerts: [{}]}
      - {eval_time: 4m59s, alertname: InstanceDown, exp_alerts: []}
      - eval_time: 5m30s
        alertname: InstanceDown
        exp_alerts:
          - exp_labels: {severity: page, instance: "a:1", job: prometheus}
            exp_annotations: {summary: "Instance a:1 down in lab"}
    promql_expr_test:
      - expr: count(ALERTS) by (alertname, alertstate)
        eval_time: 4m
        exp_samples:
          - {labels: '{alertname="AlwaysFiring",alertstate="firing"}', value: 1}
          - {labels: '{alertname="InstanceDown",alertstate="pending"}', value: 1}
)y"),
            "");
}

TEST(rule_tests, what_differs_is_shown_with_its_place) {
  EXPECT_EQ(failures(R"y(tests:
  - name: mine
    alert_rule_test:
      - {eval_time: 1m, alertname: AlwaysFiring, exp_alerts: [{exp_labels: {a: b}}, {}]}
    promql_expr_test:
      - {eval_time: 1m, expr: vector(2), exp_samples: [{value: 3}]}
      - {eval_time: 1m, expr: "sum(", exp_samples: []}
)y"),
            R"y(mine: t.yml:4:36: alertname: AlwaysFiring, time: 1m: 
- labels: {a="b", alertname="AlwaysFiring"}, annotations: {}
  labels: {alertname="AlwaysFiring"}, annotations: {}
mine: t.yml:6:31: expr: "vector(2)", time: 1m: 
- {} 3
+ {} 2
mine: t.yml:7:31: expr: "sum(", time: 1m: 1:5: parse error: unclosed left parenthesis
)y");
}

TEST(rule_tests, rules_run_on_the_evaluation_interval_over_what_is_there_by_then) {
  EXPECT_EQ(failures(R"y(tests:
  - interval: 1s
    input_series:
      - {series: 'test{job="test", instance="x:0"}', values: "0+1x120"}
    promql_expr_test:
      - expr: job:test:count_over_time1m
        eval_time: 1m
        exp_samples: [{value: 60, labels: 'job:test:count_over_time1m{job="test"}'}]
      - expr: timestamp(job:test:count_over_time1m)
        eval_time: 2m59s999ms
        exp_samples: [{value: 120, labels: '{job="test"}'}]
      - expr: max_over_time(test[10m])
        eval_time: 2m59s
        exp_samples: [{value: 120, labels: '{instance="x:0", job="test"}'}]
)y"),
            "");
}

TEST(rule_tests, groups_go_in_the_order_asked_for) {
  const std::string tests = R"y(
tests:
  - promql_expr_test: [{expr: twice, eval_time: 0, exp_samples: [{labels: twice, value: 2}]}]
)y";
  EXPECT_NE(failures(tests), "") << "as they stand in the file, the reader goes first";
  EXPECT_EQ(failures("group_eval_order: [first, rules]" + tests), "");
  EXPECT_NE(failures("group_eval_order: [first, first]" + tests).find("repeated"), std::string::npos);
}

TEST(rule_tests, values_are_exact_unless_fuzzy) {
  const std::string tests = R"y(
tests:
  - input_series: [{series: low, values: 2.9999999999999996}]
    promql_expr_test: [{expr: low, eval_time: 0, exp_samples: [{labels: low, value: 3}]}]
)y";
  EXPECT_NE(failures(tests), "");
  EXPECT_EQ(failures("fuzzy_compare: true" + tests), "");
}

TEST(rule_tests, a_test_begins_when_it_says) {
  EXPECT_EQ(failures(R"y(tests:
  - start_timestamp: 2026-01-01T00:00:00Z
    input_series: [{series: x, values: 1 2}]
    promql_expr_test:
      - {expr: "timestamp(x)", eval_time: 1m, exp_samples: [{value: 1767225660}]}
)y"),
            "");
}

TEST(rule_tests, native_histograms_are_compared_to_the_bit) {
  const auto with = [](std::string_view expected) {
    return R"y(tests:
  - interval: 1m
    input_series:
      - {series: h, values: "{{sum:3 count:2 buckets:[2]}}+{{sum:1.3 count:1 buckets:[1]}}x2"}
    promql_expr_test:
      - {expr: h, eval_time: 2m, exp_samples: [{labels: h, histogram: ")y" +
           std::string(expected) + "\"}]}\n";
  };
  EXPECT_EQ(failures(with("{{count:4 sum:5.6 counter_reset_hint:not_reset buckets:[4]}}")), "");
  EXPECT_NE(failures(with("{{count:4 sum:5.6 buckets:[4]}}")), "");
  EXPECT_NE(failures(with("{{count:4 sum:5.7 counter_reset_hint:not_reset buckets:[4]}}")), "");
  EXPECT_NE(failures(with("1")).find("is no histogram"), std::string::npos);
}

TEST(rule_tests, a_rule_that_fails_ends_the_test) {
  EXPECT_EQ(failures(R"y(tests:
  - input_series:
      - {series: 'join_1{a="1",b="2"}', values: 1}
      - {series: 'join_1{a="1",b="3"}', values: 3}
      - {series: 'join_2{a="1"}', values: 4}
    promql_expr_test: [{expr: nothing, eval_time: 0}]
)y",
                     "groups: [{name: g, rules: [{record: joined, expr: join_2 + on(a) join_1}]}]")
                .find("unnamed#0: : rule: joined, time: 0s: "),
            0u);
}

TEST(rule_tests, only_those_named_run) {
  const std::string tests = R"y(tests:
  - {name: one, promql_expr_test: [{expr: vector(1), eval_time: 0, exp_samples: [{value: 0}]}]}
  - {name: two, promql_expr_test: [{expr: vector(1), eval_time: 0, exp_samples: [{value: 1}]}]}
)y";
  EXPECT_EQ(failures(tests, kRules, {.run = {"^t"}}), "");
  EXPECT_NE(failures(tests, kRules, {.run = {"^t", "one"}}), "");
  EXPECT_NE(failures(tests, kRules, {.run = {"("}}).find("error: "), std::string::npos);
}

// The YAML block of docs/alerting.md that begins with this line.
std::string block_of_documentation(std::string_view first_line) {
  std::ifstream in(QD_SOURCE_DIR "/docs/alerting.md");
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const std::string fence = "```yaml\n";
  const auto begin = text.find(fence + std::string(first_line)) + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

TEST(rule_tests, the_example_of_the_documentation_passes) {
  EXPECT_EQ(failures(block_of_documentation("rule_files:"), block_of_documentation("groups:")), "");
}

TEST(rule_tests, what_makes_no_sense_is_refused_where_it_stands) {
  EXPECT_NE(failures("tests: [{intervall: 1m}]").find("t.yml:1"), std::string::npos);
  EXPECT_NE(failures("tests: [{alert_rule_test: [{eval_time: 1m}]}]").find("alertname"), std::string::npos);
  EXPECT_NE(failures("tests: [{start_timestamp: soon}]").find("start_timestamp"), std::string::npos);
  EXPECT_NE(failures("tests: [{input_series: [{series: 'x{', values: 1}]}]").find("input_series"), std::string::npos);
  EXPECT_NE(failures("evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: x, eval_time: 10y}]}]")
                .find("evaluations away"),
            std::string::npos);
}

}  // namespace
}  // namespace qd::judge::rules
