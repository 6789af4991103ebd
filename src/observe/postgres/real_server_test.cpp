// Against a real PostgreSQL 15 with a streaming replica, where Debian's package is installed.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/temp_directory.h"
#include "connect/postgres/connection.h"
#include "connect/postgres/fake_server_for_test.h"
#include "observe/postgres/families.h"
#include "observe/postgres/postgres.h"
#include "observe/recording_sink.h"

namespace qd::observe::postgres {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kPrograms = "/usr/lib/postgresql/15/bin";

// A port that nobody listens on right now.
int free_port() {
  const connect::postgres::FakeServer server([](auto&) {});
  return std::atoi(server.address().substr(server.address().find(':') + 1).c_str());
}

// A primary and its replica. PostgreSQL refuses to be started by root.
class Cluster {
 public:
  static bool is_possible() {
    return ::access(fmt::format("{}/postgres", kPrograms).c_str(), X_OK) == 0 &&
           (::geteuid() != 0 || ::access("/usr/sbin/runuser", X_OK) == 0);
  }

  Cluster() {
    std::ofstream(directory_ / "password") << "secret\n";
    if (::geteuid() == 0) run("chown -R postgres " + path(""), false);
    run(fmt::format("{}/initdb -D {} -U postgres -N -A scram-sha-256 --pwfile={}", kPrograms, path("a"),
                    path("password")));
    std::ofstream(directory_ / "settings") << fmt::format(
        "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n"
        "shared_preload_libraries = 'pg_stat_statements'\nmax_wal_senders = 5\n",
        port_, directory_.path().native());
    run(fmt::format("sh -c 'cat {} >> {}'", path("settings"), path("a/postgresql.conf")));
    start("a");
    sql("CREATE EXTENSION pg_stat_statements; CREATE TABLE item (id int PRIMARY KEY, name text); "
        "INSERT INTO item SELECT g, g FROM generate_series(1, 100) g; "
        "CREATE ROLE monitor LOGIN PASSWORD 'watch'; GRANT pg_monitor TO monitor; "
        "CREATE ROLE bare LOGIN PASSWORD 'bare'; SELECT pg_create_physical_replication_slot('standby');");
    sql("CREATE DATABASE shop");
    run(
        fmt::format("env PGPASSWORD=secret {}/pg_basebackup -h 127.0.0.1 -p {} -U postgres -D {} -R --no-sync -c fast "
                    "-S standby -X stream",
                    kPrograms, port_, path("b")));
    run(fmt::format("sed -i 's/^port = .*/port = {}/' {}", replica_port_, path("b/postgresql.conf")));
    start("b");
    for (int tries = 0; tries < 600 && !is_followed(); ++tries) ::usleep(50'000);
  }
  ~Cluster() {
    stop("b");
    stop("a");
  }

  void start(const std::string& name) {
    run(fmt::format("{}/pg_ctl -D {} -l {} -w -t 60 start", kPrograms, path(name), path(name + ".log")));
  }
  void stop(const std::string& name) {
    run(fmt::format("{}/pg_ctl -D {} -m immediate -w stop", kPrograms, path(name)));
  }
  void sql(const std::string& statement) {
    connect::postgres::Connection connection(clock_);
    const std::int64_t deadline_ns = clock_.monotonic_ns() + 20'000'000'000;
    ASSERT_TRUE(connection.open({address(), "postgres", "secret", "postgres"}, deadline_ns));
    const auto status = connection.query(statement, deadline_ns, {}, [](const auto&) {});
    ASSERT_TRUE(status) << status.error().message();
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  std::string replica() const { return fmt::format("127.0.0.1:{}", replica_port_); }
  std::string socket() const { return path(fmt::format(".s.PGSQL.{}", port_)); }
  std::string path(const std::string& name) const { return (directory_.path() / name).native(); }
  const base::SystemClock& clock() const { return clock_; }

 private:
  bool is_followed() {
    connect::postgres::Connection connection(clock_);
    const std::int64_t deadline_ns = clock_.monotonic_ns() + 5'000'000'000;
    bool followed = false;
    return connection.open({address(), "postgres", "secret", "postgres"}, deadline_ns) &&
           connection.query("SELECT FROM pg_stat_replication WHERE replay_lsn IS NOT NULL", deadline_ns, {},
                            [&](const auto&) { followed = true; }) &&
           followed;
  }
  void run(const std::string& command, bool as_postgres = true) {
    const std::string prefix = as_postgres && ::geteuid() == 0 ? "runuser -u postgres -- " : "";
    const int status = std::system((prefix + command + " >> " + path("log") + " 2>&1").c_str());
    EXPECT_EQ(status, 0) << command;
  }

  base::SystemClock clock_;
  base::TempDirectory directory_;
  int port_ = free_port();
  int replica_port_ = free_port();
};

class RealServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (Cluster::is_possible()) cluster_ = std::make_unique<Cluster>();
  }
  static void TearDownTestSuite() { cluster_.reset(); }
  void SetUp() override {
    if (cluster_ == nullptr) GTEST_SKIP() << "PostgreSQL 15 is not installed, or runuser is not";
  }

  static Options options(const std::string& address, const std::string& user, const std::string& password) {
    Options options;
    options.address = address;
    options.user = user;
    options.password = password;
    return options;
  }
  static RecordingSink pass(PostgresCollector& collector) {
    RecordingSink sink;
    EXPECT_TRUE(collector.collect(cluster_->clock().monotonic_ns() + 20'000'000'000, sink));
    EXPECT_THAT(sink.faults(), IsEmpty());
    for (const auto& [name, type] : sink.types()) EXPECT_NE(find_family(name), nullptr) << name;
    return sink;
  }
  static std::string trouble(const PostgresCollector& collector) {
    return collector.trouble() == nullptr ? "" : collector.trouble()->message();
  }
  static PostgresCollector collector(const Options& options) {
    return {options, cluster_->clock(), base::Log::silent()};
  }

  static inline std::unique_ptr<Cluster> cluster_;
};

TEST_F(RealServer, a_primary_is_read_whole_by_a_user_with_pg_monitor) {
  auto watched = collector(options(cluster_->address(), "monitor", "watch"));
  const auto sink = pass(watched);
  EXPECT_EQ(trouble(watched), "");
  EXPECT_EQ(sink.value("pg_up"), 1);
  EXPECT_EQ(sink.value("pg_exporter_last_scrape_error"), 0);
  EXPECT_EQ(sink.value("pg_replication_is_replica"), 0);
  EXPECT_EQ(sink.value("pg_replication_slots_slot_is_active{slot_name=\"standby\",slot_type=\"physical\"}"), 1);
  EXPECT_EQ(sink.value("pg_stat_user_tables_n_tup_ins{datname=\"postgres\",relname=\"item\",schemaname=\"public\"}"),
            100);
  EXPECT_GT(sink.value("pg_database_size_bytes{datname=\"shop\"}"), 1e6);
  EXPECT_EQ(sink.value("pg_settings_shared_buffers_bytes"), 134'217'728);
  EXPECT_TRUE(sink.types().contains("pg_stat_statements_calls_total"));
  EXPECT_TRUE(sink.types().contains("pg_stat_replication_pg_wal_lsn_diff"));
  EXPECT_TRUE(sink.types().contains("pg_wal_segments"));
  EXPECT_FALSE(sink.types().contains("pg_stat_wal_receiver_flushed_lsn"));
}

TEST_F(RealServer, a_replica_says_whom_it_follows) {
  auto watched = collector(options(cluster_->replica(), "monitor", "watch"));
  const auto sink = pass(watched);
  EXPECT_EQ(trouble(watched), "");
  EXPECT_EQ(sink.value("pg_replication_is_replica"), 1);
  EXPECT_TRUE(sink.value("pg_replication_lag_seconds").has_value());
  EXPECT_GT(sink.value("pg_stat_wal_receiver_flushed_lsn{slot_name=\"standby\",status=\"streaming\","
                       "upstream_host=\"127.0.0.1\"}"),
            0);
}

TEST_F(RealServer, its_socket_is_an_address_too) {
  auto watched = collector(options(cluster_->socket(), "monitor", "watch"));
  EXPECT_EQ(pass(watched).value("pg_up"), 1);
}

TEST_F(RealServer, tables_of_all_databases_are_told) {
  Options all = options(cluster_->address(), "postgres", "secret");
  all.database = "shop";
  all.all_databases = true;
  auto watched = collector(all);
  const auto sink = pass(watched);
  EXPECT_EQ(trouble(watched), "");
  EXPECT_TRUE(sink.value("pg_stat_user_tables_table_size_bytes{datname=\"postgres\",relname=\"item\","
                         "schemaname=\"public\"}")
                  .has_value());
  // The extension is in the other database.
  EXPECT_TRUE(sink.types().contains("pg_stat_statements_calls_total"));
}

TEST_F(RealServer, who_may_not_see_all_is_told_the_grant) {
  auto watched = collector(options(cluster_->address(), "bare", "bare"));
  const auto sink = pass(watched);
  EXPECT_EQ(sink.value("pg_up"), 1);
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"wal\"}"), 0);
  EXPECT_THAT(trouble(watched), HasSubstr("GRANT pg_monitor TO \"bare\";"));
}

TEST_F(RealServer, refusals_say_what_to_do) {
  auto password = collector(options(cluster_->address(), "monitor", "wrong"));
  EXPECT_EQ(pass(password).value("pg_up"), 0);
  EXPECT_THAT(trouble(password), HasSubstr("ALTER ROLE \"monitor\" PASSWORD"));
  auto none = collector(options(cluster_->address(), "monitor", ""));
  EXPECT_EQ(pass(none).value("pg_up"), 0);
  EXPECT_THAT(trouble(none), HasSubstr("set user and password"));
  Options nowhere = options(cluster_->address(), "monitor", "watch");
  nowhere.database = "nowhere";
  auto database = collector(nowhere);
  EXPECT_EQ(pass(database).value("pg_up"), 0);
  EXPECT_THAT(trouble(database), HasSubstr("name a database that is there"));
  Options encrypted = options(cluster_->address(), "monitor", "watch");
  encrypted.sslmode = "require";
  auto tls = collector(encrypted);
  EXPECT_EQ(pass(tls).value("pg_up"), 0);
  EXPECT_THAT(trouble(tls), HasSubstr("sslmode: prefer"));
}

TEST_F(RealServer, a_table_that_is_locked_keeps_nobody_waiting) {
  connect::postgres::Connection holder(cluster_->clock());
  const std::int64_t deadline_ns = cluster_->clock().monotonic_ns() + 20'000'000'000;
  ASSERT_TRUE(holder.open({cluster_->address(), "postgres", "secret", "postgres"}, deadline_ns));
  ASSERT_TRUE(holder.query("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE", deadline_ns, {}, [](const auto&) {}));
  auto watched = collector(options(cluster_->address(), "monitor", "watch"));
  const std::int64_t from_ns = cluster_->clock().monotonic_ns();
  const auto sink = pass(watched);
  EXPECT_LT(cluster_->clock().monotonic_ns() - from_ns, 5'000'000'000);
  EXPECT_EQ(trouble(watched), "");
  EXPECT_EQ(sink.value("pg_scrape_collector_success{collector=\"stat_user_tables\"}"), 1);
  EXPECT_GE(sink.value("pg_locks_count{datname=\"postgres\",mode=\"accessexclusivelock\"}"), 1);
}

TEST_F(RealServer, queries_of_the_users_own_have_their_types) {
  Options own = options(cluster_->address(), "monitor", "watch");
  own.queries_file = cluster_->path("queries.yaml");
  std::ofstream(own.queries_file) << R"(
mine:
  query: "SELECT true AS flag, 'epoch'::timestamptz + '1 day' AS time, 1.5::numeric AS number, NULL::int AS nothing,
          ARRAY[1, 2] AS size, ARRAY[3, 4] AS size_bucket, 9 AS size_sum, 4 AS size_count, date '1970-01-03' AS day"
  metrics:
    - flag: {usage: LABEL, description: "A flag"}
    - time: {usage: GAUGE, description: "A time"}
    - number: {usage: GAUGE, description: "A number"}
    - size: {usage: HISTOGRAM, description: "Sizes"}
    - day: {usage: LABEL, description: "A day"}
left_open:
  query: "BEGIN; SELECT 1 AS one"
  metrics:
    - one: {usage: GAUGE, description: "One"}
)";
  auto watched = collector(own);
  for (int passes = 0; passes < 2; ++passes) {
    RecordingSink sink;
    ASSERT_TRUE(watched.collect(cluster_->clock().monotonic_ns() + 20'000'000'000, sink));
    EXPECT_THAT(sink.faults(), IsEmpty());
    EXPECT_EQ(trouble(watched), "");
    const std::string labels = "day=\"172800\",flag=\"true\",server=\"" + cluster_->address() + "\"}";
    EXPECT_EQ(sink.value("mine_time{" + labels), 86'400);
    EXPECT_EQ(sink.value("mine_number{" + labels), 1.5);
    EXPECT_EQ(sink.value("mine_size_count{" + labels), 4);
    EXPECT_TRUE(sink.value("mine_nothing{" + labels).has_value());
    EXPECT_EQ(sink.value("left_open_one{server=\"" + cluster_->address() + "\"}"), 1);
  }
}

TEST_F(RealServer, a_restart_is_seen_and_survived) {
  auto watched = collector(options(cluster_->address(), "monitor", "watch"));
  EXPECT_EQ(pass(watched).value("pg_up"), 1);
  cluster_->stop("a");
  EXPECT_EQ(pass(watched).value("pg_up"), 0);
  EXPECT_THAT(trouble(watched), HasSubstr("see whether PostgreSQL runs"));
  cluster_->start("a");
  EXPECT_EQ(pass(watched).value("pg_up"), 1);
  EXPECT_EQ(trouble(watched), "");
  cluster_->stop("a");
  cluster_->start("a");
  EXPECT_EQ(pass(watched).value("pg_up"), 1);
}

}  // namespace
}  // namespace qd::observe::postgres
