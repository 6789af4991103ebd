// A client of MySQL and MariaDB: one connection, one statement at a time, over MariaDB Connector/C.
//
// Every call comes back by its deadline, whatever the server does. The library's non-blocking interface is driven by
// poll here. It does not cover the TLS handshake, in which the library reads blockingly: there a thread cuts the
// connection at the deadline, and the library's own time-out (whole seconds, rounded up, for each read) stands behind.
// Not bounded: the second look-up of a name whose certificate is checked (the library makes it, right after our own has
// been answered), and loading the library's plug-in for how the server checks passwords.
//
// A statement that fails for the server's reasons (no such table, no right to it) leaves the connection open; what
// breaks the order of packets (a time-out, a limit, a lost connection) closes it. Passwords never stand in an error.
// The server cannot ask for the password in the clear, nor for files of this machine.
//
// Errors: kInvalid (the address, a file of certificates), kTimeout (the deadline), kLimit (rows, bytes or columns of an
// answer), kPermission (the server refuses the user, or a right is missing), kNotFound (no such name, socket, table or
// variable), kCorrupt (what came is not this protocol), kUnavailable (nobody listens, the connection broke, any other
// error of the server). Messages begin with the address.
//
// Not thread-safe. One allocation of about 300 kB while it is open: the stack of the non-blocking interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "connect/mysql/table.h"
#include "connect/resolve.h"

namespace qd::connect::mysql {

struct Tls {
  bool enabled = false;
  std::string ca_file;  // PEM; the system's authorities when empty
  bool insecure_skip_verify = false;

  bool operator==(const Tls&) const = default;
};

struct Target {
  std::string address;  // as parse_server_address takes it
  std::string user;
  std::string password;
  Tls tls;
};

// Of one answer. A cell is at most kPacketBytesMax.
struct Limits {
  std::size_t rows = 50'000;
  std::size_t bytes = std::size_t{16} * 1024 * 1024;
};
inline constexpr std::size_t kPacketBytesMax = std::size_t{4} * 1024 * 1024;
inline constexpr std::size_t kColumnsMax = 1000;

class Client {
 public:
  // `clock` outlives it.
  Client(Target target, const base::Clock& clock);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool is_open() const;
  // Connects and signs on, in place of a connection that is open.
  base::Status open(std::int64_t deadline_ns);
  // Whether the server still answers on it. A connection that does not is closed.
  base::Status ping(std::int64_t deadline_ns);
  // Runs one statement. `answer` is cleared first; after a failure it holds what had come by then.
  base::Status query(std::string_view sql, Table& answer, std::int64_t deadline_ns, const Limits& limits = {});
  void close();

  // The server's number for what failed last (1045: access denied), 0 when it was not the server that refused.
  unsigned server_error() const { return server_error_; }

 private:
  struct Handle;
  enum class Outcome { kDone, kLate };

  base::Status connect_to(const ServerAddress& server, std::int64_t deadline_ns);
  base::Status read_rows(Table& answer, std::int64_t deadline_ns, const Limits& limits);
  template <typename Start, typename Continue>
  Outcome drive(std::int64_t deadline_ns, Start start, Continue go_on);
  // Closes without a word to the server, which may be in the middle of one.
  void drop();
  base::Error late(std::string_view doing);
  base::Error failure(std::string_view doing);

  const Target target_;
  const base::Clock& clock_;
  std::unique_ptr<Handle> handle_;
  unsigned server_error_ = 0;
};

}  // namespace qd::connect::mysql
