#include "observe/mysql/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace qd::observe::mysql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

base::Result<std::vector<Options>> read(const std::string& yaml) {
  std::vector<Options> instances;
  model::config::Schema schema;
  declare_instances(schema, instances);
  model::config::Sources sources;
  sources.sets = {"observe.mysql=" + yaml};
  if (const auto status = schema.load(sources); !status) return base::fail(status.error());
  return instances;
}

TEST(MysqlConfigTest, a_server_has_every_setting) {
  const auto instances =
      read(R"([{address: "db1:3307", user: monitor, password: secret, digests_limit: 5, heartbeat_table: ops.beat,)"
           R"( tls: {enabled: true, ca_file: /ca.pem, insecure_skip_verify: true},)"
           R"( collect: [info_schema.tables, -engine_innodb_status]}, {}])");
  ASSERT_TRUE(instances) << instances.error().message();
  ASSERT_EQ(instances->size(), 2u);
  const Options& first = instances->front();
  EXPECT_EQ(first.address, "db1:3307");
  EXPECT_EQ(first.user, "monitor");
  EXPECT_EQ(first.password, "secret");
  EXPECT_TRUE(first.tls.enabled);
  EXPECT_EQ(first.tls.ca_file, "/ca.pem");
  EXPECT_TRUE(first.tls.insecure_skip_verify);
  EXPECT_EQ(first.digests_limit, 5);
  EXPECT_EQ(first.heartbeat_table, "ops.beat");
  EXPECT_THAT(first.collect, ElementsAre("info_schema.tables", "-engine_innodb_status"));
  EXPECT_EQ(instances->back().address, "127.0.0.1:3306");
  EXPECT_EQ(instances->back().digests_limit, 100);
}

TEST(MysqlConfigTest, what_cannot_be_is_refused_with_a_hint) {
  for (const auto& [yaml, text] : {std::pair("[{collect: [info_schema.table]}]", "info_schema.tables"),
                                   {"[{collect: [-everything]}]", "everything"},
                                   {"[{address: db1}]", "has no port"},
                                   {"[{heartbeat_table: beat}]", "database.table"},
                                   {"[{digests_limit: 0}]", "digests_limit"},
                                   {"[{passwort: x}]", "passwort"}}) {
    const auto instances = read(yaml);
    ASSERT_FALSE(instances) << yaml;
    EXPECT_THAT(instances.error().message(), HasSubstr(text));
  }
}

}  // namespace
}  // namespace qd::observe::mysql
