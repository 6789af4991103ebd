// The connection of a collector through one pass: kept from pass to pass, opened anew when it broke.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "connect/mysql/client.h"
#include "observe/mysql/server.h"

namespace qd::observe::mysql {

class Session {
 public:
  // `clock` outlives it.
  Session(connect::mysql::Target target, const base::Clock& clock);

  // Makes sure, until `deadline_ns`, that the server answers; statements of this pass end then too.
  base::Status begin(std::int64_t deadline_ns);
  // Runs one statement. The table is valid until the next one. Opens the connection anew (at most kReopensMax times a
  // pass) if the statement before broke it.
  base::Result<const connect::mysql::Table*> ask(std::string_view sql);
  // Whether the statement that failed last was refused for want of a right.
  bool was_denied() const { return denied_; }
  bool is_late() const { return clock_.monotonic_ns() >= deadline_ns_; }

  Server& server() { return server_; }

 private:
  base::Status open();
  // Of a server that refuses to let us in: its version, for the statement that would.
  void read_greeting();
  base::Status introduce();

  static constexpr int kReopensMax = 3;
  const std::string address_;
  connect::mysql::Client client_;
  const base::Clock& clock_;
  Server server_;
  connect::mysql::Table table_;
  std::int64_t deadline_ns_ = 0;
  int reopens_ = 0;
  bool denied_ = false;
  bool greeting_read_ = false;
};

}  // namespace qd::observe::mysql
