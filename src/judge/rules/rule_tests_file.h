// A file of unit tests for rules, as promtool has them. Plain values.
//
// Source: Prometheus documentation, "Unit testing for rules".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/sample.h"

namespace qd::judge::rules {

struct RuleTestFile {
  struct InputSeries {
    std::string series;  // up{job="a"}
    std::string values;  // 0+1x10
  };
  struct ExpectedAlert {
    std::map<std::string, std::string> labels;  // without alertname
    std::map<std::string, std::string> annotations;
  };
  struct AlertCase {
    std::string where;              // "file:line:column"
    std::int64_t eval_time_ms = 0;  // after the start, as all times here
    std::string alertname;
    std::vector<ExpectedAlert> alerts;
  };
  struct ExpectedSample {
    std::string labels;  // up{job="a"}
    double value = 0;
    std::string histogram;  // {{…}}, instead of a value
  };
  struct ExpressionCase {
    std::string where;
    std::int64_t eval_time_ms = 0;
    std::string expr;
    std::vector<ExpectedSample> samples;
  };
  struct Test {
    std::string name;
    std::int64_t interval_ms = 0;  // between input values
    std::vector<InputSeries> input;
    std::vector<AlertCase> alerts;
    std::vector<ExpressionCase> expressions;
    std::map<std::string, std::string> external_labels;
    std::string external_url;
    model::TimestampMs start_ms = 0;
  };

  std::vector<std::string> rule_files;  // patterns, as they stand there
  std::int64_t evaluation_interval_ms = 60'000;
  std::vector<std::string> group_eval_order;
  bool fuzzy_compare = false;  // values may differ by the last bit
  std::vector<Test> tests;
};

// kInvalid with every fault that it has, each as `file:line: what`.
base::Result<RuleTestFile> parse_rule_tests(std::string_view text, const std::string& file);

}  // namespace qd::judge::rules
