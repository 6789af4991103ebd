// A connection to one database of the server that is kept from pass to pass, and what is known of that database.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "connect/postgres/connection.h"
#include "observe/postgres/postgres.h"
#include "observe/postgres/statements.h"
#include "observe/postgres/table.h"

namespace qd::observe::postgres {

class Session {
 public:
  // `options` and `clock` outlive it.
  Session(const Options& options, std::string database, const base::Clock& clock);

  // Connects where there is no connection, or none any more, and learns what the server is. Once a pass.
  base::Status begin(std::int64_t deadline_ns);
  // Appends the answer to `table`. Connects anew where a statement before broke the connection.
  base::Status ask(const std::string& sql, std::int64_t deadline_ns, Table& table);
  // Undoes what a statement of the user's own may have left behind.
  void settle();

  // What the statements()[i] is here; empty where there is none.
  const std::string& sql(std::size_t i) const { return sql_[i]; }
  const std::string& database() const { return database_; }
  const std::string& version_text() const { return version_text_; }
  int version() const { return facts_.version; }
  bool sees_everything() const { return sees_everything_; }
  const connect::postgres::ServerSaid& said() const { return connection_.said(); }

 private:
  base::Status connect(std::int64_t deadline_ns);
  base::Status learn(std::int64_t deadline_ns);

  const Options& options_;
  std::string database_;
  const base::Clock& clock_;
  connect::postgres::Connection connection_;
  ServerFacts facts_;
  std::string version_text_;
  bool sees_everything_ = false;
  std::vector<std::string> sql_;
  Table known_;
};

}  // namespace qd::observe::postgres
