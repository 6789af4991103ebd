// Rule files and files of tests for rules.
//
// Besides not failing on any bytes: each rule of an accepted file is evaluated in exactly one step, and never before a
// rule above it that it shares a metric with as far as names tell.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "input.h"
#include "judge/rules/dependencies.h"
#include "judge/rules/rule_tests_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::judge::rules;
  const std::string_view text = qd::fuzz::Input(data, size).text();
  const auto tests = parse_rule_tests(text, "tests.yml");
  if (!tests) QD_ASSERT(!tests.error().message().empty());
  const auto groups = parse_rule_file(text, "rules.yml", {.ignore_unknown_fields = true});
  if (!groups) {
    QD_ASSERT(!groups.error().message().empty());
    return 0;
  }
  for (const auto& ring : cycles(*groups)) QD_ASSERT(ring.size() > 1);
  for (const auto& group : *groups) {
    std::vector<std::size_t> step_of(group.rules.size(), 0);
    std::size_t seen = 0;
    const auto steps = evaluation_steps(group.rules);
    for (std::size_t step = 0; step < steps.size(); ++step) {
      for (const auto rule : steps[step]) step_of.at(rule) = step;
      seen += steps[step].size();
    }
    QD_ASSERT(seen == group.rules.size());
    for (std::size_t i = 1; i < group.rules.size(); ++i) {
      const auto& upper = group.rules[i - 1];
      const auto& lower = group.rules[i];
      const bool one_metric = upper.kind == Rule::Kind::kRecording && lower.kind == upper.kind;
      if (one_metric && upper.name == lower.name) QD_ASSERT(step_of[i - 1] < step_of[i], lower.name);
    }
  }
  return 0;
}
