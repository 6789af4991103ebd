#include "observe/redis/redis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "base/strings.h"
#include "connect/fake_server_for_test.h"
#include "observe/recording_sink.h"
#include "observe/redis/config.h"
#include "observe/redis/families.h"

namespace qd::observe::redis {
namespace {

using base::ErrorCode;
using connect::FakePeer;
using connect::FakeServer;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const base::SystemClock kClock;

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

std::string array(std::initializer_list<std::string> items) {
  std::string text = "*" + std::to_string(items.size()) + "\r\n";
  for (const std::string& item : items) text += item;
  return text;
}

std::string integer(long number) {
  return ":" + std::to_string(number) + "\r\n";
}

std::string recorded(const std::string& name) {
  std::ifstream file(QD_SOURCE_DIR "/src/observe/redis/testdata/" + name);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Replies by command, "CONFIG GET maxmemory" and the like; by its first words, if there is no reply to all of it.
using Script = std::map<std::string, std::string>;

bool read_command(FakePeer& peer, std::string& command) {
  std::string line, word;
  if (!peer.read_line(line)) return false;
  command.clear();
  for (int left = std::stoi(line.substr(1)); left > 0; --left) {
    if (!peer.read_line(line) || !peer.read_exact(std::stoul(line.substr(1)) + 2, word)) return false;
    if (!command.empty()) command += ' ';
    command += word.substr(0, word.size() - 2);
  }
  return true;
}

std::string reply_to(const Script& script, std::string command) {
  for (;;) {
    if (const auto found = script.find(command); found != script.end()) return found->second;
    const auto blank = command.rfind(' ');
    if (blank == std::string::npos) return "-ERR unknown command\r\n";
    command.resize(blank);
  }
}

FakeServer::Talk answering(Script script) {
  return [script = std::move(script)](FakePeer& peer) {
    std::string command;
    while (read_command(peer, command)) peer.send(reply_to(script, command));
  };
}

// A Redis 7.0.15 with a replica, as recorded.
Script plain() {
  return {{"CLIENT SETNAME", "+OK\r\n"},
          {"INFO ALL", bulk(recorded("7.0.15.txt"))},
          {"CONFIG GET", array({bulk("databases"), bulk("4"), bulk("maxclients"), bulk("10000"),
                                bulk("client-output-buffer-limit"), bulk("normal 0 0 0 slave 268435456 67108864 60")})},
          {"LATENCY LATEST", array({array({bulk("command"), integer(1700000000), integer(251), integer(1001)})})},
          {"LATENCY HISTOGRAM", array({bulk("get"), array({bulk("calls"), integer(2), bulk("histogram_usec"),
                                                           array({integer(4), integer(1), integer(8), integer(2)})})})},
          {"SLOWLOG LEN", integer(3)},
          {"SLOWLOG GET", array({array({integer(7), integer(1700000000), integer(15000), array({bulk("keys")})})})}};
}

struct Told {
  RecordingSink sink;
  std::optional<base::Error> trouble;

  std::string why() const { return trouble ? trouble->message() : ""; }
};

void collect(RedisCollector& collector, Told& told, std::int64_t ms = 5000) {
  ASSERT_TRUE(collector.collect(kClock.monotonic_ns() + ms * 1'000'000, told.sink));
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  if (collector.trouble() != nullptr) told.trouble = *collector.trouble();
}

Told collect_from(const FakeServer& server, Options options = {}, std::int64_t ms = 5000) {
  options.address = server.address();
  RedisCollector collector(options, kClock);
  Told told;
  collect(collector, told, ms);
  return told;
}

const FamilyInfo* family_of(std::string_view name) {
  for (const FamilyInfo& family : families()) {
    const auto star = family.name.find('*');
    if (family.name == name || (star != std::string_view::npos && name.starts_with(family.name.substr(0, star)))) {
      return &family;
    }
  }
  return nullptr;
}

// Every family and label that came is in the table.
void expect_in_table(const RecordingSink& sink) {
  for (const auto& [name, type] : sink.types()) {
    const FamilyInfo* const family = family_of(name);
    ASSERT_NE(family, nullptr) << name;
    EXPECT_EQ(family->type, type) << name;
    if (family->name == name) EXPECT_EQ(family->help, sink.helps().find(name)->second);
  }
  for (const auto& [key, value] : sink.values()) {
    std::string name = key.substr(0, key.find('{'));
    const FamilyInfo* family = family_of(name);
    if (family == nullptr) family = family_of(name.substr(0, name.rfind('_')));
    ASSERT_NE(family, nullptr) << key;
    std::set<std::string> known;
    for (const auto label : base::split(family->labels, ','))
      if (!label.empty()) known.emplace(label);
    for (std::size_t at = 0; (at = key.find("=\"", at)) != std::string::npos; ++at) {
      const auto from = key.find_last_of("{,", at) + 1;
      EXPECT_TRUE(known.contains(key.substr(from, at - from))) << key;
    }
  }
}

TEST(Redis, no_family_stands_twice_in_the_table) {
  std::set<std::string_view> names;
  for (const FamilyInfo& family : families()) EXPECT_TRUE(names.insert(family.name).second) << family.name;
  for (std::size_t i = 0; i < fields().size(); ++i) EXPECT_EQ(field_of(fields()[i].key), i) << fields()[i].key;
  EXPECT_EQ(field_of("nothing"), std::nullopt);
}

TEST(Redis, a_recorded_server_is_told_whole) {
  const FakeServer server(answering(plain()));
  const Told told = collect_from(server);
  EXPECT_EQ(told.why(), "");
  const RecordingSink& sink = told.sink;
  expect_in_table(sink);
  EXPECT_EQ(sink.value("redis_up"), 1);
  EXPECT_EQ(sink.value("redis_exporter_last_scrape_error{err=\"\"}"), 0);
  EXPECT_EQ(sink.value("redis_connected_slaves"), 1);
  EXPECT_EQ(sink.value("redis_rdb_last_bgsave_status"), 1);
  EXPECT_EQ(sink.value("redis_latest_fork_seconds"), 0.000465);
  EXPECT_EQ(sink.value("redis_cluster_enabled"), 0);
  EXPECT_EQ(sink.types().find("redis_keyspace_hits_total")->second, model::MetricType::kCounter);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db0\"}"), 2);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db1\"}"), 0);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db3\"}"), 1);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db4\"}"), std::nullopt);
  EXPECT_EQ(sink.value("redis_db_avg_ttl_seconds{db=\"db0\"}"), 0);
  EXPECT_EQ(sink.value("redis_commands_total{cmd=\"get\"}"), 2);
  EXPECT_EQ(sink.value("redis_commands_duration_seconds_total{cmd=\"get\"}"), 1e-5);
  EXPECT_EQ(sink.value("redis_commands_failed_calls_total{cmd=\"get\"}"), 0);
  EXPECT_EQ(sink.value("redis_errors_total{err=\"ERR\"}"), 1);
  EXPECT_EQ(sink.value("redis_latency_percentiles_usec{cmd=\"get\",quantile=\"99.9\"}"), 7.007);
  EXPECT_EQ(sink.value("redis_latency_percentiles_usec_count{cmd=\"get\"}"), 2);
  EXPECT_EQ(sink.value("redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"4\"}"), 1);
  EXPECT_EQ(sink.value("redis_commands_latencies_usec_bucket{cmd=\"get\",le=\"+Inf\"}"), 2);
  EXPECT_EQ(sink.value("redis_commands_latencies_usec_sum{cmd=\"get\"}"), 10);
  EXPECT_EQ(
      sink.value(
          "redis_connected_slave_lag_seconds{slave_ip=\"127.0.0.1\",slave_port=\"17380\",slave_state=\"online\"}"),
      0);
  EXPECT_EQ(sink.value("redis_config_maxclients"), 10000);
  EXPECT_EQ(sink.value("redis_config_client_output_buffer_limit_bytes{class=\"slave\",limit=\"soft\"}"), 67108864);
  EXPECT_EQ(sink.value("redis_config_client_output_buffer_limit_overcome_seconds{class=\"slave\",limit=\"soft\"}"), 60);
  EXPECT_EQ(sink.value("redis_latency_spike_last{event_name=\"command\"}"), 1700000000);
  EXPECT_EQ(sink.value("redis_latency_spike_duration_seconds{event_name=\"command\"}"), 0.251);
  EXPECT_EQ(sink.value("redis_slowlog_length"), 3);
  EXPECT_EQ(sink.value("redis_slowlog_last_id"), 7);
  EXPECT_EQ(sink.value("redis_last_slow_execution_duration_seconds"), 0.015);
}

TEST(Redis, replicas_clusters_and_valkey_are_told) {
  Script script = plain();
  script["INFO ALL"] = bulk(
      "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\nvalkey_release_stage:ga\r\n"
      "server_mode:cluster\r\n# TLS\r\ntls_server_cert_serial:0A1B\r\ntls_server_cert_expires_in_seconds:86400\r\n"
      "# Scripting Engines\r\nengines_count:1\r\n"
      "engine_0:name=LUA,module=built-in,abi_version=4,used_memory=100,memory_overhead=20\r\n"
      "# Replication\r\nrole:slave\r\nmaster_host:db1\r\nmaster_port:6379\r\nmaster_link_status:down\r\n"
      "master_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\nslave_read_only:1\r\nslave_repl_offset:12\r\n"
      "# CPU\r\nused_active_time_io_thread_1:2.5\r\n# Cluster\r\ncluster_enabled:1\r\n"
      "# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=1500,keys_with_volatile_items=2\r\n"
      "# Cluster Info\r\ncluster_state:ok\r\n");
  script["CLUSTER INFO"] = bulk("cluster_state:ok\r\ncluster_slots_ok:16384\r\ncluster_stats_messages_sent:9\r\n");
  script["COMMANDLOG LEN slow"] = integer(1);
  script["COMMANDLOG LEN large-request"] = integer(2);
  script["COMMANDLOG LEN large-reply"] = integer(3);
  const FakeServer server(answering(script));
  const Told told = collect_from(server);
  EXPECT_EQ(told.why(), "");
  const RecordingSink& sink = told.sink;
  expect_in_table(sink);
  EXPECT_EQ(sink.value("redis_master_link_up{master_host=\"db1\",master_port=\"6379\"}"), 0);
  EXPECT_EQ(sink.value("redis_master_last_io_seconds_ago{master_host=\"db1\",master_port=\"6379\"}"), -1);
  EXPECT_EQ(sink.value("redis_slave_repl_offset{master_host=\"db1\",master_port=\"6379\"}"), 12);
  EXPECT_EQ(sink.value("redis_slave_info{master_host=\"db1\",master_port=\"6379\",read_only=\"1\"}"), 1);
  EXPECT_EQ(sink.value("redis_cluster_state"), 1);
  EXPECT_EQ(sink.value("redis_cluster_slots_ok"), 16384);
  EXPECT_EQ(sink.value("redis_cluster_messages_sent_total"), 9);
  EXPECT_EQ(sink.value("redis_commandlog_large_reply_length"), 3);
  EXPECT_EQ(sink.value("redis_tls_certificate_info{certificate=\"server\",serial=\"0A1B\"}"), 1);
  EXPECT_EQ(sink.value("redis_tls_server_cert_expires_in_seconds"), 86400);
  EXPECT_EQ(
      sink.value("redis_scripting_engine_memory_used_bytes{abi_version=\"4\",engine=\"LUA\",module=\"built-in\"}"),
      100);
  EXPECT_EQ(sink.value("redis_active_time_io_thread_seconds_total{thread=\"1\"}"), 2.5);
  EXPECT_EQ(sink.value("redis_db_keys_with_expiring_items{db=\"db0\"}"), 2);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db1\"}"), std::nullopt) << "a cluster has one database";
  bool named = false;
  for (const auto& [key, value] : sink.values()) {
    named = named || (key.starts_with("redis_instance_info{") && key.find("redis_mode=\"cluster\"") != key.npos &&
                      key.find("valkey_version=\"8.1.1\"") != key.npos);
  }
  EXPECT_TRUE(named);
}

TEST(Redis, streams_are_told_where_they_are_asked_for) {
  Script script = plain();
  script["SELECT 3"] = script["SELECT 0"] = "+OK\r\n";
  const std::string entry = array({bulk("1700000000123-0"), array({bulk("f"), bulk("v")})});
  script["XINFO STREAM orders"] = array({bulk("length"), integer(2), bulk("radix-tree-keys"), integer(1),
                                         bulk("last-generated-id"), bulk("1700000000999-5"), bulk("groups"), integer(1),
                                         bulk("first-entry"), entry, bulk("last-entry"), "$-1\r\n"});
  script["XINFO GROUPS orders"] = array(
      {array({bulk("name"), bulk("g\xff"), bulk("consumers"), integer(1), bulk("pending"), integer(4),
              bulk("last-delivered-id"), bulk("0-0"), bulk("entries-read"), "$-1\r\n", bulk("lag"), integer(6)})});
  script["XINFO CONSUMERS orders g\xff"] =
      array({array({bulk("name"), bulk("c1"), bulk("pending"), integer(3), bulk("idle"), integer(1500)})});
  script["XINFO STREAM gone"] = script["XINFO GROUPS gone"] = "-ERR no such key\r\n";
  const FakeServer server(answering(script));
  Options options;
  options.streams = {"db3=orders", "gone"};
  const Told told = collect_from(server, options);
  const RecordingSink& sink = told.sink;
  expect_in_table(sink);
  const std::string labels = "{db=\"db3\",stream=\"orders\"}";
  EXPECT_EQ(sink.value("redis_stream_length" + labels), 2);
  EXPECT_EQ(sink.value("redis_stream_last_generated_id" + labels), 1700000000999);
  EXPECT_EQ(sink.value("redis_stream_first_entry_id" + labels), 1700000000123);
  EXPECT_EQ(sink.value("redis_stream_last_entry_id" + labels), 0);
  const std::string group = "{db=\"db3\",group=\"g\xef\xbf\xbd\",stream=\"orders\"}";
  EXPECT_EQ(sink.value("redis_stream_group_messages_pending" + group), 4);
  EXPECT_EQ(sink.value("redis_stream_group_lag" + group), 6);
  EXPECT_EQ(sink.value("redis_stream_group_entries_read" + group), std::nullopt) << "unknown is not 0";
  EXPECT_EQ(sink.value("redis_stream_group_consumer_idle_seconds{consumer=\"c1\",db=\"db3\",group=\"g\xef\xbf\xbd\","
                       "stream=\"orders\"}"),
            1.5);
  EXPECT_THAT(told.why(), AllOf(HasSubstr("db0=gone"), HasSubstr("no such key")));
}

TEST(Redis, a_sentinel_is_told) {
  Script script;
  script["CLIENT SETNAME"] = "+OK\r\n";
  script["INFO ALL"] = bulk(
      "# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n# "
      "Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n"
      "master0:name=main,status=sdown,address=10.0.0.1:6379,slaves=2,sentinels=3\r\n");
  script["SENTINEL MASTERS"] =
      array({array({bulk("name"), bulk("main"), bulk("ip"), bulk("10.0.0.1"), bulk("port"), bulk("6379"),
                    bulk("quorum"), bulk("2"), bulk("last-ok-ping-reply"), bulk("1500")})});
  script["SENTINEL CKQUORUM main"] = "-NOQUORUM 1 usable\r\n";
  script["SENTINEL SENTINELS main"] =
      array({array({bulk("flags"), bulk("sentinel")}), array({bulk("flags"), bulk("s_down,sentinel")})});
  script["SENTINEL SLAVES main"] = array({array({bulk("flags"), bulk("slave")})});
  const FakeServer server(answering(script));
  const Told told = collect_from(server);
  EXPECT_EQ(told.why(), "");
  const RecordingSink& sink = told.sink;
  expect_in_table(sink);
  EXPECT_EQ(sink.value("redis_sentinel_masters"), 1);
  EXPECT_EQ(sink.value("redis_sentinel_master_status{master_address=\"10.0.0.1:6379\",master_name=\"main\","
                       "master_status=\"sdown\"}"),
            0);
  const std::string labels = "{master_address=\"10.0.0.1:6379\",master_name=\"main\"}";
  EXPECT_EQ(sink.value("redis_sentinel_master_slaves" + labels), 2);
  EXPECT_EQ(sink.value("redis_sentinel_master_setting_ckquorum" + labels), 2);
  EXPECT_EQ(sink.value("redis_sentinel_master_last_ok_ping_reply_seconds" + labels), 1.5);
  EXPECT_EQ(sink.value("redis_sentinel_master_ok_sentinels" + labels), 2);
  EXPECT_EQ(sink.value("redis_sentinel_master_ok_slaves" + labels), 1);
  EXPECT_EQ(sink.value("redis_sentinel_master_ckquorum_status{master_name=\"main\",message=\"NOQUORUM 1 usable\"}"), 0);
  EXPECT_EQ(sink.value("redis_db_keys{db=\"db0\"}"), std::nullopt);
}

TEST(Redis, a_refused_login_says_the_cure_and_never_the_password) {
  struct Case {
    std::string user, auth, info, cure;
  };
  const Case cases[] = {
      {"", "", "-NOAUTH Authentication required.\r\n", "observe.redis[].password"},
      {"", "-WRONGPASS invalid username-password pair or user is disabled.\r\n", "", "requirepass"},
      {"mon", "-WRONGPASS invalid username-password pair or user is disabled.\r\n", "", "ACL SETUSER mon on"},
      {"mon", "-ERR wrong number of arguments for 'auth' command\r\n", "", "user empty"},
      {"mon", "+OK\r\n", "-NOPERM this user has no permissions to run the 'info' command\r\n", "ACL SETUSER mon +info"},
      {"", "+OK\r\n", "-LOADING Redis is loading the dataset in memory\r\n", "later"},
  };
  for (const Case& one : cases) {
    Script script = plain();
    if (!one.auth.empty()) script["AUTH"] = one.auth;
    if (!one.info.empty()) script["INFO"] = script["INFO ALL"] = one.info;
    const FakeServer server(answering(script));
    Options options;
    options.user = one.user;
    if (!one.auth.empty()) options.password = "verysecret";
    const Told told = collect_from(server, options);
    EXPECT_EQ(told.sink.value("redis_up"), 0) << one.cure;
    EXPECT_THAT(told.why(), AllOf(HasSubstr(one.cure), HasSubstr(server.address()), Not(HasSubstr("verysecret"))));
    for (const auto& [key, value] : told.sink.values()) EXPECT_THAT(key, Not(HasSubstr("verysecret")));
  }
}

TEST(Redis, protected_mode_and_a_full_server_are_understood) {
  for (const std::string& error :
       {std::string("DENIED Redis is running in protected mode"), std::string("ERR max number of clients reached")}) {
    FakeServer server([&](FakePeer& peer) {
      std::string command;
      peer.send("-" + error + "\r\n");
      read_command(peer, command);
    });
    const Told told = collect_from(server);
    EXPECT_EQ(told.sink.value("redis_up"), 0);
    EXPECT_THAT(told.why(), HasSubstr(error));
  }
}

TEST(Redis, a_password_that_is_not_wanted_is_noted_and_all_is_read) {
  Script script = plain();
  script["AUTH"] = "-ERR AUTH <password> called without any password configured for the default user.\r\n";
  const FakeServer server(answering(script));
  Options options;
  options.password = "verysecret";
  const Told told = collect_from(server, options);
  EXPECT_EQ(told.sink.value("redis_up"), 1);
  EXPECT_THAT(told.why(), HasSubstr("remove observe.redis[].password"));
}

TEST(Redis, rights_that_are_missing_are_named_together_and_not_asked_for_each_pass) {
  Script script = plain();
  script["CONFIG GET"] = "-NOPERM this user has no permissions to run the 'config|get' command\r\n";
  script["SLOWLOG LEN"] = "-NOPERM this user has no permissions to run the 'slowlog|len' command\r\n";
  script["LATENCY HISTOGRAM"] = "-ERR unknown subcommand 'HISTOGRAM'\r\n";
  std::atomic<int> asked = 0;
  const FakeServer server([&](FakePeer& peer) {
    std::string command;
    while (read_command(peer, command)) {
      if (command.starts_with("CONFIG") || command == "LATENCY HISTOGRAM") ++asked;
      peer.send(reply_to(script, command));
    }
  });
  RedisCollector collector({.address = server.address(), .user = {}, .password = {}, .tls = {}, .streams = {}}, kClock);
  for (int pass = 0; pass < 3; ++pass) {
    Told told;
    collect(collector, told);
    EXPECT_EQ(told.sink.value("redis_up"), 1);
    EXPECT_EQ(told.sink.value("redis_slowlog_last_id"), 7);
    EXPECT_EQ(told.sink.value("redis_db_keys{db=\"db15\"}"), 0) << "the server's default, as it does not say";
    EXPECT_THAT(told.why(), HasSubstr("ACL SETUSER default +config|get +slowlog|len"));
  }
  EXPECT_EQ(asked, 2);
}

TEST(Redis, the_connection_is_kept_and_opened_anew_when_the_server_closed_it) {
  const Script script = plain();
  std::atomic<int> logs = 0;
  FakeServer server([&](FakePeer& peer) {
    std::string command;
    while (read_command(peer, command)) {
      peer.send(reply_to(script, command));
      if (command == "SLOWLOG GET 1" && ++logs == 2) return;
    }
  });
  RedisCollector collector({.address = server.address(), .user = {}, .password = {}, .tls = {}, .streams = {}}, kClock);
  for (int pass = 0; pass < 4; ++pass) {
    Told told;
    collect(collector, told);
    EXPECT_EQ(told.sink.value("redis_up"), 1) << pass;
  }
  EXPECT_EQ(server.connections(), 2);
}

TEST(Redis, hostile_answers_end_the_pass_and_nothing_else) {
  using namespace std::string_literals;
  const std::map<std::string, ErrorCode> hostile = {
      {"HTTP/1.1 400 Bad Request\r\n", ErrorCode::kCorrupt},
      {std::string(200'000, '+'), ErrorCode::kLimit},
      {"$1000000000\r\nabc", ErrorCode::kLimit},
      {"$-7\r\n", ErrorCode::kCorrupt},
      {"$3\r\nabcde\r\n", ErrorCode::kCorrupt},
      {"$10\r\nabc", ErrorCode::kUnavailable},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", ErrorCode::kLimit},
      {"*99999999999999999999\r\n", ErrorCode::kCorrupt},
      {"\0\0\n"s, ErrorCode::kCorrupt},
      {"\r\n", ErrorCode::kCorrupt},
  };
  for (const auto& [answer, code] : hostile) {
    FakeServer server([&](FakePeer& peer) {
      std::string command;
      while (read_command(peer, command)) {
        peer.send(command == "INFO ALL" ? answer : "+OK\r\n");
        if (command == "INFO ALL") return;
      }
    });
    const Told told = collect_from(server);
    EXPECT_EQ(told.sink.value("redis_up"), 0);
    ASSERT_TRUE(told.trouble);
    EXPECT_EQ(told.trouble->code(), code) << told.why();
  }
  FakeServer endless([](FakePeer& peer) {
    if (!peer.send("*1000000\r\n")) return;
    while (peer.send(":1\r\n")) {
    }
  });
  EXPECT_EQ(collect_from(endless).trouble->code(), ErrorCode::kLimit);
  FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  EXPECT_EQ(collect_from(silent, {}, 100).trouble->code(), ErrorCode::kTimeout);
}

TEST(Redis, what_comes_after_info_fails_alone) {
  Script script = plain();
  script["LATENCY LATEST"] = "nonsense\r\n";
  const FakeServer server(answering(script));
  const Told told = collect_from(server);
  EXPECT_EQ(told.sink.value("redis_up"), 1);
  EXPECT_EQ(told.sink.value("redis_config_maxclients"), 10000);
  EXPECT_EQ(told.sink.value("redis_slowlog_length"), std::nullopt);
  EXPECT_EQ(told.trouble->code(), ErrorCode::kCorrupt);
}

TEST(Redis, odd_lines_of_info_do_no_harm) {
  Script script = plain();
  script["INFO ALL"] = bulk(
      "# "
      "Server\r\nos:\xff\xfe\r\nredis_version:x.y\r\nuptime_in_seconds:\r\n:\r\nused_memory:99999999999999999999999\r\n"
      "# Keyspace\r\ndb0:keys=1\r\ndbx:keys=1,expires=1\r\ndb7:keys=1,expires=1\r\ndb7:keys=2,expires=1\r\n"
      "# Commandstats\r\ncmdstat_:calls=1,usec=2\r\ncmdstat_get:calls=x,usec=1\r\n"
      "# Latencystats\r\nlatency_percentiles_usec_get:p50=1\r\nlatency_percentiles_usec_:px=1,=,p50=2\r\n"
      "# Replication\r\nmaster_port:1\r\nslave0:ip=\r\nslave1:offset=1\r\nslave2:offset=2\r\n"
      "# Cluster\r\ncluster_a b:1\r\ncluster_ok:1\r\ncluster_ok:2\r\n# Errorstats\r\nerrorstat_A:count=\r\n");
  const FakeServer server(answering(script));
  const Told told = collect_from(server);
  EXPECT_EQ(told.sink.value("redis_up"), 1);
  EXPECT_EQ(told.sink.value("redis_memory_used_bytes"), 1e23);
  EXPECT_EQ(told.sink.value("redis_db_keys{db=\"db7\"}"), 1);
  EXPECT_EQ(told.sink.value("redis_cluster_ok"), 1);
}

TEST(RedisConfig, servers_are_listed_with_all_that_they_need) {
  std::vector<Options> servers;
  model::config::Schema schema;
  declare_instances(schema, servers);
  model::config::Sources sources;
  sources.environment = {{"REDIS_PW", "pw"}};
  sources.other_environment_names = {};
  sources.sets = {
      "observe.redis=[{address: \"db1:6379\", user: mon, password: \"env:REDIS_PW\", tls: {enabled: true, ca_file: "
      "/ca.pem}, streams: [orders, db3=events]}, {}]"};
  const auto loaded = schema.load(sources);
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(servers.size(), 2U);
  EXPECT_EQ(servers[0].user, "mon");
  EXPECT_EQ(servers[0].password, "pw");
  EXPECT_TRUE(servers[0].tls.enabled);
  EXPECT_EQ(servers[0].tls.ca_file, "/ca.pem");
  EXPECT_EQ(parse_stream_key(servers[0].streams[1])->database, 3U);
  EXPECT_EQ(parse_stream_key(servers[0].streams[1])->key, "events");
  EXPECT_EQ(servers[1].address, "127.0.0.1:6379");
  for (const auto& [set, what] : {std::pair("[{address: db1}]", "host:port"),
                                  {"[{streams: [\"db3=\"]}]", "names no"},
                                  {"[{tls: {cert_file: /x}}]", "go together"}}) {
    std::vector<Options> others;
    model::config::Schema wrong;
    declare_instances(wrong, others);
    sources.sets = {std::string("observe.redis=") + set};
    const auto refused = wrong.load(sources);
    ASSERT_FALSE(refused) << set;
    EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("observe.redis[0]"), HasSubstr(what)));
  }
}

}  // namespace
}  // namespace qd::observe::redis
