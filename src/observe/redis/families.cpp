#include "observe/redis/families.h"

#include <array>
#include <initializer_list>
#include <vector>

namespace qd::observe::redis {

using enum model::MetricType;

const FamilyInfo kUp{"redis_up", kGauge, "Information about the Redis instance", ""};
const FamilyInfo kInstanceInfo{"redis_instance_info", kGauge, "Information about the Redis instance",
                               "role,redis_version,redis_build_id,redis_mode,os,maxmemory_policy,tcp_port,run_id,"
                               "process_id,master_replid,valkey_version,valkey_release_stage,availability_zone"};
const FamilyInfo kStartTime{"redis_start_time_seconds", kGauge,
                            "Start time of the Redis instance since unix epoch in seconds.", ""};
const FamilyInfo kLastError{"redis_exporter_last_scrape_error", kGauge, "The last scrape error status.", "err"};
const FamilyInfo kLastDuration{"redis_exporter_last_scrape_duration_seconds", kGauge,
                               "exporter_last_scrape_duration_seconds metric", ""};
const FamilyInfo kConnectTime{"redis_exporter_last_scrape_connect_time_seconds", kGauge,
                              "exporter_last_scrape_connect_time_seconds metric", ""};
const FamilyInfo kScrapes{"redis_exporter_scrapes_total", kCounter, "Current total redis scrapes.", ""};
const FamilyInfo kScrapeDuration{"redis_exporter_scrape_duration_seconds", kSummary,
                                 "Durations of scrapes by the exporter", ""};
const FamilyInfo kCommands{"redis_commands_total", kCounter, "Total number of calls per command", "cmd"};
const FamilyInfo kCommandDuration{"redis_commands_duration_seconds_total", kCounter,
                                  "Total amount of time in seconds spent per command", "cmd"};
const FamilyInfo kCommandRejected{"redis_commands_rejected_calls_total", kCounter,
                                  "Total number of errors within command execution per command", "cmd"};
const FamilyInfo kCommandFailed{"redis_commands_failed_calls_total", kCounter,
                                "Total number of errors prior command execution per command", "cmd"};
const FamilyInfo kCommandSlow{"redis_commands_slowlog_total", kCounter, "Total number of slowlogged calls per command",
                              "cmd"};
const FamilyInfo kCommandSlowDuration{"redis_commands_slowlog_duration_seconds_total", kCounter,
                                      "Total slowlogged command execution time in seconds per command", "cmd"};
const FamilyInfo kCommandSlowMax{"redis_commands_slowlog_duration_seconds_max", kGauge,
                                 "Maximum slowlogged command execution time in seconds per command", "cmd"};
const FamilyInfo kPercentiles{"redis_latency_percentiles_usec", kSummary,
                              "A summary of latency percentile distribution per command", "cmd,quantile"};
const FamilyInfo kLatencies{"redis_commands_latencies_usec", kHistogram, "A histogram of latencies per command",
                            "cmd,le"};
const FamilyInfo kErrors{"redis_errors_total", kCounter, "Total number of errors per error type", "err"};
const FamilyInfo kActiveTime{"redis_active_time_io_thread_seconds_total", kCounter,
                             "active_time_io_thread_seconds_total metric", "thread"};
const FamilyInfo kDbKeys{"redis_db_keys", kGauge, "Total number of keys by DB", "db"};
const FamilyInfo kDbExpiring{"redis_db_keys_expiring", kGauge, "Total number of expiring keys by DB", "db"};
const FamilyInfo kDbTtl{"redis_db_avg_ttl_seconds", kGauge, "Avg TTL in seconds", "db"};
const FamilyInfo kDbCached{"redis_db_keys_cached", kGauge, "Total number of cached keys by DB", "db"};
const FamilyInfo kDbExpiringItems{"redis_db_keys_with_expiring_items", kGauge,
                                  "Total number of keys with expiring items by DB", "db"};
const FamilyInfo kReplicaOffset{"redis_connected_slave_offset_bytes", kGauge, "Offset of connected slave",
                                "slave_ip,slave_port,slave_state"};
const FamilyInfo kReplicaLag{"redis_connected_slave_lag_seconds", kGauge, "Lag of connected slave",
                             "slave_ip,slave_port,slave_state"};
const FamilyInfo kMasterLink{"redis_master_link_up", kGauge, "Master link status on Redis slave",
                             "master_host,master_port"};
const FamilyInfo kMasterIo{"redis_master_last_io_seconds_ago", kGauge, "Master last io seconds ago",
                           "master_host,master_port"};
const FamilyInfo kMasterSync{"redis_master_sync_in_progress", kGauge, "Master sync in progress",
                             "master_host,master_port"};
const FamilyInfo kReplOffset{"redis_slave_repl_offset", kGauge, "Slave replication offset", "master_host,master_port"};
const FamilyInfo kReplicaInfo{"redis_slave_info", kGauge, "Information about the Redis slave",
                              "master_host,master_port,read_only"};
const FamilyInfo kCertificate{"redis_tls_certificate_info", kGauge, "Information about a Valkey TLS certificate",
                              "certificate,serial"};
const FamilyInfo kEngine{"redis_scripting_engine_info", kGauge, "Information about a Valkey scripting engine",
                         "engine,module,abi_version"};
const FamilyInfo kEngineMemory{"redis_scripting_engine_memory_used_bytes", kGauge,
                               "Memory used by a Valkey scripting engine", "engine,module,abi_version"};
const FamilyInfo kEngineOverhead{"redis_scripting_engine_memory_overhead_bytes", kGauge,
                                 "Memory overhead of a Valkey scripting engine", "engine,module,abi_version"};
const FamilyInfo kConfigIoThreads{"redis_config_io_threads", kGauge, "config_io_threads metric", ""};
const FamilyInfo kConfigMaxClients{"redis_config_maxclients", kGauge, "config_maxclients metric", ""};
const FamilyInfo kConfigMaxMemory{"redis_config_maxmemory", kGauge, "config_maxmemory metric", ""};
const FamilyInfo kConfigBacklog{"redis_config_repl_backlog_size", kGauge, "config_repl_backlog_size metric", ""};
const FamilyInfo kConfigOutputBytes{"redis_config_client_output_buffer_limit_bytes", kGauge,
                                    "The configured buffer limits per class", "class,limit"};
const FamilyInfo kConfigOutputSeconds{"redis_config_client_output_buffer_limit_overcome_seconds", kGauge,
                                      "How long for buffer limits per class to be exceeded before replicas are dropped",
                                      "class,limit"};
const FamilyInfo kSpikeLast{"redis_latency_spike_last", kGauge, "When the latency spike last occurred", "event_name"};
const FamilyInfo kSpikeDuration{"redis_latency_spike_duration_seconds", kGauge,
                                "Length of the last latency spike in seconds", "event_name"};
const FamilyInfo kSlowlogLength{"redis_slowlog_length", kGauge, "Total slowlog", ""};
const FamilyInfo kSlowlogLast{"redis_slowlog_last_id", kGauge, "Last id of slowlog", ""};
const FamilyInfo kSlowlogDuration{"redis_last_slow_execution_duration_seconds", kGauge,
                                  "The amount of time needed for last slow execution, in seconds", ""};
const FamilyInfo kSentinelStatus{"redis_sentinel_master_status", kGauge, "Master status on Sentinel",
                                 "master_name,master_address,master_status"};
const FamilyInfo kSentinelReplicas{"redis_sentinel_master_slaves", kGauge, "The number of slaves of the master",
                                   "master_name,master_address"};
const FamilyInfo kSentinelSentinels{"redis_sentinel_master_sentinels", kGauge,
                                    "The number of sentinels monitoring this master", "master_name,master_address"};
const FamilyInfo kSentinelQuorum{"redis_sentinel_master_ckquorum_status", kGauge, "Master ckquorum status",
                                 "master_name,message"};

const FamilyInfo kCommandlogLengths[3] = {
    {"redis_commandlog_slow_length", kGauge, "Total entries in the slow command log", ""},
    {"redis_commandlog_large_request_length", kGauge, "Total entries in the large-request command log", ""},
    {"redis_commandlog_large_reply_length", kGauge, "Total entries in the large-reply command log", ""},
};

const FamilyInfo kCommandlogConfig[6] = {
    {"redis_commandlog_execution_slower_than", kGauge,
     "Execution time threshold in microseconds for the slow command log", ""},
    {"redis_commandlog_slow_execution_max_len", kGauge, "Maximum number of entries retained in the slow command log",
     ""},
    {"redis_commandlog_request_larger_than", kGauge,
     "Request size threshold in bytes for the large-request command log", ""},
    {"redis_commandlog_large_request_max_len", kGauge,
     "Maximum number of entries retained in the large-request command log", ""},
    {"redis_commandlog_reply_larger_than", kGauge, "Reply size threshold in bytes for the large-reply command log", ""},
    {"redis_commandlog_large_reply_max_len", kGauge,
     "Maximum number of entries retained in the large-reply command log", ""},
};

const FamilyInfo kStream[9] = {
    {"redis_stream_length", kGauge, "The number of elements of the stream", "db,stream"},
    {"redis_stream_radix_tree_keys", kGauge, "Radix tree keys count\"", "db,stream"},
    {"redis_stream_radix_tree_nodes", kGauge, "Radix tree nodes count", "db,stream"},
    {"redis_stream_groups", kGauge, "Groups count of stream", "db,stream"},
    {"redis_stream_last_generated_id", kGauge, "The epoch timestamp (ms) of the latest message on the stream",
     "db,stream"},
    {"redis_stream_max_deleted_entry_id", kGauge,
     "The epoch timestamp (ms) of last message was deleted from the stream", "db,stream"},
    {"redis_stream_entries_added_total", kCounter, "The count of all entries added to the stream during its lifetime",
     "db,stream"},
    {"redis_stream_first_entry_id", kGauge, "The epoch timestamp (ms) of the first message in the stream", "db,stream"},
    {"redis_stream_last_entry_id", kGauge, "The epoch timestamp (ms) of the last message in the stream", "db,stream"},
};

const FamilyInfo kGroup[5] = {
    {"redis_stream_group_consumers", kGauge, "Consumers count of stream group", "db,stream,group"},
    {"redis_stream_group_messages_pending", kGauge, "Pending number of messages in that stream group",
     "db,stream,group"},
    {"redis_stream_group_last_delivered_id", kGauge, "The epoch timestamp (ms) of the last delivered message",
     "db,stream,group"},
    {"redis_stream_group_entries_read", kGauge, "Total number of entries read from the stream group",
     "db,stream,group"},
    {"redis_stream_group_lag", kGauge, "The number of messages waiting to be delivered to the stream group's consumers",
     "db,stream,group"},
};

const FamilyInfo kConsumer[2] = {
    {"redis_stream_group_consumer_messages_pending", kGauge, "Pending number of messages for this specific consumer",
     "db,stream,group,consumer"},
    {"redis_stream_group_consumer_idle_seconds", kGauge, "Consumer idle time in seconds", "db,stream,group,consumer"},
};

const FamilyInfo kSentinel[5] = {
    {"redis_sentinel_masters", kGauge, "The number of masters this sentinel is watching", ""},
    {"redis_sentinel_tilt", kGauge, "Sentinel is in TILT mode", ""},
    {"redis_sentinel_running_scripts", kGauge, "Number of scripts in execution right now", ""},
    {"redis_sentinel_scripts_queue_length", kGauge, "Queue of user scripts to execute", ""},
    {"redis_sentinel_simulate_failure_flags", kGauge, "Failures simulations", ""},
};

const FamilyInfo kSentinelMaster[8] = {
    {"redis_sentinel_master_setting_ckquorum", kGauge, "Show the current ckquorum config for each master",
     "master_name,master_address"},
    {"redis_sentinel_master_setting_failover_timeout", kGauge,
     "Show the current failover-timeout config for each master", "master_name,master_address"},
    {"redis_sentinel_master_setting_parallel_syncs", kGauge, "Show the current parallel-syncs config for each master",
     "master_name,master_address"},
    {"redis_sentinel_master_setting_down_after_milliseconds", kGauge,
     "Show the current down-after-milliseconds config for each master", "master_name,master_address"},
    {"redis_sentinel_master_config_epoch", kGauge,
     "The configuration epoch of the master (increments on each failover)", "master_name,master_address"},
    {"redis_sentinel_master_last_ok_ping_reply_seconds", kGauge,
     "Elapsed time in seconds since the last successful ping reply from the master", "master_name,master_address"},
    {"redis_sentinel_master_ok_sentinels", kGauge, "The number of okay sentinels monitoring this master",
     "master_name,master_address"},
    {"redis_sentinel_master_ok_slaves", kGauge, "The number of okay slaves of the master",
     "master_name,master_address"},
};

std::span<const FamilyInfo> families() {
  static const auto all = [] {
    std::vector<FamilyInfo> made;
    for (const Field& field : fields()) made.push_back(field.family);
    made.push_back({"redis_cluster_*", kGauge, "Fields of CLUSTER INFO, and those of INFO whose names begin so.", ""});
    for (const FamilyInfo* one : {&kUp,
                                  &kInstanceInfo,
                                  &kStartTime,
                                  &kLastError,
                                  &kLastDuration,
                                  &kConnectTime,
                                  &kScrapes,
                                  &kScrapeDuration,
                                  &kCommands,
                                  &kCommandDuration,
                                  &kCommandRejected,
                                  &kCommandFailed,
                                  &kCommandSlow,
                                  &kCommandSlowDuration,
                                  &kCommandSlowMax,
                                  &kPercentiles,
                                  &kLatencies,
                                  &kErrors,
                                  &kActiveTime,
                                  &kDbKeys,
                                  &kDbExpiring,
                                  &kDbTtl,
                                  &kDbCached,
                                  &kDbExpiringItems,
                                  &kReplicaOffset,
                                  &kReplicaLag,
                                  &kMasterLink,
                                  &kMasterIo,
                                  &kMasterSync,
                                  &kReplOffset,
                                  &kReplicaInfo,
                                  &kCertificate,
                                  &kEngine,
                                  &kEngineMemory,
                                  &kEngineOverhead,
                                  &kConfigIoThreads,
                                  &kConfigMaxClients,
                                  &kConfigMaxMemory,
                                  &kConfigBacklog,
                                  &kConfigOutputBytes,
                                  &kConfigOutputSeconds,
                                  &kSpikeLast,
                                  &kSpikeDuration,
                                  &kSlowlogLength,
                                  &kSlowlogLast,
                                  &kSlowlogDuration,
                                  &kSentinelStatus,
                                  &kSentinelReplicas,
                                  &kSentinelSentinels,
                                  &kSentinelQuorum})
      made.push_back(*one);
    made.insert(made.end(), std::begin(kCommandlogLengths), std::end(kCommandlogLengths));
    made.insert(made.end(), std::begin(kCommandlogConfig), std::end(kCommandlogConfig));
    made.insert(made.end(), std::begin(kStream), std::end(kStream));
    made.insert(made.end(), std::begin(kGroup), std::end(kGroup));
    made.insert(made.end(), std::begin(kConsumer), std::end(kConsumer));
    made.insert(made.end(), std::begin(kSentinel), std::end(kSentinel));
    made.insert(made.end(), std::begin(kSentinelMaster), std::end(kSentinelMaster));
    return made;
  }();
  return all;
}

std::span<const LeftOut> left_out() {
  static constexpr auto kLeftOut = std::to_array<LeftOut>({
      {"redis_exporter_build_info", "it is about the exporter; the build of Quarterdeck stands at /metrics"},
      {"redis_target_scrape_request_errors_total", "it counts bad requests to the exporter's /scrape"},
      {"redis_exporter_last_scrape_ping_time_seconds", "the exporter tells it only with -ping-on-connect"},
      {"redis_last_key_groups_scrape_duration_milliseconds",
       "key groups are found by scanning all keys with a Lua script, which the exporter does only when told to; see "
       "redis_key_group_*"},
      {"redis_key_group_*", "the exporter scans all keys for them, only with -check-key-groups"},
      {"redis_number_of_distinct_key_groups", "as redis_key_group_*"},
      {"redis_key_*", "values and sizes of single keys, which the exporter reads only with -check-keys"},
      {"redis_keys_count", "the exporter scans all keys for it, only with -count-keys"},
      {"redis_script_*", "results of Lua scripts, which the exporter runs only with -script"},
      {"redis_config_key_value",
       "settings as text, with passwords among them; the exporter tells them only with -include-config-metrics"},
      {"redis_config_value", "as redis_config_key_value"},
      {"redis_sentinel_config_*", "as redis_config_key_value"},
      {"redis_sentinel_peer_info", "the exporter tells it only with -include-sentinel-peer-info"},
      {"redis_connected_client_*", "a series for each client, which the exporter tells only with -export-client-list"},
      {"redis_connected_clients_details", "as redis_connected_client_*"},
      {"redis_cluster_slot_*", "up to 16384 slots, which the exporter tells only when asked to"},
      {"redis_total_system_memory_bytes",
       "about the machine, which the collector node shows; the exporter tells it only with -include-system-metrics"},
      {"redis_rdb_current_size_bytes",
       "the exporter reads it from the server's file system, only with -include-rdb-file-size"},
      {"redis_module_info", "modules, which the exporter asks for only with -include-modules-metrics"},
      {"redis_search_*", "of modules, as redis_module_info"},
      {"redis_bf_*", "of modules, as redis_module_info"},
      {"redis_json_*", "of modules, as redis_module_info"},
      {"redis_tile38_*", "Tile38 is another server, which the exporter asks only with -is-tile38"},
  });
  return kLeftOut;
}

}  // namespace qd::observe::redis
