// Tables of information_schema, mysql and sys.

#include "observe/mysql/table_part.h"

namespace qd::observe::mysql {
namespace {

constexpr Measure kCompression[] = {
    {"mysql_info_schema_innodb_cmp_compress_ops_total", "compress_ops"},
    {"mysql_info_schema_innodb_cmp_compress_ops_ok_total", "compress_ops_ok"},
    {"mysql_info_schema_innodb_cmp_compress_time_seconds_total", "compress_time"},
    {"mysql_info_schema_innodb_cmp_uncompress_ops_total", "uncompress_ops"},
    {"mysql_info_schema_innodb_cmp_uncompress_time_seconds_total", "uncompress_time"},
};

constexpr Measure kCompressionMemory[] = {
    {"mysql_info_schema_innodb_cmpmem_pages_used_total", "pages_used"},
    {"mysql_info_schema_innodb_cmpmem_pages_free_total", "pages_free"},
    {"mysql_info_schema_innodb_cmpmem_relocation_ops_total", "relocation_ops"},
    {"mysql_info_schema_innodb_cmpmem_relocation_time_seconds_total", "relocation_time", {}, 1000},
};

constexpr Measure kTables[] = {
    {"mysql_info_schema_table_version", "version"},
    {"mysql_info_schema_table_rows", "table_rows"},
    {"mysql_info_schema_table_size", "data_length", "data_length"},
    {"mysql_info_schema_table_size", "index_length", "index_length"},
    {"mysql_info_schema_table_size", "data_free", "data_free"},
};

constexpr Measure kAutoIncrement[] = {
    {"mysql_info_schema_auto_increment_column", "auto_increment"},
    {"mysql_info_schema_auto_increment_column_max", "max_int"},
};

constexpr Measure kTableStatistics[] = {
    {"mysql_info_schema_table_statistics_rows_read_total", "rows_read"},
    {"mysql_info_schema_table_statistics_rows_changed_total", "rows_changed"},
    {"mysql_info_schema_table_statistics_rows_changed_x_indexes_total", "rows_changed_x_indexes"},
};

constexpr Measure kSchemaStatistics[] = {
    {"mysql_info_schema_schema_statistics_rows_read_total", "rows_read"},
    {"mysql_info_schema_schema_statistics_rows_changed_total", "rows_changed"},
    {"mysql_info_schema_schema_statistics_rows_changed_x_indexes_total", "rows_changed_x_indexes"},
};

constexpr Measure kUsers[] = {
    {"mysql_mysql_max_questions", "max_questions"},
    {"mysql_mysql_max_updates", "max_updates"},
    {"mysql_mysql_max_connections", "max_connections"},
    {"mysql_mysql_max_user_connections", "max_user_connections"},
};

constexpr Measure kReplicaHosts[] = {
    {"mysql_info_schema_replica_host_cpu_percent", "cpu"},
    {"mysql_info_schema_replica_host_replica_latency_seconds", "master_slave_latency_in_microseconds", {}, 1e6},
    {"mysql_info_schema_replica_host_lag_seconds", "replica_lag_in_milliseconds", {}, 1e3},
    {"mysql_info_schema_replica_host_log_stream_speed", "log_stream_speed_in_kib_per_second"},
    {"mysql_info_schema_replica_host_replay_latency_seconds", "current_replay_latency_in_microseconds", {}, 1e6},
};

constexpr Measure kUserSummary[] = {
    {"mysql_sys_statements_total", "statements"},
    {"mysql_sys_statement_latency", "statement_latency", {}, kPicoseconds},
    {"mysql_sys_table_scans_total", "table_scans"},
    {"mysql_sys_file_ios_total", "file_ios"},
    {"mysql_sys_file_io_seconds_total", "file_io_latency", {}, kPicoseconds},
    {"mysql_sys_current_connections", "current_connections"},
    {"mysql_sys_connections_total", "total_connections"},
    {"mysql_sys_unique_hosts_total", "unique_hosts"},
    {"mysql_sys_current_memory_bytes", "current_memory"},
    {"mysql_sys_memory_allocated_bytes_total", "total_memory_allocated"},
};

constexpr TableSpec kSchemaTables[] = {
    {"info_schema.innodb_cmp", true, Needs::kNothing,
     "SELECT page_size, compress_ops, compress_ops_ok, compress_time, uncompress_ops, uncompress_time"
     " FROM information_schema.innodb_cmp",
     1, kCompression},
    {"info_schema.innodb_cmpmem", true, Needs::kNothing,
     "SELECT page_size, buffer_pool_instance, pages_used, pages_free, relocation_ops, relocation_time"
     " FROM information_schema.innodb_cmpmem",
     2, kCompressionMemory},
    {"info_schema.tables", false, Needs::kNothing,
     "SELECT table_schema, table_name, table_type, IFNULL(engine, 'NONE') AS engine,"
     " IFNULL(row_format, 'NONE') AS row_format, IFNULL(create_options, 'NONE') AS create_options,"
     " IFNULL(version, 0) AS version, IFNULL(table_rows, 0) AS table_rows, IFNULL(data_length, 0) AS data_length,"
     " IFNULL(index_length, 0) AS index_length, IFNULL(data_free, 0) AS data_free FROM information_schema.tables"
     " WHERE table_schema NOT IN ('mysql', 'performance_schema', 'information_schema')",
     2, kTables},
    // The largest value of the column's type: one bit less for a sign.
    {"auto_increment.columns", false, Needs::kNothing,
     "SELECT t.table_schema, t.table_name, c.column_name, t.auto_increment, POW(2, CASE c.data_type"
     " WHEN 'tinyint' THEN 7 WHEN 'smallint' THEN 15 WHEN 'mediumint' THEN 23 WHEN 'int' THEN 31 WHEN 'bigint' THEN 63"
     " END + (c.column_type LIKE '% unsigned')) - 1 AS max_int FROM information_schema.tables t"
     " JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name"
     " WHERE c.extra = 'auto_increment' AND t.auto_increment IS NOT NULL",
     3, kAutoIncrement},
    {"info_schema.tablestats", false, Needs::kUserStatistics,
     "SELECT table_schema, table_name, rows_read, rows_changed, rows_changed_x_indexes"
     " FROM information_schema.table_statistics",
     2, kTableStatistics},
    {"info_schema.schemastats", false, Needs::kUserStatistics,
     "SELECT table_schema, SUM(rows_read) AS rows_read, SUM(rows_changed) AS rows_changed,"
     " SUM(rows_changed_x_indexes) AS rows_changed_x_indexes FROM information_schema.table_statistics"
     " GROUP BY table_schema",
     1, kSchemaStatistics},
    {"mysql.user", false, Needs::kNothing,
     "SELECT user, host, max_questions, max_updates, max_connections, max_user_connections FROM mysql.user", 2, kUsers},
    // Of Amazon Aurora.
    {"info_schema.replica_host", false, Needs::kItsTable,
     "SELECT server_id, IF(session_id = 'MASTER_SESSION_ID', 'writer', 'reader') AS role, cpu,"
     " master_slave_latency_in_microseconds, replica_lag_in_milliseconds, log_stream_speed_in_kib_per_second,"
     " current_replay_latency_in_microseconds FROM information_schema.replica_host_status",
     2, kReplicaHosts},
    {"sys.user_summary", false, Needs::kPerformanceSchema,
     "SELECT user, statements, statement_latency, table_scans, file_ios, file_io_latency, current_connections,"
     " total_connections, unique_hosts, current_memory, total_memory_allocated FROM sys.x$user_summary",
     1, kUserSummary},
};

}  // namespace

std::span<const TableSpec> schema_tables() {
  return kSchemaTables;
}

}  // namespace qd::observe::mysql
