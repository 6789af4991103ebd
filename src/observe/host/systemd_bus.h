// What systemd says of its units over D-Bus (org.freedesktop.systemd1(5)), asked without waiting for it.
//
// Process 1 answers when it has time, and a unit is asked several questions: a round of them takes from ten
// milliseconds to seconds. So a round goes on from call to call of `advance`, each of which waits for a bounded time,
// and what the last whole round found stays until the next is done. Used by one thread at a time; starts none.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qd::observe::host {

struct SystemdUnit {
  std::string name;
  std::string active_state;
  std::string type;                      // of a service: "simple", "oneshot", …; else empty
  std::optional<double> started_s;       // since the epoch; 0 unless it is active
  std::optional<double> last_trigger_s;  // of a timer, since the epoch
  std::optional<std::uint64_t> restarts;
  std::optional<std::uint64_t> accepted, connections, refused;  // of a socket
};

struct SystemdState {
  // "active", "activating", …: what node_exporter counts units by.
  static constexpr std::array<std::string_view, 5> kUnitStates = {"active", "activating", "deactivating", "inactive",
                                                                  "failed"};

  std::string version;
  std::string virtualization;                                // empty on bare metal
  std::string system_state;                                  // "running", "degraded", …
  std::array<std::uint64_t, kUnitStates.size()> in_state{};  // of all units there are
  std::vector<SystemdUnit> units;                            // those that are told, in order of their names
};

class SystemdBus {
 public:
  // Past this the round fails: a busy machine has a thousand.
  static constexpr std::size_t kUnitsMax = 16384;
  // Questions that wait for their answers at the same time; others of process 1's callers come in between.
  static constexpr std::size_t kInFlightMax = 64;
  static constexpr std::chrono::seconds kAnswerMax{10};

  enum class Progress { kGoesOn, kDone, kFailed };

  // Sockets of a bus, or of systemd itself, in the order in which they are tried.
  struct Address {
    std::string path;
    bool is_bus;  // else it is systemd at the other end
  };
  explicit SystemdBus(std::vector<Address> addresses);
  ~SystemdBus();
  SystemdBus(const SystemdBus&) = delete;
  SystemdBus& operator=(const SystemdBus&) = delete;

  // Begins a round, connecting first where there is no connection. Returns an errno: ENOENT where there is no socket.
  int begin();
  bool running() const;
  // Sends and reads what can be, waiting for `patience` at most. After kDone `state()` is new; after kFailed the
  // connection is closed and `error()` says why.
  Progress advance(std::chrono::microseconds patience);
  // Closes the connection with what is unanswered; the next round tries the next address.
  void give_up();

  const SystemdState& state() const;
  int error() const;
  // The socket that was tried last.
  const std::string& path() const;
  // Whether there is an address left that was not tried since the last success.
  bool has_another_address() const;

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace qd::observe::host
