#include "judge/rules/rule_tests_file.h"

#include <fmt/format.h>

#include <memory>
#include <set>

#include "base/strings.h"
#include "model/config/schema.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using model::config::Schema;
using Test = RuleTestFile::Test;

constexpr std::int64_t kIntervalMsDefault = 60'000;

base::Status invalid_test(std::string what) {
  return base::fail(ErrorCode::kInvalid, std::move(what));
}

void declare_alert_case(Schema& item, RuleTestFile::AlertCase& alert) {
  item.duration_ms("eval_time", alert.eval_time_ms, "When the alerts are looked at.");
  item.text("alertname", alert.alertname, "The alert that is looked at.");
  item.list("exp_alerts", alert.alerts, "The alerts of this name that fire then.",
            [](Schema& one, RuleTestFile::ExpectedAlert& expected) {
              one.text_map("exp_labels", expected.labels, "Its labels, without alertname.");
              one.text_map("exp_annotations", expected.annotations, "Its annotations.");
            });
  item.check("", [&item, &alert]() -> base::Status {
    alert.where = item.where("alertname");
    if (!alert.alertname.empty()) return {};
    return invalid_test("a case of alert_rule_test needs the `alertname` that it is about");
  });
}

void declare_expression_case(Schema& item, RuleTestFile::ExpressionCase& expression) {
  item.duration_ms("eval_time", expression.eval_time_ms, "When it is evaluated.");
  item.text("expr", expression.expr, "The PromQL expression.");
  item.list("exp_samples", expression.samples, "What it gives.",
            [](Schema& one, RuleTestFile::ExpectedSample& expected) {
              one.text("labels", expected.labels, "The labels, as PromQL writes them.");
              one.number("value", expected.value, "The value.");
              one.text("histogram", expected.histogram, "The native histogram, as {{…}}.");
            });
  item.check("", [&item, &expression]() -> base::Status {
    expression.where = item.where("expr");
    return {};
  });
}

void declare_test(Schema& item, Test& test) {
  auto start = std::make_shared<std::string>();
  item.text("name", test.name, "What the test is called.");
  item.duration_ms("interval", test.interval_ms, "The time between input values; else evaluation_interval.");
  item.list("input_series", test.input, "Series that are there.", [](Schema& one, RuleTestFile::InputSeries& input) {
    one.text("series", input.series, "The series, as PromQL writes it.").required();
    one.text("values", input.values, "Its values: 1+2x3 _ stale.");
  });
  item.list("alert_rule_test", test.alerts, "Alerts that must fire.", declare_alert_case);
  item.list("promql_expr_test", test.expressions, "Expressions and what they must give.", declare_expression_case);
  item.text_map("external_labels", test.external_labels, "External labels, for templates.");
  item.text("external_url", test.external_url, "The external URL, for templates.");
  item.text("start_timestamp", *start, "When the test begins: seconds since 1970 or RFC 3339.");
  item.check("start_timestamp", [start, &test]() -> base::Status {
    if (start->empty()) return {};
    QD_ASSIGN(test.start_ms, base::parse_time_ms(*start));
    return {};
  });
}

}  // namespace

base::Result<RuleTestFile> parse_rule_tests(std::string_view text, const std::string& file) {
  QD_ASSIGN(const auto node, model::config::parse_yaml(text, file));
  RuleTestFile out;
  // Tests keep their places while their cases are read.
  std::vector<std::unique_ptr<Test>> tests;
  Schema schema;
  schema.strings("rule_files", out.rule_files, "Rule files, relative to this file; the last part may be a pattern.");
  schema.duration_ms("evaluation_interval", out.evaluation_interval_ms, "How often rules are evaluated.");
  schema.strings("group_eval_order", out.group_eval_order, "The groups that are evaluated first, in this order.");
  schema.flag("fuzzy_compare", out.fuzzy_compare, "Values may differ by the last bit.");
  schema.list("tests", "The tests.",
              [&](Schema& item) { declare_test(item, *tests.emplace_back(std::make_unique<Test>())); });
  schema.check("group_eval_order", [&]() -> base::Status {
    std::set<std::string> seen;
    for (const auto& name : out.group_eval_order)
      if (!seen.insert(name).second)
        return invalid_test(fmt::format("the group \"{}\" is repeated in the order of evaluation", name));
    return {};
  });
  QD_TRY(model::config::bind(node, schema));
  if (out.evaluation_interval_ms == 0) out.evaluation_interval_ms = kIntervalMsDefault;
  for (auto& test : tests) {
    if (test->interval_ms == 0) test->interval_ms = out.evaluation_interval_ms;
    out.tests.push_back(std::move(*test));
  }
  return out;
}

}  // namespace qd::judge::rules
