// The Docker Engine API over its Unix socket, as far as it says which containers there are. Podman's compatible socket
// speaks it too.
//
//   Client::connect(fetch_by(http), submit, "/var/run/docker.sock", [](base::Result<Client> engine) {
//     engine->list([](base::Result<std::vector<Listed>> containers) { … });
//   });
//
// A Client is a value that knows socket and API version; connect agrees on the newest that both sides know. When the
// engine is started anew, connect again. Every callback comes exactly once (that of an event any number of times, one
// after the other), on a loop thread or one of the pool, and possibly before the call returns: hold no lock.
//
// Errors name the socket or the path asked, and the cure: kPermission (the socket's, or a proxy's in front of it),
// kNotFound (no socket, or no such container), kTimeout, kLimit, kCorrupt (no answer of an engine), kUnavailable,
// kInvalid (no API version in common).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connect/docker/answers.h"
#include "connect/http/client.h"

namespace qd::connect::docker {

// How an exchange is made, so that tests stand in for the network. Returns what cancels it.
using Cancel = std::function<void()>;
using Fetch = std::function<Cancel(http::ClientRequest, http::Client::Then)>;
// Runs what computes somewhere else than on the loop; a refusal is an error.
using Submit = std::function<base::Status(std::function<void()>)>;

// `client` outlives what is returned.
Fetch fetch_by(http::Client& client);

class Client {
 public:
  // 1.24 is Docker 1.12. What is read here has not changed since; beyond the newest the engine is asked as if it were
  // that.
  static constexpr int kOldestMinor = 24;
  static constexpr int kNewestMinor = 51;
  static constexpr std::int64_t kDeadlineMs = 10'000;
  static constexpr std::int64_t kListDeadlineMs = 30'000;

  static void connect(Fetch fetch, Submit submit, std::string socket, std::function<void(base::Result<Client>)> then);

  const std::string& socket() const;
  // "1.41"
  const std::string& api_version() const;

  // All containers, running or not.
  void list(std::function<void(base::Result<std::vector<Listed>>)> then) const;
  // kNotFound when it has gone. `id` is one of an engine (is_id).
  void inspect(const std::string& id, std::function<void(base::Result<Details>)> then) const;
  // What happens to containers from `since_s` (of the wall clock, in the past: those that were missed come first) until
  // it is cancelled or breaks. `ended` says why, kCancelled too.
  Cancel events(std::int64_t since_s, std::function<void(Event)> on_event,
                std::function<void(base::Error)> ended) const;

 private:
  struct State;
  explicit Client(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace qd::connect::docker
