// Runs unit tests for rules: rules are evaluated over given series on a clock of their own, and what they give is
// compared with what is expected, as promtool test rules does it.
#pragma once

#include <string>
#include <vector>

#include "judge/rules/rule.h"
#include "judge/rules/rule_tests_file.h"

namespace qd::judge::rules {

// A test that evaluates more often than this is refused.
inline constexpr std::int64_t kTestEvaluationsMax = 1'000'000;

struct RuleTestOptions {
  std::vector<std::string> run;  // regular expressions: only tests whose names match one; all where there are none
  bool experimental = false;     // as query.experimental
};

// One comparison that came out otherwise, or, with nothing expected, what kept the test from being run.
struct RuleTestFailure {
  std::string where;                  // "file:line:column" of the case; empty where it is about the test
  std::string what;                   // "alertname: Down, time: 5m"
  std::vector<std::string> expected;  // a line for each alert or sample, in order
  std::vector<std::string> got;
  std::string error;  // instead of the two
};

struct RuleTestResult {
  std::string name;  // or "unnamed#2"
  std::vector<RuleTestFailure> failures;
  double seconds = 0;
};

// kInvalid for a pattern of `run` that is none. `groups` are those of the file's rule files.
base::Result<std::vector<RuleTestResult>> run_rule_tests(const RuleTestFile& file, const std::vector<Group>& groups,
                                                         const RuleTestOptions& options);

// The lines that only one of the two has, marked - and +, among those that both have.
std::vector<std::string> difference(const std::vector<std::string>& expected, const std::vector<std::string>& got);

}  // namespace qd::judge::rules
