// The connection to one Redis server: opened, logged in, kept, and what its refusals mean.
//
// Not thread-safe. Errors name the server and the cure; none holds the password.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "connect/stream.h"
#include "observe/redis/options.h"
#include "observe/redis/resp.h"

namespace qd::observe::redis {

// What a pass asks for beside INFO; a server may refuse each.
enum class Ask : std::uint8_t {
  kConfig,
  kCluster,
  kLatest,
  kHistogram,
  kSlowlogLen,
  kSlowlogGet,
  kCommandlog,
  kStreams,
  kSentinel,
};
inline constexpr std::size_t kAsks = 9;

class Session {
 public:
  // `options` and `clock` outlive it.
  Session(const Options& options, const base::Clock& clock) : options_(options), clock_(clock) {}

  bool is_open() const { return stream_ != nullptr; }
  void close() { stream_.reset(); }
  // Connects and logs in. kPermission says which password, user or setting is wanted.
  base::Status open(std::int64_t deadline_ns);
  // Sends the commands of `request` and reads their `count` replies, behind those that are in `replies`. After an error
  // the session is closed.
  base::Status ask(std::string_view request, std::size_t count, Replies& replies, std::int64_t deadline_ns);

  // The database that the connection has selected.
  std::uint32_t database = 0;

  // Whether to ask for it: what a server has refused is not asked again for some time, as each refusal counts among the
  // server's errors.
  bool may(Ask ask) const { return refusals_[static_cast<std::size_t>(ask)].passes_left == 0; }
  // Remembers that `error` was the answer, if it is one that will come again.
  void refused(Ask ask, std::string_view error);
  // Counts a pass for may().
  void next_pass();
  // What an administrator has to run for what the server refused to this user, and nothing if there is none.
  std::optional<base::Error> missing_rights() const;
  // Of the login: the password that the server does not want.
  const std::optional<base::Error>& note() const { return note_; }

  // The error that INFO was answered with.
  base::Error explain(std::string_view error) const;

 private:
  struct Refusal {
    int passes_left = 0;
    bool permission = false;
  };
  std::string_view user() const { return options_.user.empty() ? std::string_view("default") : options_.user; }

  const Options& options_;
  const base::Clock& clock_;
  std::unique_ptr<connect::Stream> stream_;
  std::array<Refusal, kAsks> refusals_{};
  std::optional<base::Error> note_;
};

}  // namespace qd::observe::redis
