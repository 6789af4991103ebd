// Records of the name system, asked of the machine's name servers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/thread_pool.h"

namespace qd::observe::sd {

struct NameServers {
  std::vector<std::string> addresses;  // "host:port"
  std::vector<std::string> search;     // domains to try a short name in
  int ndots = 1;                       // a name with fewer dots is tried in `search` first
};

// As resolv.conf(5) has it.
NameServers parse_resolv_conf(std::string_view text);

struct NameRecord {
  std::uint16_t type = 0;
  std::vector<std::string> fields;  // as zone files have them: of SRV priority, weight, port and target
};

inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeNs = 2;
inline constexpr std::uint16_t kTypeMx = 15;
inline constexpr std::uint16_t kTypeAaaa = 28;
inline constexpr std::uint16_t kTypeSrv = 33;

// Asks the servers one after the other for records of a type, over TCP where UDP is too small. None at all when a
// server says that the name is not there; kUnavailable when none answers, kCancelled. Waits: not from a thread of the
// event loop.
base::Result<std::vector<NameRecord>> look_up(const NameServers& servers, const std::string& name, std::uint16_t type,
                                              const base::Clock& clock, const base::CancelToken& cancel);

}  // namespace qd::observe::sd
