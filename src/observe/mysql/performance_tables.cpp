// Tables of performance_schema. Its times are picoseconds.

#include "observe/mysql/table_part.h"

namespace qd::observe::mysql {
namespace {

constexpr std::string_view kIo = "mysql_perf_schema_table_io_waits_total";
constexpr std::string_view kIoSeconds = "mysql_perf_schema_table_io_waits_seconds_total";
constexpr Measure kTableIo[] = {
    {kIo, "count_fetch", "fetch"},
    {kIo, "count_insert", "insert"},
    {kIo, "count_update", "update"},
    {kIo, "count_delete", "delete"},
    {kIoSeconds, "sum_timer_fetch", "fetch", kPicoseconds},
    {kIoSeconds, "sum_timer_insert", "insert", kPicoseconds},
    {kIoSeconds, "sum_timer_update", "update", kPicoseconds},
    {kIoSeconds, "sum_timer_delete", "delete", kPicoseconds},
};

constexpr std::string_view kIndex = "mysql_perf_schema_index_io_waits_total";
constexpr std::string_view kIndexSeconds = "mysql_perf_schema_index_io_waits_seconds_total";
constexpr Measure kIndexIo[] = {
    {kIndex, "count_fetch", "fetch"},
    {kIndex, "count_insert", "insert"},
    {kIndex, "count_update", "update"},
    {kIndex, "count_delete", "delete"},
    {kIndexSeconds, "sum_timer_fetch", "fetch", kPicoseconds},
    {kIndexSeconds, "sum_timer_insert", "insert", kPicoseconds},
    {kIndexSeconds, "sum_timer_update", "update", kPicoseconds},
    {kIndexSeconds, "sum_timer_delete", "delete", kPicoseconds},
};

constexpr std::string_view kSqlLocks = "mysql_perf_schema_sql_lock_waits_total";
constexpr std::string_view kSqlLockSeconds = "mysql_perf_schema_sql_lock_waits_seconds_total";
constexpr std::string_view kExternalLocks = "mysql_perf_schema_external_lock_waits_total";
constexpr std::string_view kExternalLockSeconds = "mysql_perf_schema_external_lock_waits_seconds_total";
constexpr Measure kTableLocks[] = {
    {kSqlLocks, "count_read_normal", "read_normal"},
    {kSqlLocks, "count_read_with_shared_locks", "read_with_shared_locks"},
    {kSqlLocks, "count_read_high_priority", "read_high_priority"},
    {kSqlLocks, "count_read_no_insert", "read_no_insert"},
    {kSqlLocks, "count_write_normal", "write_normal"},
    {kSqlLocks, "count_write_allow_write", "write_allow_write"},
    {kSqlLocks, "count_write_concurrent_insert", "write_concurrent_insert"},
    {kSqlLocks, "count_write_low_priority", "write_low_priority"},
    {kSqlLockSeconds, "sum_timer_read_normal", "read_normal", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_read_with_shared_locks", "read_with_shared_locks", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_read_high_priority", "read_high_priority", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_read_no_insert", "read_no_insert", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_write_normal", "write_normal", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_write_allow_write", "write_allow_write", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_write_concurrent_insert", "write_concurrent_insert", kPicoseconds},
    {kSqlLockSeconds, "sum_timer_write_low_priority", "write_low_priority", kPicoseconds},
    {kExternalLocks, "count_read_external", "read"},
    {kExternalLocks, "count_write_external", "write"},
    {kExternalLockSeconds, "sum_timer_read_external", "read", kPicoseconds},
    {kExternalLockSeconds, "sum_timer_write_external", "write", kPicoseconds},
};

constexpr Measure kStatementSums[] = {
    {"mysql_perf_schema_events_statements_sum_total", "count_star"},
    {"mysql_perf_schema_events_statements_sum_created_tmp_disk_tables", "sum_created_tmp_disk_tables"},
    {"mysql_perf_schema_events_statements_sum_created_tmp_tables", "sum_created_tmp_tables"},
    {"mysql_perf_schema_events_statements_sum_errors", "sum_errors"},
    {"mysql_perf_schema_events_statements_sum_lock_time", "sum_lock_time"},
    {"mysql_perf_schema_events_statements_sum_no_good_index_used", "sum_no_good_index_used"},
    {"mysql_perf_schema_events_statements_sum_no_index_used", "sum_no_index_used"},
    {"mysql_perf_schema_events_statements_sum_rows_affected", "sum_rows_affected"},
    {"mysql_perf_schema_events_statements_sum_rows_examined", "sum_rows_examined"},
    {"mysql_perf_schema_events_statements_sum_rows_sent", "sum_rows_sent"},
    {"mysql_perf_schema_events_statements_sum_select_full_join", "sum_select_full_join"},
    {"mysql_perf_schema_events_statements_sum_select_full_range_join", "sum_select_full_range_join"},
    {"mysql_perf_schema_events_statements_sum_select_range", "sum_select_range"},
    {"mysql_perf_schema_events_statements_sum_select_range_check", "sum_select_range_check"},
    {"mysql_perf_schema_events_statements_sum_select_scan", "sum_select_scan"},
    {"mysql_perf_schema_events_statements_sum_sort_merge_passes", "sum_sort_merge_passes"},
    {"mysql_perf_schema_events_statements_sum_sort_range", "sum_sort_range"},
    {"mysql_perf_schema_events_statements_sum_sort_rows", "sum_sort_rows"},
    {"mysql_perf_schema_events_statements_sum_sort_scan", "sum_sort_scan"},
    {"mysql_perf_schema_events_statements_sum_timer_wait", "sum_timer_wait", {}, kPicoseconds},
    {"mysql_perf_schema_events_statements_sum_warnings", "sum_warnings"},
};

constexpr Measure kWaits[] = {
    {"mysql_perf_schema_events_waits_total", "count_star"},
    {"mysql_perf_schema_events_waits_seconds_total", "sum_timer_wait", {}, kPicoseconds},
};

constexpr std::string_view kFileEvents = "mysql_perf_schema_file_events_total";
constexpr std::string_view kFileSeconds = "mysql_perf_schema_file_events_seconds_total";
constexpr std::string_view kFileBytes = "mysql_perf_schema_file_events_bytes_total";
constexpr Measure kFiles[] = {
    {kFileEvents, "count_read", "read"},
    {kFileEvents, "count_write", "write"},
    {kFileEvents, "count_misc", "misc"},
    {kFileSeconds, "sum_timer_read", "read", kPicoseconds},
    {kFileSeconds, "sum_timer_write", "write", kPicoseconds},
    {kFileSeconds, "sum_timer_misc", "misc", kPicoseconds},
    {kFileBytes, "sum_number_of_bytes_read", "read"},
    {kFileBytes, "sum_number_of_bytes_write", "write"},
};

constexpr std::string_view kInstances = "mysql_perf_schema_file_instances_total";
constexpr std::string_view kInstanceBytes = "mysql_perf_schema_file_instances_bytes";
constexpr Measure kFileInstances[] = {
    {kInstances, "count_read", "read"},
    {kInstances, "count_write", "write"},
    {kInstanceBytes, "sum_number_of_bytes_read", "read"},
    {kInstanceBytes, "sum_number_of_bytes_write", "write"},
};

constexpr Measure kMemory[] = {
    {"mysql_perf_schema_memory_events_alloc_bytes_total", "sum_number_of_bytes_alloc"},
    {"mysql_perf_schema_memory_events_free_bytes_total", "sum_number_of_bytes_free"},
    {"mysql_perf_schema_memory_events_used_bytes", "current_number_of_bytes_used"},
};

constexpr Measure kGroupMember[] = {
    {"mysql_perf_schema_transactions_in_queue", "count_transactions_in_queue"},
    {"mysql_perf_schema_transactions_checked_total", "count_transactions_checked"},
    {"mysql_perf_schema_conflicts_detected_total", "count_conflicts_detected"},
    {"mysql_perf_schema_transactions_rows_validating_total", "count_transactions_rows_validating"},
    {"mysql_perf_schema_transactions_remote_in_applier_queue", "count_transactions_remote_in_applier_queue"},
    {"mysql_perf_schema_transactions_remote_applied_total", "count_transactions_remote_applied"},
    {"mysql_perf_schema_transactions_local_proposed_total", "count_transactions_local_proposed"},
    {"mysql_perf_schema_transactions_local_rollback_total", "count_transactions_local_rollback"},
};

constexpr Measure kAppliers[] = {
    {"mysql_perf_schema_last_applied_transaction_original_commit_timestamp_seconds", "last_original"},
    {"mysql_perf_schema_last_applied_transaction_immediate_commit_timestamp_seconds", "last_immediate"},
    {"mysql_perf_schema_last_applied_transaction_start_apply_timestamp_seconds", "last_start"},
    {"mysql_perf_schema_last_applied_transaction_end_apply_timestamp_seconds", "last_end"},
    {"mysql_perf_schema_applying_transaction_original_commit_timestamp_seconds", "original"},
    {"mysql_perf_schema_applying_transaction_immediate_commit_timestamp_seconds", "immediate"},
    {"mysql_perf_schema_applying_transaction_start_apply_timestamp_seconds", "start"},
};

constexpr TableSpec kPerformanceTables[] = {
    {"perf_schema.tableiowaits", false, Needs::kPerformanceSchema,
     "SELECT object_schema, object_name, count_fetch, count_insert, count_update, count_delete, sum_timer_fetch,"
     " sum_timer_insert, sum_timer_update, sum_timer_delete FROM performance_schema.table_io_waits_summary_by_table"
     " WHERE object_schema NOT IN ('mysql', 'performance_schema')",
     2, kTableIo},
    // An insert goes to no index in particular: only the row without one counts it.
    {"perf_schema.indexiowaits", false, Needs::kPerformanceSchema,
     "SELECT object_schema, object_name, IFNULL(index_name, 'NONE') AS name_of_index, count_fetch,"
     " IF(index_name IS NULL, count_insert, NULL) AS count_insert, count_update, count_delete, sum_timer_fetch,"
     " IF(index_name IS NULL, sum_timer_insert, NULL) AS sum_timer_insert, sum_timer_update, sum_timer_delete"
     " FROM performance_schema.table_io_waits_summary_by_index_usage"
     " WHERE object_schema NOT IN ('mysql', 'performance_schema')",
     3, kIndexIo},
    {"perf_schema.tablelocks", false, Needs::kPerformanceSchema,
     "SELECT object_schema, object_name, count_read_normal, count_read_with_shared_locks, count_read_high_priority,"
     " count_read_no_insert, count_read_external, count_write_allow_write, count_write_concurrent_insert,"
     " count_write_low_priority, count_write_normal, count_write_external, sum_timer_read_normal,"
     " sum_timer_read_with_shared_locks, sum_timer_read_high_priority, sum_timer_read_no_insert,"
     " sum_timer_read_external, sum_timer_write_allow_write, sum_timer_write_concurrent_insert,"
     " sum_timer_write_low_priority, sum_timer_write_normal, sum_timer_write_external"
     " FROM performance_schema.table_lock_waits_summary_by_table"
     " WHERE object_schema NOT IN ('mysql', 'performance_schema', 'information_schema')",
     2, kTableLocks},
    {"perf_schema.eventsstatementssum", false, Needs::kPerformanceSchema,
     "SELECT SUM(count_star) AS count_star, SUM(sum_created_tmp_disk_tables) AS sum_created_tmp_disk_tables,"
     " SUM(sum_created_tmp_tables) AS sum_created_tmp_tables, SUM(sum_errors) AS sum_errors,"
     " SUM(sum_lock_time) AS sum_lock_time, SUM(sum_no_good_index_used) AS sum_no_good_index_used,"
     " SUM(sum_no_index_used) AS sum_no_index_used, SUM(sum_rows_affected) AS sum_rows_affected,"
     " SUM(sum_rows_examined) AS sum_rows_examined, SUM(sum_rows_sent) AS sum_rows_sent,"
     " SUM(sum_select_full_join) AS sum_select_full_join,"
     " SUM(sum_select_full_range_join) AS sum_select_full_range_join, SUM(sum_select_range) AS sum_select_range,"
     " SUM(sum_select_range_check) AS sum_select_range_check, SUM(sum_select_scan) AS sum_select_scan,"
     " SUM(sum_sort_merge_passes) AS sum_sort_merge_passes, SUM(sum_sort_range) AS sum_sort_range,"
     " SUM(sum_sort_rows) AS sum_sort_rows, SUM(sum_sort_scan) AS sum_sort_scan,"
     " SUM(sum_timer_wait) AS sum_timer_wait, SUM(sum_warnings) AS sum_warnings"
     " FROM performance_schema.events_statements_summary_by_digest",
     0, kStatementSums},
    {"perf_schema.eventswaits", false, Needs::kPerformanceSchema,
     "SELECT event_name, count_star, sum_timer_wait FROM performance_schema.events_waits_summary_global_by_event_name",
     1, kWaits},
    {"perf_schema.file_events", false, Needs::kPerformanceSchema,
     "SELECT event_name, count_read, sum_timer_read, sum_number_of_bytes_read, count_write, sum_timer_write,"
     " sum_number_of_bytes_write, count_misc, sum_timer_misc FROM performance_schema.file_summary_by_event_name",
     1, kFiles},
    {"perf_schema.file_instances", false, Needs::kPerformanceSchema,
     "SELECT IF(file_name LIKE '/var/lib/mysql/%', SUBSTRING(file_name, 16), file_name) AS file, event_name,"
     " count_read, count_write, sum_number_of_bytes_read, sum_number_of_bytes_write"
     " FROM performance_schema.file_summary_by_instance",
     2, kFileInstances},
    {"perf_schema.memory_events", false, Needs::kPerformanceSchema,
     "SELECT IF(event_name LIKE 'memory/%', SUBSTRING(event_name, 8), event_name) AS event,"
     " sum_number_of_bytes_alloc, sum_number_of_bytes_free, current_number_of_bytes_used"
     " FROM performance_schema.memory_summary_global_by_event_name WHERE count_alloc > 0",
     1, kMemory},
    {"perf_schema.replication_group_member_stats", false, Needs::kGroupReplication,
     "SELECT * FROM performance_schema.replication_group_member_stats WHERE member_id = @@server_uuid", 0,
     kGroupMember},
    // A time that is not yet is '0000-00-00', which UNIX_TIMESTAMP makes 0.
    {"perf_schema.replication_applier_status_by_worker", false, Needs::kGroupReplication,
     "SELECT channel_name, worker_id,"
     " UNIX_TIMESTAMP(last_applied_transaction_original_commit_timestamp) AS last_original,"
     " UNIX_TIMESTAMP(last_applied_transaction_immediate_commit_timestamp) AS last_immediate,"
     " UNIX_TIMESTAMP(last_applied_transaction_start_apply_timestamp) AS last_start,"
     " UNIX_TIMESTAMP(last_applied_transaction_end_apply_timestamp) AS last_end,"
     " UNIX_TIMESTAMP(applying_transaction_original_commit_timestamp) AS original,"
     " UNIX_TIMESTAMP(applying_transaction_immediate_commit_timestamp) AS immediate,"
     " UNIX_TIMESTAMP(applying_transaction_start_apply_timestamp) AS start"
     " FROM performance_schema.replication_applier_status_by_worker",
     2, kAppliers},
};

}  // namespace

std::span<const TableSpec> performance_tables() {
  return kPerformanceTables;
}

}  // namespace qd::observe::mysql
