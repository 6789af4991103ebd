// What a MySQL or MariaDB server is, and what it lets us see.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qd::observe::mysql {

struct Server {
  std::string version;  // "8.0.36", "10.11.6-MariaDB-log"; empty before it has been asked
  bool is_mariadb = false;
  int major = 0;
  int minor = 0;
  int patch = 0;
  // Whom the server takes us for, ready for a GRANT: "'monitor'@'%'".
  std::string account;
  // Nothing when SHOW GRANTS does not tell, as with roles.
  std::optional<bool> has_process;

  // As SHOW GLOBAL VARIABLES has said in this pass.
  bool performance_schema = false;
  bool user_statistics = false;
  bool binary_log = false;
  bool response_times = false;

  bool is_at_least(int a_major, int a_minor, int a_patch = 0) const;
};

// Version and dialect from what @@version or a greeting says.
void set_version(Server& server, std::string_view version);

// "'monitor'@'10.0.%'" of what CURRENT_USER() says, "monitor@10.0.%".
std::string quoted_account(std::string_view user_and_host);

// Of a refusal to sign on ("Access denied for user 'monitor'@'localhost' (…)"): the account in quotes, if it is there.
std::optional<std::string> refused_account(std::string_view message);

// Whether a line of SHOW GRANTS gives PROCESS; nothing where it gives a role, which may.
std::optional<bool> grants_process(std::string_view line);

// The statement that lets `account` see everything that is read here; SHOW SLAVE HOSTS, which is not usual, needs a
// right of its own.
std::string grant_statement(const Server& server, std::string_view account, bool with_slave_hosts = false);

}  // namespace qd::observe::mysql
