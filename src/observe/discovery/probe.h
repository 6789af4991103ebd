// What an unknown TCP port speaks, found out by asking as little as tells the known kinds apart.
//
// First it is listened to: MySQL greets. Then "GET /metrics" of HTTP/1.0 without headers: web servers answer it (and
// are asked once more by name where they refuse), Redis refuses it in its own words, which a plain question of its own
// confirms, and what closes without a word is asked whether it is PostgreSQL, then memcached. At most three
// connections, one after the other; at most kAnswerBytesMax are read of an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace qd::observe::discovery {

struct Probed {
  // Somebody listens there, whatever it is.
  bool connected = false;
  // "postgres", "mysql", "redis", "memcached", "openmetrics" (at /metrics); empty for what is none of them.
  std::string kind;
};

inline constexpr std::size_t kAnswerBytesMax = 64 << 10;

// `address` is an IP address and a port: "172.17.0.2:8080", "[::1]:8080". Blocks at most until `deadline_ns` on the
// monotonic clock.
Probed probe(const std::string& address, std::int64_t deadline_ns, const base::Clock& clock);

// Whether an answer of HTTP is a page of metrics.
bool is_metrics_page(std::string_view response);

}  // namespace qd::observe::discovery
