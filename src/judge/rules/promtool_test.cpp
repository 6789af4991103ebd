// The same files and templates, seen by the real promtool: verdicts and texts are to be the same.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/strings.h"
#include "base/temp_directory.h"
#include "judge/rules/expansion.h"
#include "judge/rules/rule_tests.h"

namespace qd::judge::rules {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& file, std::string_view text) {
  std::ofstream(file) << text;
}

struct Verdict {
  bool good = false;
  std::string text;
};

class PromtoolTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) GTEST_SKIP() << "promtool is not installed";
  }
  // `promtool ARGUMENTS`, run in the test's directory.
  Verdict promtool(const std::string& arguments) const {
    const auto out = dir_.path() / "out";
    const int rc = std::system(
        fmt::format("cd '{}' && promtool {} >'{}' 2>&1", dir_.path().string(), arguments, out.string()).c_str());
    return {.good = WIFEXITED(rc) && WEXITSTATUS(rc) == 0, .text = content(out)};
  }
  // What `quarterdeck rules test` says of the file.
  Verdict own(const std::string& name) const {
    const auto file = parse_rule_tests(content(dir_.path() / name), name);
    if (!file) return {.text = file.error().message()};
    std::vector<Group> groups;
    for (const auto& rule_file : file->rule_files) {
      if (!fs::exists(dir_.path() / rule_file)) continue;
      const auto some = parse_rule_file(content(dir_.path() / rule_file), rule_file);
      if (!some) return {.text = some.error().message()};
      groups.insert(groups.end(), some->begin(), some->end());
    }
    const auto results = run_rule_tests(*file, groups, {});
    if (!results) return {.text = results.error().message()};
    Verdict verdict{.good = true};
    for (const auto& result : *results) {
      for (const auto& failure : result.failures) {
        verdict.good = false;
        verdict.text += fmt::format("{}: {} {}\n", failure.where, failure.what, failure.error);
      }
    }
    return verdict;
  }
  const base::TempDirectory dir_;
};

// A file of a newer format than this promtool's.
bool too_new(const Verdict& verdict) {
  return verdict.text.find("not found in type") != std::string::npos;
}

TEST_F(PromtoolTest, gives_the_same_verdicts_on_the_public_files) {
  const auto conformance = fs::path(QD_SOURCE_DIR) / "../shared/conformance";
  if (!fs::exists(conformance)) GTEST_SKIP() << "the conformance data is not beside this checkout";
  std::vector<std::string> names;
  for (const auto& folder : {"promtool", "rules"}) {
    for (const auto& entry : fs::directory_iterator(conformance / folder)) {
      fs::copy_file(entry.path(), dir_.path() / entry.path().filename());
      names.push_back(entry.path().filename().string());
    }
  }
  std::size_t compared = 0;
  for (const auto& name : names) {
    const auto theirs_on_rules = promtool("check rules " + name);
    const bool ours_on_rules = parse_rule_file(content(dir_.path() / name), name).has_value();
    // Prometheus 3 takes labels of any UTF-8, and so do we.
    if (name != "utf-8_lname.good.yaml" && !too_new(theirs_on_rules))
      EXPECT_EQ(ours_on_rules, theirs_on_rules.good) << name << ": " << theirs_on_rules.text;
    const auto theirs = promtool("test rules " + name);
    // Prometheus 2 took a missing interval for zero.
    if (too_new(theirs) || name == "no-test-group-interval.yml") continue;
    const auto ours = own(name);
    EXPECT_EQ(ours.good, theirs.good) << name << "\nours: " << ours.text << "\ntheirs: " << theirs.text;
    ++compared;
  }
  EXPECT_GT(compared, 8u);
}

// Each of these files is right or wrong in one respect.
TEST_F(PromtoolTest, gives_the_same_verdicts_on_single_questions) {
  write(dir_.path() / "r.yml", R"y(groups:
  - name: g
    interval: 2m
    rules:
      - {record: recorded, expr: "sum by (job) (up)", labels: {kind: x}}
      - {alert: Down, expr: "up == 0", for: 3m, labels: {empty: "{{ $labels.none }}", sev: "{{ $labels.job }}!"}}
      - {alert: Held, expr: "gone > 0", keep_firing_for: 2m}
)y");
  const std::string head = "rule_files: [r.yml]\n";
  const std::string input =
      "tests:\n  - interval: 1m\n    input_series:\n"
      "      - {series: 'up{job=\"a\"}', values: '0x10'}\n      - {series: gone, values: '1 1 1 0x10'}\n";
  const std::vector<std::string> files = {
      head + input +
          "    alert_rule_test: [{eval_time: 3m, alertname: Down, exp_alerts: [{exp_labels: {job: a, sev: 'a!', empty: "
          "'<no value>'}}]}]\n",
      head + input +
          "    alert_rule_test: [{eval_time: 3m, alertname: Down, exp_alerts: [{exp_labels: {job: a, sev: 'a!'}}]}]\n",
      head + input + "    alert_rule_test: [{eval_time: 2m59s, alertname: Down, exp_alerts: []}]\n",
      head + input + "    alert_rule_test: [{eval_time: 3m30s, alertname: Down}]\n",
      head + input + "    alert_rule_test: [{eval_time: 4m, alertname: Held, exp_alerts: [{}]}]\n",
      head + input + "    alert_rule_test: [{eval_time: 6m, alertname: Held, exp_alerts: [{}]}]\n",
      head + input + "    alert_rule_test: [{eval_time: 1m, alertname: Unknown, exp_alerts: []}]\n",
      head + input + "    alert_rule_test: [{eval_time: 1m, alertname: Unknown, exp_alerts: [{}]}]\n",
      head + input + "    alert_rule_test: [{eval_time: 1m}]\n",
      head + input +
          "    promql_expr_test: [{expr: recorded, eval_time: 1m, exp_samples: [{labels: "
          "'recorded{job=\"a\",kind=\"x\"}', value: 0}]}]\n",
      head + input +
          "    promql_expr_test: [{expr: 'gone', eval_time: 90s, exp_samples: [{labels: gone, value: 1}]}]\n",
      head + input + "    promql_expr_test: [{expr: 'timestamp(gone)', eval_time: 90s, exp_samples: [{value: 60}]}]\n",
      head + input +
          "    promql_expr_test: [{expr: 'count_over_time(up[10m])', eval_time: 90s, exp_samples: [{labels: "
          "'{job=\"a\"}', value: 2}]}]\n",
      head + input + "    promql_expr_test: [{expr: '0/0', eval_time: 1m, exp_samples: [{value: NaN}]}]\n",
      head + input + "    promql_expr_test: [{expr: '1/0', eval_time: 1m, exp_samples: [{value: .inf}]}]\n",
      head + input + "    promql_expr_test: [{expr: '\"text\"', eval_time: 1m, exp_samples: []}]\n",
      head + input + "    promql_expr_test: [{expr: 'up[5m]', eval_time: 1m, exp_samples: []}]\n",
      head + input +
          "    promql_expr_test: [{expr: 'sum by (job) (ALERTS_FOR_STATE{alertname=\"Down\"})', eval_time: 5m, "
          "exp_samples: "
          "[{labels: '{job=\"a\"}', value: 0}]}]\n",
      head + input + "    promql_expr_test: [{expr: up, eval_time: 5}]\n",
      head + "evaluation_interval: 2m\n" + input +
          "    promql_expr_test: [{expr: 'gone', eval_time: 3m, exp_samples: [{labels: gone, value: 1}]}]\n",
      head + "group_eval_order: [g, g]\n" + input,
      head + "group_eval_order: [unknown]\n" + input,
      head +
          "tests:\n  - input_series: [{series: 'x y', values: 1}]\n    promql_expr_test: [{expr: up, eval_time: 0}]\n",
      head + "tests:\n  - input_series: [{series: x, values: 1y}]\n    promql_expr_test: [{expr: up, eval_time: 0}]\n",
      head + "tests:\n  - input_series: [{series: x, values: 1}]\n    nonsense: 1\n",
      "rule_files: [missing.yml]\ntests: []\n",
      "tests:\n",
      "",
  };
  for (std::size_t i = 0; i < files.size(); ++i) {
    write(dir_.path() / "t.yml", files[i]);
    const auto theirs = promtool("test rules t.yml");
    const auto ours = own("t.yml");
    EXPECT_EQ(ours.good, theirs.good) << files[i] << "\nours: " << ours.text << "\ntheirs: " << theirs.text;
  }
}

TEST_F(PromtoolTest, expands_templates_to_the_same_texts) {
  const std::vector<std::string> templates = {
      "{{ $value }}",
      "{{ $labels.job }} {{ $labels.none }} {{ .Labels }}",
      "{{ $externalLabels.site }} {{ $externalURL }}",
      "{{ humanize $value }}",
      "{{ humanize1024 $value }}",
      "{{ humanizeDuration $value }}",
      "{{ humanizePercentage $value }}",
      "{{ humanizeTimestamp $value }}",
      "{{ $value | printf \"%.3f|%8.2e|%g|%d\" }}",
      "{{ printf \"%q %s %v %5.1f|%-6s|%06d\" $labels.job $labels.job 1 2.25 \"ab\" 42 }}",
      "{{ toUpper $labels.job }} {{ toLower \"ABC\" }} {{ title \"one two-three\" }}",
      "{{ stripPort \"a.b.c:80\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"plain\" }}",
      "{{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"1.2.3.4:80\" }}",
      "{{ match \"a+\" \"xaax\" }} {{ reReplaceAll \"(a)(b)\" \"$2$1\" \"cab\" }} {{ reReplaceAll \"a*\" \"-\" "
      "\"baac\" }}",
      "{{ graphLink \"up == 1\" }} {{ tableLink \"rate(x[5m]) > 0\" }}",
      "{{ parseDuration \"1h2m\" }}",
      "{{ $value | toTime }} {{ ($value | toTime).Format \"Mon Jan _2 15:04:05 2006\" }}",
      "{{ (toTime $value).Year }} {{ (toTime $value).Month }} {{ (toTime $value).Weekday }} {{ (toTime $value).YearDay "
      "}}",
      "{{ query \"metric\" | first | value }} {{ query \"metric\" | first | label \"job\" }}",
      "{{ range query \"many\" | sortByLabel \"n\" }}{{ .Labels.n }}={{ .Value }};{{ else }}none{{ end }}",
      "{{ with query \"nothing\" }}some{{ else }}none{{ end }} {{ len (query \"many\") }}",
      "{{ if gt $value 1.0 }}high{{ else if eq $labels.job \"x\" }}x{{ else }}low{{ end }}",
      "{{ define \"t\" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template \"t\" (args 1 \"b\") }}",
      "{{ and true 0 }} {{ or 0 \"x\" }} {{ not nil }} {{ eq 1 2 1 }} {{ index (args \"p\") \"arg0\" }} {{ slice "
      "\"abcdef\" 1 3 }}",
      "{{ html \"<a href='x'>\" }} {{ js \"it's <b>\" }} {{ urlquery \"a b&c\" }} {{ safeHtml \"<b>\" }} {{ print 1 2 "
      "\"x\" 3 }} {{ println \"z\" }}",
      "{{- /* note */ -}} a {{- \" b \" -}} c {{ $x := 1 }}{{ $x = 2 }}{{ $x }} {{ 0x1F }} {{ 1e3 }} {{ 'a' }} {{ "
      "`raw` }}",
      "{{ range $i, $e := query \"many\" | sortByLabel \"n\" }}{{ if $i }},{{ end }}{{ $e.Labels.n }}{{ end }}",
      "{{ strvalue (index (query \"many\") 0) }}",
  };
  const std::vector<std::string> values = {"0",    "1",       "-1",     "0.123456789",    "1234567.891",
                                           "1e15", "90061.5", "-61.25", "1435065584.128", "0.0000012",
                                           "NaN",  "+Inf",    "-Inf",   "1024",           "1e-10"};
  std::string rules = "groups:\n  - name: g\n    rules:\n";
  std::string tests = "rule_files: [r.yml]\ntests:\n";
  const QueryFunction ask = [](std::string_view expr, model::TimestampMs) -> base::Result<query::promql::QueryResult> {
    using query::promql::Vector;
    if (expr == "metric")
      return query::promql::QueryResult{
          .value = Vector{{.labels = model::LabelSet{{"__name__", "metric"}, {"job", "q"}}, .value = 3.5}}};
    if (expr == "many")
      return query::promql::QueryResult{
          .value = Vector{{.labels = model::LabelSet{{"__name__", "many"}, {"n", "b"}}, .value = 2},
                          {.labels = model::LabelSet{{"__name__", "many"}, {"n", "a"}}, .value = 1}}};
    return query::promql::QueryResult{.value = Vector{}};
  };
  const auto quoted = [](std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
    return out + "'";
  };
  for (std::size_t t = 0; t < templates.size(); ++t)
    rules += fmt::format("      - {{alert: A{}, expr: 'v < 0 or v >= 0 or v != v', annotations: {{text: {}}}}}\n", t,
                         quoted(templates[t]));
  for (const auto& value : values) {
    tests += fmt::format(
        "  - interval: 1m\n    external_labels: {{site: lab}}\n    external_url: http://q.example.org/qd\n    "
        "input_series:\n"
        "      - {{series: 'v{{job=\"Node x\"}}', values: '{}'}}\n"
        "      - {{series: 'metric{{job=\"q\"}}', values: 3.5}}\n"
        "      - {{series: 'many{{n=\"b\"}}', values: 2}}\n      - {{series: 'many{{n=\"a\"}}', values: 1}}\n    "
        "alert_rule_test:\n",
        value);
    for (std::size_t t = 0; t < templates.size(); ++t) {
      const auto text =
          expand("__alert_A", templates[t], model::LabelSet{{"__name__", "v"}, {"job", "Node x"}},
                 *base::parse_float(value), model::LabelSet{{"site", "lab"}}, "http://q.example.org/qd", ask, 0);
      if (!text) continue;  // the words of errors are our own
      tests += fmt::format(
          "      - {{eval_time: 0, alertname: A{}, exp_alerts: [{{exp_labels: {{job: 'Node x'}}, exp_annotations: "
          "{{text: {}}}}}]}}\n",
          t, base::quote(*text));
    }
  }
  write(dir_.path() / "r.yml", rules);
  write(dir_.path() / "t.yml", tests);
  const auto theirs = promtool("test rules t.yml");
  EXPECT_TRUE(theirs.good) << theirs.text.substr(0, 20'000);
}

}  // namespace
}  // namespace qd::judge::rules
