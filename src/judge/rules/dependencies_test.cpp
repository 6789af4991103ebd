#include "judge/rules/dependencies.h"

#include <gtest/gtest.h>

namespace qd::judge::rules {
namespace {

using Steps = std::vector<std::vector<std::size_t>>;

Rule record(std::string name, std::string expr) {
  return {.kind = Rule::Kind::kRecording, .name = std::move(name), .expr = std::move(expr)};
}
Rule alert(std::string name, std::string expr) {
  return {.kind = Rule::Kind::kAlerting, .name = std::move(name), .expr = std::move(expr)};
}
Steps steps(std::vector<Rule> rules) {
  return evaluation_steps(rules);
}
std::vector<std::vector<std::string>> rings(std::vector<Rule> rules) {
  return cycles(std::vector<Group>{{.name = "g", .rules = std::move(rules)}});
}

TEST(evaluation_steps, rules_that_share_nothing_go_together) {
  EXPECT_EQ(steps({record("a", "x"), record("b", "sum(y)"), alert("C", "z > 1")}), (Steps{{0, 1, 2}}));
}

TEST(evaluation_steps, a_reader_waits_for_its_writer_above) {
  EXPECT_EQ(steps({record("a", "x"), record("b", "rate(a[5m])"), record("c", "y"), record("d", "b + c")}),
            (Steps{{0, 2}, {1}, {3}}));
}

TEST(evaluation_steps, a_writer_waits_for_its_reader_above) {
  EXPECT_EQ(steps({record("b", "a offset 1m"), record("a", "x")}), (Steps{{0}, {1}}))
      << "the reader sees what was written the last time";
}

TEST(evaluation_steps, a_rule_that_reads_itself_waits_for_nobody) {
  EXPECT_EQ(steps({record("a", "a + 1"), record("b", "x")}), (Steps{{0, 1}}));
}

TEST(evaluation_steps, patterns_are_matched_and_no_name_is_every_name) {
  EXPECT_EQ(steps({record("job:a", "x"), record("b", R"({__name__=~"job:.*"})"), record("c", R"({__name__=~"z.*"})")}),
            (Steps{{0, 2}, {1}}));
  EXPECT_EQ(steps({record("a", "x"), record("b", R"({job="q"})"), record("c", "y"), record("d", "z")}),
            (Steps{{0}, {1}, {2, 3}}));
}

TEST(evaluation_steps, alerts_are_read_through_their_series) {
  EXPECT_EQ(steps({alert("A", "x"), alert("B", "y"), record("n", "count(ALERTS)")}), (Steps{{0, 1}, {2}}));
}

TEST(evaluation_steps, templates_with_queries_may_read_anything) {
  auto asks = alert("A", "x");
  asks.annotations = {{"s", "{{ query \"a\" }}"}};
  EXPECT_EQ(steps({record("a", "x"), asks, record("b", "y")}), (Steps{{0}, {1}, {2}}));
}

TEST(evaluation_steps, writers_of_one_metric_keep_their_order) {
  EXPECT_EQ(steps({record("a", "x"), record("a", "y")}), (Steps{{0}, {1}}));
}

TEST(cycles, are_found_whatever_the_order) {
  EXPECT_EQ(rings({record("a", "c"), record("b", "a + x"), record("c", "sum(b)"), record("d", "a")}),
            (std::vector<std::vector<std::string>>{{"a", "b", "c"}}));
  EXPECT_TRUE(rings({record("a", "a + 1"), record("b", "a")}).empty()) << "Prometheus allows a rule to read itself";
}

TEST(cycles, a_long_chain_is_no_burden) {
  std::vector<Rule> rules;
  for (int i = 0; i < 20'000; ++i) rules.push_back(record("m" + std::to_string(i), "m" + std::to_string(i + 1)));
  EXPECT_TRUE(rings(rules).empty());
  rules.push_back(record("m20000", "m0"));
  EXPECT_EQ(rings(rules).at(0).size(), 20'001u);
}

}  // namespace
}  // namespace qd::judge::rules
