#include "observe/discovery/kinds.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace qd::observe::discovery {
namespace {

struct Known {
  std::string_view name;
  std::string_view kind;
};

// Last names of images, in lower case.
constexpr std::array kImages = std::to_array<Known>({
    {"citus", "postgres"},
    {"pgvecto-rs", "postgres"},
    {"pgvector", "postgres"},
    {"postgis", "postgres"},
    {"postgres", "postgres"},
    {"postgresql", "postgres"},
    {"postgresql-repmgr", "postgres"},
    {"percona-distribution-postgresql", "postgres"},
    {"timescaledb", "postgres"},
    {"timescaledb-ha", "postgres"},
    {"community-server", "mysql"},
    {"enterprise-server", "mysql"},
    {"mariadb", "mysql"},
    {"mariadb-galera", "mysql"},
    {"mysql", "mysql"},
    {"mysql-server", "mysql"},
    {"percona", "mysql"},
    {"percona-server", "mysql"},
    {"percona-xtradb-cluster", "mysql"},
    {"dragonfly", "redis"},
    {"keydb", "redis"},
    {"redis", "redis"},
    {"redis-cluster", "redis"},
    {"redis-stack", "redis"},
    {"redis-stack-server", "redis"},
    {"valkey", "redis"},
    {"valkey-bundle", "redis"},
    {"valkey-cluster", "redis"},
    {"memcached", "memcached"},
    {"nginx", "nginx"},
    {"nginx-unprivileged", "nginx"},
    {"openresty", "nginx"},
});

constexpr std::array kProcesses = std::to_array<Known>({
    {"postgres", "postgres"},
    {"postmaster", "postgres"},
    {"mariadbd", "mysql"},
    {"mysqld", "mysql"},
    {"dragonfly", "redis"},
    {"keydb-server", "redis"},
    {"redis-server", "redis"},
    {"valkey-server", "redis"},
    {"memcached", "memcached"},
    {"nginx", "nginx"},
    {"openresty", "nginx"},
});

template <std::size_t N>
std::string_view kind_in(const std::array<Known, N>& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Known::name);
  return found == table.end() ? std::string_view() : found->kind;
}

}  // namespace

std::string_view kind_of_image(std::string_view image) {
  image = image.substr(0, image.find('@'));
  image.remove_prefix(image.rfind('/') + 1);  // npos + 1 is 0
  std::string name(image.substr(0, image.find(':')));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kind_in(kImages, name);
}

std::string_view kind_of_process(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  return kind_in(kProcesses, name);
}

std::uint16_t usual_port(std::string_view kind) {
  if (kind == "postgres") return 5432;
  if (kind == "mysql") return 3306;
  if (kind == "redis") return 6379;
  if (kind == "memcached") return 11211;
  if (kind == "nginx") return 80;
  return 0;
}

bool is_kind(std::string_view kind) {
  return kind == "openmetrics" || usual_port(kind) != 0;
}

}  // namespace qd::observe::discovery
