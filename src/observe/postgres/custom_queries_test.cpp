#include "observe/postgres/custom_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/temp_directory.h"
#include "model/config/node.h"
#include "observe/postgres/fake_postgres_for_test.h"
#include "observe/postgres/postgres.h"
#include "observe/recording_sink.h"

namespace qd::observe::postgres {
namespace {

using connect::postgres::FakePeer;
using testing::HasSubstr;
using testing::IsEmpty;

base::Result<std::vector<CustomQuery>> read(std::string_view text) {
  const auto node = model::config::parse_yaml(text, "queries.yaml");
  EXPECT_TRUE(node);
  return read_custom_queries(*node);
}

std::string error_of(std::string_view text) {
  const auto queries = read(text);
  return queries ? "" : queries.error().message();
}

TEST(CustomQueries, say_where_a_file_is_wrong) {
  EXPECT_EQ(error_of(""), "");
  EXPECT_THAT(error_of("[]"), HasSubstr("queries.yaml:1:1"));
  EXPECT_THAT(error_of("a: {metrics: []}"), HasSubstr("there is no query"));
  EXPECT_THAT(error_of("a: {query: x}"), HasSubstr("no list of metrics"));
  EXPECT_THAT(error_of("a b: {query: x, metrics: []}"), HasSubstr("beginning of a metric's name"));
  EXPECT_THAT(error_of("a: {query: x, metrics: [{b: {usage: GAUGES}}]}"), HasSubstr("not a usage"));
  EXPECT_THAT(error_of("a: {query: x, metrics: [{b: {usage: MAPPEDMETRIC}}]}"), HasSubstr("metric_mapping"));
  EXPECT_THAT(error_of("a: {query: x, metrics: [], runonserver: \">=a\"}"), HasSubstr("range of versions"));
  EXPECT_THAT(error_of("a: {query: x, metrics: [], cached: 3}"), HasSubstr("not a key"));
}

TEST(CustomQueries, know_ranges_of_versions) {
  const auto in = [](std::string_view range, int version) { return VersionRange::parse(range)->contains(version); };
  EXPECT_TRUE(in(">=9.6.0 <16.0.0", 150020));
  EXPECT_FALSE(in(">=9.6.0 <15.0.0", 150020));
  EXPECT_TRUE(in("<10.0.0 || >=15.20.0", 150020));
  EXPECT_FALSE(in("!=15.20", 150020));
  EXPECT_TRUE(in("15.20.0", 150020));
  EXPECT_FALSE(VersionRange::parse("||"));
  EXPECT_FALSE(VersionRange::parse("1.2.3.4"));
  EXPECT_FALSE(VersionRange::parse(">=-1"));
}

TEST(CustomQueries, read_values_by_type) {
  EXPECT_EQ(custom_number("t", 16), 1);
  EXPECT_EQ(custom_number("1970-01-02 00:00:01.75+00", 1184), 86'401);
  EXPECT_EQ(custom_number("1970-01-02 02:30:00+02:30", 1184), 86'400);
  EXPECT_EQ(custom_number("1970-01-02", 1082), 86'400);
  EXPECT_EQ(custom_number("infinity", 1114), HUGE_VAL);
  EXPECT_EQ(custom_number("1970-13-02", 1082), std::nullopt);
  EXPECT_EQ(custom_number("9223372036854775807", 20), 9223372036854775807.0);
  EXPECT_TRUE(std::isnan(*custom_number("NaN", 1700)));
  EXPECT_EQ(custom_number("one", 25), std::nullopt);
  EXPECT_EQ(parse_go_duration_ms("1h2m3.5s"), 3'723'500);
  EXPECT_EQ(parse_go_duration_ms("-1.5ms"), -1.5);
  EXPECT_EQ(parse_go_duration_ms("1"), std::nullopt);
  EXPECT_EQ(parse_go_duration_ms("-1"), std::nullopt);
  EXPECT_EQ(parse_array("{1,2.5}"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(parse_array("{1,NULL}"), std::nullopt);
  EXPECT_EQ(parse_array("{}"), std::vector<double>{});
}

class CustomQueriesPass : public testing::Test {
 protected:
  void write(std::string_view text) {
    std::ofstream(file_) << text;
    // The file's time may be as coarse as a tick of the kernel.
    std::filesystem::last_write_time(file_,
                                     std::filesystem::file_time_type::clock::now() + std::chrono::hours(++writes_));
  }
  RecordingSink pass(PostgresCollector& collector) {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(clock_.monotonic_ns() + 5'000'000'000, sink));
    EXPECT_THAT(sink.faults(), IsEmpty());
    return sink;
  }
  PostgresCollector collector(const FakePostgres& server) {
    Options options;
    options.address = server.address();
    options.queries_file = file_;
    return {options, clock_, base::Log::silent()};
  }

  base::TempDirectory directory_;
  std::string file_ = (directory_.path() / "queries.yaml").string();
  int writes_ = 0;
  base::SystemClock clock_;
};

std::string description(const std::vector<std::string>& names, const std::vector<connect::postgres::FakeRow>& rows) {
  std::string all = FakePeer::description(names);
  for (const auto& row : rows) all += FakePeer::row(row);
  return all + FakePeer::done();
}

TEST_F(CustomQueriesPass, tell_every_usage) {
  write(R"(
orders:
  query: "SELECT orders"
  metrics:
    - state: {usage: LABEL, description: "Of the order"}
    - count: {usage: COUNTER, description: "Orders"}
    - mood: {usage: MAPPEDMETRIC, description: "Mood", metric_mapping: {good: 1, bad: 2}}
    - wait: {usage: DURATION, description: "Wait"}
    - size: {usage: HISTOGRAM, description: "Sizes"}
    - secret: {usage: DISCARD, description: "-"}
    - later: {usage: GAUGE, description: "Later", pg_version: ">=99.0.0"}
)");
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql != "SELECT orders") return std::nullopt;
    return description({"state", "count", "mood", "wait", "size", "size_bucket", "size_sum", "size_count", "secret",
                        "later", "extra", "words"},
                       {{"new", "3", "good", "2s", "{1,5}", "{2,3}", "7", "4", "1", "1", "8", "text"},
                        {"old", std::nullopt, "odd", "-1", "{}", "{}", "x", "0", "1", "1", std::nullopt, "text"},
                        {"new", "5", "bad", "3s", "{}", "{}", "0", "0", "1", "1", "9", "text"}});
  });
  auto watched = collector(server);
  const auto sink = pass(watched);
  const std::string at = server.address();
  const auto value = [&](const std::string& name, const std::string& state) {
    return sink.value(name + "{server=\"" + at + "\",state=\"" + state + "\"}");
  };
  EXPECT_EQ(watched.trouble(), nullptr);
  EXPECT_EQ(value("orders_count", "new"), 3);
  EXPECT_TRUE(std::isnan(*value("orders_count", "old")));
  EXPECT_EQ(value("orders_mood", "new"), 1);
  EXPECT_EQ(value("orders_mood", "old"), std::nullopt);
  EXPECT_EQ(value("orders_wait_milliseconds", "new"), 2000);
  EXPECT_EQ(value("orders_size_sum", "new"), 7);
  EXPECT_EQ(sink.value("orders_size_bucket{le=\"5\",server=\"" + at + "\",state=\"new\"}"), 3);
  EXPECT_EQ(sink.value("orders_size_bucket{le=\"+Inf\",server=\"" + at + "\",state=\"new\"}"), 4);
  EXPECT_EQ(value("orders_extra", "new"), 8);
  EXPECT_FALSE(sink.types().contains("orders_secret"));
  EXPECT_FALSE(sink.types().contains("orders_later"));
  EXPECT_FALSE(sink.types().contains("orders_words"));
  EXPECT_EQ(sink.types().find("orders_count")->second, model::MetricType::kCounter);
  EXPECT_EQ(sink.types().find("orders_extra")->second, model::MetricType::kUnknown);
}

TEST_F(CustomQueriesPass, leave_what_the_collector_tells_itself) {
  write("pg_postmaster: {query: mine, metrics: [{start_time_seconds: {usage: GAUGE, description: x}}]}");
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql != "mine") return std::nullopt;
    return description({"start_time_seconds"}, {{"99"}});
  });
  auto watched = collector(server);
  EXPECT_EQ(pass(watched).value("pg_postmaster_start_time_seconds"), 1);
}

TEST_F(CustomQueriesPass, are_read_again_when_the_file_changes_and_stay_when_it_is_wrong) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql != "one") return std::nullopt;
    return description({"v"}, {{"1"}});
  });
  const std::string series = "a_v{server=\"" + server.address() + "\"}";
  auto watched = collector(server);
  auto sink = pass(watched);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"custom_queries\"}"), 0);
  ASSERT_NE(watched.trouble(), nullptr);
  EXPECT_THAT(watched.trouble()->message(), HasSubstr(file_));
  write("a: {query: one, metrics: [{v: {usage: GAUGE}}]}");
  sink = pass(watched);
  EXPECT_EQ(sink.value(series), 1);
  EXPECT_EQ(watched.trouble(), nullptr);
  write("a: {query: one");
  sink = pass(watched);
  EXPECT_EQ(sink.value(series), 1);
  EXPECT_NE(watched.trouble(), nullptr);
}

TEST_F(CustomQueriesPass, keep_their_answer_and_fail_alone) {
  write(R"(
kept: {query: kept, cache_seconds: 1000, metrics: [{v: {usage: GAUGE}}]}
wrong: {query: wrong, metrics: [{v: {usage: GAUGE}}]}
elsewhere: {query: elsewhere, runonserver: "<10.0.0", metrics: [{v: {usage: GAUGE}}]}
)");
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql != "kept") return std::nullopt;
    return description({"v"}, {{"1"}});
  });
  auto watched = collector(server);
  pass(watched);
  const auto sink = pass(watched);
  EXPECT_EQ(sink.value("kept_v{server=\"" + server.address() + "\"}"), 1);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"custom_queries\"}"), 0);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"locks\"}"), 1);
  ASSERT_NE(watched.trouble(), nullptr);
  EXPECT_THAT(watched.trouble()->message(), HasSubstr("query wrong"));
  EXPECT_EQ(std::ranges::count(server.asked(), "kept"), 1);
  EXPECT_EQ(std::ranges::count(server.asked(), "elsewhere"), 0);
}

}  // namespace
}  // namespace qd::observe::postgres
