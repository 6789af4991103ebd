// What the module stub_status says (ngx_http_stub_status_module):
//
//   Active connections: 2
//   server accepts handled requests
//    2 2 3
//   Reading: 0 Writing: 1 Waiting: 1
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "observe/collector.h"

namespace qd::observe::nginx {

struct StubStatus {
  std::uint64_t active = 0;
  std::uint64_t accepted = 0;
  std::uint64_t handled = 0;
  std::uint64_t requests = 0;
  std::uint64_t reading = 0;
  std::uint64_t writing = 0;
  std::uint64_t waiting = 0;
  bool operator==(const StubStatus&) const = default;
};

// Nothing for any other page. More numbers in the third line, as Tengine has them, are passed over.
std::optional<StubStatus> parse_stub_status(std::string_view page);

void tell(const StubStatus& status, Sink& sink);

}  // namespace qd::observe::nginx
