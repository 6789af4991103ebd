// What a Redis Sentinel knows of the masters that it watches, by the SENTINEL command.
//
// Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "observe/collector.h"
#include "observe/redis/resp.h"
#include "observe/redis/session.h"

namespace qd::observe::redis {

class Sentinel {
 public:
  Sentinel() = default;

  void clear() { masters_.clear(); }
  base::Status ask(Session& session, std::int64_t deadline_ns);
  void tell(Sink& sink) const;

 private:
  struct Master {
    std::string name;
    std::string address;
    std::string quorum_message;
    bool quorum = false;
    std::array<std::optional<double>, 8> values{};  // in the order of kSentinelMaster
  };

  std::string request_;
  Replies replies_;
  std::vector<Master> masters_;
};

}  // namespace qd::observe::redis
