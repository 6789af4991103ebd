// Tables and indexes of a database, and VACUUM at work on them.

#include <algorithm>
#include <iterator>

#include "observe/postgres/statements.h"

namespace qd::observe::postgres {
namespace {

std::string tables(const ServerFacts& /*facts*/) {
  return "SELECT current_database(), schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, "
         "n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, "
         "floor(extract(epoch FROM last_vacuum)), floor(extract(epoch FROM last_autovacuum)), "
         "floor(extract(epoch FROM last_analyze)), floor(extract(epoch FROM last_autoanalyze)), vacuum_count, "
         "autovacuum_count, analyze_count, autoanalyze_count FROM pg_stat_user_tables";
}

std::string table_sizes(const ServerFacts& /*facts*/) {
  // Asking for a size takes a lock, which waits behind ALTER TABLE and its like.
  return "SELECT current_database(), schemaname, relname, pg_indexes_size(relid), pg_table_size(relid) "
         "FROM pg_stat_user_tables WHERE relid NOT IN (SELECT relation FROM pg_locks "
         "WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL)";
}

std::string table_blocks(const ServerFacts& /*facts*/) {
  return "SELECT current_database(), schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit, "
         "toast_blks_read, toast_blks_hit, tidx_blks_read, tidx_blks_hit FROM pg_statio_user_tables";
}

std::string index_blocks(const ServerFacts& /*facts*/) {
  return "SELECT current_database(), schemaname, relname, indexrelname, idx_blks_read, idx_blks_hit "
         "FROM pg_statio_user_indexes";
}

// Tables of other databases have no names here.
constexpr std::string_view kVacuumed =
    "datname, CASE WHEN datname = current_database() THEN relid::regclass::text ELSE relid::text END";

std::string vacuum(const ServerFacts& facts) {
  std::string sql = "SELECT ";
  sql += kVacuumed;
  sql += ", heap_blks_total, heap_blks_scanned, heap_blks_vacuumed, index_vacuum_count, ";
  // Since 17, what is dead is kept in bytes.
  sql += facts.version >= kVersion17 ? "NULL, num_dead_item_ids" : "max_dead_tuples, num_dead_tuples";
  return sql + " FROM pg_stat_progress_vacuum";
}

std::string vacuum_phases(const ServerFacts& /*facts*/) {
  std::string sql = "SELECT ";
  sql += kVacuumed;
  return sql +
         ", p.phase, (v.phase = p.phase)::int FROM pg_stat_progress_vacuum v CROSS JOIN unnest(ARRAY['initializing', "
         "'scanning heap', 'vacuuming indexes', 'vacuuming heap', 'cleaning up indexes', 'truncating heap', "
         "'performing final cleanup']) p(phase)";
}

std::vector<Statement> made_statements() {
  std::vector<Statement> made = replication_statements();
  for (auto more : {activity_statements(), table_statements()}) std::ranges::move(more, std::back_inserter(made));
  return made;
}

}  // namespace

std::vector<Statement> table_statements() {
  using enum Scope;
  constexpr Null kZero = Null::kZero;
  std::vector<Statement> made;
  made.push_back({"stat_progress_vacuum",
                  kServer,
                  2,
                  {{"pg_stat_progress_vacuum_heap_blks", kZero},
                   {"pg_stat_progress_vacuum_heap_blks_scanned", kZero},
                   {"pg_stat_progress_vacuum_heap_blks_vacuumed", kZero},
                   {"pg_stat_progress_vacuum_index_vacuums", kZero},
                   {"pg_stat_progress_vacuum_max_dead_tuples"},
                   {"pg_stat_progress_vacuum_num_dead_tuples", kZero}},
                  vacuum});
  made.push_back({"stat_progress_vacuum", kServer, 3, {{"pg_stat_progress_vacuum_phase", kZero}}, vacuum_phases});
  made.push_back({"stat_user_tables",
                  kDatabase,
                  3,
                  {{"pg_stat_user_tables_seq_scan", kZero},
                   {"pg_stat_user_tables_seq_tup_read", kZero},
                   {"pg_stat_user_tables_idx_scan", kZero},
                   {"pg_stat_user_tables_idx_tup_fetch", kZero},
                   {"pg_stat_user_tables_n_tup_ins", kZero},
                   {"pg_stat_user_tables_n_tup_upd", kZero},
                   {"pg_stat_user_tables_n_tup_del", kZero},
                   {"pg_stat_user_tables_n_tup_hot_upd", kZero},
                   {"pg_stat_user_tables_n_live_tup", kZero},
                   {"pg_stat_user_tables_n_dead_tup", kZero},
                   {"pg_stat_user_tables_n_mod_since_analyze", kZero},
                   {"pg_stat_user_tables_last_vacuum", kZero},
                   {"pg_stat_user_tables_last_autovacuum", kZero},
                   {"pg_stat_user_tables_last_analyze", kZero},
                   {"pg_stat_user_tables_last_autoanalyze", kZero},
                   {"pg_stat_user_tables_vacuum_count", kZero},
                   {"pg_stat_user_tables_autovacuum_count", kZero},
                   {"pg_stat_user_tables_analyze_count", kZero},
                   {"pg_stat_user_tables_autoanalyze_count", kZero}},
                  tables});
  made.push_back({"statio_user_tables",
                  kDatabase,
                  3,
                  {{"pg_statio_user_tables_heap_blocks_read", kZero},
                   {"pg_statio_user_tables_heap_blocks_hit", kZero},
                   {"pg_statio_user_tables_idx_blocks_read", kZero},
                   {"pg_statio_user_tables_idx_blocks_hit", kZero},
                   {"pg_statio_user_tables_toast_blocks_read", kZero},
                   {"pg_statio_user_tables_toast_blocks_hit", kZero},
                   {"pg_statio_user_tables_tidx_blocks_read", kZero},
                   {"pg_statio_user_tables_tidx_blocks_hit", kZero}},
                  table_blocks});
  made.push_back(
      {"statio_user_indexes",
       kDatabase,
       4,
       {{"pg_statio_user_indexes_idx_blks_read_total", kZero}, {"pg_statio_user_indexes_idx_blks_hit_total", kZero}},
       index_blocks});
  made.push_back({"stat_user_tables",
                  kDatabase,
                  3,
                  {{"pg_stat_user_tables_index_size_bytes"}, {"pg_stat_user_tables_table_size_bytes"}},
                  table_sizes});
  return made;
}

std::span<const Statement> statements() {
  static const std::vector<Statement> all = made_statements();
  return all;
}

}  // namespace qd::observe::postgres
