#include "observe/mysql/server.h"

#include <gtest/gtest.h>

#include <tuple>

namespace qd::observe::mysql {
namespace {

TEST(MysqlServerTest, versions_and_dialects_are_told_apart) {
  for (const auto& [text, is_mariadb, major, minor, patch] :
       {std::tuple("8.4.3", false, 8, 4, 3), std::tuple("8.0.36-28.1", false, 8, 0, 36),
        std::tuple("5.7.44-log", false, 5, 7, 44), std::tuple("10.11.6-MariaDB-0+deb12u1-log", true, 10, 11, 6),
        std::tuple("11.8-MariaDB", true, 11, 8, 0), std::tuple("5.5.5-10.6.1-MariaDB", true, 10, 6, 1),
        std::tuple("", false, 0, 0, 0), std::tuple("99999999999.1", false, 0, 0, 0)}) {
    Server server;
    set_version(server, text);
    EXPECT_EQ(server.is_mariadb, is_mariadb) << text;
    EXPECT_EQ(std::tuple(server.major, server.minor, server.patch), std::tuple(major, minor, patch)) << text;
  }
  Server server;
  set_version(server, "8.0.28");
  EXPECT_TRUE(server.is_at_least(8, 0, 28));
  EXPECT_TRUE(server.is_at_least(5, 7, 40));
  EXPECT_FALSE(server.is_at_least(8, 0, 29));
  EXPECT_FALSE(server.is_at_least(8, 4));
}

TEST(MysqlServerTest, accounts_are_quoted_for_sql) {
  EXPECT_EQ(quoted_account("monitor@10.0.%"), "'monitor'@'10.0.%'");
  EXPECT_EQ(quoted_account("o'neil@home@%"), "'o''neil@home'@'%'");
  EXPECT_EQ(quoted_account("a\nb"), "'ab'@'%'");
  EXPECT_EQ(refused_account("x: Access denied for user 'monitor'@'localhost' (using password: YES) (1045)"),
            "'monitor'@'localhost'");
  EXPECT_EQ(refused_account("Host '10.0.0.1' is not allowed to connect"), std::nullopt);
  EXPECT_EQ(refused_account("user 'a'@"), std::nullopt);
  EXPECT_EQ(refused_account("user 'a'@'b"), std::nullopt);
}

TEST(MysqlServerTest, process_is_found_among_grants) {
  EXPECT_EQ(grants_process("GRANT SELECT, PROCESS, BINLOG MONITOR ON *.* TO `monitor`@`%`"), true);
  EXPECT_EQ(grants_process("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"), true);
  EXPECT_EQ(grants_process("GRANT USAGE ON *.* TO `monitor`@`%`"), false);
  EXPECT_EQ(grants_process("GRANT ALL PRIVILEGES ON `process`.* TO `monitor`@`%`"), false);
  EXPECT_EQ(grants_process("GRANT `observer`@`%` TO `monitor`@`%`"), std::nullopt);
  EXPECT_EQ(grants_process("SET DEFAULT ROLE ..."), false);
}

TEST(MysqlServerTest, the_grant_fits_the_dialect) {
  Server server;
  set_version(server, "8.4.3");
  EXPECT_EQ(grant_statement(server, "'m'@'%'"), "GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'm'@'%';");
  EXPECT_EQ(grant_statement(server, "'m'@'%'", true),
            "GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE, SELECT ON *.* TO 'm'@'%';");
  set_version(server, "10.4.34-MariaDB");
  EXPECT_EQ(grant_statement(server, "'m'@'%'"), "GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'm'@'%';");
  set_version(server, "10.11.6-MariaDB");
  EXPECT_EQ(grant_statement(server, "'m'@'%'"),
            "GRANT PROCESS, REPLICATION CLIENT, SLAVE MONITOR, SELECT ON *.* TO 'm'@'%';");
  EXPECT_EQ(grant_statement(server, "'m'@'%'", true),
            "GRANT PROCESS, REPLICATION CLIENT, SLAVE MONITOR, REPLICATION MASTER ADMIN, SELECT ON *.* TO 'm'@'%';");
}

}  // namespace
}  // namespace qd::observe::mysql
