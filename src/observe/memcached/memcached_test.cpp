#include "observe/memcached/memcached.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "base/strings.h"
#include "connect/fake_server_for_test.h"
#include "observe/memcached/config.h"
#include "observe/memcached/families.h"
#include "observe/recording_sink.h"

namespace qd::observe::memcached {
namespace {

using base::ErrorCode;
using connect::FakePeer;
using connect::FakeServer;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

const base::SystemClock kClock;

// Answers of memcached 1.6.18, by command.
std::map<std::string, std::string> recorded() {
  std::map<std::string, std::string> answers;
  for (const char* name : {"stats", "settings", "items", "slabs"}) {
    std::ifstream file(std::string(QD_SOURCE_DIR "/src/observe/memcached/testdata/1.6.18-") + name + ".txt");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::string command = name == std::string("stats") ? "stats" : "stats " + std::string(name);
    for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.replace(at, 1, "\r\n");
    answers[command] = text;
  }
  return answers;
}

FakeServer::Talk answering(std::map<std::string, std::string> answers) {
  return [answers = std::move(answers)](FakePeer& peer) {
    std::string line;
    while (peer.read_line(line)) {
      const auto found = answers.find(line);
      peer.send(found == answers.end() ? "ERROR\r\n" : found->second);
    }
  };
}

struct Told {
  RecordingSink sink;
  std::optional<base::Error> trouble;
};

void collect(MemcachedCollector& collector, Told& told, std::int64_t ms = 5000) {
  ASSERT_TRUE(collector.collect(kClock.monotonic_ns() + ms * 1'000'000, told.sink));
  EXPECT_THAT(told.sink.faults(), IsEmpty());
  if (collector.trouble() != nullptr) told.trouble = *collector.trouble();
}

Told collect_from(const FakeServer& server, std::int64_t ms = 5000) {
  MemcachedCollector collector({server.address()}, kClock);
  Told told;
  collect(collector, told, ms);
  return told;
}

// Every family and label that came is in the table.
void expect_in_table(const RecordingSink& sink) {
  std::map<std::string, const FamilyInfo*, std::less<>> table;
  for (const FamilyInfo& family : families()) {
    EXPECT_TRUE(table.emplace(family.name, &family).second) << family.name << " stands twice";
  }
  for (const auto& [name, type] : sink.types()) {
    ASSERT_TRUE(table.contains(name)) << name;
    EXPECT_EQ(table[name]->type, type) << name;
    EXPECT_EQ(table[name]->help, sink.helps().find(name)->second);
  }
  for (const auto& [key, value] : sink.values()) {
    std::set<std::string> labels;
    const std::string name = key.substr(0, key.find('{'));
    for (std::size_t at = 0; (at = key.find("=\"", at)) != std::string::npos; ++at) {
      const auto from = key.find_last_of("{,", at) + 1;
      labels.insert(key.substr(from, at - from));
    }
    std::set<std::string> expected;
    for (const auto label : base::split(table.at(name)->labels, ','))
      if (!label.empty()) expected.emplace(label);
    EXPECT_EQ(labels, expected) << key;
  }
}

TEST(Memcached, a_recorded_server_is_told_whole) {
  const FakeServer server(answering(recorded()));
  const Told told = collect_from(server);
  EXPECT_FALSE(told.trouble) << told.trouble->message();
  const RecordingSink& sink = told.sink;
  expect_in_table(sink);
  EXPECT_EQ(sink.value("memcached_up"), 1);
  EXPECT_EQ(sink.value("memcached_version{version=\"1.6.18\"}"), 1);
  EXPECT_EQ(sink.value("memcached_limit_bytes"), 67108864);
  EXPECT_EQ(sink.value("memcached_malloced_bytes"), 1048576);
  EXPECT_EQ(sink.value("memcached_max_connections"), 1024);
  EXPECT_EQ(sink.value("memcached_lru_crawler_enabled"), 1);
  EXPECT_EQ(sink.value("memcached_lru_crawler_hot_max_factor"), 0.2);
  EXPECT_EQ(sink.value("memcached_commands_total{command=\"get\",status=\"miss\"}"), 1);
  EXPECT_EQ(sink.value("memcached_commands_total{command=\"set\",status=\"hit\"}"), 1);
  EXPECT_EQ(sink.value("memcached_slab_commands_total{command=\"set\",slab=\"1\",status=\"hit\"}"), 1);
  EXPECT_EQ(sink.value("memcached_slab_current_items{slab=\"1\"}"), 1);
  EXPECT_EQ(sink.value("memcached_slab_chunk_size_bytes{slab=\"1\"}"), 96);
  EXPECT_EQ(sink.value("memcached_slab_mem_requested_bytes{slab=\"1\"}"), 61);
  EXPECT_EQ(sink.value("memcached_slab_lru_hits_total{lru=\"hot\",slab=\"1\"}"), 1);
  EXPECT_EQ(sink.value("memcached_extstore_bytes_used"), std::nullopt);
}

TEST(Memcached, external_storage_and_proxy_are_told_where_they_are) {
  auto answers = recorded();
  answers["stats"] =
      "STAT version 1.6.40\r\nSTAT extstore_limit_maxbytes 1000\r\nSTAT extstore_bytes_used 18446744073709551615\r\n"
      "STAT proxy_backend_total 3\r\nSTAT proxy_conn_errors 2\r\nSTAT round_robin_fallback 1\r\nEND\r\n";
  const FakeServer server(answering(answers));
  const Told told = collect_from(server);
  expect_in_table(told.sink);
  EXPECT_EQ(told.sink.value("memcached_extstore_bytes_limit"), 1000);
  EXPECT_EQ(told.sink.value("memcached_extstore_bytes_used"), 18446744073709551616.0);
  EXPECT_EQ(told.sink.value("memcached_proxy_backend_total"), 3);
  EXPECT_EQ(told.sink.value("memcached_proxy_conn_errors_total"), 2);
  EXPECT_EQ(told.sink.value("memcached_round_robin_fallback_total"), 1);
}

TEST(Memcached, the_connection_is_kept_and_opened_anew_when_the_server_closed_it) {
  const auto answers = recorded();
  std::atomic<int> passes = 0;
  FakeServer server([&](FakePeer& peer) {
    std::string line;
    while (peer.read_line(line)) {
      peer.send(answers.at(line));
      // The second connection's server stays.
      if (line == "stats slabs" && ++passes == 2) return;
    }
  });
  MemcachedCollector collector({server.address()}, kClock);
  for (int pass = 0; pass < 4; ++pass) {
    Told told;
    collect(collector, told);
    EXPECT_EQ(told.sink.value("memcached_up"), 1) << pass;
  }
  EXPECT_EQ(server.connections(), 2);
}

TEST(Memcached, a_server_that_is_not_there_is_down_with_the_reason) {
  std::string address;
  {
    FakeServer server([](FakePeer&) {});
    address = server.address();
  }
  MemcachedCollector collector({address}, kClock);
  Told told;
  collect(collector, told);
  EXPECT_EQ(told.sink.value("memcached_up"), 0);
  EXPECT_EQ(told.sink.values().size(), 1U);
  EXPECT_THAT(told.trouble->message(), AllOf(HasSubstr(address), HasSubstr("refused"), HasSubstr("check that")));
}

TEST(Memcached, a_login_that_is_wanted_is_said) {
  FakeServer server(answering({{"stats", "CLIENT_ERROR unauthenticated\r\n"}}));
  const Told told = collect_from(server);
  EXPECT_EQ(told.sink.value("memcached_up"), 0);
  EXPECT_EQ(told.trouble->code(), ErrorCode::kPermission);
  EXPECT_THAT(told.trouble->message(), HasSubstr("login"));
}

TEST(Memcached, an_answer_that_is_refused_or_no_number_fails_alone) {
  auto answers = recorded();
  answers.erase("stats items");
  FakeServer server(answering(answers));
  const Told told = collect_from(server);
  EXPECT_EQ(told.sink.value("memcached_up"), 1);
  EXPECT_EQ(told.sink.value("memcached_slab_chunk_size_bytes{slab=\"1\"}"), 96);
  EXPECT_EQ(told.sink.value("memcached_slab_current_items{slab=\"1\"}"), std::nullopt);
  EXPECT_THAT(told.trouble->message(), HasSubstr("stats items"));

  answers = recorded();
  answers["stats"] = "STAT version 1\r\nSTAT uptime never\r\nSTAT uptime 2\r\nSTAT bytes 5\r\nSTAT novalue\r\nEND\r\n";
  FakeServer odd(answering(answers));
  const Told of_odd = collect_from(odd);
  EXPECT_EQ(of_odd.sink.value("memcached_current_bytes"), 5);
  EXPECT_EQ(of_odd.sink.value("memcached_uptime_seconds"), std::nullopt);
  EXPECT_THAT(of_odd.trouble->message(), HasSubstr("uptime \"never\""));
}

TEST(Memcached, hostile_answers_end_the_pass_and_nothing_else) {
  using namespace std::string_literals;
  const std::map<std::string, ErrorCode> hostile = {
      {"HTTP/1.1 400 Bad Request\r\n", ErrorCode::kCorrupt},
      {std::string(100'000, 'x'), ErrorCode::kLimit},
      {"STAT half", ErrorCode::kUnavailable},
      {"\0\0\0\0\n"s, ErrorCode::kCorrupt},
  };
  for (const auto& [answer, code] : hostile) {
    FakeServer server([&](FakePeer& peer) {
      std::string line;
      peer.read_line(line);
      peer.send(answer);
    });
    const Told told = collect_from(server);
    EXPECT_EQ(told.sink.value("memcached_up"), 0);
    ASSERT_TRUE(told.trouble);
    EXPECT_EQ(told.trouble->code(), code) << told.trouble->message();
  }
  FakeServer endless([](FakePeer& peer) {
    const std::string rows = "STAT a 1\r\n";
    while (peer.send(rows)) {
    }
  });
  EXPECT_EQ(collect_from(endless).trouble->code(), ErrorCode::kLimit);
  FakeServer silent([](FakePeer& peer) { peer.wait_for_end(); });
  EXPECT_EQ(collect_from(silent, 100).trouble->code(), ErrorCode::kTimeout);
}

TEST(Memcached, what_is_not_utf8_is_made_so) {
  FakeServer server(answering({{"stats", "STAT version 1\xff\r\nSTAT a\xff:b c\r\nEND\r\n"}}));
  const Told told = collect_from(server);
  EXPECT_EQ(told.sink.value("memcached_version{version=\"1\xef\xbf\xbd\"}"), 1);
}

TEST(Memcached, families_are_those_of_the_exporter) {
  std::ifstream file(QD_SOURCE_DIR "/../shared/conformance/exporters/memcached.tsv");
  if (!file) GTEST_SKIP() << "no ../shared/conformance";
  std::map<std::string, std::string> ours;
  for (const FamilyInfo& family : families()) ours.emplace(family.name, family.labels);
  std::string line;
  while (std::getline(file, line)) {
    const auto tab = line.find('\t');
    const std::string name = line.substr(0, tab);
    ASSERT_TRUE(ours.contains(name)) << name;
    EXPECT_EQ(ours[name], line.substr(tab + 1)) << name;
    ours.erase(name);
  }
  EXPECT_THAT(ours, IsEmpty());
}

TEST(MemcachedConfig, servers_are_listed_with_their_addresses) {
  std::vector<Options> servers;
  model::config::Schema schema;
  declare_instances(schema, servers);
  model::config::Sources sources;
  sources.sets = {"observe.memcached=[{address: \"db1:11211\"}, {}]"};
  const auto loaded = schema.load(sources);
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_EQ(servers.size(), 2U);
  EXPECT_EQ(servers[0].address, "db1:11211");
  EXPECT_EQ(servers[1].address, "127.0.0.1:11211");

  model::config::Schema wrong;
  declare_instances(wrong, servers);
  sources.sets = {"observe.memcached=[{address: db1}]"};
  const auto refused = wrong.load(sources);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("observe.memcached[0].address"), HasSubstr("host:port")));
}

}  // namespace
}  // namespace qd::observe::memcached
