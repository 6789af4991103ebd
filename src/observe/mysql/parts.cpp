// The list of parts, and those that are a table whose statement depends on the server or the options.

#include <fmt/format.h>

#include <utility>

#include "base/strings.h"
#include "observe/mysql/families.h"
#include "observe/mysql/mysql.h"
#include "observe/mysql/table_part.h"

namespace qd::observe::mysql {
namespace {

constexpr Measure kTablespaces[] = {
    {"mysql_info_schema_innodb_tablespace_space_info", "space"},
    {"mysql_info_schema_innodb_tablespace_file_size_bytes", "file_size"},
    {"mysql_info_schema_innodb_tablespace_allocated_size_bytes", "allocated_size"},
};

class TablespacesPart final : public TablePart {
 public:
  TablespacesPart() : TablePart(kSpec) {}

 private:
  static constexpr TableSpec kSpec = {"info_schema.innodb_tablespaces", false, Needs::kNothing, "", 1, kTablespaces};

  std::string_view sql(const Server& server) const override {
    if (server.is_mariadb) {
      return "SELECT name, 'NONE' AS file_format, IFNULL(row_format, 'NONE') AS row_format, 'NONE' AS space_type, "
             "space,"
             " file_size, allocated_size FROM information_schema.innodb_sys_tablespaces";
    }
    if (server.is_at_least(8, 0)) {
      return "SELECT name, 'NONE' AS file_format, IFNULL(row_format, 'NONE') AS row_format,"
             " IFNULL(space_type, 'NONE') AS space_type, space, file_size, allocated_size"
             " FROM information_schema.innodb_tablespaces";
    }
    return "SELECT name, IFNULL(file_format, 'NONE') AS file_format, IFNULL(row_format, 'NONE') AS row_format,"
           " IFNULL(space_type, 'NONE') AS space_type, space, file_size, allocated_size"
           " FROM information_schema.innodb_sys_tablespaces";
  }
};

constexpr Measure kHeartbeat[] = {
    {"mysql_heartbeat_now_timestamp_seconds", "now_timestamp"},
    {"mysql_heartbeat_stored_timestamp_seconds", "stored_timestamp"},
};
constexpr TableSpec kHeartbeatSpec = {"heartbeat", false, Needs::kNothing, "", 1, kHeartbeat};

// "heartbeat.heartbeat" as SQL: each name in backquotes.
std::string quoted_table(std::string_view table) {
  std::string out = "`";
  for (const char c : table) {
    if (c == '.') {
      out += "`.`";
    } else {
      out += c;
      if (c == '`') out += '`';
    }
  }
  return out + "`";
}

std::string heartbeat_sql(std::string_view table) {
  return fmt::format(
      "SELECT server_id, UNIX_TIMESTAMP(ts) AS stored_timestamp, UNIX_TIMESTAMP(NOW(6)) AS now_timestamp"
      " FROM {}",
      quoted_table(table));
}

// One row for each kind of count: turned, so that each is a column.
constexpr Measure kRocksdb[] = {
    {"mysql_info_schema_rocksdb_perf_context_user_key_comparison_count", "user_key_comparison_count"},
    {"mysql_info_schema_rocksdb_perf_context_block_cache_hit_count", "block_cache_hit_count"},
    {"mysql_info_schema_rocksdb_perf_context_block_read_count", "block_read_count"},
    {"mysql_info_schema_rocksdb_perf_context_block_read_byte", "block_read_byte"},
    {"mysql_info_schema_rocksdb_perf_context_get_read_bytes", "get_read_bytes"},
    {"mysql_info_schema_rocksdb_perf_context_multiget_read_bytes", "multiget_read_bytes"},
    {"mysql_info_schema_rocksdb_perf_context_iter_read_bytes", "iter_read_bytes"},
    {"mysql_info_schema_rocksdb_perf_context_internal_key_skipped_count", "internal_key_skipped_count"},
    {"mysql_info_schema_rocksdb_perf_context_internal_delete_skipped_count", "internal_delete_skipped_count"},
    {"mysql_info_schema_rocksdb_perf_context_internal_recent_skipped_count", "internal_recent_skipped_count"},
    {"mysql_info_schema_rocksdb_perf_context_internal_merge_count", "internal_merge_count"},
    {"mysql_info_schema_rocksdb_perf_context_get_from_memtable_count", "get_from_memtable_count"},
    {"mysql_info_schema_rocksdb_perf_context_seek_on_memtable_count", "seek_on_memtable_count"},
    {"mysql_info_schema_rocksdb_perf_context_next_on_memtable_count", "next_on_memtable_count"},
    {"mysql_info_schema_rocksdb_perf_context_prev_on_memtable_count", "prev_on_memtable_count"},
    {"mysql_info_schema_rocksdb_perf_context_seek_child_seek_count", "seek_child_seek_count"},
    {"mysql_info_schema_rocksdb_perf_context_bloom_memtable_hit_count", "bloom_memtable_hit_count"},
    {"mysql_info_schema_rocksdb_perf_context_bloom_memtable_miss_count", "bloom_memtable_miss_count"},
    {"mysql_info_schema_rocksdb_perf_context_bloom_sst_hit_count", "bloom_sst_hit_count"},
    {"mysql_info_schema_rocksdb_perf_context_bloom_sst_miss_count", "bloom_sst_miss_count"},
    {"mysql_info_schema_rocksdb_perf_context_key_lock_wait_count", "key_lock_wait_count"},
    {"mysql_info_schema_rocksdb_perf_context_io_bytes_written", "io_bytes_written"},
    {"mysql_info_schema_rocksdb_perf_context_io_bytes_read", "io_bytes_read"},
};
constexpr TableSpec kRocksdbSpec = {"info_schema.rocksdb_perf_context", false, Needs::kNothing, "", 3, kRocksdb};

std::string rocksdb_sql() {
  std::string sql = "SELECT table_schema, table_name, IFNULL(partition_name, '') AS part";
  for (const Measure& measure : kRocksdb) {
    sql += fmt::format(", MAX(IF(stat_type = '{}', value, NULL)) AS {}", measure.column, measure.column);
  }
  return sql + " FROM information_schema.rocksdb_perf_context GROUP BY table_schema, table_name, part";
}

constexpr std::string_view kStatementLatency = "mysql_perf_schema_events_statements_latency";
constexpr Measure kDigests[] = {
    {"mysql_perf_schema_events_statements_total", "count_star"},
    {"mysql_perf_schema_events_statements_seconds_total", "sum_timer_wait", {}, kPicoseconds},
    {"mysql_perf_schema_events_statements_lock_time_seconds_total", "sum_lock_time", {}, kPicoseconds},
    {"mysql_perf_schema_events_statements_cpu_time_seconds_total", "sum_cpu_time", {}, kPicoseconds},
    {"mysql_perf_schema_events_statements_errors_total", "sum_errors"},
    {"mysql_perf_schema_events_statements_warnings_total", "sum_warnings"},
    {"mysql_perf_schema_events_statements_rows_affected_total", "sum_rows_affected"},
    {"mysql_perf_schema_events_statements_rows_sent_total", "sum_rows_sent"},
    {"mysql_perf_schema_events_statements_rows_examined_total", "sum_rows_examined"},
    {"mysql_perf_schema_events_statements_tmp_tables_total", "sum_created_tmp_tables"},
    {"mysql_perf_schema_events_statements_tmp_disk_tables_total", "sum_created_tmp_disk_tables"},
    {"mysql_perf_schema_events_statements_sort_merge_passes_total", "sum_sort_merge_passes"},
    {"mysql_perf_schema_events_statements_sort_rows_total", "sum_sort_rows"},
    {"mysql_perf_schema_events_statements_no_index_used_total", "sum_no_index_used"},
};

// The statements that took most time, of those seen within a day.
class DigestsPart final : public TablePart {
 public:
  explicit DigestsPart(std::int64_t limit)
      : TablePart(kSpec, digests_sql("", limit)),
        with_quantiles_(digests_sql(", sum_cpu_time, quantile_95, quantile_99, quantile_999", limit)) {}

  base::Status collect(const Pass& pass) override {
    if (!has(pass.server(), Needs::kPerformanceSchema)) return {};
    QD_ASSIGN(const auto* const table, pass.session.ask(sql(pass.server())));
    tell_rows(*table, pass.sink);
    tell_latency(*table, pass.sink);
    return {};
  }

 private:
  static constexpr TableSpec kSpec = {"perf_schema.eventsstatements", true, Needs::kPerformanceSchema, "", 3, kDigests};
  static constexpr std::size_t kTextCharactersMax = 120;

  static std::string digests_sql(std::string_view more, std::int64_t limit) {
    return fmt::format(
        "SELECT schema_name, digest, LEFT(digest_text, {}) AS digest_text, count_star, sum_timer_wait, sum_lock_time,"
        " sum_errors, sum_warnings, sum_rows_affected, sum_rows_sent, sum_rows_examined, sum_created_tmp_disk_tables,"
        " sum_created_tmp_tables, sum_sort_merge_passes, sum_sort_rows, sum_no_index_used{}"
        " FROM performance_schema.events_statements_summary_by_digest"
        " WHERE schema_name NOT IN ('mysql', 'performance_schema', 'information_schema')"
        " AND last_seen > DATE_SUB(NOW(), INTERVAL 86400 SECOND) ORDER BY sum_timer_wait DESC LIMIT {}",
        kTextCharactersMax, more, limit);
  }

  std::string_view sql(const Server& server) const override {
    return !server.is_mariadb && server.is_at_least(8, 0, 28) ? with_quantiles_ : TablePart::sql(server);
  }

  void tell_latency(const connect::mysql::Table& table, Sink& sink) {
    const auto count = table.find("count_star");
    const auto sum = table.find("sum_timer_wait");
    if (!count || !sum || !table.find("quantile_95") || table.rows() == 0) return;
    static const FamilyInfo& kFamily = family(kStatementLatency);
    static const std::vector<std::string_view> kNames = label_names(kFamily);
    // mysqld_exporter calls the quantiles so.
    static constexpr std::pair<std::string_view, std::string_view> kQuantiles[] = {
        {"95", "quantile_95"}, {"99", "quantile_99"}, {"999", "quantile_999"}};
    const auto number = [&](std::size_t row, std::size_t column) {
      return base::parse_float(table.text(row, column)).value_or(0);
    };
    tell(sink, kFamily);
    for (std::size_t row = 0; row < table.rows(); ++row) {
      if (is_repeated(row)) continue;
      auto& labels = labels_of(table, row, kNames);
      sink.sample("_sum", labels, number(row, *sum) / kPicoseconds);
      sink.sample("_count", labels, number(row, *count));
      for (const auto& [quantile, column] : kQuantiles) {
        const auto place = table.find(column);
        if (!place) continue;
        labels.push_back({"quantile", quantile});
        sink.sample(labels, number(row, *place) / kPicoseconds);
        labels.pop_back();
      }
    }
  }

  const std::string with_quantiles_;
};

template <typename T>
std::unique_ptr<Part> make(const Options&) {
  return std::make_unique<T>();
}

std::vector<PartInfo> list_parts() {
  std::vector<PartInfo> list = {
      {"global_variables", true, global_variables_part},
      {"global_status", true, global_status_part},
      {"slave_status", true, slave_status_part},
      {"info_schema.query_response_time", true, response_time_part},
      {"info_schema.processlist", true, processlist_part},
      {"info_schema.innodb_metrics", true, innodb_metrics_part},
      {"engine_innodb_status", true, engine_innodb_status_part},
      {"binlog_size", true, binlog_size_part},
      {"info_schema.clientstats", true, client_statistics_part},
      {"info_schema.userstats", true, user_statistics_part},
      {"perf_schema.eventsstatements", true,
       [](const Options& options) { return std::make_unique<DigestsPart>(options.digests_limit); }},
      {"info_schema.innodb_tablespaces", false, make<TablespacesPart>},
      {"info_schema.rocksdb_perf_context", false,
       [](const Options&) { return std::make_unique<TablePart>(kRocksdbSpec, rocksdb_sql()); }},
      {"perf_schema.replication_group_members", false, group_members_part},
      {"slave_hosts", false, slave_hosts_part},
      {"heartbeat", false,
       [](const Options& options) {
         return std::make_unique<TablePart>(kHeartbeatSpec, heartbeat_sql(options.heartbeat_table));
       }},
  };
  for (const auto specs : {schema_tables(), performance_tables()}) {
    for (const TableSpec& spec : specs) {
      list.push_back(
          {spec.name, spec.by_default, [&spec](const Options&) { return std::make_unique<TablePart>(spec); }});
    }
  }
  return list;
}

}  // namespace

const std::vector<PartInfo>& parts() {
  static const std::vector<PartInfo> kParts = list_parts();
  return kParts;
}

}  // namespace qd::observe::mysql
