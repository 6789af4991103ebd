// Addresses of servers as people write them, and what they stand for.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace qd::connect {

// "host:port", "[v6]:port" or the path of a Unix socket.
struct ServerAddress {
  std::string host;  // without brackets; empty for a path
  std::uint16_t port = 0;
  std::string path;

  bool is_path() const { return !path.empty(); }
};

// kInvalid says how an address is written.
base::Result<ServerAddress> parse_server_address(std::string_view text);

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  int family() const { return bytes.ss_family; }
};

// Has a socket of that family send from `ip`, an address of this machine. False, with errno, when that cannot be.
bool bind_source(int socket, int family, const std::string& ip);

// How often a call that waits looks whether it was cancelled.
inline constexpr std::int64_t kCancelMs = 100;

// Looks up where servers can be reached. Numbers and paths are understood at once. Names are asked of the system
// (getaddrinfo), which has no time-out: a thread of its own asks, and when the deadline passes first, the caller is
// told kTimeout and the thread goes on alone until the system gives up (with the defaults of resolv.conf after 10 s for
// each name server). So there is a bound to these threads, and one for each kind of caller, so that one kind that asks
// for many dead names does not blind the other.
//
// Thread-safe. The threads that are left behind need nothing of it.
class LookUps {
 public:
  using Addresses = base::Result<std::vector<SocketAddress>>;

  // What a caller meets when all places are taken.
  enum class WhenFull : std::uint8_t { kRefuses, kWaits };

  // `ask` finds the addresses of a name, however long it takes; the system is asked where it is empty.
  LookUps(int at_once_max, WhenFull when_full, std::function<Addresses(const ServerAddress&)> ask = {});
  ~LookUps();
  LookUps(const LookUps&) = delete;
  LookUps& operator=(const LookUps&) = delete;

  // In the order in which to try; never empty. kUnavailable: no such name, or all places are taken and it refuses;
  // kTimeout: the deadline came first; kCancelled within kCancelMs of it, where there is a `cancel`.
  Addresses resolve(const ServerAddress& server, const base::Clock& clock, std::int64_t deadline_ns,
                    const base::CancelToken* cancel = nullptr);

  // Of whatever reads servers. It refuses: a reader's next pass comes soon.
  static LookUps& of_readers();
  // Of probes, which wait for a place until their deadline: what fails for want of one is told as the target's fault.
  static LookUps& of_probes();

 private:
  struct Places;
  base::Status take_place(const ServerAddress& server, const base::Clock& clock, std::int64_t deadline_ns,
                          const base::CancelToken* cancel);

  const int at_once_max_;
  const WhenFull when_full_;
  const std::function<Addresses(const ServerAddress&)> ask_;
  const std::shared_ptr<Places> places_;
};

inline constexpr int kResolversMax = 16;
// As many as there may be probes that others ask for, and some for those that are declared.
inline constexpr int kProbeResolversMax = 128;

// By LookUps::of_readers().
base::Result<std::vector<SocketAddress>> resolve(const ServerAddress& server, const base::Clock& clock,
                                                 std::int64_t deadline_ns, const base::CancelToken* cancel = nullptr);

}  // namespace qd::connect
