// The client against a real MariaDB.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "connect/mysql/client.h"
#include "connect/mysql/mariadb_for_test.h"

namespace qd::connect::mysql {
namespace {

using base::ErrorCode;
using testing::HasSubstr;

constexpr std::int64_t kGraceNs = 900'000'000;

class MariadbTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto shell = [](const std::string& line) { return std::system((line + " >/dev/null 2>&1").c_str()); };
    const std::string in = "cd " + files_.path().string() + " && ";
    const bool made =
        shell(in + "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem -subj '/CN=ours'") ==
            0 &&
        shell(in + "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout x.key -out other.pem -subj '/CN=x'") ==
            0 &&
        shell(in + "openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=localhost'") ==
            0 &&
        shell(in +
              "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem") == 0;
    if (!made) {
      why_ = "the openssl command is not there";
      return;
    }
    server_ =
        MariadbForTest::start(
            {"--ssl-ca=" + file("ca.pem"), "--ssl-cert=" + file("server.pem"), "--ssl-key=" + file("server.key")}, why_)
            .release();
    if (server_ == nullptr) return;
    Client root({server_->socket(), "root", "", {}}, clock_);
    Table table;
    if (!root.open(in_ms(10'000)) ||
        !root.query("CREATE USER 'monitor'@'%' IDENTIFIED BY 's3cret!'", table, in_ms(10'000))) {
      why_ = "the account was not made";
    }
  }
  static void TearDownTestSuite() { delete server_; }
  void SetUp() override {
    if (!why_.empty()) GTEST_SKIP() << why_;
  }

  static std::int64_t in_ms(std::int64_t ms) { return clock_.monotonic_ns() + ms * 1'000'000; }
  static std::string file(const std::string& name) { return files_ / name; }
  static Client client(const std::string& host, Tls tls = {}, const std::string& password = "s3cret!") {
    return Client({host + ":" + std::to_string(server_->port()), "monitor", password, std::move(tls)}, clock_);
  }
  static void expect_bounded(Client&& one) {
    const auto opened = one.open(in_ms(5000));
    ASSERT_TRUE(opened) << opened.error().message();
    Table table;
    const auto answered =
        one.query("SELECT REPEAT('x', 100000) FROM information_schema.collations LIMIT 50", table, in_ms(5000));
    ASSERT_TRUE(answered) << answered.error().message();
    EXPECT_EQ(table.bytes(), 5'000'000u);
    const std::int64_t from = clock_.monotonic_ns();
    const auto status = one.query("SELECT SLEEP(5)", table, in_ms(300));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
    EXPECT_GE(clock_.monotonic_ns() - from, 300'000'000);
    EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGraceNs);
    EXPECT_FALSE(one.is_open());
    ASSERT_TRUE(one.open(in_ms(5000)));
    EXPECT_TRUE(one.query("SELECT 1", table, in_ms(5000)));
  }

  static inline const base::SystemClock clock_;
  static inline base::TempDirectory files_;
  static inline std::string why_;
  static inline MariadbForTest* server_ = nullptr;
};

TEST_F(MariadbTest, a_statement_that_takes_long_takes_the_deadline_and_no_longer) {
  expect_bounded(client("127.0.0.1"));
  expect_bounded(Client({server_->socket(), "root", "", {}}, clock_));
}

TEST_F(MariadbTest, the_same_holds_under_tls) {
  expect_bounded(client("localhost", {.enabled = true, .ca_file = file("ca.pem")}));
}

TEST_F(MariadbTest, a_certificate_is_checked_unless_told_not_to) {
  Client other = client("localhost", {.enabled = true, .ca_file = file("other.pem")});
  const auto refused = other.open(in_ms(5000));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("tls.ca_file"));

  // It is for localhost.
  Client elsewhere = client("127.0.0.1", {.enabled = true, .ca_file = file("ca.pem")});
  EXPECT_FALSE(elsewhere.open(in_ms(5000)));

  Client any = client("127.0.0.1", {.enabled = true, .insecure_skip_verify = true});
  const auto opened = any.open(in_ms(5000));
  ASSERT_TRUE(opened) << opened.error().message();
  Table table;
  ASSERT_TRUE(any.query("SHOW STATUS LIKE 'Ssl_version'", table, in_ms(5000)));
  EXPECT_THAT(std::string(table.text(0, 1)), HasSubstr("TLS"));
}

TEST_F(MariadbTest, a_wrong_password_is_a_refusal) {
  Client wrong = client("127.0.0.1", {}, "w0rse!");
  const auto status = wrong.open(in_ms(5000));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(wrong.server_error(), 1045u);
  EXPECT_THAT(status.error().message(), HasSubstr("Access denied for user 'monitor'@'localhost'"));
}

}  // namespace
}  // namespace qd::connect::mysql
