#include "connect/mysql/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "connect/mysql/fake_mysql_for_test.h"

namespace qd::connect::mysql {
namespace {

using base::ErrorCode;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSecond = 1'000'000'000;
// On top of a deadline, on a machine that is busy with other tests.
constexpr std::int64_t kGrace = kSecond;

class MysqlClientTest : public testing::Test {
 protected:
  std::int64_t in_ms(std::int64_t ms) const { return clock_.monotonic_ns() + ms * 1'000'000; }
  Client client(const std::string& address, Tls tls = {}) const {
    return Client({address, "monitor", "s3cret!", std::move(tls)}, clock_);
  }

  const base::SystemClock clock_;
};

TEST_F(MysqlClientTest, rows_come_as_text_with_null_and_any_bytes) {
  const std::string odd("a\0b\xff", 4);
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view sql) {
    EXPECT_EQ(sql, "SELECT 1");
    return FakeAnswer{.columns = {"Name", "value"}, .rows = {{odd, std::nullopt}, {"", "18446744073709551615"}}};
  }));
  Client one = client(server.address());
  ASSERT_TRUE(one.open(in_ms(5000)));
  Table table;
  for (int times = 0; times < 2; ++times) {
    const auto status = one.query("SELECT 1", table, in_ms(5000));
    ASSERT_TRUE(status) << status.error().message();
    ASSERT_EQ(table.rows(), 2u);
    ASSERT_EQ(table.columns(), 2u);
    EXPECT_EQ(table.find("NAME"), 0u);
    EXPECT_EQ(table.find("nothing"), std::nullopt);
    EXPECT_EQ(table.cell(0, 0), odd);
    EXPECT_EQ(table.cell(0, 1), std::nullopt);
    EXPECT_EQ(table.cell(1, 0), "");
    EXPECT_EQ(table.text(1, 1), "18446744073709551615");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(MysqlClientTest, an_error_of_the_server_leaves_the_connection_open) {
  FakeServer server(fake_mysql("8.4.3", [](std::string_view sql) {
    if (sql == "SELECT 1") return FakeAnswer{.columns = {"1"}, .rows = {{"1"}}};
    return FakeAnswer{.error = 1142, .message = "SELECT command denied to user 'monitor'@'%' for table 'x'"};
  }));
  Client one = client(server.address());
  ASSERT_TRUE(one.open(in_ms(5000)));
  Table table;
  const auto status = one.query("SELECT * FROM x", table, in_ms(5000));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(one.server_error(), 1142u);
  EXPECT_THAT(status.error().message(), HasSubstr("SELECT command denied"));
  EXPECT_TRUE(one.is_open());
  EXPECT_TRUE(one.query("SELECT 1", table, in_ms(5000)));
  EXPECT_TRUE(one.ping(in_ms(5000)));
}

TEST_F(MysqlClientTest, a_refusal_shows_no_password) {
  FakeServer server([](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string reply;
    if (mysql.greet("10.11.6-MariaDB") && mysql.read_packet(reply)) mysql.error(1045, "no, s3cret! is wrong\n\x01");
  });
  Client one = client(server.address());
  const auto status = one.open(in_ms(5000));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kPermission);
  EXPECT_EQ(one.server_error(), 1045u);
  EXPECT_THAT(status.error().message(), HasSubstr(server.address()));
  EXPECT_THAT(status.error().message(), HasSubstr("no, <secret> is wrong"));
  EXPECT_THAT(status.error().message(), Not(HasSubstr("\n")));
  EXPECT_FALSE(one.is_open());
}

TEST_F(MysqlClientTest, a_server_that_says_nothing_takes_the_deadline_and_no_longer) {
  FakeServer server([](FakePeer& peer) { peer.wait_for_end(); });
  Client one = client(server.address());
  const std::int64_t from = clock_.monotonic_ns();
  const auto status = one.open(in_ms(300));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
  EXPECT_GE(clock_.monotonic_ns() - from, 300'000'000);
  EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGrace);
  EXPECT_FALSE(one.is_open());
}

TEST_F(MysqlClientTest, a_server_that_falls_silent_in_the_handshake_of_tls_takes_the_deadline_and_no_longer) {
  std::atomic<int> hellos = 0;
  FakeServer server([&](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string request;
    if (!mysql.greet("8.4.3", "mysql_native_password", true) || !mysql.read_packet(request)) return;
    std::string hello;
    if (peer.read_exact(3, hello) && hello.starts_with("\x16\x03")) ++hellos;
    peer.wait_for_end();
  });
  Client one = client(server.address(), {.enabled = true, .insecure_skip_verify = true});
  const std::int64_t from = clock_.monotonic_ns();
  const auto status = one.open(in_ms(300));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout) << status.error().message();
  EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGrace);
  EXPECT_EQ(hellos, 1);
}

TEST_F(MysqlClientTest, a_handshake_of_tls_that_creeps_takes_the_deadline_and_no_longer) {
  FakeServer server([&](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string request;
    if (!mysql.greet("8.4.3", "mysql_native_password", true) || !mysql.read_packet(request)) return;
    if (!peer.send(std::string("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 9))) return;
    while (peer.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
  Client one = client(server.address(), {.enabled = true, .insecure_skip_verify = true});
  const std::int64_t from = clock_.monotonic_ns();
  const auto status = one.open(in_ms(500));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout) << status.error().message();
  EXPECT_GE(clock_.monotonic_ns() - from, 500'000'000);
  EXPECT_LT(clock_.monotonic_ns() - from, 500'000'000 + kGrace);
}

TEST_F(MysqlClientTest, a_byte_at_a_time_takes_the_deadline_and_no_longer) {
  FakeServer server([](FakePeer& peer) {
    if (!peer.send(std::string("\xff\xff\x00\x00", 4))) return;
    while (peer.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  Client one = client(server.address());
  const std::int64_t from = clock_.monotonic_ns();
  const auto status = one.open(in_ms(300));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
  EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGrace);
}

TEST_F(MysqlClientTest, what_is_not_mysql_is_refused) {
  for (const std::string& greeting : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string(100'000, '\xff'),
                                      std::string(1000, '\0'), std::string("\x01\0\0\0\x0a", 5), std::string()}) {
    FakeServer server([&](FakePeer& peer) { peer.send(greeting); });
    Client one = client(server.address());
    const auto status = one.open(in_ms(2000));
    ASSERT_FALSE(status);
    EXPECT_EQ(one.server_error(), 0u);
    EXPECT_FALSE(one.is_open());
  }
}

TEST_F(MysqlClientTest, a_server_may_not_ask_for_the_password_in_the_clear) {
  std::string sent;
  {
    FakeServer server([&](FakePeer& peer) {
      FakeMysql mysql(peer);
      std::string reply;
      if (!mysql.greet("8.4.3") || !mysql.read_packet(reply)) return;
      sent += reply;
      mysql.send_packet(std::string("\xfemysql_clear_password\0", 22));
      if (mysql.read_packet(reply)) sent += reply;
    });
    Client one = client(server.address());
    EXPECT_FALSE(one.open(in_ms(5000)));
  }
  EXPECT_THAT(sent, HasSubstr("monitor"));
  EXPECT_THAT(sent, Not(HasSubstr("s3cret!")));
}

TEST_F(MysqlClientTest, a_server_may_not_ask_for_files) {
  std::string got;
  {
    FakeServer server([&](FakePeer& peer) {
      FakeMysql mysql(peer);
      std::string command;
      if (!mysql.sign_on("8.4.3") || !mysql.read_packet(command)) return;
      mysql.send_packet("\xfb/etc/passwd");
      if (mysql.read_packet(command)) got = command;
    });
    Client one = client(server.address());
    ASSERT_TRUE(one.open(in_ms(5000)));
    Table table;
    EXPECT_FALSE(one.query("SELECT 1", table, in_ms(2000)));
  }
  EXPECT_EQ(got, "");
}

TEST_F(MysqlClientTest, a_limit_closes_the_connection) {
  FakeServer server(fake_mysql("8.4.3", [](std::string_view) {
    return FakeAnswer{.columns = {"a"}, .rows = std::vector<FakeRow>(100, FakeRow{std::string(1000, 'x')})};
  }));
  Client one = client(server.address());
  Table table;
  ASSERT_TRUE(one.open(in_ms(5000)));
  auto status = one.query("SELECT 1", table, in_ms(5000), {.rows = 99});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
  EXPECT_THAT(status.error().message(), HasSubstr("more than 99 rows"));
  EXPECT_FALSE(one.is_open());

  ASSERT_TRUE(one.open(in_ms(5000)));
  status = one.query("SELECT 1", table, in_ms(5000), {.rows = 100, .bytes = 99'999});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kLimit);
  EXPECT_LE(table.bytes(), 99'999u);

  ASSERT_TRUE(one.open(in_ms(5000)));
  EXPECT_TRUE(one.query("SELECT 1", table, in_ms(5000), {.rows = 100, .bytes = 100'000}));
}

TEST_F(MysqlClientTest, an_endless_cell_is_cut_off) {
  std::atomic<int> packets = 0;
  FakeServer server([&](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string command;
    if (!mysql.sign_on("8.4.3") || !mysql.read_packet(command)) return;
    mysql.send_packet("\x01");
    mysql.send_packet(FakeMysql::column("a"));
    mysql.end();
    // A row of packets that all say that another follows.
    std::string full;
    full.resize(0xffffff, 'x');
    while (mysql.send_packet(full)) ++packets;
  });
  Client one = client(server.address());
  ASSERT_TRUE(one.open(in_ms(5000)));
  Table table;
  const auto status = one.query("SELECT 1", table, in_ms(5000));
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().code(), AnyOf(ErrorCode::kLimit, ErrorCode::kUnavailable)) << status.error().message();
  EXPECT_EQ(table.rows(), 0u);
  EXPECT_LE(packets, 2);
}

TEST_F(MysqlClientTest, rows_without_end_take_the_deadline_and_no_longer) {
  FakeServer server([](FakePeer& peer) {
    FakeMysql mysql(peer);
    std::string command;
    if (!mysql.sign_on("8.4.3") || !mysql.read_packet(command)) return;
    mysql.send_packet("\x01");
    mysql.send_packet(FakeMysql::column("a"));
    mysql.end();
    while (mysql.send_packet("\x01x")) {
    }
  });
  Client one = client(server.address());
  ASSERT_TRUE(one.open(in_ms(5000)));
  Table table;
  const std::int64_t from = clock_.monotonic_ns();
  const auto status = one.query("SELECT 1", table, in_ms(300), {.rows = SIZE_MAX, .bytes = SIZE_MAX});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout) << status.error().message();
  EXPECT_LT(clock_.monotonic_ns() - from, 300'000'000 + kGrace);
}

TEST_F(MysqlClientTest, an_answer_that_stops_in_the_middle_is_an_error) {
  std::atomic<bool> hangs_up = false;
  FakeServer server(fake_mysql("8.4.3", [&](std::string_view) {
    return FakeAnswer{.columns = {"a"},
                      .rows = std::vector<FakeRow>(10, FakeRow{"x"}),
                      .falls_silent = !hangs_up,
                      .hangs_up = hangs_up};
  }));
  Client one = client(server.address());
  Table table;
  ASSERT_TRUE(one.open(in_ms(5000)));
  auto status = one.query("SELECT 1", table, in_ms(200));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kTimeout);
  EXPECT_FALSE(one.is_open());

  hangs_up = true;
  ASSERT_TRUE(one.open(in_ms(5000)));
  status = one.query("SELECT 1", table, in_ms(5000));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(one.is_open());
}

TEST_F(MysqlClientTest, a_count_of_columns_that_cannot_be_is_refused) {
  for (const std::string_view count :
       {std::string_view("\xfd\x00\x00\x01", 4), std::string_view("\xfd\x00\x00\x08", 4)}) {
    FakeServer server([&](FakePeer& peer) {
      FakeMysql mysql(peer);
      std::string command;
      if (!mysql.sign_on("8.4.3") || !mysql.read_packet(command)) return;
      mysql.send_packet(count);
      mysql.end();
      peer.wait_for_end();
    });
    Client one = client(server.address());
    ASSERT_TRUE(one.open(in_ms(5000)));
    Table table;
    const auto status = one.query("SELECT 1", table, in_ms(500));
    EXPECT_FALSE(status);
  }
}

TEST_F(MysqlClientTest, nobody_there_is_said) {
  for (const auto& [address, code, text] :
       {std::tuple("127.0.0.1:1", ErrorCode::kUnavailable, "127.0.0.1:1: connecting"),
        std::tuple("/nothing/here.sock", ErrorCode::kUnavailable, "/nothing/here.sock"),
        std::tuple("nobody.invalid:3306", ErrorCode::kUnavailable, "nobody.invalid"),
        std::tuple("3306", ErrorCode::kInvalid, "3306")}) {
    Client one = client(address);
    const auto status = one.open(in_ms(3000));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), code) << status.error().message();
    EXPECT_THAT(status.error().message(), HasSubstr(text));
    Table table;
    EXPECT_FALSE(one.query("SELECT 1", table, in_ms(1000)));
  }
}

}  // namespace
}  // namespace qd::connect::mysql
