// What the collector makes of servers that refuse, hang, break off or lie.

#include <atomic>
#include <limits>
#include <string>

#include "base/strings.h"
#include "observe/mysql/collector_for_test.h"

namespace qd::observe::mysql {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::int64_t kGraceNs = 1'000'000'000;

TEST_F(MysqlCollectorTest, a_wrong_password_is_said_with_the_cure) {
  std::atomic<bool> is_mariadb = false;
  FakeServer server([&](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string reply;
    if (mysql.greet(is_mariadb ? "5.5.5-10.11.6-MariaDB" : "8.4.3") && mysql.read_packet(reply)) {
      mysql.error(1045, "Access denied for user 'monitor'@'10.0.0.9' (using password: YES)");
    }
  });
  MysqlCollector collector(options(server), clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.values().size(), 1u);
  EXPECT_EQ(sink.value("mysql_up"), 0);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kPermission);
  EXPECT_THAT(trouble(collector), StartsWith(server.address()));
  EXPECT_THAT(trouble(collector), HasSubstr("CREATE USER 'monitor'@'10.0.0.9'"));
  EXPECT_THAT(trouble(collector),
              HasSubstr("GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'monitor'@'10.0.0.9';"));
  EXPECT_THAT(trouble(collector), Not(HasSubstr("s3cret!")));
  pass(collector);
  EXPECT_EQ(server.connections(), 3);  // the greeting is read apart once

  is_mariadb = true;
  MysqlCollector other(options(server), clock_);
  pass(other);
  EXPECT_THAT(trouble(other), HasSubstr("GRANT PROCESS, REPLICATION CLIENT, SLAVE MONITOR, SELECT ON"));
}

TEST_F(MysqlCollectorTest, a_missing_right_hides_its_part_alone_and_is_said_with_the_grant) {
  Answers answers = mysql_8_4();
  answers["SHOW REPLICA STATUS"] = {.error = 1227, .message = "Access denied; you need REPLICATION CLIENT"};
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) { return answer_of(answers, sql); }));
  MysqlCollector collector(options(server), clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_up"), 1);
  EXPECT_EQ(sink.value("mysql_global_status_threads_connected"), 5);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.slave_status\"}"), 0);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.binlog_size\"}"), 1);
  EXPECT_THAT(trouble(collector), HasSubstr("collect.slave_status"));
  EXPECT_THAT(trouble(collector), HasSubstr("GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'monitor'@'10.0.%';"));
}

TEST_F(MysqlCollectorTest, connections_hidden_without_an_error_are_noticed) {
  Answers answers = mysql_8_4();
  answers["SHOW GRANTS"] = {.columns = {"g"}, .rows = {{"GRANT SELECT ON *.* TO `monitor`@`10.0.%`"}}};
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) { return answer_of(answers, sql); }));
  MysqlCollector collector(options(server), clock_);
  pass(collector);
  EXPECT_THAT(trouble(collector), HasSubstr("sees no connections but its own"));
  EXPECT_THAT(trouble(collector), HasSubstr("GRANT PROCESS"));
}

TEST_F(MysqlCollectorTest, a_server_that_says_nothing_is_down_after_the_deadline) {
  std::atomic<bool> silent = true;
  FakeServer server([&](FakePeer& peer) {
    if (silent) return peer.wait_for_end();
    FakeMysql(peer).serve("8.4.3", [](std::string_view sql) { return answer_of(mysql_8_4(), sql); });
  });
  MysqlCollector collector(options(server), clock_);
  const std::int64_t from = clock_.monotonic_ns();
  const RecordingSink down = pass(collector, 300);
  EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGraceNs);
  EXPECT_EQ(down.value("mysql_up"), 0);
  EXPECT_EQ(down.values().size(), 1u);
  ASSERT_NE(collector.trouble(), nullptr);
  EXPECT_EQ(collector.trouble()->code(), base::ErrorCode::kTimeout);

  silent = false;
  const RecordingSink up = pass(collector);
  EXPECT_EQ(up.value("mysql_up"), 1);
  EXPECT_EQ(collector.trouble(), nullptr);
}

TEST_F(MysqlCollectorTest, a_statement_that_hangs_takes_the_rest_of_the_pass_and_no_longer) {
  FakeServer server([](FakePeer& peer) {
    FakeMysql(peer).serve("8.4.3", [&](std::string_view sql) {
      if (sql == "SHOW REPLICA STATUS") peer.wait_for_end();
      return answer_of(mysql_8_4(), sql);
    });
  });
  MysqlCollector collector(options(server), clock_);
  const std::int64_t from = clock_.monotonic_ns();
  const RecordingSink sink = pass(collector, 500);
  EXPECT_LT(clock_.monotonic_ns() - from, 500'000'000 + kGraceNs);
  EXPECT_EQ(sink.value("mysql_up"), 1);
  EXPECT_EQ(sink.value("mysql_global_status_threads_connected"), 5);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.slave_status\"}"), 0);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.binlog_size\"}"), 0);
  EXPECT_THAT(trouble(collector), HasSubstr("SHOW REPLICA STATUS was not done in time"));
}

TEST_F(MysqlCollectorTest, an_answer_that_breaks_off_costs_its_part_and_a_connection) {
  Answers answers = mysql_8_4();
  answers["SHOW ENGINE INNODB STATUS"].hangs_up = true;
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) { return answer_of(answers, sql); }));
  MysqlCollector collector(options(server), clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.engine_innodb_status\"}"), 0);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.binlog_size\"}"), 1);
  EXPECT_EQ(sink.value("mysql_binlog_files"), 2);
  EXPECT_THAT(trouble(collector), HasSubstr("collect.engine_innodb_status"));
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(MysqlCollectorTest, a_server_that_was_started_anew_is_seen_in_the_same_pass) {
  std::atomic<int> pings_left = 0;
  FakeServer server([&](FakePeer& peer) {
    FakeMysql mysql(peer);
    if (!mysql.sign_on("8.4.3")) return;
    std::string command;
    while (mysql.read_packet(command) && command[0] != '\x01') {
      if (command[0] == '\x0e' && pings_left-- <= 0) return;
      if (!(command[0] == '\x03' ? mysql.answer(answer_of(mysql_8_4(), command.substr(1))) : mysql.ok())) return;
    }
  });
  MysqlCollector collector(options(server), clock_);
  EXPECT_EQ(pass(collector).value("mysql_up"), 1);
  EXPECT_EQ(server.connections(), 1);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_up"), 1);
  EXPECT_EQ(sink.value("mysql_binlog_files"), 2);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(MysqlCollectorTest, hostile_names_and_values_make_no_fault) {
  const std::string bad("\xff\0\n\"\\{", 6);
  const std::string large(100'000, 'x');
  Answers answers = mysql_8_4();
  answers["SHOW GLOBAL STATUS"].rows = {{bad, "1"},    {bad, "2"},           {"Com_" + bad, "3"}, {"com_" + bad, "4"},
                                        {"", "5"},     {large, "6"},         {"a", "1e999"},      {"b", "nan"},
                                        {"c", "-"},    {std::nullopt, "7"},  {"Com_", "8"},       {"d", std::nullopt},
                                        {"e", "+Inf"}, {"innodb_rows_", "9"}};
  answers["SELECT user, IF(host"].rows = {{bad, bad, bad, bad, "1", "1"}, {large, large, large, large, "x", bad}};
  answers["SHOW REPLICA STATUS"] = {.columns = {bad, "Source_Host", "Channel_Name"},
                                    .rows = {{"1", bad, bad}, {"1", bad, bad}}};
  answers["SELECT * FROM information_schema.client_statistics"] = {
      .columns = {"CLIENT", bad}, .rows = {{bad, "1"}, {bad, "2"}, {std::nullopt, "3"}}};
  answers["SHOW BINARY LOGS"].rows = {{"no_number", "x"}, {bad, bad}};
  answers["SELECT time, count, total FROM INFORMATION_SCHEMA.QUERY_RESPONSE_TIME"].rows = {
      {"2", "1", "1"}, {"1", "1", "1"}, {"2", "1", "1"}, {bad, bad, bad}};
  for (const char* few : {"SHOW ENGINE INNODB STATUS", "SHOW GRANTS", "SELECT name, subsystem"}) {
    answers[few] = {.columns = {bad}, .rows = {{bad}, {large}}};
  }
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) { return answer_of(answers, sql); }));
  MysqlCollector collector(options(server), clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_up"), 1);
  EXPECT_EQ(sink.value("mysql_global_status_e"), std::numeric_limits<double>::infinity());
  for (const auto& [key, value] : sink.values()) EXPECT_TRUE(base::valid_utf8(key)) << base::quote(key);
}

TEST_F(MysqlCollectorTest, nobody_there_is_down) {
  Options made;
  made.address = "127.0.0.1:1";
  MysqlCollector collector(made, clock_);
  EXPECT_EQ(pass(collector).value("mysql_up"), 0);
  EXPECT_THAT(trouble(collector), HasSubstr("127.0.0.1:1: connecting"));
}

}  // namespace
}  // namespace qd::observe::mysql
