#include "query/running/runner.h"

#include <gtest/gtest.h>

#include "base/temp_directory.h"
#include "query/promql/memory_querier.h"
#include "query/promql/parser.h"

namespace qd::query::running {
namespace {

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    data_.add(model::LabelSet{{"__name__", "up"}}, 1'000, 1);
    for (const char* a : {"1", "2"}) data_.add(model::LabelSet{{"__name__", "other"}, {"a", a}}, 1'000, 1);
  }

  base::Result<promql::QueryResult> instant(const std::string& text) {
    QD_ASSIGN(const auto expr, promql::parse(text));
    return runner_.instant({.principal = "loopback",
                            .client_ip = "127.0.0.1",
                            .method = "GET",
                            .path = "/api/v1/query",
                            .rule_file = {},
                            .rule_group = {}},
                           *expr, text, 1'000, {}, {.queue_ns = 250'000'000, .parse_ns = 1'000'000});
  }
  double value(std::string_view name, const base::CounterLabels& labels) {
    for (const auto& family : registry_.collect()) {
      for (const auto& sample : family.samples)
        if (sample.name == name && sample.labels == labels) return sample.value;
    }
    return -1;
  }

  base::TempDirectory dir_;
  base::PosixFiles files_;
  base::SystemClock clock_;
  base::Registry registry_;
  promql::MemoryQuerier data_;
  store::metrics::ChangeLog changes_;
  promql::Engine engine_{nullptr, clock_};
  ActiveQueries active_{files_, dir_ / "queries.active", base::Log::silent()};
  RunnerSettings settings_{.log_file = (dir_ / "queries.log").native(), .slow_threshold_ms = 100};
  Runner runner_{{engine_, data_, changes_, active_, files_, clock_, base::Log::silent(), registry_}, settings_};
};

TEST_F(RunnerTest, a_query_is_answered_logged_counted_and_no_longer_running) {
  const auto result = instant("up");
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ(std::get<promql::Vector>(result->value).size(), 1U);
  EXPECT_EQ(result->stats.parse_ns, 1'000'000);
  const auto line = base::read_file(files_, dir_ / "queries.log", 1 << 20).value_or("");
  EXPECT_TRUE(line.starts_with("{\"params\":{\"query\":\"up\"")) << line;
  EXPECT_NE(line.find("\"execQueueTime\":0.25"), std::string::npos) << line;
  EXPECT_TRUE(ActiveQueries::read(files_, dir_ / "queries.active")->empty());
  EXPECT_EQ(value("prometheus_engine_query_duration_seconds_count", {{"slice", "queue_time"}}), 1);
  EXPECT_NEAR(value("prometheus_engine_query_duration_seconds", {{"quantile", "0.5"}, {"slice", "queue_time"}}), 0.25,
              0.0125);
  EXPECT_EQ(value("prometheus_engine_query_samples_total", {}), 1);
  EXPECT_EQ(value("quarterdeck_query_slow_total", {}), 1);
}

TEST_F(RunnerTest, a_failure_is_logged_with_its_error) {
  ASSERT_FALSE(instant("up + on () other"));
  const auto line = base::read_file(files_, dir_ / "queries.log", 1 << 20).value_or("");
  EXPECT_NE(line.find("\"error\":\""), std::string::npos) << line;
}

TEST_F(RunnerTest, settings_apply_at_once) {
  settings_.log_file.clear();
  settings_.slow_threshold_ms = 0;
  runner_.apply(settings_);
  ASSERT_TRUE(instant("up"));
  EXPECT_EQ(base::read_file(files_, dir_ / "queries.log", 1 << 20).value_or("?"), "");
  EXPECT_EQ(value("quarterdeck_query_slow_total", {}), 0);
}

}  // namespace
}  // namespace qd::query::running
