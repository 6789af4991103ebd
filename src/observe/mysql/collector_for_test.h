// What a fake MySQL 8.4 answers, and the fixture of the collector's tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "connect/mysql/fake_mysql_for_test.h"
#include "observe/mysql/mysql.h"
#include "observe/recording_sink.h"

namespace qd::observe::mysql {

using connect::FakePeer;
using connect::FakeServer;
using connect::mysql::fake_mysql;
using connect::mysql::FakeAnswer;
using connect::mysql::FakeMysql;

// Statements by how they begin, with what a server answers; all others have no rows.
using Answers = std::map<std::string, FakeAnswer, std::less<>>;

inline FakeAnswer answer_of(const Answers& answers, std::string_view sql) {
  for (const auto& [begins_with, answer] : answers) {
    if (sql.starts_with(begins_with)) return answer;
  }
  return {.columns = {"nothing"}};
}

inline Answers mysql_8_4() {
  return {
      {"SELECT @@version", {.columns = {"v", "u"}, .rows = {{"8.4.3", "monitor@10.0.%"}}}},
      {"SHOW GRANTS",
       {.columns = {"g"}, .rows = {{"GRANT SELECT, PROCESS, REPLICATION CLIENT ON *.* TO `monitor`@`10.0.%`"}}}},
      {"SHOW GLOBAL VARIABLES",
       {.columns = {"Variable_name", "Value"},
        .rows = {{"performance_schema", "ON"},
                 {"log_bin", "ON"},
                 {"userstat", "ON"},
                 {"query_response_time_stats", "ON"},
                 {"max_connections", "151"},
                 {"have_ssl", "DISABLED"},
                 {"innodb_version", "8.4.3"},
                 {"version", "8.4.3"},
                 {"version_comment", "MySQL Community Server - GPL"},
                 {"transaction_isolation", "READ-COMMITTED"},
                 {"wsrep_cluster_name", "shop"},
                 {"wsrep_provider_options", "base_dir = /x; gcache.size = 128M; gcs = 1"},
                 {"basedir", "/usr/"}}}},
      {"SHOW GLOBAL STATUS",
       {.columns = {"Variable_name", "Value"},
        .rows = {{"Com_select", "12"},
                 {"Com_insert", "3"},
                 {"Handler_read_key", "99"},
                 {"Connection_errors_internal", "1"},
                 {"Innodb_buffer_pool_pages_data", "300"},
                 {"Innodb_buffer_pool_pages_dirty", "7"},
                 {"Innodb_buffer_pool_pages_flushed", "40"},
                 {"Innodb_buffer_pool_pages_total", "8191"},
                 {"Innodb_rows_read", "1000"},
                 {"Performance_schema_users_lost", "0"},
                 {"Threads_connected", "5"},
                 {"Bytes_sent", "18446744073709551615"},
                 {"wsrep_local_state_uuid", "a-b"},
                 {"wsrep_cluster_state_uuid", "c-d"},
                 {"wsrep_provider_version", "26.4.14(r1)"},
                 {"wsrep_cluster_status", "Primary"},
                 {"wsrep_evs_repl_latency", "0.1/0.2/0.3/0.04/5"},
                 {"Rsa_public_key", "-----BEGIN"}}}},
      {"SHOW REPLICA STATUS",
       {.columns = {"Replica_IO_State", "Source_Host", "Source_UUID", "Channel_Name", "Replica_IO_Running",
                    "Replica_SQL_Running", "Seconds_Behind_Source", "Replicate_Do_DB"},
        .rows = {{"Waiting", "db1", "uuid-1", "east", "Yes", "No", "17", ""},
                 {"Waiting", "db2", "uuid-2", "west", "Connecting", "Yes", std::nullopt, ""}}}},
      {"SHOW BINARY LOGS",
       {.columns = {"Log_name", "File_size", "Encrypted"},
        .rows = {{"binlog.000041", "100", "No"}, {"binlog.000042", "23", "No"}}}},
      {"SHOW ENGINE INNODB STATUS",
       {.columns = {"Type", "Name", "Status"},
        .rows = {{"InnoDB", "", "x\n3 queries inside InnoDB, 2 queries in queue\n1 read views open inside InnoDB\n"}}}},
      {"SHOW REPLICAS",
       {.columns = {"Server_Id", "Host", "Port", "Source_Id", "Replica_UUID"},
        .rows = {{"2", "db2", "3306", "1", "u"}}}},
      {"SELECT user, IF(host",
       {.columns = {"user", "client", "command", "state", "processes", "seconds"},
        .rows = {{"web", "10.0.0.1", "Query", "Waiting for table metadata lock", "3", "30"},
                 {"web", "10.0.0.2", "Query", "Waiting for table metadata lock", "1", "2"},
                 {"", "", "Sleep", std::nullopt, "2", std::nullopt}}}},
      {"SELECT name, subsystem",
       {.columns = {"name", "subsystem", "type", "count", "comment"},
        .rows = {{"buffer_pool_pages_total", "buffer", "value", "9", "x"},
                 {"buffer_pool_pages_free", "buffer", "value", "4", "x"},
                 {"buffer_pool_pages_dirty", "buffer", "value", "5", "x"},
                 {"buffer_page_read_index_leaf", "buffer_page_io", "counter", "6", "x"},
                 {"buffer_page_written_index_leaf", "buffer_page_io", "counter", "7", "x"},
                 {"buffer_LRU_batch", "buffer", "counter", "8", "LRU batches"},
                 {"lock_deadlocks", "lock", "counter", "-1", ""},
                 {"file_num_open_files", "file_system", "value", "30", "open files"}}}},
      {"SELECT time, count, total FROM INFORMATION_SCHEMA.QUERY_RESPONSE_TIME",
       {.columns = {"time", "count", "total"},
        .rows = {{"      0.000001", "2", "      0.000001"},
                 {"1000000.000000", "3", "      4.5"},
                 {"TOO LONG", "1", "TOO LONG"}}}},
      {"SELECT * FROM information_schema.client_statistics",
       {.columns = {"CLIENT", "TOTAL_CONNECTIONS", "BUSY_TIME", "CPU_TIME", "ROWS_READ", "SOMETHING_NEW"},
        .rows = {{"10.0.0.1", "4", "1.5", "0.5", "100", "1"}}}},
      {"SELECT * FROM information_schema.user_statistics",
       {.columns = {"USER", "CONCURRENT_CONNECTIONS", "EMPTY_QUERIES"}, .rows = {{"web", "4", "2"}}}},
      {"SELECT * FROM performance_schema.replication_group_members",
       {.columns = {"CHANNEL_NAME", "MEMBER_ID", "MEMBER_HOST"}, .rows = {{"applier", "id-1", "db1"}}}},
      {"SELECT schema_name, digest",
       {.columns = {"schema_name",
                    "digest",
                    "digest_text",
                    "count_star",
                    "sum_timer_wait",
                    "sum_lock_time",
                    "sum_errors",
                    "sum_warnings",
                    "sum_rows_affected",
                    "sum_rows_sent",
                    "sum_rows_examined",
                    "sum_created_tmp_disk_tables",
                    "sum_created_tmp_tables",
                    "sum_sort_merge_passes",
                    "sum_sort_rows",
                    "sum_no_index_used",
                    "sum_cpu_time",
                    "quantile_95",
                    "quantile_99",
                    "quantile_999"},
        .rows = {{"shop",
                  "abc",
                  "SELECT ?",
                  "10",
                  "2000000000000",
                  "1000000000000",
                  "1",
                  "2",
                  "3",
                  "4",
                  "5",
                  "6",
                  "7",
                  "8",
                  "9",
                  "10",
                  "500000000000",
                  "1000000000",
                  "2000000000",
                  "3000000000"}}}},
  };
}

// What a fake server was asked, kept for the test's own thread.
class Statements {
 public:
  void add(std::string_view sql) {
    const base::MutexLock lock(mutex_);
    text_ += std::string(sql) + '\n';
  }
  std::string text() const {
    const base::MutexLock lock(mutex_);
    return text_;
  }

 private:
  mutable base::Mutex mutex_;
  std::string text_ QD_GUARDED_BY(mutex_);
};

class MysqlCollectorTest : public testing::Test {
 protected:
  Options options(const FakeServer& server) const {
    Options made;
    made.address = server.address();
    made.user = "monitor";
    made.password = "s3cret!";
    return made;
  }
  RecordingSink pass(MysqlCollector& collector, std::int64_t ms = 5000) const {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(clock_.monotonic_ns() + ms * 1'000'000, sink));
    EXPECT_THAT(sink.faults(), testing::IsEmpty());
    return sink;
  }
  static std::string trouble(const MysqlCollector& collector) {
    return collector.trouble() == nullptr ? "" : collector.trouble()->message();
  }

  const base::SystemClock clock_;
};

}  // namespace qd::observe::mysql
