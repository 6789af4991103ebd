#include "observe/discovery/recognise.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "observe/discovery/credentials.h"
#include "observe/discovery/kinds.h"

namespace qd::observe::discovery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Container running(std::string image) {
  Container container;
  container.id = std::string(64, 'a');
  container.name = "shop-db-1";
  container.image = std::move(image);
  container.addresses = {{"shop_default", "172.18.0.2"}};
  container.network_mode = "shop_default";
  container.state = "running";
  container.pid = 4711;
  return container;
}

// Everything in 172.18.0.0/16 is near, and /run/secrets/pw is readable.
Knowledge knowledge_of(std::span<const Container> containers = {}) {
  return {.containers = containers,
          .is_attached = [](const std::string& ip) { return ip.starts_with("172.18."); },
          .read_secret =
              [](const Container&, const std::string& path) {
                return path == "/run/secrets/pw" ? std::optional<std::string>("from file") : std::nullopt;
              }};
}

// The only service there is.
Service only(const Container& container) {
  auto found = recognise(container, knowledge_of());
  EXPECT_THAT(found.services, SizeIs(1)) << container.image;
  EXPECT_THAT(found.complaints, IsEmpty());
  return found.services.empty() ? Service{} : found.services.front();
}

TEST(Image, is_known_by_its_last_name_whatever_stands_around_it) {
  for (const char* image :
       {"postgres", "postgres:16", "docker.io/library/postgres:16-alpine", "ghcr.io/acme/Postgres@sha256:abc",
        "registry:5000/postgres", "registry:5000/a/b/postgres:1@sha256:0", "timescale/timescaledb:latest-pg16",
        "timescale/timescaledb-ha:pg16", "pgvector/pgvector:pg16", "postgis/postgis", "bitnami/postgresql:16"})
    EXPECT_EQ(kind_of_image(image), "postgres") << image;
  for (const char* image : {"mysql:8", "mariadb", "percona:8", "percona/percona-server", "mysql/mysql-server:8.0",
                            "container-registry.oracle.com/mysql/community-server", "bitnami/mariadb"})
    EXPECT_EQ(kind_of_image(image), "mysql") << image;
  for (const char* image : {"redis:7", "redis/redis-stack-server", "valkey/valkey:8", "bitnami/redis", "eqalpha/keydb"})
    EXPECT_EQ(kind_of_image(image), "redis") << image;
  EXPECT_EQ(kind_of_image("memcached:alpine"), "memcached");
  for (const char* image : {"nginx", "nginxinc/nginx-unprivileged", "openresty/openresty"})
    EXPECT_EQ(kind_of_image(image), "nginx") << image;
  for (const char* image : {"", "/", ":", "@", "quay.io/prometheuscommunity/postgres-exporter", "nginx/exporter",
                            "nginx/nginx-prometheus-exporter", "redis/redisinsight", "oliver006/redis_exporter",
                            "postgres/pgadmin", "sha256:a47d", "mysql-router:8", "app:postgres"})
    EXPECT_EQ(kind_of_image(image), "") << image;
}

TEST(Container, of_postgres_is_read_with_what_it_was_set_up_with) {
  Container container = running("postgres:16");
  container.environment = {{"POSTGRES_USER", "shop"}, {"POSTGRES_PASSWORD", "sesame"}, {"POSTGRES_DB", "orders"}};
  container.labels = {{"com.docker.compose.project", "shop"},
                      {"com.docker.compose.service", "db"},
                      {"com.docker.compose.container-number", "1"},
                      {"quarterdeck.interval", "15s"},
                      {"other", "x"}};
  const Service service = only(container);
  EXPECT_EQ(service.kind, "postgres");
  EXPECT_EQ(service.name, "db");
  EXPECT_EQ(service.address, "172.18.0.2:5432");
  EXPECT_EQ(service.user, "shop");
  EXPECT_EQ(service.password, "sesame");
  EXPECT_EQ(service.database, "orders");
  EXPECT_EQ(service.origin, Origin::kContainer);
  EXPECT_EQ(service.found_by, "image postgres:16");
  EXPECT_EQ(service.container_id, container.id);
  EXPECT_EQ(service.project, "shop");
  EXPECT_EQ(service.service, "db");
  EXPECT_EQ(service.replica, "1");
  EXPECT_THAT(service.tuning, ElementsAre(::testing::Pair("quarterdeck.interval", "15s")));
}

TEST(Container, that_does_not_run_has_no_services) {
  Container container = running("postgres:16");
  container.pid = 0;
  EXPECT_THAT(recognise(container, knowledge_of()).services, IsEmpty());
}

TEST(Port, is_the_one_that_command_or_environment_say) {
  const auto address = [](std::string image, std::vector<std::string> command,
                          std::map<std::string, std::string> environment = {}) {
    Container container = running(std::move(image));
    container.command = std::move(command);
    container.environment = std::move(environment);
    return only(container).address.substr(std::string_view("172.18.0.2:").size());
  };
  EXPECT_EQ(address("postgres", {}), "5432");
  EXPECT_EQ(address("postgres", {"postgres", "-c", "port=5433"}), "5433");
  EXPECT_EQ(address("postgres", {"postgres", "-p", "5434"}), "5434");
  EXPECT_EQ(address("postgres", {}, {{"PGPORT", "5435"}}), "5435");
  EXPECT_EQ(address("bitnami/postgresql", {}, {{"POSTGRESQL_PORT_NUMBER", "5436"}}), "5436");
  EXPECT_EQ(address("mysql", {"mysqld", "--port=3307"}), "3307");
  EXPECT_EQ(address("redis", {"redis-server", "--port", "7000"}), "7000");
  EXPECT_EQ(address("redis", {"redis-server", "--port", "x"}), "6379");
  EXPECT_EQ(address("redis", {"redis-server", "/s.conf", "--sentinel"}), "26379");
  EXPECT_EQ(address("memcached", {"memcached", "-p", "11212"}), "11212");
}

TEST(Port, of_nginx_is_the_plain_one_that_it_exposes) {
  Container container = running("nginxinc/nginx-unprivileged");
  container.ports = {{.container_port = 443, .protocol = "tcp"}, {.container_port = 8080, .protocol = "tcp"}};
  EXPECT_EQ(only(container).address, "172.18.0.2:8080");
  container.ports = {{.container_port = 443, .protocol = "tcp"}, {.container_port = 8123, .protocol = "tcp"}};
  EXPECT_EQ(only(container).address, "172.18.0.2:8123");
  container.ports = {{.container_port = 53, .protocol = "udp"}};
  EXPECT_EQ(only(container).address, "172.18.0.2:80");
}

TEST(Container, of_an_unknown_image_is_known_by_its_command) {
  Container container = running("acme/db:1");
  container.command = {"/sbin/tini", "--", "/usr/lib/postgresql/16/bin/postgres", "-D", "/data"};
  EXPECT_EQ(only(container).kind, "postgres");
  EXPECT_EQ(only(container).found_by, "command postgres of container shop-db-1");
  container.command = {"sh", "-c", "exec valkey-server --requirepass $PW"};
  container.environment = {{"PW", "sesame"}};
  EXPECT_EQ(only(container).kind, "redis");
  EXPECT_EQ(only(container).password, "sesame");
  container.command = {"docker-entrypoint.sh", "gosu", "postgres", "mysqld"};
  EXPECT_EQ(only(container).kind, "mysql") << "postgres is the user here";
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"app", "--db", "postgres"}, {"sh", "-c", "wait-for redis-server && app"}, {"nginx-exporter"}, {}}) {
    container.command = command;
    EXPECT_THAT(recognise(container, knowledge_of()).services, IsEmpty());
  }
}

TEST(Address, is_the_nearest_way_from_this_machine) {
  Container container = running("redis");
  container.ports = {{.container_port = 6379, .host_port = 16379, .host_ip = "0.0.0.0", .protocol = "tcp"}};
  EXPECT_EQ(only(container).address, "172.18.0.2:6379");
  container.addresses = {{"far", "10.0.9.2"}};
  EXPECT_EQ(only(container).address, "127.0.0.1:16379");
  container.ports.front().host_ip = "192.0.2.7";
  EXPECT_EQ(only(container).address, "192.0.2.7:16379");
  container.ports.front().host_ip = "::1";
  EXPECT_EQ(only(container).address, "[::1]:16379");
  container.network_mode = "host";
  container.addresses.clear();
  EXPECT_EQ(only(container).address, "127.0.0.1:6379");
}

TEST(Address, is_that_of_the_container_whose_network_is_used) {
  std::vector<Container> all = {running("pause"), running("redis"), running("redis")};
  for (std::size_t i = 0; i < all.size(); ++i) all[i].id = std::string(64, static_cast<char>('a' + i));
  all[1].network_mode = "container:" + all[0].id;
  all[1].addresses.clear();
  all[2].network_mode = "container:" + all[2].id;  // a circle
  EXPECT_EQ(reach(all[1], 6379, knowledge_of(all)), "172.18.0.2:6379");
  EXPECT_EQ(reach(all[2], 6379, knowledge_of(all)), std::nullopt);
  all[1].network_mode = "container:none";
  EXPECT_EQ(reach(all[1], 6379, knowledge_of(all)), std::nullopt);
}

TEST(Address, that_nobody_can_reach_is_told_with_the_cure) {
  Container container = running("postgres:16");
  container.addresses.clear();
  container.network_mode = "none";
  container.environment = {{"POSTGRES_PASSWORD", "sesame"}};
  const auto found = recognise(container, knowledge_of());
  EXPECT_THAT(found.services, IsEmpty());
  ASSERT_THAT(found.complaints, SizeIs(1));
  EXPECT_THAT(found.complaints.front(), HasSubstr("container shop-db-1: its postgres at port 5432"));
  EXPECT_THAT(found.complaints.front(), HasSubstr("127.0.0.1::5432"));
}

std::string credentials(std::string_view kind, std::map<std::string, std::string> environment,
                        std::vector<std::string> command = {}, std::map<std::string, std::string> labels = {}) {
  Container container = running("x");
  container.environment = std::move(environment);
  container.command = std::move(command);
  container.labels = std::move(labels);
  const Credentials found = credentials_of(container, kind, knowledge_of());
  return fmt::format("{}/{}/{}", found.user, found.password, found.database);
}

TEST(Credentials, of_postgres) {
  EXPECT_EQ(credentials("postgres", {}), "postgres//postgres");
  EXPECT_EQ(credentials("postgres", {{"POSTGRES_PASSWORD", "s"}}), "postgres/s/postgres");
  EXPECT_EQ(credentials("postgres", {{"POSTGRES_USER", "u"}, {"POSTGRES_PASSWORD", "s"}}), "u/s/u");
  EXPECT_EQ(credentials("postgres", {{"POSTGRES_PASSWORD_FILE", "/run/secrets/pw"}, {"POSTGRES_DB", "d"}}),
            "postgres/from file/d");
  EXPECT_EQ(credentials("postgres", {{"POSTGRES_PASSWORD_FILE", "/run/secrets/none"}}), "postgres//postgres");
  EXPECT_EQ(credentials("postgres", {{"POSTGRESQL_USERNAME", "u"},
                                     {"POSTGRESQL_PASSWORD", "s"},
                                     {"POSTGRESQL_POSTGRES_PASSWORD", "root"},
                                     {"POSTGRESQL_DATABASE", "d"}}),
            "postgres/root/d");
}

TEST(Credentials, of_mysql) {
  EXPECT_EQ(credentials("mysql", {}), "//");
  EXPECT_EQ(credentials("mysql", {{"MYSQL_ROOT_PASSWORD", "r"}, {"MYSQL_USER", "u"}, {"MYSQL_DATABASE", "d"}}),
            "root/r/d");
  EXPECT_EQ(credentials("mysql", {{"MARIADB_USER", "u"}, {"MARIADB_PASSWORD", "s"}}), "u/s/");
  EXPECT_EQ(credentials("mysql", {{"MARIADB_ROOT_PASSWORD_FILE", "/run/secrets/pw"}}), "root/from file/");
  EXPECT_EQ(credentials("mysql", {{"MYSQL_ROOT_PASSWORD", "r"},
                                  {"MYSQL_ROOT_HOST", "localhost"},
                                  {"MYSQL_USER", "u"},
                                  {"MYSQL_PASSWORD", "s"}}),
            "u/s/");
  EXPECT_EQ(credentials("mysql", {{"MYSQL_ALLOW_EMPTY_PASSWORD", "yes"}}), "root//");
}

TEST(Credentials, of_redis) {
  EXPECT_EQ(credentials("redis", {}), "//");
  EXPECT_EQ(credentials("redis", {{"REDIS_PASSWORD", "s"}}), "/s/");
  EXPECT_EQ(credentials("redis", {{"REDIS_PASSWORD_FILE", "/run/secrets/pw"}}), "/from file/");
  EXPECT_EQ(credentials("redis", {{"VALKEY_PASSWORD", "v"}}), "/v/");
  EXPECT_EQ(credentials("redis", {{"REDIS_PASSWORD", "s"}}, {"redis-server", "--requirepass", "c"}), "/c/");
  EXPECT_EQ(credentials("redis", {{"REDIS_PASSWORD", "s"}},
                        {"sh", "-c", R"_(exec redis-server --requirepass "$(cat /run/secrets/pw)")_"}),
            "/from file/");
  EXPECT_EQ(credentials("redis", {{"REDIS_PASSWORD", "s"}}, {"sh", "-c", "redis-server --requirepass $(make-one)"}),
            "/s/");
  EXPECT_EQ(credentials("redis", {{"REDIS_ARGS", "--save 60 1 --requirepass 'a b'"}}), "/a b/");
  EXPECT_EQ(credentials("redis", {{"VALKEY_EXTRA_FLAGS", "--requirepass x"}}), "/x/");
  EXPECT_EQ(credentials("memcached", {{"REDIS_PASSWORD", "s"}}), "//");
}

TEST(Credentials, of_labels_come_first) {
  EXPECT_EQ(credentials("postgres", {{"POSTGRES_PASSWORD", "s"}}, {},
                        {{"quarterdeck.user", "monitor"}, {"quarterdeck.database", "d"}}),
            "monitor//d");
  EXPECT_EQ(credentials("postgres", {{"MONITOR", "m"}}, {},
                        {{"quarterdeck.user", "monitor"}, {"quarterdeck.password", "env:MONITOR"}}),
            "monitor/m/postgres");
  EXPECT_EQ(credentials("redis", {}, {}, {{"quarterdeck.password", "file:/run/secrets/pw"}}), "/from file/");
  EXPECT_EQ(credentials("redis", {}, {}, {{"quarterdeck.password", "plain"}}), "/plain/");
}

TEST(Labels, switch_and_tune) {
  Container container = running("postgres:16");
  container.labels = {{"quarterdeck.enabled", "false"}};
  EXPECT_THAT(recognise(container, knowledge_of()).services, IsEmpty());
  container = running("acme/thing");
  container.labels = {{"quarterdeck.kind", "redis"}, {"quarterdeck.port", "7777"}, {"quarterdeck.password", "sesame"}};
  const Service service = only(container);
  EXPECT_EQ(service.kind, "redis");
  EXPECT_EQ(service.address, "172.18.0.2:7777");
  EXPECT_FALSE(service.tuning.contains("quarterdeck.password"));
  EXPECT_EQ(service.found_by, "label quarterdeck.kind of container shop-db-1");
}

TEST(Labels, of_prometheus_ask_for_a_page_of_metrics) {
  Container container = running("acme/app");
  container.ports = {{.container_port = 9000, .protocol = "tcp"}, {.container_port = 8080, .protocol = "tcp"}};
  container.labels = {{"prometheus.io/scrape", "true"}};
  Service service = only(container);
  EXPECT_EQ(service.kind, "openmetrics");
  EXPECT_EQ(service.address, "172.18.0.2:8080");
  EXPECT_EQ(service.metrics_path, "/metrics");
  EXPECT_EQ(service.scheme, "http");
  container.labels = {{"prometheus.io/scrape", "true"},
                      {"prometheus.io/port", "9000"},
                      {"prometheus.io/path", "/internal/metrics?x=1"},
                      {"prometheus.io/scheme", "https"}};
  service = only(container);
  EXPECT_EQ(service.address, "172.18.0.2:9000");
  EXPECT_EQ(service.metrics_path, "/internal/metrics?x=1");
  EXPECT_EQ(service.scheme, "https");

  // Beside a known kind.
  container = running("postgres");
  container.labels = {{"prometheus.io/scrape", "true"}, {"prometheus.io/port", "9187"}, {"quarterdeck.port", "5433"}};
  const auto both = recognise(container, knowledge_of());
  ASSERT_THAT(both.services, SizeIs(2));
  EXPECT_EQ(both.services[0].address, "172.18.0.2:9187");
  EXPECT_EQ(both.services[1].address, "172.18.0.2:5433");
}

TEST(Labels, that_make_no_sense_are_told_without_their_text) {
  Container container = running("postgres");
  container.labels = {{"quarterdeck.enabled", "SECRET"}, {"prometheus.io/scrape", "SECRET"},
                      {"quarterdeck.kind", "SECRET"},    {"quarterdeck.port", "65536"},
                      {"prometheus.io/port", "SECRET"},  {"prometheus.io/path", "x\r\nSECRET: 1"},
                      {"prometheus.io/scheme", "file"}};
  auto found = recognise(container, knowledge_of());
  EXPECT_THAT(found.complaints, SizeIs(4));
  ASSERT_THAT(found.services, SizeIs(1));
  EXPECT_EQ(found.services.front().address, "172.18.0.2:5432");
  container.labels["prometheus.io/scrape"] = "true";
  const auto more = recognise(container, knowledge_of());
  EXPECT_THAT(more.complaints, ::testing::Contains(HasSubstr("exposes no port")));
  container.ports = {{.container_port = 9187, .protocol = "tcp"}};
  found = recognise(container, knowledge_of());
  ASSERT_THAT(found.services, SizeIs(2));
  EXPECT_EQ(found.services.front().metrics_path, "/metrics");
  EXPECT_EQ(found.services.front().scheme, "http");
  for (const std::string& complaint : found.complaints) EXPECT_THAT(complaint, ::testing::Not(HasSubstr("SECRET")));
}

TEST(UnknownPorts, are_those_of_containers_that_nothing_says_anything_about) {
  Container container = running("acme/app");
  for (std::uint16_t port = 1; port <= 20; ++port)
    container.ports.push_back({.container_port = port, .protocol = "tcp"});
  container.ports.push_back({.container_port = 53, .protocol = "udp"});
  auto found = recognise(container, knowledge_of());
  ASSERT_THAT(found.unknown, SizeIs(kUnknownPortsMax));
  EXPECT_EQ(found.unknown.front().address, "172.18.0.2:1");
  for (const auto& [name, value] : {std::pair("prometheus.io/scrape", "false"), {"quarterdeck.enabled", "no"}}) {
    container.labels = {{name, value}};
    EXPECT_THAT(recognise(container, knowledge_of()).unknown, IsEmpty()) << name;
  }
  container.labels = {{"quarterdeck.kind", "nginx"}};
  EXPECT_THAT(recognise(container, knowledge_of()).unknown, IsEmpty());
}

TEST(Processes, are_one_service_each_at_the_likeliest_port) {
  const std::vector<Listener> listeners = {
      {"127.0.0.1", 80, "nginx", 30, ""},      {"127.0.0.1", 443, "nginx", 30, ""},
      {"192.0.2.7", 3306, "mariadbd", 20, ""}, {"127.0.0.1", 3306, "mariadbd", 20, ""},
      {"127.0.0.1", 33060, "mysqld", 21, ""},  {"127.0.0.1", 3307, "mysqld", 21, ""},
      {"127.0.0.1", 5433, "postgres", 10, ""}, {"::1", 16379, "redis-server", 40, ""},
      {"::1", 6380, "redis-server", 41, ""},   {"127.0.0.1", 443, "nginx", 31, ""},
      {"127.0.0.1", 22, "sshd", 1, ""},
  };
  std::vector<std::string> shown;
  for (const Service& service : recognise(listeners)) shown.push_back(service.kind + " " + service.address);
  EXPECT_THAT(shown, ElementsAre("postgres 127.0.0.1:5433", "mysql 127.0.0.1:3306", "mysql 127.0.0.1:3307",
                                 "nginx 127.0.0.1:80", "nginx 127.0.0.1:443", "redis [::1]:16379", "redis [::1]:6380"));
  const Service postgres = recognise(listeners).front();
  EXPECT_EQ(postgres.found_by, "port 5433 of process postgres (pid 10)");
  EXPECT_EQ(postgres.pid, 10);
  EXPECT_EQ(postgres.origin, Origin::kProcess);
  EXPECT_EQ(postgres.user, "");
}

}  // namespace
}  // namespace qd::observe::discovery
