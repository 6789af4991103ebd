// The write-ahead log and who follows it.

#include <fmt/format.h>

#include "observe/postgres/statements.h"

namespace qd::observe::postgres {
namespace {

constexpr int kVersion13 = 130000;

// How far the log is here: written by a primary, received by a replica.
constexpr std::string_view kHere =
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() "
    "ELSE pg_current_wal_lsn() END";

std::string replica(const ServerFacts& /*facts*/) {
  return "SELECT CASE WHEN NOT recovering OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE age END, "
         "recovering::int, age FROM (SELECT pg_is_in_recovery() AS recovering, "
         "greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) AS age) state";
}

std::string followers(const ServerFacts& /*facts*/) {
  return fmt::format(
      "SELECT r.application_name, host(r.client_addr), r.state, s.slot_name, r.pid, pg_wal_lsn_diff(here, '0/0'), "
      "pg_wal_lsn_diff(here, r.replay_lsn), floor(extract(epoch FROM r.reply_time)) "
      "FROM (SELECT {} AS here) log CROSS JOIN pg_stat_replication r "
      "LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid",
      kHere);
}

std::string slots(const ServerFacts& /*facts*/) {
  return fmt::format(
      "SELECT slot_name, database, active::int, pg_wal_lsn_diff({}, restart_lsn) FROM pg_replication_slots", kHere);
}

std::string slot_positions(const ServerFacts& facts) {
  return fmt::format(
      "SELECT slot_name, slot_type, pg_wal_lsn_diff({}, '0/0'), "
      "CASE WHEN active THEN coalesce(pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'), 0) END, active::int, {} "
      "FROM pg_replication_slots",
      kHere, facts.version >= kVersion13 ? "safe_wal_size" : "NULL");
}

std::string slot_states(const ServerFacts& facts) {
  if (facts.version < kVersion13) return {};
  return "SELECT slot_name, slot_type, wal_status, 1 FROM pg_replication_slots WHERE wal_status IS NOT NULL";
}

std::string receiver(const ServerFacts& facts) {
  return fmt::format(
      "SELECT sender_host, coalesce(slot_name, ''), status, "
      "mod(pg_wal_lsn_diff(receive_start_lsn, '0/0'), 2::numeric ^ 52), receive_start_tli, "
      "{}, received_tli, extract(epoch FROM last_msg_send_time), extract(epoch FROM last_msg_receipt_time), "
      "mod(pg_wal_lsn_diff(latest_end_lsn, '0/0'), 2::numeric ^ 52), extract(epoch FROM latest_end_time), "
      "substring(slot_name FROM 'repmgr_slot_([0-9]+)') FROM pg_stat_wal_receiver WHERE sender_host IS NOT NULL",
      facts.version >= kVersion13 ? "mod(pg_wal_lsn_diff(flushed_lsn, '0/0'), 2::numeric ^ 52)" : "NULL");
}

std::string archiver(const ServerFacts& /*facts*/) {
  return "SELECT archived_count, failed_count, extract(epoch FROM now() - last_archived_time) FROM pg_stat_archiver";
}

std::string segments(const ServerFacts& /*facts*/) {
  return "SELECT count(*), sum(size) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'";
}

}  // namespace

std::vector<Statement> replication_statements() {
  using enum Scope;
  std::vector<Statement> made;
  made.push_back(
      {"replication",
       kServer,
       0,
       {{"pg_replication_lag_seconds"}, {"pg_replication_is_replica"}, {"pg_replication_last_replay_seconds"}},
       replica});
  made.push_back({"stat_replication",
                  kServer,
                  5,
                  {{"pg_stat_replication_pg_current_wal_lsn_bytes"},
                   {"pg_stat_replication_pg_wal_lsn_diff"},
                   {"pg_stat_replication_reply_time"}},
                  followers});
  made.push_back({"replication_slots",
                  kServer,
                  2,
                  {{"pg_replication_slots_active"}, {"pg_replication_slots_pg_wal_lsn_diff"}},
                  slots});
  made.push_back(
      {"replication_slots",
       kServer,
       2,
       {{"pg_replication_slots_slot_current_wal_lsn", Null::kSkip, "pg_replication_slot_slot_current_wal_lsn"},
        {"pg_replication_slots_slot_confirmed_flush_lsn", Null::kSkip, "pg_replication_slot_slot_confirmed_flush_lsn"},
        {"pg_replication_slots_slot_is_active", Null::kSkip, "pg_replication_slot_slot_is_active"},
        {"pg_replication_slots_safe_wal_size_bytes", Null::kSkip, "pg_replication_slot_safe_wal_size_bytes"}},
       slot_positions});
  made.push_back({"replication_slots",
                  kServer,
                  3,
                  {{"pg_replication_slots_wal_status", Null::kSkip, "pg_replication_slot_wal_status"}},
                  slot_states});
  made.push_back({"stat_wal_receiver",
                  kServer,
                  3,
                  {{"pg_stat_wal_receiver_receive_start_lsn"},
                   {"pg_stat_wal_receiver_receive_start_tli"},
                   {"pg_stat_wal_receiver_flushed_lsn"},
                   {"pg_stat_wal_receiver_received_tli"},
                   {"pg_stat_wal_receiver_last_msg_send_time"},
                   {"pg_stat_wal_receiver_last_msg_receipt_time"},
                   {"pg_stat_wal_receiver_latest_end_lsn"},
                   {"pg_stat_wal_receiver_latest_end_time"},
                   {"pg_stat_wal_receiver_upstream_node"}},
                  receiver});
  made.push_back(
      {"stat_archiver",
       kServer,
       0,
       {{"pg_stat_archiver_archived_count"}, {"pg_stat_archiver_failed_count"}, {"pg_stat_archiver_last_archive_age"}},
       archiver});
  made.push_back({"wal", kServer, 0, {{"pg_wal_segments"}, {"pg_wal_size_bytes"}}, segments});
  return made;
}

}  // namespace qd::observe::postgres
