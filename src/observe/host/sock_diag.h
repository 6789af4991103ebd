// How many TCP sockets there are in each state, asked of the kernel by NETLINK_SOCK_DIAG (sock_diag(7)).
//
// The kernel's answer is binary, of the sockets of this process's network, IPv4 and IPv6; /proc/net/tcp says the same
// as text at several times the cost. Used by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace qd::observe::host {

struct TcpSockets {
  // By the kernel's numbers (include/net/tcp_states.h, TCP_ESTABLISHED is 1); 0 counts those of any other.
  static constexpr std::size_t kStates = 12;
  static constexpr std::uint8_t kListen = 10;

  std::array<std::uint64_t, kStates> in_state{};
  std::uint64_t received_bytes = 0;  // and not yet read
  std::uint64_t sent_bytes = 0;      // and not yet acknowledged

  // Queues of a listening socket hold connections, not bytes.
  void add(std::uint8_t state, std::uint64_t received, std::uint64_t sent) {
    ++in_state[state < kStates ? state : 0];
    if (state == kListen) return;
    received_bytes += received;
    sent_bytes += sent;
  }
  std::uint64_t total() const;
};

class SockDiag {
 public:
  // Past this the answer is given up with EFBIG: it is a hundred bytes a socket.
  static constexpr std::uint64_t kSocketsMax = 2'000'000;

  SockDiag() : answer_(32 << 10) {}
  ~SockDiag() { close(); }
  SockDiag(const SockDiag&) = delete;
  SockDiag& operator=(const SockDiag&) = delete;

  // Fills `sockets`, or returns an errno; ETIMEDOUT past the deadline (monotonic).
  int count(const base::Clock& clock, std::int64_t deadline_ns, TcpSockets& sockets);

 private:
  int ask(std::uint8_t family);
  int read(const base::Clock& clock, std::int64_t deadline_ns, TcpSockets& sockets);
  void close();

  int socket_ = -1;
  std::uint32_t asked_ = 0;
  std::vector<char> answer_;
};

}  // namespace qd::observe::host
