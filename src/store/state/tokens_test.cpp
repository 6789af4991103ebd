#include "store/state/tokens.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>

#include "base/temp_directory.h"

namespace qd::store::state {
namespace {

class StateTest : public testing::Test {
 protected:
  std::filesystem::path file() const { return dir_ / "state.db"; }
  const base::TempDirectory dir_;
};

TEST_F(StateTest, a_token_is_found_until_it_is_revoked) {
  auto database = Database::open(file());
  ASSERT_TRUE(database) << database.error().message();
  Tokens tokens(**database);
  const auto secret = tokens.add("deploy", Scope::kAll, 1000);
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->size(), 3 + 43u);
  EXPECT_EQ(tokens.find(*secret)->value().name, "deploy");
  EXPECT_FALSE(tokens.find(*secret + "x")->has_value());
  EXPECT_FALSE(tokens.find("")->has_value());
  ASSERT_TRUE(tokens.revoke("deploy", 2000));
  EXPECT_FALSE(tokens.find(*secret)->has_value());
  EXPECT_EQ(tokens.revoke("deploy", 3000).error().code(), base::ErrorCode::kNotFound);
  EXPECT_EQ(tokens.list()->at(0).revoked_ms, 2000);
}

TEST_F(StateTest, a_name_is_given_once) {
  auto database = Database::open(file());
  Tokens tokens(**database);
  ASSERT_TRUE(tokens.add("ops", Scope::kAll, 1));
  EXPECT_EQ(tokens.add("ops", Scope::kAll, 2).error().code(), base::ErrorCode::kConflict);
  EXPECT_EQ(tokens.add("", Scope::kAll, 2).error().code(), base::ErrorCode::kInvalid);
}

TEST_F(StateTest, a_token_keeps_its_scope) {
  auto database = Database::open(file());
  Tokens tokens(**database);
  EXPECT_EQ(tokens.find(*tokens.add("a", Scope::kSend, 1))->value().scope, Scope::kSend);
  EXPECT_EQ(tokens.find(*tokens.add("b", Scope::kAll, 2))->value().scope, Scope::kAll);
  EXPECT_EQ(tokens.list()->at(0).scope, Scope::kSend);
  EXPECT_EQ(parse_scope("read"), Scope::kRead);
  EXPECT_EQ(parse_scope("everything"), std::nullopt);
}

TEST_F(StateTest, the_secret_is_not_in_the_file) {
  std::string secret;
  {
    auto database = Database::open(file());
    secret = *Tokens(**database).add("ops", Scope::kAll, 1);
  }
  std::ifstream in(file(), std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NE(content.find("ops"), std::string::npos);
  EXPECT_EQ(content.find(secret), std::string::npos);
}

TEST_F(StateTest, two_processes_share_it) {
  auto server = Database::open(file());
  auto command = Database::open(file());
  const auto secret = Tokens(**command).add("ops", Scope::kAll, 1);
  ASSERT_TRUE(secret);
  EXPECT_TRUE(Tokens(**server).find(*secret)->has_value());
}

TEST_F(StateTest, a_newer_schema_is_refused) {
  ASSERT_TRUE(Database::open(file()));
  sqlite3* raw = nullptr;
  sqlite3_open(file().c_str(), &raw);
  sqlite3_exec(raw, "PRAGMA user_version=99", nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  const auto again = Database::open(file());
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message().find("newer Quarterdeck"), std::string::npos);
}

TEST_F(StateTest, a_file_that_is_no_database_is_named) {
  std::ofstream(file()) << std::string(4096, 'x');
  const auto opened = Database::open(file());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), base::ErrorCode::kCorrupt);
  EXPECT_NE(opened.error().message().find("state.db"), std::string::npos);
  EXPECT_NE(opened.error().message().find("move it away"), std::string::npos);
}

}  // namespace
}  // namespace qd::store::state
