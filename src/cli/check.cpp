#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/command.h"
#include "observe/probe/modules_file.h"
#include "observe/scrape/manager.h"

namespace qd::cli {

namespace {

using base::ErrorCode;

constexpr std::size_t kFileBytesMax = 16 << 20;

struct Finding {
  std::string file;
  std::string kind;  // "quarterdeck", "prometheus", "rules", "blackbox"; empty when that is not known
  std::string summary;
  std::string error;  // empty when all is well
  std::vector<std::string> warnings;
  bool unreadable = false;
};

// What kind of file this is, by its top-level keys.
base::Result<std::string> kind_of(const model::config::Node& node, const std::string& file) {
  const auto has = [&](std::initializer_list<const char*> keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const char* key) { return node.find(key) != nullptr; });
  };
  if (has({"groups"})) return std::string("rules");
  if (has({"global", "scrape_configs", "rule_files", "scrape_config_files", "alerting", "remote_write", "remote_read",
           "otlp", "storage", "tracing", "runtime"}))
    return std::string("prometheus");
  if (has({"modules"})) return std::string("blackbox");
  if (node.is_null() || has({"store", "serve", "observe", "query", "judge", "act", "exporters", "forward"}))
    return std::string("quarterdeck");
  return base::fail(
      ErrorCode::kInvalid,
      fmt::format(
          "{}: this is neither a quarterdeck.yaml, nor a Prometheus configuration, nor a rule file, nor modules "
          "of blackbox_exporter: "
          "its first keys are none of theirs",
          file));
}

base::Result<std::string> rules_summary(const std::vector<judge::rules::Group>& groups) {
  std::size_t rules = 0;
  for (const auto& group : groups) rules += group.rules.size();
  return fmt::format("{} groups, {} rules", groups.size(), rules);
}

base::Result<std::string> check_rules(base::Files& files, const std::string& file, bool experimental) {
  QD_ASSIGN(const auto text, base::read_file(files, file, kFileBytesMax));
  QD_ASSIGN(const auto groups, judge::rules::parse_rule_file(text, file, {.experimental = experimental}));
  return rules_summary(groups);
}

base::Result<std::string> check_prometheus(base::Files& files, const std::string& file, bool experimental,
                                           std::vector<std::string>& warnings) {
  QD_ASSIGN(const auto parsed, observe::scrape::load_prometheus_file(file));
  QD_TRY(observe::scrape::Manager::prepare(parsed));
  warnings = parsed.warnings;
  std::size_t rule_files = 0;
  for (const auto& pattern : parsed.rule_files) {
    QD_ASSIGN(const auto names, matching_files(pattern));
    for (const auto& name : names) {
      // Prometheus starts without it, and so does `quarterdeck run`.
      if (!files.exists(name).value_or(true)) {
        warnings.push_back(fmt::format("{}: rule_files: there is no {}", file, name));
        continue;
      }
      ++rule_files;
      if (const auto checked = check_rules(files, name, experimental); !checked)
        return base::fail(checked.error().within(file + ": rule_files"));
    }
  }
  return fmt::format("{} jobs, {} rule files", parsed.scrape_configs.size(), rule_files);
}

base::Result<std::string> check_blackbox(base::Files& files, const std::string& file) {
  QD_ASSIGN(const auto modules, observe::probe::load_modules(files, file));
  return fmt::format("{} modules", modules->size());
}

base::Result<std::string> check_quarterdeck(base::Files& files, const std::string& file) {
  QD_ASSIGN(const auto settings, load_settings({.config_file = file}, files));
  return rules_summary(settings->groups);
}

Finding check(base::Files& files, const std::string& file, bool experimental) {
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
  auto summary = *kind == "rules"        ? check_rules(files, file, experimental)
                 : *kind == "prometheus" ? check_prometheus(files, file, experimental, finding.warnings)
                 : *kind == "blackbox"   ? check_blackbox(files, file)
                                         : check_quarterdeck(files, file);
  if (summary)
    finding.summary = *summary;
  else
    finding.error = summary.error().message();
  return finding;
}

int check_all(const std::vector<std::string>& names, bool experimental, const Output& output) {
  base::PosixFiles files;
  int code = kExitYes;
  boost::json::array list;
  for (const auto& name : names) {
    const auto finding = check(files, name, experimental);
    if (!finding.error.empty()) code = std::max(code, finding.unreadable ? kExitFailed : kExitNo);
    if (output.json()) {
      boost::json::array warnings(finding.warnings.begin(), finding.warnings.end());
      list.push_back({{"file", finding.file},
                      {"kind", finding.kind},
                      {"ok", finding.error.empty()},
                      {"summary", finding.summary},
                      {"warnings", std::move(warnings)},
                      {"error", finding.error}});
    } else if (finding.error.empty()) {
      fmt::print("{}: ok ({}: {})\n", finding.file, finding.kind, finding.summary);
    } else {
      fmt::print("{}: wrong\n{}\n", finding.file, finding.error);
    }
    if (output.json()) continue;
    for (const auto& warning : finding.warnings) fmt::print("  warning: {}\n", warning);
  }
  if (output.json()) fmt::print("{}\n", boost::json::serialize(list));
  return code;
}

}  // namespace

void add_check(CommandLine& root) {
  auto command = root.add_command("check", "Find what is wrong in configuration and rule files before anything starts",
                                  "Example: quarterdeck check quarterdeck.yaml prometheus.yml rules/*.yaml");
  auto names = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<Output>();
  command.option("FILE", *names,
                 "quarterdeck.yaml, a Prometheus configuration, a rule file, or modules of blackbox_exporter",
                 {.required = true});
  auto experimental = std::make_shared<bool>(false);
  command.flag("--experimental", *experimental,
               "let rules use experimental PromQL, as query.experimental does (a quarterdeck.yaml says it itself)");
  output->add_to(command);
  command.action([names, experimental, output] { return check_all(*names, *experimental, *output); });
}

}  // namespace qd::cli
