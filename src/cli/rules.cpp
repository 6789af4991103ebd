#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "base/glob.h"
#include "cli/command.h"
#include "judge/rules/rule_tests.h"

namespace qd::cli {

namespace {

using judge::rules::RuleTestFailure;
using judge::rules::RuleTestResult;

constexpr std::size_t kRuleFilesMax = 10'000;  // of one pattern

struct TestOptions {
  std::vector<std::string> names;
  std::vector<std::string> run;
  std::string junit;
  bool diff = false;
  bool experimental = false;
  bool ignore_unknown_fields = false;
  Output output;
};

struct FileReport {
  std::string file;
  std::vector<std::string> warnings;
  std::string error;  // what kept it from being run
  std::vector<RuleTestResult> tests;

  bool good() const {
    return error.empty() && std::all_of(tests.begin(), tests.end(), [](const auto& t) { return t.failures.empty(); });
  }
};

// Patterns that match nothing are told and left, as promtool does.
std::vector<std::string> rule_files_of(const judge::rules::RuleTestFile& tests, const std::filesystem::path& dir,
                                       std::vector<std::string>& warnings) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (const auto& pattern : tests.rule_files) {
    const auto full = std::filesystem::path(pattern).is_absolute() ? pattern : (dir / pattern).string();
    const auto found = base::files_like(full, kRuleFilesMax).value_or(std::vector<std::string>{});
    if (found.empty()) warnings.push_back(fmt::format("no file is like {}", full));
    for (const std::string& name : found)
      if (seen.insert(name).second) out.push_back(name);
  }
  return out;
}

base::Result<std::vector<RuleTestResult>> run_file(base::Files& files, const TestOptions& options, FileReport& report) {
  QD_ASSIGN(const auto text, base::read_file(files, report.file, kFileBytesMax));
  QD_ASSIGN(const auto tests, judge::rules::parse_rule_tests(text, report.file));
  std::vector<judge::rules::Group> groups;
  for (const auto& name : rule_files_of(tests, std::filesystem::path(report.file).parent_path(), report.warnings)) {
    QD_ASSIGN(const auto rules, base::read_file(files, name, kFileBytesMax));
    QD_ASSIGN(auto some, judge::rules::parse_rule_file(rules, name,
                                                       {.experimental = options.experimental,
                                                        .ignore_unknown_fields = options.ignore_unknown_fields}));
    for (auto& group : some) groups.push_back(std::move(group));
  }
  return judge::rules::run_rule_tests(tests, groups, {.run = options.run, .experimental = options.experimental});
}

std::string lines(const std::vector<std::string>& texts, std::string_view indent) {
  std::string out;
  for (const auto& text : texts) out += fmt::format("{}{}\n", indent, text);
  return out.empty() ? fmt::format("{}nothing\n", indent) : out;
}

std::string shown(const RuleTestFailure& failure, bool diff) {
  std::string out;
  if (!failure.where.empty()) out += fmt::format("    {}:\n", failure.where);
  if (!failure.error.empty())
    return out + fmt::format("    {}{}{}\n", failure.what, failure.what.empty() ? "" : ", error: ", failure.error);
  out += fmt::format("    {}\n", failure.what);
  if (diff) return out + lines(judge::rules::difference(failure.expected, failure.got), "      ");
  return out + "      exp:\n" + lines(failure.expected, "        ") + "      got:\n" + lines(failure.got, "        ");
}

void print(const FileReport& report, const TestOptions& options) {
  fmt::print("Unit Testing:  {}\n", report.file);
  for (const auto& warning : report.warnings) fmt::print("  WARNING: {}\n", warning);
  if (report.good()) return fmt::print("  SUCCESS\n\n");
  fmt::print("  FAILED:\n");
  if (!report.error.empty()) fmt::print("{}\n", report.error);
  for (const auto& test : report.tests) {
    if (test.failures.empty()) continue;
    fmt::print("    name: {}\n", test.name);
    for (const auto& failure : test.failures) fmt::print("{}", shown(failure, options.diff));
  }
  fmt::print("\n");
}

boost::json::object json_of(const FileReport& report) {
  boost::json::array tests;
  for (const auto& test : report.tests) {
    boost::json::array failures;
    for (const auto& failure : test.failures)
      failures.push_back({{"where", failure.where},
                          {"what", failure.what},
                          {"expected", boost::json::value_from(failure.expected)},
                          {"got", boost::json::value_from(failure.got)},
                          {"error", failure.error}});
    tests.push_back({{"name", test.name}, {"ok", test.failures.empty()}, {"failures", std::move(failures)}});
  }
  return {{"file", report.file},
          {"ok", report.good()},
          {"error", report.error},
          {"warnings", boost::json::value_from(report.warnings)},
          {"tests", std::move(tests)}};
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // Control characters cannot stand in XML at all.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

// The form that build servers read: a suite a file, a case a test.
std::string junit_of(const std::vector<FileReport>& reports) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const auto& report : reports) {
    const auto failed_tests = std::count_if(report.tests.begin(), report.tests.end(),
                                            [](const auto& test) { return !test.failures.empty(); });
    out += fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n", xml_text(report.file),
                       report.tests.size(), failed_tests, report.error.empty() ? 0 : 1);
    if (!report.error.empty())
      out +=
          fmt::format("    <testcase name=\"{0}\"><error message=\"the file cannot be run\">{1}</error></testcase>\n",
                      xml_text(report.file), xml_text(report.error));
    for (const auto& test : report.tests) {
      out += fmt::format("    <testcase name=\"{}\" time=\"{:.3f}\">", xml_text(test.name), test.seconds);
      for (const auto& failure : test.failures)
        out += fmt::format("<failure message=\"{}\">{}</failure>", xml_text(failure.what),
                           xml_text(shown(failure, false)));
      out += "</testcase>\n";
    }
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

int test(const TestOptions& options) {
  base::PosixFiles files;
  std::vector<FileReport> reports;
  for (const auto& name : options.names) {
    auto& report = reports.emplace_back(FileReport{.file = name});
    auto tests = run_file(files, options, report);
    if (tests)
      report.tests = std::move(*tests);
    else
      report.error = tests.error().message();
    if (!options.output.json()) print(report, options);
  }
  if (options.output.json()) {
    boost::json::array list;
    for (const auto& report : reports) list.push_back(json_of(report));
    fmt::print("{}\n", boost::json::serialize(list));
  }
  if (!options.junit.empty())
    if (const auto written = base::write_file_atomically(files, options.junit, junit_of(reports)); !written)
      return failed(written.error());
  const bool good = std::all_of(reports.begin(), reports.end(), [](const auto& report) { return report.good(); });
  return good ? kExitYes : kExitNo;
}

}  // namespace

void add_rules(CommandLine& root) {
  auto rules =
      root.add_command("rules", "Work on rules without a server", "Example: quarterdeck rules test rules/*.test.yaml");
  auto command = rules.add_command("test", "Run unit tests for rules, in promtool's file format",
                                   "Example: quarterdeck rules test --run '^disk' --diff rules/*.test.yaml");
  auto options = std::make_shared<TestOptions>();
  command.option("FILE", options->names, "files of tests", {.required = true});
  command.option("--run", options->run,
                 "run only the tests whose names match this regular expression; may be repeated");
  command.flag("--diff", options->diff, "show what differs, rather than both sides whole");
  command.option("--junit", options->junit, "also write the results to this file, as JUnit's XML");
  command.flag("--experimental", options->experimental, "let rules and tests use experimental PromQL");
  command.flag("--ignore-unknown-fields", options->ignore_unknown_fields,
               "pass over keys in rule files that are not known");
  options->output.add_to(command);
  command.action([options] { return test(*options); });
}

}  // namespace qd::cli
