#include "query/promql/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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
           "eval_fail instant at 0 topk(NaN, m)\n  expected_fail_regexp value is N.N\n",
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
           "eval_fail instant at 0 topk(NaN, m)\n  expected_fail_regexp something else\n",
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

TEST(script, histograms_are_compared_bucket_by_bucket) {
  const std::string load = "load 1m\n  h {{schema:0 sum:5 count:4 buckets:[1 2 1]}}+{{count:1 buckets:[0 1]}}x2\n\n";
  const auto failures_of = [&](const std::string& expected) {
    return run_script(load + "eval instant at 1m h\n  h " + expected + "\n", "case").failures.size();
  };
  EXPECT_EQ(failures_of("{{sum:5 count:5 buckets:[1 3 1]}}"), 0U);
  EXPECT_EQ(failures_of("{{sum:5 count:5 offset:-1 buckets:[0 1 3 1 0]}}"), 0U);  // the same with empty buckets
  EXPECT_EQ(failures_of("{{sum:5 count:5 buckets:[1 3 1] counter_reset_hint:not_reset}}"), 0U);
  for (const char* wrong : {"5", "{{sum:5 count:5 buckets:[1 2 2]}}", "{{sum:6 count:5 buckets:[1 3 1]}}",
                            "{{sum:5 count:5 offset:1 buckets:[1 3 1]}}", "{{schema:1 sum:5 count:5 buckets:[1 3 1]}}",
                            "{{sum:5 count:5 n_buckets:[1 3 1]}}", "{{sum:5 count:5 z_bucket:1 buckets:[1 3 1]}}",
                            "{{sum:5 count:5 buckets:[1 3 1] counter_reset_hint:gauge}}", "{{sum:5 count:5"}) {
    EXPECT_EQ(failures_of(wrong), 1U) << wrong;
  }
  for (const char* bad : {"{{schema:x}}", "{{what:1}}", "{{buckets:1}}", "{{}}+1x2", "{{}}y", "{{}}x1000000000",
                          "{{count:1}}+{{schema:-53 custom_values:[1]}}x3", "{{counter_reset_hint:maybe}}"}) {
    EXPECT_FALSE(run_script(std::string("load 1m\n  h ") + bad + "\n", "case").failures.empty()) << bad;
  }
}

TEST(script, load_with_nhcb_stores_classic_histograms_as_native_ones_too) {
  const ScriptReport report = run_script(
      "load_with_nhcb 1m\n  c_bucket{le=\"1\"} 1 2\n  c_bucket{le=\"+Inf\"} 3 5\n  c_sum 7 9\n\n"
      "eval instant at 1m c\n  c {{schema:-53 sum:9 count:5 custom_values:[1] buckets:[2 3]}}\n\n"
      "eval instant at 1m c_bucket{le=\"1\"}\n  c_bucket{le=\"1\"} 2\n",
      "case");
  EXPECT_EQ(report.passed, 2U);
  EXPECT_TRUE(report.failures.empty());
}

TEST(script, start_times_are_given_before_the_samples_own) {
  const ScriptReport report = run_script(
      "load 1m\n  c_total@st _ -30s\n  c_total _ 60\n\n"
      "eval instant at 1m increase(c_total[1m])\n  {} 60\n",
      "case");
  EXPECT_EQ(report.passed, 1U);
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
    EXPECT_GT(report.passed, 0U) << path;
  }
}

TEST(conformance, every_case_of_the_public_scripts_passes) {
  const auto scripts = scripts_in(kSource / "../shared/conformance/promql");
  if (scripts.empty()) GTEST_SKIP() << "no conformance scripts at " << kSource / "../shared/conformance/promql";
  for (const auto& path : scripts) {
    const ScriptReport report = run_script(read_file(path), path.filename().string());
    expect_no_failures(report);
    EXPECT_GT(report.passed, 0U) << path;
  }
}

}  // namespace
}  // namespace qd::query::promql
