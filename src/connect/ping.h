// One ICMP echo request and its reply.
//
// Needs a ping socket (the group of this process within net.ipv4.ping_group_range) or, where the system has none for
// it, a raw socket (CAP_NET_RAW); kPermission names both. Other errors: kTimeout, kInvalid (source address, sizes),
// kUnavailable (no route, too large for the path), kCancelled.
//
// Source: RFC 792, RFC 4443 section 4; ping(8) and icmp(7) for what Linux makes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "connect/resolve.h"

namespace qd::connect {

inline constexpr std::size_t kPingPayloadBytesMax = 65'000;

struct PingOptions {
  SocketAddress to;   // IPv4 or IPv6; its port means nothing
  std::string shown;  // for errors: the target as people know it
  std::string source_ip = {};
  std::size_t payload_bytes = 28;
  int hops_max = 64;           // time to live
  bool dont_fragment = false;  // IPv4 only
};

// Filled as far as the call came.
struct PingTimes {
  double setup_s = 0;  // of the socket
  double rtt_s = 0;
  int reply_hops_left = -1;  // of the reply when it came; -1: not known
};

// Blocks until the deadline at most.
base::Status ping(const PingOptions& options, const base::Clock& clock, std::int64_t deadline_ns,
                  const base::CancelToken& cancel, PingTimes& times);

}  // namespace qd::connect
