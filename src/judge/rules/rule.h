// Rules as their files declare them. Plain values.
//
// Source: Prometheus documentation, "Defining recording rules" and "Alerting rules".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/labels.h"

namespace qd::judge::rules {

struct Rule {
  enum class Kind { kRecording, kAlerting };
  Kind kind = Kind::kRecording;
  std::string name;  // of the metric or the alert
  std::string expr;
  std::int64_t for_ms = 0;
  std::int64_t keep_firing_for_ms = 0;
  std::map<std::string, std::string> labels;  // of alerts: templates
  std::map<std::string, std::string> annotations;
  bool operator==(const Rule&) const = default;
};

struct Group {
  std::string file;
  std::string name;
  std::int64_t interval_ms = 0;                 // 0: the default of whoever runs it
  std::optional<std::int64_t> query_offset_ms;  // evaluates this far in the past; none: the default of whoever runs it
  std::uint64_t limit = 0;                      // series or alerts a rule may give; 0 is no bound
  std::vector<Rule> rules;
  bool operator==(const Group&) const = default;
};

struct RuleFileOptions {
  bool experimental = false;           // see query::promql::ParseOptions
  bool ignore_unknown_fields = false;  // what others' tools keep beside rules
};

// Reads a rule file. kInvalid with every fault that it has, each as `file:line: what`: unknown keys, expressions and
// templates that do not parse, names that cannot be, groups named twice.
base::Result<std::vector<Group>> parse_rule_file(std::string_view text, const std::string& file,
                                                 const RuleFileOptions& options = {});

// Groups of rules that give the same series: by name and labels, as promtool's check of duplicate rules finds them.
struct DuplicateRule {
  std::string name;
  std::map<std::string, std::string> labels;
};
std::vector<DuplicateRule> duplicate_rules(const std::vector<Group>& groups);

// The rules for hosts that come with the program and are on unless judge.rules.defaults is false.
std::string_view default_rules_yaml();

}  // namespace qd::judge::rules
