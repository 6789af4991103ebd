// A client's connection to a PostgreSQL server, over libpq's non-blocking calls.
//
// Every call has a deadline (on the monotonic clock of `clock`) and holds the caller's thread no longer, whatever the
// server does; only the look-up of a name may leave a thread behind (connect/resolve.h). A statement that meets its
// deadline or a limit is ended by closing the connection. Errors name the address and are kTimeout, kUnavailable (no
// connection, or the server broke it), kPermission (the server refuses the user, or its certificate is not trusted),
// kLimit (an answer larger than the caller allowed), kInvalid (the address, or what the server says of a statement).
// What the server itself said is in said(). A password is in none of them.
//
// Values come as text in UTF-8 as far as the server converts; a database in SQL_ASCII holds any bytes.
//
// Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "connect/resolve.h"

struct pg_conn;
struct pg_result;

namespace qd::connect::postgres {

struct ConnectionOptions {
  std::string address;  // "host:port", "[v6]:port", "/dir/.s.PGSQL.5432", or the directory of the socket
  std::string user;
  std::string password;
  std::string database;
  std::string sslmode = "prefer";  // disable, prefer, require, verify-ca, verify-full
  std::string ca_file;             // PEM; empty: the authorities that the system trusts, where sslmode verifies
  std::string application_name = "quarterdeck";
  std::optional<uid_t> peer = {};  // over a socket: as this user of the machine (connect/peer_as.h)
};

struct AnswerLimits {
  std::size_t rows_max = 100'000;
  // On the wire, counted as they come (connect/postgres/read_watch.h).
  std::size_t bytes_max = std::size_t{64} * 1024 * 1024;
};

// The answer of the server to what failed last.
struct ServerSaid {
  std::string sqlstate;  // five characters; empty when it was not the server that spoke
  std::string message;   // one line
};

// One row, valid during the call that it is given to.
class Row {
 public:
  explicit Row(const pg_result* result) : result_(result) {}
  int columns() const;
  std::string_view name(int column) const;
  std::uint32_t type(int column) const;                     // the type's OID
  std::optional<std::string_view> value(int column) const;  // nothing for NULL

 private:
  const pg_result* result_;
};

class Connection {
 public:
  explicit Connection(const base::Clock& clock) : clock_(clock) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Closes what was open. Tries each address of the host; the time left is divided between those to be tried.
  base::Status open(const ConnectionOptions& options, std::int64_t deadline_ns);
  bool is_open() const { return connection_ != nullptr; }
  // Whether it is open and not within a transaction.
  bool is_idle() const;
  void close();

  // Runs one statement, or several separated by semicolons, and gives every row to `each`. When the server refuses a
  // statement the connection stays open; after any other failure it is closed. Rows given before a failure were true.
  base::Status query(const std::string& sql, std::int64_t deadline_ns, const AnswerLimits& limits,
                     const std::function<void(const Row&)>& each);

  // As server_version_num: 150020. 0 when not open.
  int server_version() const;
  const ServerSaid& said() const { return said_; }

 private:
  struct Progress;
  struct Place {
    std::string host;
    std::string host_address;  // the number; empty for a socket's directory
    std::string port;
  };
  base::Status open_place(const ConnectionOptions& options, const Place& place, std::int64_t deadline_ns);
  base::Status refused(const ConnectionOptions& options);
  base::Status wait(short events, std::int64_t deadline_ns) const;
  base::Status send(const std::string& sql, std::int64_t deadline_ns);
  base::Status await_answer(std::int64_t deadline_ns, const AnswerLimits& limits, Progress& progress);
  base::Status take_answers(std::int64_t deadline_ns, const AnswerLimits& limits,
                            const std::function<void(const Row&)>& each);
  std::optional<base::Error> take(const pg_result* result, std::size_t rows_max, std::size_t& rows,
                                  const std::function<void(const Row&)>& each);
  base::Status late() const;
  base::Status broken();

  const base::Clock& clock_;
  pg_conn* connection_ = nullptr;
  std::string address_;
  ServerSaid said_;
};

// What an error text of the client library says of the server: "FATAL:  28P01: no" gives both parts; without a code it
// is the first line.
ServerSaid read_error(std::string_view text);

}  // namespace qd::connect::postgres
