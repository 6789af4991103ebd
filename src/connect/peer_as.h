// Who this program is to the servers that it connects to over Unix sockets.
#pragma once

#include <sys/types.h>

#include <optional>

namespace qd::connect {

// While it lives, the calling thread connects as another user of this machine: servers that ask the kernel who their
// peer is (SO_PEERCRED in unix(7), PostgreSQL's "peer") see that user, as they do with sudo. Needs root, or CAP_SETUID;
// without it, and with no user, it changes nothing. Other threads are not touched. Live it for the call that connects,
// no longer: the thread has the rights of that user for as long.
class PeerAs {
 public:
  explicit PeerAs(std::optional<uid_t> user);
  ~PeerAs();
  PeerAs(const PeerAs&) = delete;
  PeerAs& operator=(const PeerAs&) = delete;

 private:
  std::optional<uid_t> before_;
  int dumpable_ = 0;
};

}  // namespace qd::connect
