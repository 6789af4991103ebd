// What the collector tells of servers that are well.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "observe/mysql/collector_for_test.h"
#include "observe/mysql/families.h"
#include "observe/mysql/part.h"
#include "observe/mysql/table_part.h"

namespace qd::observe::mysql {
namespace {

using testing::HasSubstr;
using testing::Not;

// For every part that is a table: one row, every label "l", every sample 1.
void add_tables(Answers& answers) {
  for (const auto specs : {schema_tables(), performance_tables()}) {
    for (const TableSpec& spec : specs) {
      std::size_t labels = spec.key_columns;
      for (const Measure& measure : spec.measures) {
        labels = std::max(labels, label_names(family(measure.family)).size() - (measure.label.empty() ? 0 : 1));
      }
      FakeAnswer answer;
      answer.rows.emplace_back();
      for (std::size_t at = 0; at < labels; ++at) {
        answer.columns.push_back("label" + std::to_string(at));
        answer.rows[0].emplace_back("l");
      }
      for (const Measure& measure : spec.measures) {
        answer.columns.emplace_back(measure.column);
        answer.rows[0].emplace_back("1");
      }
      answers.emplace(spec.sql, answer);
    }
  }
}

std::vector<std::string> all_parts() {
  std::vector<std::string> names;
  for (const PartInfo& info : parts()) names.emplace_back(info.name);
  return names;
}

TEST_F(MysqlCollectorTest, mysql_8_4_is_told_under_the_exporters_names) {
  FakeServer server(fake_mysql("8.4.3", [](std::string_view sql) { return answer_of(mysql_8_4(), sql); }));
  MysqlCollector collector(options(server), clock_);
  for (int times = 0; times < 2; ++times) {
    const RecordingSink sink = pass(collector);
    EXPECT_EQ(trouble(collector), "");
    for (
        const auto& [key, value] : std::initializer_list<std::pair<const char*, double>>{
            {"mysql_up", 1},
            {"mysql_global_variables_max_connections", 151},
            {"mysql_global_variables_have_ssl", 0},
            {"mysql_version_info{innodb_version=\"8.4.3\",version=\"8.4.3\",version_comment=\"MySQL Community Server - "
             "GPL\"}",
             1},
            {"mysql_transaction_isolation{level=\"READ-COMMITTED\"}", 1},
            {"mysql_galera_variables_info{wsrep_cluster_name=\"shop\"}", 1},
            {"mysql_galera_gcache_size_bytes", 128.0 * 1024 * 1024},
            {"mysql_global_status_commands_total{command=\"select\"}", 12},
            {"mysql_global_status_handlers_total{handler=\"read_key\"}", 99},
            {"mysql_global_status_connection_errors_total{error=\"internal\"}", 1},
            {"mysql_global_status_buffer_pool_pages{state=\"data\"}", 300},
            {"mysql_global_status_buffer_pool_dirty_pages", 7},
            {"mysql_global_status_buffer_pool_page_changes_total{operation=\"flushed\"}", 40},
            {"mysql_global_status_innodb_row_ops_total{operation=\"read\"}", 1000},
            {"mysql_global_status_performance_schema_lost_total{instrumentation=\"users_lost\"}", 0},
            {"mysql_global_status_threads_connected", 5},
            {"mysql_global_status_bytes_sent", 18446744073709551615.0},
            {"mysql_global_status_wsrep_cluster_status", 1},
            {"mysql_galera_status_info{wsrep_cluster_state_uuid=\"c-d\",wsrep_local_state_uuid=\"a-b\","
             "wsrep_provider_version=\"26.4.14(r1)\"}",
             1},
            {"mysql_galera_evs_repl_latency_avg_seconds", 0.2},
            {"mysql_galera_evs_repl_latency_sample_size", 5},
            {"mysql_slave_status_seconds_behind_source{channel_name=\"east\",connection_name=\"\",master_host=\"db1\","
             "master_uuid=\"uuid-1\"}",
             17},
            {"mysql_slave_status_replica_sql_running{channel_name=\"west\",connection_name=\"\",master_host=\"db2\","
             "master_uuid=\"uuid-2\"}",
             1},
            {"mysql_slave_status_replica_io_running{channel_name=\"west\",connection_name=\"\",master_host=\"db2\","
             "master_uuid=\"uuid-2\"}",
             0},
            {"mysql_binlog_size_bytes", 123},
            {"mysql_binlog_files", 2},
            {"mysql_binlog_file_number", 42},
            {"mysql_engine_innodb_queries_inside_innodb", 3},
            {"mysql_engine_innodb_queries_in_queue", 2},
            {"mysql_engine_innodb_read_views_open_inside_innodb", 1},
            {"mysql_info_schema_processlist_threads{command=\"query\",state=\"waiting_for_table_metadata_lock\"}", 4},
            {"mysql_info_schema_processlist_seconds{command=\"query\",state=\"waiting_for_table_metadata_lock\"}", 32},
            {"mysql_info_schema_processlist_threads{command=\"sleep\",state=\"unknown\"}", 2},
            {"mysql_info_schema_processlist_processes_by_host{client_host=\"unknown\"}", 2},
            {"mysql_info_schema_processlist_processes_by_user{mysql_user=\"web\"}", 4},
            {"mysql_info_schema_innodb_metrics_buffer_pool_pages{state=\"free\"}", 4},
            {"mysql_info_schema_innodb_metrics_buffer_pool_dirty_pages", 5},
            {"mysql_info_schema_innodb_metrics_buffer_page_read_total{type=\"index_leaf\"}", 6},
            {"mysql_info_schema_innodb_metrics_buffer_page_written_total{type=\"index_leaf\"}", 7},
            {"mysql_info_schema_innodb_metrics_buffer_buffer_LRU_batch_total", 8},
            {"mysql_info_schema_innodb_metrics_lock_lock_deadlocks", -1},
            {"mysql_info_schema_innodb_metrics_file_system_file_num_open_files", 30},
            {"mysql_info_schema_query_response_time_seconds_bucket{le=\"1e-06\"}", 2},
            {"mysql_info_schema_query_response_time_seconds_bucket{le=\"1e+06\"}", 5},
            {"mysql_info_schema_query_response_time_seconds_bucket{le=\"+Inf\"}", 6},
            {"mysql_info_schema_query_response_time_seconds_sum", 4.500001},
            {"mysql_info_schema_query_response_time_seconds_count", 6},
            {"mysql_info_schema_client_statistics_total_connections{client=\"10.0.0.1\"}", 4},
            {"mysql_info_schema_client_statistics_busy_seconds_total{client=\"10.0.0.1\"}", 1.5},
            {"mysql_info_schema_client_statistics_cpu_time_seconds_total{client=\"10.0.0.1\"}", 0.5},
            {"mysql_info_schema_client_statistics_rows_read_total{client=\"10.0.0.1\"}", 100},
            {"mysql_info_schema_client_statistics_something_new{client=\"10.0.0.1\"}", 1},
            {"mysql_info_schema_user_statistics_concurrent_connections{user=\"web\"}", 4},
            {"mysql_info_schema_user_statistics_empty_queries_total{user=\"web\"}", 2},
            {"mysql_perf_schema_events_statements_total{digest=\"abc\",digest_text=\"SELECT ?\",schema=\"shop\"}", 10},
            {"mysql_perf_schema_events_statements_seconds_total{digest=\"abc\",digest_text=\"SELECT "
             "?\",schema=\"shop\"}",
             2},
            {"mysql_perf_schema_events_statements_cpu_time_seconds_total{digest=\"abc\",digest_text=\"SELECT "
             "?\",schema=\"shop\"}",
             0.5},
            {"mysql_perf_schema_events_statements_latency_sum{digest=\"abc\",digest_text=\"SELECT ?\",schema=\"shop\"}",
             2},
            {"mysql_perf_schema_events_statements_latency{digest=\"abc\",digest_text=\"SELECT "
             "?\",quantile=\"95\",schema=\"shop\"}",
             0.001},
            {"mysql_exporter_collector_success{collector=\"collect.global_status\"}", 1}}) {
      ASSERT_TRUE(sink.value(key)) << key;
      EXPECT_DOUBLE_EQ(*sink.value(key), value) << key;
    }
    EXPECT_FALSE(sink.value("mysql_slave_status_seconds_behind_master"));
    EXPECT_FALSE(sink.types().contains("mysql_slave_status_seconds_behind_master"));
    EXPECT_FALSE(sink.types().contains("mysql_exporter_scrapes_total"));
    EXPECT_FALSE(sink.types().contains("mysql_info_schema_table_rows"));
    EXPECT_TRUE(sink.value("mysql_exporter_collector_duration_seconds{collector=\"connection\"}"));
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(MysqlCollectorTest, every_family_that_is_told_stands_in_the_table) {
  Answers answers = mysql_8_4();
  add_tables(answers);
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) { return answer_of(answers, sql); }));
  Options made = options(server);
  made.collect = all_parts();
  made.legacy_names = true;
  MysqlCollector collector(made, clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(trouble(collector), "");

  const auto find = [](const std::string& name) -> const FamilyInfo* {
    for (const FamilyInfo& info : families()) {
      if (info.name == name) return &info;
      const std::size_t star = info.name.find('*');
      if (star != std::string_view::npos && name.starts_with(info.name.substr(0, star)) &&
          name.ends_with(info.name.substr(star + 1))) {
        return &info;
      }
    }
    return nullptr;
  };
  std::set<std::string> told;
  for (const auto& [name, type] : sink.types()) {
    const FamilyInfo* const info = find(name);
    ASSERT_NE(info, nullptr) << name;
    told.insert(std::string(info->name));
    EXPECT_EQ(type, info->type) << name;
    if (info->name.find('*') == std::string_view::npos) {
      EXPECT_EQ(sink.helps().at(name), info->help) << name;
    }
    const auto names = label_names(*info);
    for (const auto& [key, value] : sink.values()) {
      if (!key.starts_with(name + "{")) continue;
      std::size_t labels = 0;
      for (std::size_t at = key.find("=\""); at != std::string::npos; at = key.find("=\"", at + 1)) {
        const std::size_t from = key.find_last_of("{,", at) + 1;
        const std::string label = key.substr(from, at - from);
        if (label == "quantile" || label == "le") continue;
        EXPECT_THAT(names, testing::Contains(label)) << key;
        ++labels;
      }
      if (name != "mysql_perf_schema_replication_group_member_info") EXPECT_EQ(labels, names.size()) << key;
    }
  }
  // What needs a server that is not stood in for here.
  for (const FamilyInfo& info : families()) {
    const bool elsewhere =
        info.name.starts_with("mysql_info_schema_rocksdb") || info.name.starts_with("mysql_info_schema_innodb_table") ||
        info.name.starts_with("mysql_heartbeat_") || info.name.find("_statistics_") != std::string_view::npos ||
        info.name == "mysql_exporter_scrape_errors_total";
    if (!elsewhere) EXPECT_TRUE(told.contains(std::string(info.name))) << info.name;
  }
}

TEST_F(MysqlCollectorTest, every_metric_of_the_exporter_is_told_or_left_out_with_a_reason) {
  const std::filesystem::path file =
      std::filesystem::path(QD_SOURCE_DIR) / "../shared/conformance/exporters/mysqld.tsv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find('\t'));
    const std::string labels = line.substr(line.find('\t') + 1);
    const auto info = std::ranges::find(families(), name, &FamilyInfo::name);
    if (info == families().end()) {
      EXPECT_NE(std::ranges::find(left_out(), name, &LeftOut::name), left_out().end()) << name;
      continue;
    }
    if (!labels.empty()) EXPECT_EQ(info->labels, labels) << name;
  }
}

TEST_F(MysqlCollectorTest, mariadb_is_asked_in_its_own_words) {
  Answers answers = mysql_8_4();
  answers.erase("SHOW REPLICA STATUS");
  answers["SELECT @@version"] = {.columns = {"v", "u"}, .rows = {{"10.11.6-MariaDB-log", "monitor@localhost"}}};
  answers["SHOW ALL SLAVES STATUS"] = {
      .columns = {"Connection_name", "Master_Host", "Slave_IO_Running", "Seconds_Behind_Master"},
      .rows = {{"", "db1", "Yes", "0"}, {"two", "db1", "No", std::nullopt}}};
  Statements asked;
  FakeServer server(fake_mysql("5.5.5-10.11.6-MariaDB-log", [&](std::string_view sql) {
    asked.add(sql);
    return answer_of(answers, sql);
  }));
  MysqlCollector collector(options(server), clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_slave_status_slave_io_running{channel_name=\"\",connection_name=\"two\",master_host="
                       "\"db1\",master_uuid=\"\"}"),
            0);
  EXPECT_EQ(sink.value("mysql_slave_status_seconds_behind_master{channel_name=\"\",connection_name=\"\",master_host="
                       "\"db1\",master_uuid=\"\"}"),
            0);
  EXPECT_THAT(asked.text(), HasSubstr("innodb_metrics WHERE enabled = 1"));
  EXPECT_THAT(asked.text(), HasSubstr("max_statement_time"));
  EXPECT_THAT(asked.text(), Not(HasSubstr("quantile_95")));
  EXPECT_THAT(asked.text(), Not(HasSubstr("QUERY_RESPONSE_TIME_READ")));
}

TEST_F(MysqlCollectorTest, legacy_names_are_told_beside_the_new_ones) {
  FakeServer server(fake_mysql("8.4.3", [](std::string_view sql) { return answer_of(mysql_8_4(), sql); }));
  Options made = options(server);
  made.legacy_names = true;
  MysqlCollector collector(made, clock_);
  const RecordingSink sink = pass(collector);
  const std::string labels = "{channel_name=\"east\",connection_name=\"\",master_host=\"db1\",master_uuid=\"uuid-1\"}";
  EXPECT_EQ(sink.value("mysql_slave_status_seconds_behind_source" + labels), 17);
  EXPECT_EQ(sink.value("mysql_slave_status_seconds_behind_master" + labels), 17);
  EXPECT_EQ(sink.value("mysql_slave_status_slave_io_running" + labels), 1);
  EXPECT_EQ(sink.value("mysql_exporter_scrapes_total"), 1);
  EXPECT_EQ(sink.value("mysql_exporter_last_scrape_error"), 0);
}

TEST_F(MysqlCollectorTest, parts_are_added_and_taken_away_by_name) {
  Statements asked;
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) {
    asked.add(sql);
    return answer_of(mysql_8_4(), sql);
  }));
  Options made = options(server);
  made.collect = {"heartbeat", "info_schema.rocksdb_perf_context", "-engine_innodb_status"};
  made.heartbeat_table = "a`b.beat";
  made.digests_limit = 7;
  MysqlCollector collector(made, clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_TRUE(sink.value("mysql_exporter_collector_success{collector=\"collect.heartbeat\"}"));
  EXPECT_FALSE(sink.value("mysql_exporter_collector_success{collector=\"collect.engine_innodb_status\"}"));
  EXPECT_THAT(asked.text(), HasSubstr("FROM `a``b`.`beat`"));
  EXPECT_THAT(asked.text(), HasSubstr("LIMIT 7\n"));
  EXPECT_THAT(asked.text(), HasSubstr("MAX(IF(stat_type = 'block_read_count', value, NULL)) AS block_read_count"));
  EXPECT_THAT(asked.text(), Not(HasSubstr("ENGINE INNODB STATUS")));
}

TEST_F(MysqlCollectorTest, what_the_server_has_off_is_not_asked_for) {
  Answers answers = mysql_8_4();
  answers["SHOW GLOBAL VARIABLES"] = {.columns = {"Variable_name", "Value"},
                                      .rows = {{"performance_schema", "OFF"}, {"log_bin", "OFF"}}};
  Statements asked;
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) {
    asked.add(sql);
    return answer_of(answers, sql);
  }));
  Options made = options(server);
  made.collect = {"perf_schema.tableiowaits", "info_schema.tablestats"};
  MysqlCollector collector(made, clock_);
  const RecordingSink sink = pass(collector);
  EXPECT_EQ(sink.value("mysql_exporter_collector_success{collector=\"collect.perf_schema.tableiowaits\"}"), 1);
  for (const char* text : {"performance_schema.", "BINARY LOGS", "_statistics", "QUERY_RESPONSE_TIME"}) {
    EXPECT_THAT(asked.text(), Not(HasSubstr(text)));
  }
}

}  // namespace
}  // namespace qd::observe::mysql
