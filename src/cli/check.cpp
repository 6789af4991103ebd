#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "act/notify/alertmanager_yaml.h"
#include "base/format.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "judge/rules/dependencies.h"
#include "judge/rules/rule_tests_file.h"
#include "observe/probe/modules_file.h"
#include "observe/scrape/manager.h"

namespace qd::cli {

namespace {

using base::ErrorCode;

// As promtool has it.
constexpr int kExitLint = 3;

struct CheckOptions {
  std::vector<std::string> names;
  bool experimental = false;
  bool ignore_unknown_fields = false;
  std::string lint = "duplicate-rules";
  bool lint_fatal = false;
  Output output;
};

struct Finding {
  std::string file;
  std::string kind;  // "quarterdeck", "prometheus", "rules", "rule tests", "blackbox", "alertmanager"; empty when that
                     // is not known
  std::string summary;
  std::string error;  // empty when all is well
  bool unreadable = false;
  std::vector<std::string> remarks;  // what is allowed and yet rarely meant
  bool lint = false;                 // a remark that --lint-fatal makes an error
};

// What kind of file this is, by its top-level keys.
base::Result<std::string> kind_of(const model::config::Node& node, const std::string& file) {
  const auto has = [&](std::initializer_list<const char*> keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const char* key) { return node.find(key) != nullptr; });
  };
  if (has({"groups"})) return std::string("rules");
  if (has({"tests"})) return std::string("rule tests");
  // Prometheus has `global` as well, and an Alertmanager's file more than that.
  if (has({"route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals"}))
    return std::string("alertmanager");
  if (has({"global", "scrape_configs", "rule_files", "scrape_config_files", "alerting", "remote_write", "remote_read",
           "otlp", "storage", "tracing", "runtime"}))
    return std::string("prometheus");
  if (has({"modules"})) return std::string("blackbox");
  if (node.is_null() || has({"store", "serve", "observe", "query", "judge", "act", "exporters", "forward", "ship"}))
    return std::string("quarterdeck");
  return base::fail(
      ErrorCode::kInvalid,
      fmt::format(
          "{}: this is neither a quarterdeck.yaml, nor a Prometheus configuration, nor a rule file, nor tests of "
          "rules, nor modules of blackbox_exporter, nor a configuration of Alertmanager: its first keys are none of "
          "theirs",
          file));
}

base::Result<std::string> rules_summary(const std::vector<judge::rules::Group>& groups) {
  std::size_t rules = 0;
  for (const auto& group : groups) rules += group.rules.size();
  return fmt::format("{} groups, {} rules", groups.size(), rules);
}

// What Prometheus takes without a word.
void look_closer(const std::vector<judge::rules::Group>& groups, const CheckOptions& options, const std::string& file,
                 Finding& finding) {
  for (const auto& ring : judge::rules::cycles(groups))
    finding.remarks.push_back(
        fmt::format("{}: the rules {} read each other in a ring: each sees what the other gave an evaluation before",
                    file, base::join(ring, ", ")));
  if (options.lint == "none") return;
  const auto duplicates = judge::rules::duplicate_rules(groups);
  if (duplicates.empty()) return;
  finding.lint = true;
  std::string text = fmt::format("{}: {} duplicate rule(s) found:", file, duplicates.size());
  for (const auto& rule : duplicates) {
    text += fmt::format("\n  {}{{", rule.name);
    const char* separator = "";
    for (const auto& [name, value] : rule.labels) {
      text += fmt::format("{}{}={}", separator, name, base::quote(value));
      separator = ", ";
    }
    text += "}";
  }
  finding.remarks.push_back(text + "\n  What such rules give may collide: give them labels that differ.");
}

base::Result<std::string> check_rules(base::Files& files, const std::string& file, const CheckOptions& options,
                                      Finding& finding) {
  QD_ASSIGN(const auto text, base::read_file(files, file, kFileBytesMax));
  QD_ASSIGN(const auto groups, judge::rules::parse_rule_file(text, file,
                                                             {.experimental = options.experimental,
                                                              .ignore_unknown_fields = options.ignore_unknown_fields}));
  look_closer(groups, options, file, finding);
  return rules_summary(groups);
}

base::Result<std::string> check_rule_tests(base::Files& files, const std::string& file) {
  QD_ASSIGN(const auto text, base::read_file(files, file, kFileBytesMax));
  QD_ASSIGN(const auto tests, judge::rules::parse_rule_tests(text, file));
  return fmt::format("{} tests; `quarterdeck rules test {}` runs them", tests.tests.size(), file);
}

base::Result<std::string> check_prometheus(base::Files& files, const std::string& file, const CheckOptions& options,
                                           Finding& finding) {
  QD_ASSIGN(const auto parsed, observe::scrape::load_prometheus_file(file));
  QD_TRY(observe::scrape::Manager::prepare(parsed));
  finding.remarks = parsed.warnings;
  std::size_t rule_files = 0;
  for (const auto& pattern : parsed.rule_files) {
    QD_ASSIGN(const auto names, matching_files(pattern));
    for (const auto& name : names) {
      // Prometheus starts without it, and so does `quarterdeck run`.
      if (!files.exists(name).value_or(true)) {
        finding.remarks.push_back(fmt::format("{}: rule_files: there is no {}", file, name));
        continue;
      }
      ++rule_files;
      if (const auto checked = check_rules(files, name, options, finding); !checked)
        return base::fail(checked.error().within(file + ": rule_files"));
    }
  }
  return fmt::format("{} jobs, {} rule files", parsed.scrape_configs.size(), rule_files);
}

base::Result<std::string> check_blackbox(base::Files& files, const std::string& file) {
  QD_ASSIGN(const auto modules, observe::probe::load_modules(files, file));
  return fmt::format("{} modules", modules->size());
}

base::Result<std::string> check_alertmanager(base::Files& files, const std::string& file,
                                             const model::config::Node& node, Finding& finding) {
  QD_ASSIGN(const auto checked, act::notify::check_alertmanager_yaml(node, file));
  std::size_t templates = 0;
  for (const auto& pattern : checked.templates) {
    QD_ASSIGN(const auto names, matching_files(pattern));
    std::size_t found = 0;
    for (const auto& name : names) {
      if (!files.exists(name).value_or(true)) continue;
      QD_ASSIGN(const auto text, base::read_file(files, name, kFileBytesMax));
      if (const auto parsed = act::notify::check_notification_template(name, text); !parsed)
        return base::fail(parsed.error().within(file + ": templates"));
      ++found;
    }
    // Alertmanager starts without.
    if (found == 0) finding.remarks.push_back(fmt::format("{}: templates: there is no {}", file, pattern));
    templates += found;
  }
  return fmt::format("{} routes, {} receivers, {} inhibit rules, {} time intervals, {} template files", checked.routes,
                     checked.receivers, checked.inhibit_rules, checked.time_intervals, templates);
}

base::Result<std::string> check_quarterdeck(base::Files& files, const std::string& file) {
  QD_ASSIGN(const auto settings, load_settings({.config_file = file}, files));
  return rules_summary(settings->groups);
}

Finding check(base::Files& files, const std::string& file, const CheckOptions& options) {
  Finding finding{.file = file};
  const auto text = base::read_file(files, file, kFileBytesMax);
  if (!text) {
    finding.error = text.error().message();
    finding.unreadable = true;
    return finding;
  }
  const auto node = model::config::parse_yaml(*text, file);
  const auto kind = node ? kind_of(*node, file) : base::Result<std::string>(base::fail(node.error()));
  if (!kind) {
    finding.error = kind.error().message();
    return finding;
  }
  finding.kind = *kind;
  auto summary = *kind == "rules"          ? check_rules(files, file, options, finding)
                 : *kind == "rule tests"   ? check_rule_tests(files, file)
                 : *kind == "prometheus"   ? check_prometheus(files, file, options, finding)
                 : *kind == "blackbox"     ? check_blackbox(files, file)
                 : *kind == "alertmanager" ? check_alertmanager(files, file, *node, finding)
                                           : check_quarterdeck(files, file);
  if (summary)
    finding.summary = *summary;
  else
    finding.error = summary.error().message();
  return finding;
}

int exit_code_of(const Finding& finding, bool lint_fatal) {
  if (finding.unreadable) return kExitFailed;
  if (!finding.error.empty()) return kExitNo;
  return finding.lint && lint_fatal ? kExitLint : kExitYes;
}

// A file that cannot be read before one that is wrong, that before what is only a matter of style.
bool graver(int one, int other) {
  const auto weight = [](int code) { return code == kExitLint ? 1 : code == kExitYes ? 0 : code + 1; };
  return weight(one) > weight(other);
}

void print(const Finding& finding) {
  if (finding.error.empty())
    fmt::print("{}: ok ({}: {})\n", finding.file, finding.kind, finding.summary);
  else
    fmt::print("{}: wrong\n{}\n", finding.file, finding.error);
  for (const auto& remark : finding.remarks) fmt::print("warning: {}\n", remark);
}

int check_all(const CheckOptions& options) {
  base::PosixFiles files;
  int code = kExitYes;
  boost::json::array list;
  for (const auto& name : options.names) {
    const auto finding = check(files, name, options);
    const auto its_code = exit_code_of(finding, options.lint_fatal);
    if (graver(its_code, code)) code = its_code;
    if (!options.output.json()) {
      print(finding);
      continue;
    }
    list.push_back({{"file", finding.file},
                    {"kind", finding.kind},
                    {"ok", finding.error.empty()},
                    {"summary", finding.summary},
                    {"error", finding.error},
                    {"warnings", boost::json::value_from(finding.remarks)}});
  }
  if (options.output.json()) fmt::print("{}\n", boost::json::serialize(list));
  return code;
}

}  // namespace

void add_check(CommandLine& root) {
  auto command = root.add_command("check", "Find what is wrong in configuration and rule files before anything starts",
                                  "Example: quarterdeck check quarterdeck.yaml prometheus.yml rules/*.yaml");
  auto options = std::make_shared<CheckOptions>();
  command.option(
      "FILE", options->names,
      "quarterdeck.yaml, a Prometheus configuration, a rule file, tests of rules, modules of blackbox_exporter, or a "
      "configuration of Alertmanager",
      {.required = true});
  command.flag("--experimental", options->experimental,
               "let rules use experimental PromQL, as query.experimental does (a quarterdeck.yaml says it itself)");
  command.flag("--ignore-unknown-fields", options->ignore_unknown_fields,
               "pass over keys in rule files that are not known");
  command.option("--lint", options->lint, "what to look for in rules beyond errors",
                 {.shows_default = true, .one_of = {"all", "duplicate-rules", "none"}});
  command.flag("--lint-fatal", options->lint_fatal, "exit with 3 where --lint finds something");
  options->output.add_to(command);
  command.action([options] { return check_all(*options); });
}

}  // namespace qd::cli
