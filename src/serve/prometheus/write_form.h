// Which message a request of remote write holds, by its headers.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "connect/http/message.h"

namespace qd::serve::prometheus {

enum class WriteForm : std::uint8_t {
  kV1,  // prometheus.WriteRequest, also where nothing is said
  kV2,  // io.prometheus.write.v2.Request
};

// kInvalid says which part is not taken, for an answer 415. Source: Prometheus Remote-Write 2.0 specification, "Content
// negotiation".
base::Result<WriteForm> write_form(const connect::http::Request& request);

}  // namespace qd::serve::prometheus
