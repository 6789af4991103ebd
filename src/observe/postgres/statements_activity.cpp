// Sessions, databases, the processes behind them, and pg_stat_statements.

#include <fmt/format.h>

#include "base/format.h"
#include "observe/postgres/statements.h"

namespace qd::observe::postgres {
namespace {

constexpr int kVersion14 = 140000;

std::string databases(const ServerFacts& /*facts*/) {
  // A database that lost its directory in the middle of DROP DATABASE has the limit -2, and no size.
  return "SELECT datname, datconnlimit, "
         "CASE WHEN datconnlimit <> -2 AND (has_database_privilege(oid, 'CONNECT') "
         "OR pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')) THEN pg_database_size(oid) END "
         "FROM pg_database";
}

std::string wraparound(const ServerFacts& /*facts*/) {
  return "SELECT datname, age(datfrozenxid), mxid_age(datminmxid) FROM pg_database WHERE datallowconn";
}

std::string database_statistics(const ServerFacts& facts) {
  const std::string_view since_14 =
      facts.version >= kVersion14
          ? "active_time / 1000, active_time, session_time, idle_in_transaction_time, sessions, sessions_abandoned, "
            "sessions_fatal, sessions_killed"
          : "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL";
  return fmt::format(
      "SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, "
      "tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, blk_read_time, "
      "blk_write_time, floor(extract(epoch FROM stats_reset)), checksum_failures, "
      "floor(extract(epoch FROM checksum_last_failure)), {} "
      "FROM pg_stat_database WHERE datname IS NOT NULL",
      since_14);
}

std::string conflicts(const ServerFacts& /*facts*/) {
  return "SELECT datid, datname, confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock "
         "FROM pg_stat_database_conflicts";
}

std::string activity(const ServerFacts& /*facts*/) {
  // Every state of every database has a row, so that a state that ends falls to 0 instead of vanishing.
  return "WITH sessions AS (SELECT datname, state, usename, application_name, backend_type, wait_event_type, "
         "wait_event, count(*) AS count, max(extract(epoch FROM now() - xact_start)) AS seconds "
         "FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4, 5, 6, 7) "
         "SELECT d.datname, s.state, usename, application_name, backend_type, wait_event_type, wait_event, "
         "coalesce(count, 0), coalesce(seconds, 0) "
         "FROM pg_database d CROSS JOIN unnest(ARRAY['active', 'idle', 'idle in transaction', "
         "'idle in transaction (aborted)', 'fastpath function call', 'disabled']) s(state) "
         "LEFT JOIN sessions a ON a.datname = d.datname AND a.state = s.state ORDER BY 1, 2, 3, 4, 5, 6, 7";
}

std::string autovacuum(const ServerFacts& /*facts*/) {
  return "SELECT split_part(query, '.', 2), min(extract(epoch FROM xact_start)) "
         "FROM pg_stat_activity WHERE query LIKE 'autovacuum:%' GROUP BY 1";
}

std::string idle(const ServerFacts& /*facts*/) {
  std::string sql = "SELECT state, application_name";
  for (const int bucket : kIdleBuckets) base::append_format(sql, ", count(*) FILTER (WHERE age <= {})", bucket);
  return sql +
         ", count(*), sum(age::bigint) FROM (SELECT state, application_name, "
         "extract(epoch FROM now() - state_change) AS age FROM pg_stat_activity WHERE state LIKE 'idle%') idle "
         "GROUP BY 1, 2 ORDER BY 1, 2";
}

std::string long_transactions(const ServerFacts& /*facts*/) {
  return "SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
         "WHERE state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%' AND xact_start IS NOT NULL "
         "AND pid <> pg_backend_pid()";
}

std::string locks(const ServerFacts& /*facts*/) {
  return "WITH held AS (SELECT database, lower(mode) AS mode, count(*) AS count FROM pg_locks "
         "WHERE database IS NOT NULL GROUP BY 1, 2) "
         "SELECT d.datname, m.mode, coalesce(count, 0) FROM pg_database d "
         "CROSS JOIN unnest(ARRAY['accesssharelock', 'rowsharelock', 'rowexclusivelock', 'shareupdateexclusivelock', "
         "'sharelock', 'sharerowexclusivelock', 'exclusivelock', 'accessexclusivelock', 'sireadlock']) m(mode) "
         "LEFT JOIN held ON held.database = d.oid AND held.mode = m.mode ORDER BY 1, 2";
}

std::string postmaster(const ServerFacts& /*facts*/) {
  return "SELECT extract(epoch FROM pg_postmaster_start_time())";
}

std::string roles(const ServerFacts& /*facts*/) {
  return "SELECT rolname, rolconnlimit FROM pg_roles";
}

std::string writer(const ServerFacts& facts) {
  const std::string_view until_16 =
      facts.version < kVersion17 ? "checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, "
                                   "buffers_checkpoint, buffers_backend, buffers_backend_fsync"
                                 : "NULL, NULL, NULL, NULL, NULL, NULL, NULL";
  return fmt::format(
      "SELECT {}, buffers_clean, maxwritten_clean, buffers_alloc, floor(extract(epoch FROM stats_reset)) "
      "FROM pg_stat_bgwriter",
      until_16);
}

std::string checkpointer(const ServerFacts& facts) {
  if (facts.version < kVersion17) return {};
  return "SELECT num_timed, num_requested, restartpoints_timed, restartpoints_req, restartpoints_done, write_time, "
         "sync_time, buffers_written, floor(extract(epoch FROM stats_reset)) FROM pg_stat_checkpointer";
}

// Some columns have other names since these versions of the extension, which stay when only the server is upgraded.
struct StatementColumns {
  std::string_view time;
  std::string_view read;
  std::string_view write;
};

StatementColumns statement_columns(const ServerFacts& facts) {
  return {facts.statements_version >= 108 ? "total_exec_time" : "total_time",
          facts.statements_version >= 111 ? "shared_blk_read_time" : "blk_read_time",
          facts.statements_version >= 111 ? "shared_blk_write_time" : "blk_write_time"};
}

std::string statement_statistics(const ServerFacts& facts) {
  if (facts.statements_schema.empty() || facts.statements_limit == 0) return {};
  const auto columns = statement_columns(facts);
  // Summed: a statement counts apart at top level and within functions. Without the texts, their file is not read.
  return fmt::format(
      "SELECT * FROM (SELECT pg_get_userbyid(s.userid), d.datname, coalesce(s.queryid::text, 'unknown'), "
      "sum(s.calls), sum(s.{0}) / 1000, sum(s.rows), sum(s.{1}) / 1000, sum(s.{2}) / 1000 "
      "FROM {3}.pg_stat_statements(false) s JOIN pg_database d ON d.oid = s.dbid "
      "GROUP BY 1, 2, 3 ORDER BY sum(s.{0}) DESC LIMIT {4}) top ORDER BY 1, 2, 3",
      columns.time, columns.read, columns.write, facts.statements_schema, facts.statements_limit);
}

std::string statement_texts(const ServerFacts& facts) {
  if (facts.statements_schema.empty() || facts.statements_text_length == 0) return {};
  // The constants of a statement that changes rows are gone from its text; those of others are not, and ALTER ROLE has
  // a password in it.
  return fmt::format(
      "SELECT queryid, text, 1 FROM (SELECT DISTINCT ON (queryid) queryid, left(query, {0}) AS text, {1} AS seconds "
      "FROM {2}.pg_stat_statements(true) WHERE query ~* "
      "'^[[:space:](]*(select|insert|update|delete|merge|with)[[:space:](]' "
      "ORDER BY queryid, {1} DESC) known ORDER BY seconds DESC LIMIT {3}",
      facts.statements_text_length, statement_columns(facts).time, facts.statements_schema, facts.statements_limit);
}

std::string buffers(const ServerFacts& facts) {
  if (facts.buffercache_schema.empty() || facts.buffercache_version < 104) return {};
  return fmt::format(
      "SELECT buffers_used, buffers_unused, buffers_dirty, buffers_pinned, coalesce(usagecount_avg, 0) "
      "FROM {}.pg_buffercache_summary()",
      facts.buffercache_schema);
}

}  // namespace

std::vector<Statement> activity_statements() {
  using enum Scope;
  constexpr Null kZero = Null::kZero;
  std::vector<Statement> made;
  made.push_back({"stat_database",
                  kServer,
                  2,
                  {{"pg_stat_database_numbackends"},
                   {"pg_stat_database_xact_commit"},
                   {"pg_stat_database_xact_rollback"},
                   {"pg_stat_database_blks_read"},
                   {"pg_stat_database_blks_hit"},
                   {"pg_stat_database_tup_returned"},
                   {"pg_stat_database_tup_fetched"},
                   {"pg_stat_database_tup_inserted"},
                   {"pg_stat_database_tup_updated"},
                   {"pg_stat_database_tup_deleted"},
                   {"pg_stat_database_conflicts"},
                   {"pg_stat_database_temp_files"},
                   {"pg_stat_database_temp_bytes"},
                   {"pg_stat_database_deadlocks"},
                   {"pg_stat_database_blk_read_time"},
                   {"pg_stat_database_blk_write_time"},
                   {"pg_stat_database_stats_reset", kZero},
                   {"pg_stat_database_checksum_failures", Null::kNan},
                   {"pg_stat_database_checksum_last_failure", Null::kNan},
                   {"pg_stat_database_active_time_seconds_total"},
                   {"", Null::kSkip, "pg_stat_database_active_time"},
                   {"pg_stat_database_session_time"},
                   {"pg_stat_database_idle_in_transaction_time"},
                   {"pg_stat_database_sessions"},
                   {"pg_stat_database_sessions_abandoned"},
                   {"pg_stat_database_sessions_fatal"},
                   {"pg_stat_database_sessions_killed"}},
                  database_statistics});
  made.push_back({"stat_database_conflicts",
                  kServer,
                  2,
                  {{"pg_stat_database_conflicts_confl_tablespace"},
                   {"pg_stat_database_conflicts_confl_lock"},
                   {"pg_stat_database_conflicts_confl_snapshot"},
                   {"pg_stat_database_conflicts_confl_bufferpin"},
                   {"pg_stat_database_conflicts_confl_deadlock"}},
                  conflicts});
  made.push_back(
      {"stat_activity", kServer, 7, {{"pg_stat_activity_count"}, {"pg_stat_activity_max_tx_duration"}}, activity});
  made.push_back(
      {"stat_activity_autovacuum", kServer, 1, {{"pg_stat_activity_autovacuum_timestamp_seconds"}}, autovacuum});
  made.push_back({"process_idle", kServer, 2, {{"pg_process_idle_seconds"}}, idle, true});
  made.push_back({"long_running_transactions",
                  kServer,
                  0,
                  {{"pg_long_running_transactions"}, {"pg_long_running_transactions_oldest_timestamp_seconds"}},
                  long_transactions});
  made.push_back({"locks", kServer, 2, {{"pg_locks_count"}}, locks});
  made.push_back({"postmaster", kServer, 0, {{"pg_postmaster_start_time_seconds"}}, postmaster});
  made.push_back({"roles", kServer, 1, {{"pg_roles_connection_limit"}}, roles});
  made.push_back(
      {"database_wraparound",
       kServer,
       1,
       {{"pg_database_wraparound_age_datfrozenxid_seconds"}, {"pg_database_wraparound_age_datminmxid_seconds"}},
       wraparound});
  made.push_back({"stat_bgwriter",
                  kServer,
                  0,
                  {{"pg_stat_bgwriter_checkpoints_timed_total"},
                   {"pg_stat_bgwriter_checkpoints_req_total"},
                   {"pg_stat_bgwriter_checkpoint_write_time_total"},
                   {"pg_stat_bgwriter_checkpoint_sync_time_total"},
                   {"pg_stat_bgwriter_buffers_checkpoint_total"},
                   {"pg_stat_bgwriter_buffers_backend_total"},
                   {"pg_stat_bgwriter_buffers_backend_fsync_total"},
                   {"pg_stat_bgwriter_buffers_clean_total"},
                   {"pg_stat_bgwriter_maxwritten_clean_total"},
                   {"pg_stat_bgwriter_buffers_alloc_total"},
                   {"pg_stat_bgwriter_stats_reset_total", kZero}},
                  writer});
  made.push_back({"stat_checkpointer",
                  kServer,
                  0,
                  {{"pg_stat_checkpointer_num_timed_total", kZero},
                   {"pg_stat_checkpointer_num_requested_total", kZero},
                   {"pg_stat_checkpointer_restartpoints_timed_total", kZero},
                   {"pg_stat_checkpointer_restartpoints_req_total", kZero},
                   {"pg_stat_checkpointer_restartpoints_done_total", kZero},
                   {"pg_stat_checkpointer_write_time_total", kZero},
                   {"pg_stat_checkpointer_sync_time_total", kZero},
                   {"pg_stat_checkpointer_buffers_written_total", kZero},
                   {"pg_stat_checkpointer_stats_reset_total", kZero}},
                  checkpointer});
  made.push_back({"stat_statements",
                  kExtensions,
                  3,
                  {{"pg_stat_statements_calls_total", kZero},
                   {"pg_stat_statements_seconds_total", kZero},
                   {"pg_stat_statements_rows_total", kZero},
                   {"pg_stat_statements_block_read_seconds_total", kZero},
                   {"pg_stat_statements_block_write_seconds_total", kZero}},
                  statement_statistics});
  made.push_back({"stat_statements", kExtensions, 2, {{"pg_stat_statements_query_id"}}, statement_texts});
  made.push_back({"buffercache_summary",
                  kExtensions,
                  0,
                  {{"pg_buffercache_summary_buffers_used"},
                   {"pg_buffercache_summary_buffers_unused"},
                   {"pg_buffercache_summary_buffers_dirty"},
                   {"pg_buffercache_summary_buffers_pinned"},
                   {"pg_buffercache_summary_usagecount_avg"}},
                  buffers});
  made.push_back({"database", kServer, 1, {{"pg_database_connection_limit"}, {"pg_database_size_bytes"}}, databases});
  return made;
}

}  // namespace qd::observe::postgres
