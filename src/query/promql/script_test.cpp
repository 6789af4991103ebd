#include "query/promql/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace qd::query::promql {
namespace {

const std::string kLoad = "load 10s\n  m{a=\"1\"} 1+1x5\n  m{a=\"2\"} 10 _ 20 stale\n\n";

// Failures of one case after kLoad.
std::vector<ScriptFailure> failures(const std::string& test_case) {
  return run_script(kLoad + test_case, "case").failures;
}

TEST(script, right_expectations_pass) {
  for (const char* good : {
           "eval instant at 20s m\n  m{a=\"1\"} 3\n  m{a=\"2\"} 20\n",
           "eval range from 0 to 30s step 10s m{a=\"2\"}\n  m{a=\"2\"} 10 10 20 _\n",
           "eval instant at 20s sum(m)\n  {} 23.0000001\n",
           "eval instant at 0 1 + 1\n  2\n",
           "eval instant at 0 \"text\"\n  expect string \"text\"\n",
           "eval instant at 20s sort_desc(m)\n  expect ordered\n  m{a=\"2\"} 20\n  m{a=\"1\"} 3\n",
           "eval_ordered instant at 20s sort(m)\n  m{a=\"1\"} 3\n  m{a=\"2\"} 20\n",
           "eval_fail instant at 0 m + on() m\n",
           "eval instant at 0 topk(NaN, m)\n  expect fail msg: Parameter value is NaN\n",
           "eval instant at 0 topk(NaN, m)\n  expect fail regex: value is N.N\n",
           "eval_warn instant at 0 quantile(7, sum(m))\n  {} Inf\n",
           "eval instant at 0 quantile(7, sum(m))\n  expect warn msg: PromQL warning: quantile value should be between "
           "0 "
           "and 1, got 7\n  expect no_info\n  {} Inf\n",
           "eval_info instant at 50s rate(m{a=\"1\"}[1m])\n  {a=\"1\"} 0.1\n",
           "eval instant at 50s m[20s]\n  expect range vector from 40s to 50s step 10s\n  m{a=\"1\"} 5 6\n",
           "eval instant at 0 nothing\n",
       }) {
    const auto wrong = failures(good);
    EXPECT_TRUE(wrong.empty()) << good << "got: " << (wrong.empty() ? "" : wrong[0].got);
  }
}

TEST(script, wrong_expectations_fail) {
  for (const char* bad : {
           "eval instant at 20s m\n  m{a=\"1\"} 3\n",
           "eval instant at 20s m\n  m{a=\"1\"} 3\n  m{a=\"2\"} 21\n",
           "eval instant at 20s m\n  m{a=\"1\"} 3\n  m{a=\"3\"} 20\n",
           "eval instant at 20s m\n",
           "eval range from 0 to 30s step 10s m{a=\"2\"}\n  m{a=\"2\"} 10 10 20\n  m{a=\"1\"} 1\n",
           "eval range from 0 to 30s step 10s m{a=\"2\"}\n  m{a=\"2\"} 10 _ 20 _\n",
           "eval instant at 0 1 + 1\n  3\n",
           "eval instant at 0 \"text\"\n  expect string \"other\"\n",
           "eval instant at 20s sort_desc(m)\n  expect ordered\n  m{a=\"1\"} 3\n  m{a=\"2\"} 20\n",
           "eval_fail instant at 20s sum(m)\n  {} 23\n",
           "eval instant at 0 m + on() m\n",
           "eval instant at 0 topk(NaN, m)\n  expect fail msg: something else\n",
           "eval_warn instant at 20s sum(m)\n  {} 23\n",
           "eval instant at 0 quantile(7, sum(m))\n  expect no_warn\n  {} Inf\n",
           "eval instant at 0 quantile(7, sum(m))\n  expect warn msg: PromQL warning: other\n  {} Inf\n",
           "eval instant at 50s m[20s]\n  expect range vector from 40s to 50s step 10s\n  m{a=\"1\"} 5 7\n",
           "evaluate instant at 0 m\n",
           "eval sometimes at 0 m\n",
           "load 5parsecs\n  m 1\n",
           "load 5m\n  m 1 two\n",
           "load 5m\n  m{a=1} 1\n",
           "load 5m\n  m 1x99999999999\n",
           "eval instant at 0 m\n  expect miracles\n",
       }) {
    EXPECT_FALSE(failures(bad).empty()) << bad;
  }
}

TEST(script, failures_say_where_what_and_why) {
  const ScriptReport report =
      run_script("load 1m\n  m 1\n\neval instant at 0 m\n  m 2\n\neval instant at 0 m\n  m 1\n", "a.test");
  EXPECT_EQ(report.passed, 1U);
  ASSERT_EQ(report.failures.size(), 1U);
  const ScriptFailure& failure = report.failures[0];
  EXPECT_EQ(failure.file, "a.test");
  EXPECT_EQ(failure.line, 4U);
  EXPECT_EQ(failure.expression, "m");
  EXPECT_EQ(failure.expected, "m 2");
  EXPECT_EQ(failure.got, "m 1\n");
}

TEST(script, clear_forgets_all_series) {
  EXPECT_TRUE(run_script(kLoad + "clear\n\neval instant at 0 m\n", "case").failures.empty());
}

TEST(script, cases_that_need_native_histograms_are_set_apart) {
  const ScriptReport report = run_script(
      "load 1m\n  h {{schema:0 sum:1 count:1}}x5\n  m 1\n\n"
      "eval instant at 0 abs(h)\n\n"                             // passes by accident without them
      "eval instant at 0 m\n  m {{schema:0 sum:1 count:1}}\n\n"  // expects one
      "eval instant at 0 m\n  m 1\n\n"
      "load_with_nhcb 1m\n  c_bucket{le=\"+Inf\"} 1\n\n"
      "eval instant at 0 histogram_quantile(0.5, c)\n\n"
      "eval instant at 0 c_bucket\n  c_bucket{le=\"+Inf\"} 1\n",
      "case");
  EXPECT_EQ(report.passed, 2U);
  EXPECT_EQ(report.unsupported.size(), 3U);
  EXPECT_TRUE(report.failures.empty());
}

// --- scripts on disk

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::filesystem::path> scripts_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  if (!std::filesystem::is_directory(folder)) return out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".test") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void expect_no_failures(const ScriptReport& report) {
  for (const ScriptFailure& failure : report.failures) {
    ADD_FAILURE() << failure.file << ":" << failure.line << ": " << failure.expression << "\nexpected:\n"
                  << failure.expected << "\ngot:\n"
                  << failure.got;
  }
}

const std::filesystem::path kSource = QD_SOURCE_DIR;

TEST(scenarios, all_of_ours_pass) {
  const auto scripts = scripts_in(kSource / "tests/scenarios/promql");
  ASSERT_FALSE(scripts.empty());
  for (const auto& path : scripts) {
    const ScriptReport report = run_script(read_file(path), path.filename().string());
    expect_no_failures(report);
    EXPECT_TRUE(report.unsupported.empty()) << path;
    EXPECT_GT(report.passed, 0U) << path;
  }
}

// tests/scenarios/promql/conformance.txt: "file passed unsupported" a line. Of each script, everything is decided by
// this release or needs what it does not store; nothing fails, and what passed once keeps passing.
TEST(conformance, every_case_of_float_samples_passes) {
  const auto scripts = scripts_in(kSource / "../shared/conformance/promql");
  if (scripts.empty()) GTEST_SKIP() << "no conformance scripts at " << kSource / "../shared/conformance/promql";
  std::map<std::string, std::pair<std::size_t, std::size_t>> known;
  std::istringstream list(read_file(kSource / "tests/scenarios/promql/conformance.txt"));
  for (std::string line; std::getline(list, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string file;
    words >> file;
    words >> known[file].first >> known[file].second;
  }
  for (const auto& path : scripts) {
    const std::string file = path.filename().string();
    const ScriptReport report = run_script(read_file(path), file);
    expect_no_failures(report);
    ASSERT_TRUE(known.contains(file)) << file << " passed " << report.passed << ", unsupported "
                                      << report.unsupported.size() << ": add it to conformance.txt";
    EXPECT_GE(report.passed, known[file].first) << file;
    EXPECT_LE(report.unsupported.size(), known[file].second) << file;
  }
}

}  // namespace
}  // namespace qd::query::promql
