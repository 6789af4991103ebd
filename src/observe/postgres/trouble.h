// What keeps the collector from a server, in words that end with the cure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "connect/postgres/connection.h"

namespace qd::observe::postgres {

// Who asks whom.
struct Asker {
  std::string address;
  std::string user;
  std::string database;
  bool has_password = false;
};

// No connection: what `said` (or else `error`) means, and what to do.
base::Error no_connection(const Asker& asker, const base::Error& error, const connect::postgres::ServerSaid& said);
// The user sees only its own sessions and not every view.
base::Error no_rights(const Asker& asker);
// One part, such as stat_statements, cannot be read.
base::Error no_part(const Asker& asker, std::string_view part, const base::Error& error,
                    const connect::postgres::ServerSaid& said);

// As SQL quotes a name: "name".
std::string quote_name(std::string_view name);

}  // namespace qd::observe::postgres
