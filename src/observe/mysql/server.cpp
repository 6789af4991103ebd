#include "observe/mysql/server.h"

#include <fmt/format.h>

#include <charconv>
#include <tuple>

namespace qd::observe::mysql {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "'";
}

}  // namespace

bool Server::is_at_least(int a_major, int a_minor, int a_patch) const {
  return std::tuple(major, minor, patch) >= std::tuple(a_major, a_minor, a_patch);
}

void set_version(Server& server, std::string_view version) {
  server.version = version;
  server.is_mariadb = version.find("MariaDB") != std::string_view::npos;
  // MariaDB greets so, for the sake of replicas that do not expect a 10.
  constexpr std::string_view kDisguise = "5.5.5-";
  if (server.is_mariadb && version.starts_with(kDisguise)) version.remove_prefix(kDisguise.size());
  int* const parts[] = {&server.major, &server.minor, &server.patch};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (int* const part : parts) {
    *part = 0;
    const auto [next, error] = std::from_chars(at, end, *part);
    at = error == std::errc{} ? next : end;
    if (at != end && *at == '.') ++at;
  }
}

std::string quoted_account(std::string_view user_and_host) {
  const std::size_t at = user_and_host.rfind('@');
  if (at == std::string_view::npos) return quoted(user_and_host) + "@'%'";
  return quoted(user_and_host.substr(0, at)) + "@" + quoted(user_and_host.substr(at + 1));
}

std::optional<std::string> refused_account(std::string_view message) {
  const std::size_t from = message.find("user '");
  if (from == std::string_view::npos) return std::nullopt;
  const std::string_view rest = message.substr(from + 6);
  const std::size_t middle = rest.find("'@'");
  if (middle == std::string_view::npos) return std::nullopt;
  const std::string_view host = rest.substr(middle + 3);
  const std::size_t end = host.find('\'');
  if (end == std::string_view::npos) return std::nullopt;
  return quoted(rest.substr(0, middle)) + "@" + quoted(host.substr(0, end));
}

std::optional<bool> grants_process(std::string_view line) {
  constexpr std::string_view kGrant = "GRANT ";
  if (!line.starts_with(kGrant)) return false;
  line.remove_prefix(kGrant.size());
  const std::size_t on = line.find(" ON ");
  if (on == std::string_view::npos) return std::nullopt;
  if (!line.substr(on).starts_with(" ON *.* TO ")) return false;
  const std::string_view rights = line.substr(0, on);
  return rights.starts_with("ALL PRIVILEGES") || rights.find("PROCESS") != std::string_view::npos;
}

std::string grant_statement(const Server& server, std::string_view account, bool with_slave_hosts) {
  // MariaDB 10.5 took the state of replicas out of REPLICATION CLIENT.
  const bool is_split = server.is_mariadb && server.is_at_least(10, 5);
  const std::string_view hosts = !with_slave_hosts ? ""
                                 : is_split        ? ", REPLICATION MASTER ADMIN"
                                                   : ", REPLICATION SLAVE";
  return fmt::format("GRANT PROCESS, REPLICATION CLIENT{}{}, SELECT ON *.* TO {};", is_split ? ", SLAVE MONITOR" : "",
                     hosts, account);
}

}  // namespace qd::observe::mysql
