// A body of remote read: an even first byte leaves the packing aside. What is read writes and reads again as the same.

#include <cstdint>
#include <string>

#include "base/assert.h"
#include "input.h"
#include "model/remote_write/read_request.h"
#include "model/remote_write/snappy_block.h"

namespace wire = qd::model::remote_write;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qd::fuzz::Input input(data, size);
  std::string message;
  if (input.byte() % 2 == 0) {
    message = input.text();
  } else {
    auto unpacked = wire::unpack(input.text(), 1 << 20);
    if (!unpacked) return 0;
    message = std::move(*unpacked);
  }
  const auto request = wire::read_read_request(message);
  if (!request) return 0;
  const auto again = wire::read_read_request(wire::write_read_request(*request));
  QD_ASSERT(again.has_value() && again->streamed == request->streamed);
  QD_ASSERT(again->queries.size() == request->queries.size());
  for (std::size_t i = 0; i < request->queries.size(); ++i) {
    const auto& a = request->queries[i];
    const auto& b = again->queries[i];
    QD_ASSERT(a.from_ms == b.from_ms && a.to_ms == b.to_ms && a.matchers.size() == b.matchers.size());
    for (std::size_t k = 0; k < a.matchers.size(); ++k)
      QD_ASSERT(a.matchers[k].kind() == b.matchers[k].kind() && a.matchers[k].name() == b.matchers[k].name() &&
                a.matchers[k].value() == b.matchers[k].value());
  }
  return 0;
}
