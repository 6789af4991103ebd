// Source: PostgreSQL's manual, "Client Authentication", "Predefined Roles" and the appendix of error codes.

#include "observe/postgres/trouble.h"

#include <fmt/format.h>

namespace qd::observe::postgres {
namespace {

using base::Error;
using base::ErrorCode;

bool is_path(const Asker& asker) {
  return asker.address.starts_with('/');
}

std::string make_user(const Asker& asker) {
  const std::string user = quote_name(asker.user);
  return fmt::format("CREATE ROLE {} LOGIN PASSWORD '…'; GRANT pg_monitor TO {};", user, user);
}

std::string_view wrong_password(const Asker& asker) {
  return asker.has_password
             ? "set the right password at observe.postgres, or as a superuser run: ALTER ROLE {} PASSWORD '…'; (where "
               "there is no such user: {})"
             : "set user and password at observe.postgres; as a superuser run: ALTER ROLE {} PASSWORD '…'; (where "
               "there is no such user: {})";
}

std::string cure_of_refusal(const Asker& asker, std::string_view state, std::string_view message) {
  const std::string user = quote_name(asker.user);
  if (state == "28P01" || message.contains("no password supplied"))
    return fmt::format(fmt::runtime(wrong_password(asker)), user, make_user(asker));
  if (state == "28000" && message.contains("does not exist"))
    return fmt::format("as a superuser run: {}", make_user(asker));
  if (state == "28000")
    return fmt::format(
        "let it in by a line in pg_hba.conf, such as `{} {} {} {}scram-sha-256`, then run: SELECT "
        "pg_reload_conf();",
        is_path(asker) ? "local" : "host", quote_name(asker.database), user,
        is_path(asker) ? "" : "ADDRESS-OF-QUARTERDECK/32 ");
  if (state == "3D000") return "name a database that is there as `database` at observe.postgres";
  if (state == "42501")
    return fmt::format("as a superuser run: GRANT CONNECT ON DATABASE {} TO {};", quote_name(asker.database), user);
  if (state == "53300")
    return "all of its connections are taken: end some, or raise max_connections (or the CONNECTION LIMIT of the user "
           "or the database)";
  if (state == "57P03") return "it starts or stops; this ends by itself";
  return {};
}

std::string cure_without_server(const Asker& asker, std::string_view message) {
  if (message.contains("does not support SSL"))
    return "set sslmode: prefer or disable at observe.postgres, or `ssl = on` at the server";
  if (message.contains("does not match host name"))
    return "name the host in `address` at observe.postgres as its certificate does, or set sslmode: verify-ca";
  if (message.contains("certificate") || message.contains("SSL"))
    return "give the authority of its certificate as ca_file at observe.postgres, or set sslmode: require, which does "
           "not look at it";
  if (is_path(asker))
    return "see whether PostgreSQL runs and has its socket there (unix_socket_directories), and whether the user of "
           "this process may open it";
  return "see whether PostgreSQL runs and listens there (listen_addresses and port in postgresql.conf)";
}

Error made(ErrorCode code, const Asker& asker, std::string_view what, std::string_view cure) {
  return {code, cure.empty() ? fmt::format("PostgreSQL at {}: {}", asker.address, what)
                             : fmt::format("PostgreSQL at {}: {}; {}", asker.address, what, cure)};
}

// The message of an error of the connection, which begins with the address.
std::string_view without_address(const Asker& asker, const Error& error) {
  std::string_view message = error.message();
  if (message.starts_with(asker.address + ": ")) message.remove_prefix(asker.address.size() + 2);
  return message;
}

}  // namespace

std::string quote_name(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

Error no_connection(const Asker& asker, const Error& error, const connect::postgres::ServerSaid& said) {
  const std::string_view what = without_address(asker, error);
  std::string cure = cure_of_refusal(asker, said.sqlstate, what);
  if (cure.empty() && said.sqlstate.empty()) cure = cure_without_server(asker, what);
  return made(error.code(), asker, what, cure);
}

Error no_rights(const Asker& asker) {
  return made(ErrorCode::kPermission, asker,
              fmt::format("user {} sees the statistics of its own sessions only", quote_name(asker.user)),
              fmt::format("as a superuser run: GRANT pg_monitor TO {};", quote_name(asker.user)));
}

Error no_part(const Asker& asker, std::string_view part, const Error& error,
              const connect::postgres::ServerSaid& said) {
  std::string cure;
  if (said.sqlstate == "42501") {
    cure = fmt::format("as a superuser run: GRANT pg_monitor TO {};", quote_name(asker.user));
  } else if (part == "stat_statements" && said.sqlstate == "55000") {
    cure =
        "add pg_stat_statements to shared_preload_libraries in postgresql.conf and restart the server, or run: DROP "
        "EXTENSION pg_stat_statements;";
  } else if (error.code() == ErrorCode::kTimeout) {
    cure =
        "give it more time by a longer timeout, or see what holds it: SELECT * FROM pg_stat_activity WHERE "
        "application_name = 'quarterdeck';";
  }
  return made(error.code(), asker, fmt::format("{} cannot be read: {}", part, without_address(asker, error)), cure);
}

}  // namespace qd::observe::postgres
