#include "observe/postgres/postgres.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "observe/postgres/fake_postgres_for_test.h"
#include "observe/postgres/families.h"
#include "observe/recording_sink.h"

namespace qd::observe::postgres {
namespace {

using connect::postgres::FakePeer;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class PostgresTest : public testing::Test {
 protected:
  PostgresCollector collector(const std::string& address, Options options = {}) {
    options.address = address;
    options.user = "monitor";
    options.password = "not-to-be-seen";
    return {options, clock_, base::Log::silent()};
  }
  RecordingSink pass(PostgresCollector& collector, std::int64_t ms = 5000) {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(clock_.monotonic_ns() + ms * 1'000'000, sink));
    EXPECT_THAT(sink.faults(), IsEmpty());
    return sink;
  }
  static std::string trouble(const PostgresCollector& collector) {
    return collector.trouble() == nullptr ? "" : collector.trouble()->message();
  }

  base::SystemClock clock_;
};

// The names of labels in a key of RecordingSink, in their order.
std::string label_names(const std::string& key) {
  std::string names;
  for (auto at = key.find('{'); at != std::string::npos; at = key.find(',', at + 1)) {
    const auto end = key.find('=', at);
    names += key.substr(at + 1, end - at - 1) + ",";
  }
  return names;
}

std::string sorted_names(std::string_view labels) {
  std::vector<std::string> names;
  while (!labels.empty()) {
    const auto comma = labels.find(',');
    names.emplace_back(labels.substr(0, comma));
    labels.remove_prefix(comma == std::string_view::npos ? labels.size() : comma + 1);
  }
  std::ranges::sort(names);
  std::string all;
  for (const auto& name : names) all += name + ",";
  return all;
}

void expect_in_table(const RecordingSink& sink) {
  for (const auto& [name, type] : sink.types()) {
    const FamilyInfo* info = find_family(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(info->type, type) << name;
    if (!info->name.ends_with('*')) {
      EXPECT_EQ(sink.helps().find(name)->second, info->help);
    }
  }
  for (const auto& [key, value] : sink.values()) {
    std::string name = key.substr(0, key.find('{'));
    std::string names = label_names(key);
    for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
      if (name == "pg_process_idle_seconds" + std::string(suffix)) name = "pg_process_idle_seconds";
    }
    const FamilyInfo* info = find_family(name);
    ASSERT_NE(info, nullptr) << name;
    std::string labels(info->labels);
    if (names.contains("le,")) labels += ",le";
    EXPECT_EQ(names, sorted_names(labels)) << key;
  }
}

TEST_F(PostgresTest, every_family_that_is_told_stands_in_the_table) {
  for (const int version : {120005, 130000, 140000, 150020, 160000, 170002}) {
    FakePostgres server(version);
    auto watched = collector(server.address(), {.statements_text_length = 100, .legacy_names = true});
    const auto sink = pass(watched);
    EXPECT_EQ(trouble(watched), "") << version;
    EXPECT_EQ(sink.value("pg_up"), 1);
    EXPECT_EQ(sink.value("pg_exporter_last_scrape_error"), 0);
    expect_in_table(sink);
  }
}

TEST_F(PostgresTest, every_row_of_the_table_is_told_by_some_version) {
  std::vector<std::string_view> missing;
  FakePostgres old_server(120000);
  FakePostgres new_server(170000);
  auto old_one = collector(old_server.address(), {.statements_text_length = 100, .legacy_names = true});
  auto new_one = collector(new_server.address(), {.statements_text_length = 100, .legacy_names = true});
  const auto old_sink = pass(old_one);
  const auto new_sink = pass(new_one);
  for (const FamilyInfo& info : families()) {
    if (!info.name.ends_with('*') && !old_sink.types().contains(info.name) && !new_sink.types().contains(info.name))
      missing.push_back(info.name);
  }
  EXPECT_THAT(missing, IsEmpty());
}

TEST_F(PostgresTest, names_of_older_exporters_are_told_when_wanted_only) {
  FakePostgres server;
  auto watched = collector(server.address());
  const auto sink = pass(watched);
  EXPECT_FALSE(sink.types().contains("pg_stat_database_active_time"));
  EXPECT_FALSE(sink.types().contains("pg_replication_slot_slot_is_active"));
  EXPECT_TRUE(sink.types().contains("pg_replication_slots_slot_is_active"));
}

TEST_F(PostgresTest, a_connection_is_kept_and_made_anew_when_it_broke) {
  bool drop = false;
  FakePostgres server(150020, [&](const std::string&) -> std::optional<std::string> {
    if (!std::exchange(drop, false)) return std::nullopt;
    return "";
  });
  auto watched = collector(server.address());
  pass(watched);
  pass(watched);
  EXPECT_EQ(server.connections(), 1);
  drop = true;
  EXPECT_EQ(pass(watched).value("pg_up"), 1);
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(PostgresTest, a_part_that_is_refused_fails_alone_with_its_cure) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (!sql.contains("pg_ls_waldir")) return std::nullopt;
    return FakePeer::error("42501", "permission denied for function pg_ls_waldir") + FakePeer::ready();
  });
  auto watched = collector(server.address());
  const auto sink = pass(watched);
  EXPECT_EQ(sink.value("pg_up"), 1);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"wal\"}"), 0);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"locks\"}"), 1);
  EXPECT_EQ(sink.value("pg_exporter_last_scrape_error"), 1);
  EXPECT_THAT(trouble(watched), HasSubstr("GRANT pg_monitor TO \"monitor\";"));
}

TEST_F(PostgresTest, a_part_that_hangs_leaves_time_for_the_others) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (!sql.contains("pg_stat_archiver")) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    return "";
  });
  auto watched = collector(server.address());
  const auto from_ns = clock_.monotonic_ns();
  const auto sink = pass(watched, 1000);
  EXPECT_LT((clock_.monotonic_ns() - from_ns) / 1'000'000, 1000);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"stat_archiver\"}"), 0);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"statio_user_indexes\"}"), 1);
  EXPECT_THAT(trouble(watched), HasSubstr("stat_archiver"));
}

TEST_F(PostgresTest, a_server_that_hangs_is_down_at_the_deadline) {
  std::atomic<bool> over = false;
  connect::postgres::FakeServer server([&](FakePeer&) {
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  auto watched = collector(server.address());
  const auto from_ns = clock_.monotonic_ns();
  const auto sink = pass(watched, 200);
  const auto took_ms = (clock_.monotonic_ns() - from_ns) / 1'000'000;
  over = true;
  EXPECT_GE(took_ms, 199);
  EXPECT_LT(took_ms, 2000);
  EXPECT_EQ(sink.value("pg_up"), 0);
  EXPECT_EQ(sink.types().size(), 4U);
  EXPECT_THAT(trouble(watched), HasSubstr(server.address()));
}

TEST_F(PostgresTest, a_wrong_password_says_what_to_do_and_does_not_show_it) {
  connect::postgres::FakeServer server([](FakePeer& peer) {
    if (peer.greet()) peer.send(FakePeer::error("28P01", "password authentication failed for user \"monitor\""));
  });
  auto watched = collector(server.address());
  EXPECT_EQ(pass(watched).value("pg_up"), 0);
  EXPECT_THAT(trouble(watched), HasSubstr("ALTER ROLE \"monitor\" PASSWORD"));
  EXPECT_THAT(trouble(watched), HasSubstr("CREATE ROLE \"monitor\" LOGIN"));
  EXPECT_THAT(trouble(watched), Not(HasSubstr("not-to-be-seen")));
}

TEST_F(PostgresTest, a_user_without_rights_is_told_the_grant_and_all_that_can_be_read) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (!sql.starts_with("SELECT version()")) return std::nullopt;
    return FakePeer::rows({{"PostgreSQL", "150020", "0", std::nullopt, std::nullopt}});
  });
  auto watched = collector(server.address());
  const auto sink = pass(watched);
  EXPECT_TRUE(sink.types().contains("pg_stat_activity_count"));
  EXPECT_FALSE(sink.types().contains("pg_stat_statements_calls_total"));
  EXPECT_THAT(trouble(watched), HasSubstr("as a superuser run: GRANT pg_monitor TO \"monitor\";"));
}

TEST_F(PostgresTest, what_is_no_postgres_is_down) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql.starts_with("SET")) return std::nullopt;
    return FakePeer::rows({{"hello"}});
  });
  auto watched = collector(server.address());
  EXPECT_EQ(pass(watched).value("pg_up"), 0);
  EXPECT_THAT(trouble(watched), HasSubstr("does not answer as PostgreSQL"));
}

TEST_F(PostgresTest, hostile_values_make_no_samples_or_valid_labels) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql.contains("FROM pg_roles"))
      return FakePeer::rows(
          {{"\xff\xfe", "1"}, {std::string("a\0b", 3), "2"}, {"no number", "x"}, {std::nullopt, "3"}});
    if (sql.contains("wal_status")) return FakePeer::rows({{"too", "narrow"}});
    return std::nullopt;
  });
  auto watched = collector(server.address());
  const auto sink = pass(watched);
  EXPECT_EQ(sink.value("pg_roles_connection_limit{rolname=\"\xef\xbf\xbd\xef\xbf\xbd\"}"), 1);
  EXPECT_EQ(sink.value("pg_roles_connection_limit{rolname=\"" + std::string("a\0b", 3) + "\"}"), 2);
  EXPECT_EQ(sink.value("pg_roles_connection_limit{rolname=\"no number\"}"), std::nullopt);
  EXPECT_FALSE(sink.types().contains("pg_replication_slots_wal_status"));
}

TEST_F(PostgresTest, tables_of_every_database_are_told_when_wanted) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql.starts_with("SELECT datname FROM pg_database")) return FakePeer::rows({{"shop"}, {"stock"}});
    return std::nullopt;
  });
  auto one = collector(server.address());
  pass(one);
  EXPECT_EQ(server.connections(), 1);
  auto all = collector(server.address(), {.all_databases = true});
  RecordingSink sink;
  EXPECT_TRUE(all.collect(clock_.monotonic_ns() + 5'000'000'000, sink));
  EXPECT_EQ(server.connections(), 4);
  // The fake gives the same row in each of the three.
  EXPECT_EQ(std::ranges::count(sink.faults(),
                               "sample told twice: pg_stat_user_tables_seq_scan{datname=\"label\","
                               "relname=\"label\",schemaname=\"label\"}"),
            2);
}

TEST_F(PostgresTest, queries_fit_the_version_of_the_server) {
  FakePostgres old_server(120000);
  FakePostgres new_server(170000);
  for (auto* server : {&old_server, &new_server}) {
    auto watched = collector(server->address());
    pass(watched);
  }
  const auto old_sql = old_server.asked();
  const auto new_sql = new_server.asked();
  EXPECT_THAT(old_sql, Contains(HasSubstr("checkpoints_timed")));
  EXPECT_THAT(new_sql, Not(Contains(HasSubstr("checkpoints_timed"))));
  EXPECT_THAT(new_sql, Contains(HasSubstr("pg_stat_checkpointer")));
  EXPECT_THAT(old_sql, Not(Contains(HasSubstr("pg_stat_checkpointer"))));
  EXPECT_THAT(old_sql, Not(Contains(HasSubstr("wal_status"))));
  EXPECT_THAT(old_sql, Not(Contains(HasSubstr("active_time"))));
  EXPECT_THAT(old_sql, Not(Contains(HasSubstr("flushed_lsn"))));
  EXPECT_THAT(new_sql, Contains(HasSubstr("num_dead_item_ids")));
}

TEST(PostgresStatements, follow_the_version_of_the_extension_and_not_of_the_server) {
  ServerFacts facts;
  facts.version = 170000;
  facts.statements_schema = "ext";
  const auto sql_of = [&](int version) {
    facts.statements_version = version;
    const auto all = statements();
    return std::ranges::find(all, "stat_statements", &Statement::collector)->sql(facts);
  };
  EXPECT_THAT(sql_of(107), HasSubstr("s.total_time"));
  EXPECT_THAT(sql_of(108), HasSubstr("s.total_exec_time"));
  EXPECT_THAT(sql_of(110), HasSubstr("s.blk_read_time"));
  EXPECT_THAT(sql_of(111), HasSubstr("s.shared_blk_read_time"));
  EXPECT_THAT(sql_of(111), HasSubstr("ext.pg_stat_statements(false)"));
}

}  // namespace
}  // namespace qd::observe::postgres
