#include "query/running/query_log.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/faulty_files.h"
#include "base/temp_directory.h"

namespace qd::query::running {
namespace {

class QueryLogTest : public ::testing::Test {
 protected:
  void write(std::string_view text, const base::Error* error = nullptr) {
    log_.write(
        {.asker = asker_,
         .text = text,
         .start_ms = 1'700'000'000'000,
         .end_ms = 1'700'000'060'000,
         .step_ms = 15'000,
         .stats =
             {.series = 3, .samples_read = 40, .samples_peak = 12, .parse_ns = 1'000'000, .evaluate_ns = 2'000'000},
         .queue_ns = 500'000,
         .error = error});
  }
  std::string content(const std::string& name = "queries.log") {
    return base::read_file(posix_, dir_ / name, 1 << 20).value_or("");
  }

  base::TempDirectory dir_;
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::ManualClock clock_{1'700'000'061'000};
  base::Registry registry_;
  base::Counter& failures_ = registry_.counter("prometheus_engine_query_log_failures_total", "");
  Asker asker_{.principal = "loopback", .client_ip = "127.0.0.1", .method = "GET", .path = "/api/v1/query_range"};
  QueryLog log_{files_, clock_, base::Log::silent(), registry_};
};

TEST_F(QueryLogTest, writes_a_line_as_prometheus_does) {
  write("not_logged");
  log_.reopen(dir_ / "queries.log");
  write("sum(rate(a{b=\"c\\\\d\"}[5m]))\n\x01");
  EXPECT_EQ(content(),
            "{\"params\":{\"query\":\"sum(rate(a{b=\\\"c\\\\\\\\d\\\"}[5m]))\\n\\u0001\","
            "\"start\":\"2023-11-14T22:13:20.000Z\",\"end\":\"2023-11-14T22:14:20.000Z\",\"step\":15},"
            "\"stats\":{\"timings\":{\"evalTotalTime\":0.003,\"resultSortTime\":0,\"queryPreparationTime\":0.001,"
            "\"innerEvalTime\":0.002,\"execQueueTime\":0.0005,\"execTotalTime\":0.0035},"
            "\"samples\":{\"totalQueryableSamples\":40,\"peakSamples\":12}},\"ts\":\"2023-11-14T22:14:21.000Z\","
            "\"httpRequest\":{\"clientIP\":\"127.0.0.1\",\"method\":\"GET\",\"path\":\"/api/v1/query_range\"},"
            "\"principal\":\"loopback\"}\n");
}

TEST_F(QueryLogTest, a_rule_is_told_by_its_group_and_a_failure_by_its_error) {
  log_.reopen(dir_ / "queries.log");
  asker_ = {};
  asker_.principal = "rules";
  asker_.rule_file = "/etc/r.yml";
  asker_.rule_group = "disks";
  const base::Error error(base::ErrorCode::kTimeout, "it took \"long\"");
  write("up", &error);
  EXPECT_NE(content().find("\"ruleGroup\":{\"file\":\"/etc/r.yml\",\"name\":\"disks\"}"), std::string::npos);
  EXPECT_NE(content().find("\"error\":\"it took \\\"long\\\"\""), std::string::npos);
  EXPECT_EQ(content().find("httpRequest"), std::string::npos);
}

TEST_F(QueryLogTest, bytes_that_are_no_text_leave_json) {
  log_.reopen(dir_ / "queries.log");
  write("a\xff\"");
  EXPECT_NE(content().find("\"query\":\"a\\ufffd\\\"\""), std::string::npos);
}

TEST_F(QueryLogTest, a_reload_opens_the_file_anew) {
  log_.reopen(dir_ / "queries.log");
  write("first");
  std::filesystem::rename(dir_ / "queries.log", dir_ / "queries.log.1");
  write("second");
  log_.reopen(dir_ / "queries.log");
  write("third");
  EXPECT_NE(content("queries.log.1").find("second"), std::string::npos);
  EXPECT_NE(content().find("third"), std::string::npos);
  EXPECT_EQ(content().find("second"), std::string::npos);
  log_.reopen("");
  write("fourth");
  EXPECT_EQ(content().find("fourth"), std::string::npos);
  EXPECT_FALSE(log_.enabled());
}

TEST_F(QueryLogTest, a_full_disk_leaves_out_lines_and_no_halves_of_them) {
  log_.reopen(dir_ / "queries.log");
  write("before");
  const std::string before = content();
  files_.fail_after_bytes(20, ENOSPC);
  write("while_full");
  write("while_full");
  EXPECT_EQ(failures_.value(), 2U);
  files_.heal();
  write("after");
  EXPECT_TRUE(content().starts_with(before + "{\"params\":{\"query\":\"after\"")) << content();
  EXPECT_EQ(content().find("while_full"), std::string::npos);
  EXPECT_EQ(failures_.value(), 2U);
}

TEST_F(QueryLogTest, a_file_that_cannot_be_opened_is_counted) {
  log_.reopen(dir_ / "none" / "queries.log");
  write("up");
  EXPECT_EQ(failures_.value(), 1U);
  EXPECT_FALSE(log_.enabled());
}

}  // namespace
}  // namespace qd::query::running
