// What the redis collector needs to know of one server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connect/stream.h"

namespace qd::observe::redis {

struct Options {
  std::string address = "127.0.0.1:6379";  // "host:port", "[v6]:port", "/path/of.sock"
  std::string user;                        // of the ACL; empty: the default user
  std::string password;                    // empty: no login
  connect::TlsOptions tls;
  std::vector<std::string> streams;  // "key", or "db3=key" of another database

  bool operator==(const Options&) const = default;
};

inline constexpr std::size_t kStreamsMax = 100;

// "db3=orders" is stream "orders" of database 3, "orders" that of database 0.
struct StreamKey {
  std::uint32_t database = 0;
  std::string key;
};
base::Result<StreamKey> parse_stream_key(std::string_view text);

}  // namespace qd::observe::redis
