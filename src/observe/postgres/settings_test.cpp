#include "observe/postgres/settings.h"

#include <gtest/gtest.h>

#include "observe/postgres/config.h"
#include "observe/postgres/fake_postgres_for_test.h"
#include "observe/recording_sink.h"

namespace qd::observe::postgres {
namespace {

using connect::postgres::FakePeer;

TEST(PostgresSettings, are_told_in_base_units) {
  FakePostgres server(150020, [](const std::string& sql) -> std::optional<std::string> {
    if (sql != kSettingsSql) return std::nullopt;
    return FakePeer::rows({{"a_flag", "on", "", "bool"},
                           {"a_flag_off", "off", "", "bool"},
                           {"a_number", "2.5", "", "real"},
                           {"broken", "many", "", "integer"},
                           {"ext.some-thing", "3", "", "integer"},
                           {"managed", "30s", "s", "integer"},
                           {"memory", "16384", "8kB", "integer"},
                           {"off", "-1", "kB", "integer"},
                           {"strange", "1", "furlong", "integer"},
                           {"timeout", "1500", "ms", "integer"},
                           {"wal", "64", "16MB", "integer"},
                           {"wait", "2", "min", "integer"}});
  });
  base::SystemClock clock;
  Options options;
  options.address = server.address();
  PostgresCollector collector(options, clock, base::Log::silent());
  for (int pass = 0; pass < 2; ++pass) {
    RecordingSink sink;
    ASSERT_TRUE(collector.collect(clock.monotonic_ns() + 5'000'000'000, sink));
    EXPECT_EQ(sink.value("pg_settings_a_flag"), 1);
    EXPECT_EQ(sink.value("pg_settings_a_flag_off"), 0);
    EXPECT_EQ(sink.value("pg_settings_a_number"), 2.5);
    EXPECT_EQ(sink.value("pg_settings_ext_some_thing"), 3);
    EXPECT_EQ(sink.value("pg_settings_managed_seconds"), 30);
    EXPECT_EQ(sink.value("pg_settings_memory_bytes"), 134'217'728);
    EXPECT_EQ(sink.value("pg_settings_off_bytes"), -1);
    EXPECT_EQ(sink.value("pg_settings_timeout_seconds"), 1.5);
    EXPECT_EQ(sink.value("pg_settings_wal_bytes"), 1'073'741'824);
    EXPECT_EQ(sink.value("pg_settings_wait_seconds"), 120);
    EXPECT_FALSE(sink.types().contains("pg_settings_broken"));
    EXPECT_FALSE(sink.types().contains("pg_settings_strange"));
    EXPECT_EQ(sink.helps().find("pg_settings_timeout_seconds")->second,
              "Server Parameter: timeout [Units converted to seconds.]");
  }
}

base::Status load(const std::string& text, std::vector<Options>& instances) {
  model::config::Schema schema;
  declare_instances(schema, instances);
  model::config::Sources sources;
  auto node = model::config::parse_yaml(text, "quarterdeck.yaml");
  if (!node) return base::fail(node.error());
  sources.file = *node;
  return schema.load(sources);
}

TEST(PostgresConfig, reads_a_list_of_servers) {
  std::vector<Options> instances;
  ASSERT_TRUE(
      load("observe: {postgres: [{}, {address: \"db:5433\", user: monitor, password: x, database: shop, "
           "sslmode: verify-full, ca_file: /ca.pem, queries_file: /q.yaml, all_databases: true, "
           "statements_limit: 5}]}",
           instances));
  ASSERT_EQ(instances.size(), 2U);
  EXPECT_EQ(instances[0].address, "127.0.0.1:5432");
  EXPECT_EQ(instances[0].sslmode, "prefer");
  EXPECT_EQ(instances[1].password, "x");
  EXPECT_EQ(instances[1].statements_limit, 5);
  EXPECT_TRUE(instances[1].all_databases);
}

TEST(PostgresConfig, refuses_what_cannot_be_right) {
  std::vector<Options> instances;
  EXPECT_FALSE(load("observe: {postgres: [{address: db}]}", instances));
  EXPECT_FALSE(load("observe: {postgres: [{sslmode: maybe}]}", instances));
  EXPECT_FALSE(load("observe: {postgres: [{queries_file: q.yaml}]}", instances));
  EXPECT_FALSE(load("observe: {postgres: [{usr: x}]}", instances));
}

}  // namespace
}  // namespace qd::observe::postgres
