#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/strings.h"
#include "judge/rules/expansion.h"
#include "judge/rules/rule.h"
#include "model/config/schema.h"
#include "query/promql/parser.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using model::config::Node;
using model::config::Schema;

base::Status invalid(std::string what) {
  return base::fail(ErrorCode::kInvalid, std::move(what));
}

// What one rule of a file says, before it is known to be of either kind.
struct Draft {
  std::string record;
  std::string alert;
  Rule rule;
};

// Prometheus 3 takes any UTF-8.
bool valid_rule_label(std::string_view name) {
  return !name.empty() && base::valid_utf8(name);
}

base::Status finish(Draft& draft, const RuleFileOptions& options) {
  Rule& rule = draft.rule;
  if (draft.record.empty() == draft.alert.empty())
    return invalid("a rule has either `record` or `alert`, the name of what it gives");
  rule.kind = draft.alert.empty() ? Rule::Kind::kRecording : Rule::Kind::kAlerting;
  rule.name = draft.alert.empty() ? draft.record : draft.alert;
  if (rule.expr.empty()) return invalid(fmt::format("the rule {} has no `expr`", rule.name));
  if (auto parsed = query::promql::parse(rule.expr, {.experimental = options.experimental}); !parsed)
    return invalid(fmt::format("the expression of {}: {}", rule.name, parsed.error().message()));
  const bool recording = rule.kind == Rule::Kind::kRecording;
  if (recording && !model::valid_metric_name(rule.name))
    return invalid(fmt::format("`record: {}` is no name of a metric", rule.name));
  if (recording && !rule.annotations.empty())
    return invalid(fmt::format("the recording rule {} may not have annotations: only alerts have them", rule.name));
  if (recording && (rule.for_ms != 0 || rule.keep_firing_for_ms != 0))
    return invalid(
        fmt::format("the recording rule {} may not have `for` or `keep_firing_for`: only alerts have them", rule.name));
  for (const auto* texts : {&rule.labels, &rule.annotations}) {
    for (const auto& [name, text] : *texts) {
      if (!valid_rule_label(name) || (texts == &rule.labels && name == model::kMetricName))
        return invalid(fmt::format("\"{}\" is no name of a label (in {})", name, rule.name));
      if (recording) continue;
      if (auto checked = check_template(fmt::format("{} {}", rule.name, name), text); !checked)
        return invalid(checked.error().message());
    }
  }
  return {};
}

void declare_rule(Schema& item, Group& group, const RuleFileOptions& options) {
  auto draft = std::make_shared<Draft>();
  item.text("record", draft->record, "The metric that the expression is recorded as.");
  item.text("alert", draft->alert, "The alert that the expression raises.");
  item.text("expr", draft->rule.expr, "The PromQL expression.");
  item.duration_ms("for", draft->rule.for_ms, "How long it must hold before the alert fires.");
  item.duration_ms("keep_firing_for", draft->rule.keep_firing_for_ms, "How long the alert goes on after it.");
  item.text_map("labels", draft->rule.labels, "Labels of what it gives.");
  item.text_map("annotations", draft->rule.annotations, "What the alert says.");
  item.check("", [draft, &group, options]() -> base::Status {
    QD_TRY(finish(*draft, options));
    group.rules.push_back(std::move(draft->rule));
    return {};
  });
}

// The keys that rule files have; below "groups" those of a group, below "rules" those of a rule.
Node known_part(const Node& node, std::string_view of = "") {
  static constexpr std::string_view kFile[] = {"groups"};
  static constexpr std::string_view kGroup[] = {"name", "interval", "query_offset", "limit", "labels", "rules"};
  static constexpr std::string_view kRule[] = {"record",          "alert",  "expr",       "for",
                                               "keep_firing_for", "labels", "annotations"};
  const std::span<const std::string_view> known = of.empty()       ? std::span<const std::string_view>(kFile)
                                                  : of == "groups" ? std::span<const std::string_view>(kGroup)
                                                                   : std::span<const std::string_view>(kRule);
  if (node.is_sequence()) {
    std::vector<Node> items;
    for (const auto& item : node.items()) items.push_back(known_part(item, of));
    return Node::sequence(std::move(items), node.location());
  }
  if (!node.is_mapping()) return node;
  std::vector<Node::Entry> entries;
  for (const auto& entry : node.entries()) {
    const auto& key = entry.key.text();
    if (std::find(known.begin(), known.end(), key) == known.end()) continue;
    const bool deeper = key == "groups" || key == "rules";
    entries.push_back({entry.key, deeper ? known_part(entry.value, key) : entry.value});
  }
  return Node::mapping(std::move(entries), node.location());
}

}  // namespace

std::vector<DuplicateRule> duplicate_rules(const std::vector<Group>& groups) {
  std::map<std::pair<std::string, std::map<std::string, std::string>>, std::size_t> times;
  std::vector<DuplicateRule> out;
  for (const auto& group : groups)
    for (const auto& rule : group.rules)
      if (++times[{rule.name, rule.labels}] > 1) out.push_back({rule.name, rule.labels});
  return out;
}

base::Result<std::vector<Group>> parse_rule_file(std::string_view text, const std::string& file,
                                                 const RuleFileOptions& options) {
  QD_ASSIGN(Node node, model::config::parse_yaml(text, file));
  if (options.ignore_unknown_fields) node = known_part(node);
  std::vector<Group> groups;
  Schema schema;
  // Groups are kept in place while their rules are read.
  auto held = std::make_shared<std::vector<std::unique_ptr<Group>>>();
  schema.list("groups", "Groups of rules, each evaluated in order on its own interval.", [&](Schema& item) {
    auto& group = *held->emplace_back(std::make_unique<Group>());
    group.file = file;
    auto labels = std::make_shared<std::map<std::string, std::string>>();
    auto limit = std::make_shared<std::int64_t>(0);
    auto offset_ms = std::make_shared<std::int64_t>(0);
    item.text("name", group.name, "The group's name.").required();
    item.duration_ms("interval", group.interval_ms, "How often it is evaluated.");
    item.duration_ms("query_offset", *offset_ms, "How far in the past it is evaluated.");
    item.integer("limit", *limit, "Alerts or series that a rule may give.", 0,
                 std::numeric_limits<std::int32_t>::max());
    item.text_map("labels", *labels, "Labels of what every rule of the group gives.");
    item.list("rules", "The rules.", [&group, options](Schema& rule) { declare_rule(rule, group, options); });
    item.check("", [&item, &group, labels, limit, offset_ms, held]() -> base::Status {
      group.limit = static_cast<std::uint64_t>(*limit);
      if (item.is_set("query_offset")) group.query_offset_ms = *offset_ms;
      if (group.name.empty()) return invalid("a group needs a name");
      for (const auto& other : *held)
        if (other.get() != &group && other->name == group.name)
          return invalid(fmt::format("the group \"{}\" stands twice in this file", group.name));
      for (const auto& [name, value] : *labels) {
        if (!valid_rule_label(name) || name == model::kMetricName)
          return invalid(fmt::format("\"{}\" is no name of a label (in the group {})", name, group.name));
        for (auto& rule : group.rules) rule.labels.emplace(name, value);
      }
      return {};
    });
  });
  QD_TRY(model::config::bind(node, schema));
  for (auto& group : *held) groups.push_back(std::move(*group));
  return groups;
}

}  // namespace qd::judge::rules
