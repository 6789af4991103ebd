#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "judge/rules/rule.h"

namespace qd::judge::rules {
namespace {

std::string refusal(std::string_view text) {
  const auto parsed = parse_rule_file(text, "r.yml");
  return parsed ? "" : parsed.error().message();
}

TEST(rule_file, reads_groups_and_rules) {
  const auto groups = parse_rule_file(R"(groups:
  - name: g
    interval: 30s
    limit: 5
    query_offset: 1m
    labels: {team: a}
    rules:
      - {record: "job:x:sum", expr: sum by (job) (x), labels: {team: b}}
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} down"}
)",
                                      "r.yml");
  ASSERT_TRUE(groups) << groups.error().message();
  ASSERT_EQ(groups->size(), 1u);
  const auto& group = groups->front();
  EXPECT_EQ(group.interval_ms, 30'000);
  EXPECT_EQ(group.query_offset_ms, 60'000);
  EXPECT_EQ(group.limit, 5u);
  ASSERT_EQ(group.rules.size(), 2u);
  EXPECT_EQ(group.rules[0].labels.at("team"), "b");
  EXPECT_EQ(group.rules[1].labels.at("team"), "a");
  EXPECT_EQ(group.rules[1].for_ms, 300'000);
  EXPECT_EQ(group.rules[1].keep_firing_for_ms, 60'000);
}

TEST(rule_file, says_where_and_what_is_wrong) {
  const auto rule = [](std::string_view text) {
    return "groups:\n- name: g\n  rules:\n  - " + std::string(text) + "\n";
  };
  EXPECT_NE(refusal(rule("{record: a, alert: b, expr: x}")).find("r.yml:4"), std::string::npos);
  EXPECT_NE(refusal(rule("{record: a, expr: 'sum('}")).find("parse error"), std::string::npos);
  EXPECT_NE(refusal(rule("{record: 'a b', expr: x}")).find("no name of a metric"), std::string::npos);
  EXPECT_NE(refusal(rule("{record: a, expr: x, for: 1m}")).find("only alerts"), std::string::npos);
  EXPECT_NE(refusal(rule("{alert: a, expr: x, fro: 1m}")).find("for"), std::string::npos);
  EXPECT_NE(refusal(rule("{alert: a, expr: x, labels: {'': b}}")).find("no name of a label"), std::string::npos);
  EXPECT_NE(refusal(rule("{alert: a, expr: x, annotations: {s: '{{ nope }}'}}")).find("nope"), std::string::npos);
  EXPECT_NE(refusal(rule("{alert: a}")).find("no `expr`"), std::string::npos);
  EXPECT_NE(refusal("groups: [{name: g}, {name: g}]").find("twice"), std::string::npos);
  EXPECT_NE(refusal("group: []").find("groups"), std::string::npos);
}

TEST(rule_file, the_rules_that_ship_are_right) {
  const auto groups = parse_rule_file(default_rules_yaml(), "built-in");
  ASSERT_TRUE(groups) << groups.error().message();
  EXPECT_EQ(groups->size(), 2u);
}

TEST(rule_file, holds_to_the_public_test_files) {
  const auto dir = std::filesystem::path(QD_SOURCE_DIR) / "../shared/conformance/rules";
  if (!std::filesystem::exists(dir)) GTEST_SKIP() << "the conformance data is not beside this checkout";
  std::size_t read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto name = entry.path().filename().string();
    const auto parsed = parse_rule_file(text, name);
    const bool bad = name.find(".bad.") != std::string::npos;
    EXPECT_EQ(parsed.has_value(), !bad) << name << ": " << (parsed ? "accepted" : parsed.error().message());
    ++read;
  }
  EXPECT_GT(read, 10u);
}

}  // namespace
}  // namespace qd::judge::rules
