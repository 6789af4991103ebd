#include "connect/postgres/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "connect/postgres/fake_server_for_test.h"

namespace qd::connect::postgres {
namespace {

using base::ErrorCode;
using testing::HasSubstr;
using testing::Not;

class ConnectionTest : public testing::Test {
 protected:
  std::int64_t in_ms(std::int64_t ms) const { return clock_.monotonic_ns() + ms * 1'000'000; }
  ConnectionOptions options(const FakeServer& server) const {
    ConnectionOptions options;
    options.address = server.address();
    options.user = "monitor";
    options.password = "not-to-be-seen";
    options.database = "postgres";
    return options;
  }
  base::Status query(Connection& connection, std::int64_t ms, const AnswerLimits& limits = {}) {
    rows_.clear();
    return connection.query("SELECT 1", in_ms(ms), limits, [this](const Row& row) {
      std::string line;
      for (int i = 0; i < row.columns(); ++i) {
        line += std::string(row.name(i)) + "=" + std::string(row.value(i).value_or("NULL")) + ";";
      }
      rows_.push_back(line);
    });
  }

  base::SystemClock clock_;
  std::vector<std::string> rows_;
};

TEST_F(ConnectionTest, gives_rows_as_text_and_knows_null_from_empty) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    while (peer.query()) peer.send(FakePeer::rows({{"a", std::nullopt}, {"", "b"}}));
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  EXPECT_EQ(connection.server_version(), 150020);
  ASSERT_TRUE(query(connection, 5000));
  EXPECT_THAT(rows_, testing::ElementsAre("c0=a;c1=NULL;", "c0=;c1=b;"));
  EXPECT_TRUE(query(connection, 5000));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(ConnectionTest, a_server_that_says_nothing_costs_the_deadline_and_no_more) {
  std::atomic<bool> over = false;
  FakeServer server([&](FakePeer& peer) {
    peer.greet();
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  Connection connection(clock_);
  const auto from_ns = clock_.monotonic_ns();
  const auto opened = connection.open(options(server), in_ms(150));
  const auto took_ms = (clock_.monotonic_ns() - from_ns) / 1'000'000;
  over = true;
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(opened.error().message(), HasSubstr(server.address()));
  EXPECT_GE(took_ms, 149);
  EXPECT_LT(took_ms, 2000);
}

TEST_F(ConnectionTest, a_statement_without_an_answer_ends_at_the_deadline_and_closes) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    while (peer.query()) {
    }
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 100);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, rows_without_end_stop_at_the_deadline) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    peer.query();
    std::string many = FakePeer::description({"a"});
    const std::string row = FakePeer::row({"1"});
    for (int i = 0; i < 1000; ++i) many += row;
    peer.send(many);
    while (peer.send(many.substr(many.size() - row.size() * 1000))) {
    }
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const AnswerLimits wide{std::size_t{1} << 40, std::size_t{1} << 40};
  const auto status = query(connection, 100, wide);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, an_answer_that_breaks_off_is_unavailable) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    peer.query();
    peer.send(FakePeer::description({"a"}) + FakePeer::row({"1"}) + "D");
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 5000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, bytes_that_are_no_protocol_are_unavailable) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    peer.query();
    peer.send(std::string(100'000, '\xff'));
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 1000);
  ASSERT_FALSE(status);
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, more_rows_than_allowed_are_a_limit) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    while (peer.query()) peer.send(FakePeer::rows(std::vector<FakeRow>(11, FakeRow{"1"})));
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 5000, {.rows_max = 10});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
  EXPECT_THAT(status.error().message(), HasSubstr("10 rows"));
  EXPECT_EQ(rows_.size(), 10U);
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, a_value_of_a_gigabyte_is_a_limit_before_it_is_read) {
  std::atomic<std::size_t> sent = 0;
  FakeServer server([&](FakePeer& peer) {
    peer.welcome();
    peer.query();
    constexpr std::uint32_t kSize = 1'000'000'000;
    peer.send(FakePeer::description({"a"}) + "D" + FakePeer::number(kSize + 10) + FakePeer::small(1) +
              FakePeer::number(kSize));
    const std::string part(1 << 16, 'x');
    while (sent < kSize && peer.send(part)) {
      sent += part.size();
      // Slow enough that the watch is in time on a busy machine.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 5000, {.bytes_max = 4 << 20});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
  EXPECT_FALSE(connection.is_open());
  EXPECT_LT(sent, std::size_t{200} << 20);
}

TEST_F(ConnectionTest, a_greeting_of_a_gigabyte_is_not_read) {
  std::atomic<std::size_t> sent = 0;
  FakeServer server([&](FakePeer& peer) {
    constexpr std::uint32_t kSize = 1'000'000'000;
    if (!peer.greet() || !peer.send(FakePeer::message('R', FakePeer::number(0)) + "E" + FakePeer::number(kSize)))
      return;
    const std::string part(1 << 16, 'x');
    while (sent < kSize && peer.send(part)) {
      sent += part.size();
      // Slow enough that the watch is in time on a busy machine.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  Connection connection(clock_);
  EXPECT_FALSE(connection.open(options(server), in_ms(5000)));
  EXPECT_LT(sent, std::size_t{200} << 20);
}

TEST_F(ConnectionTest, what_the_server_refuses_leaves_the_connection_open) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    while (peer.query()) {
      peer.send(FakePeer::error("42501", "permission denied for function pg_ls_waldir") + FakePeer::ready());
    }
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  const auto status = query(connection, 5000);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(connection.said().sqlstate, "42501");
  EXPECT_EQ(connection.said().message, "permission denied for function pg_ls_waldir");
  EXPECT_TRUE(connection.is_open());
}

TEST_F(ConnectionTest, copy_is_refused) {
  FakeServer server([](FakePeer& peer) {
    peer.welcome();
    peer.query();
    peer.send(FakePeer::message('H', std::string("\0", 1) + FakePeer::small(0)));
    peer.query();
  });
  Connection connection(clock_);
  ASSERT_TRUE(connection.open(options(server), in_ms(5000)));
  EXPECT_FALSE(query(connection, 5000));
  EXPECT_FALSE(connection.is_open());
}

TEST_F(ConnectionTest, a_refused_password_is_a_permission_and_not_in_the_error) {
  FakeServer server([](FakePeer& peer) {
    if (peer.greet()) peer.send(FakePeer::error("28P01", "no entry for not-to-be-seen"));
  });
  Connection connection(clock_);
  const auto opened = connection.open(options(server), in_ms(5000));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(connection.said().sqlstate, "28P01");
  EXPECT_THAT(opened.error().message(), Not(HasSubstr("not-to-be-seen")));
}

TEST_F(ConnectionTest, nobody_there_is_unavailable) {
  ConnectionOptions options;
  options.address = "/nowhere/.s.PGSQL.5432";
  Connection connection(clock_);
  const auto opened = connection.open(options, in_ms(5000));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnavailable);
  options.address = "no port";
  EXPECT_EQ(connection.open(options, in_ms(5000)).error().code(), ErrorCode::kInvalid);
}

TEST(PostgresError, is_read_whatever_language_the_server_speaks) {
  const auto said = read_error(
      "connection to server at \"::1\", port 5432 failed: SCHWERWIEGEND:  28P01: Passwort stimmt nicht\nORT:  a.c:1\n");
  EXPECT_EQ(said.sqlstate, "28P01");
  EXPECT_EQ(said.message, "Passwort stimmt nicht");
  const auto library = read_error("connection to server at \"::1\", port 5432 failed: Connection refused\n\tIs it?\n");
  EXPECT_EQ(library.sqlstate, "");
  EXPECT_EQ(library.message, "Connection refused");
  EXPECT_EQ(read_error("").message, "");
  EXPECT_EQ(read_error("FATAL:  28P01: \xff").message, "(a text that is not UTF-8)");
}

}  // namespace
}  // namespace qd::connect::postgres
