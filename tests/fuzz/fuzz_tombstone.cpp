// A tombstone; an even first byte leaves the checksum aside. What is read is written and read again as it was.

#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "input.h"
#include "store/metrics/tombstones.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qd::store::metrics;
  qd::fuzz::Input input(data, size);
  const Checksums checksums = input.byte() % 2 == 0 ? Checksums::kIgnore : Checksums::kVerify;
  const auto read = decode_tombstone(input.bytes(), 1, "tombstone", checksums);
  if (!read) return 0;
  const std::string written = encode_tombstone(*read);
  const auto again = decode_tombstone(qd::base::as_bytes(written), 1, "tombstone");
  QD_ASSERT(again.has_value());
  QD_ASSERT(again->from_ms == read->from_ms && again->to_ms == read->to_ms && again->in_head == read->in_head);
  QD_ASSERT(again->segments_before == read->segments_before && again->matchers.size() == read->matchers.size());
  for (std::size_t i = 0; i < again->matchers.size(); ++i)
    QD_ASSERT(again->matchers[i].to_string() == read->matchers[i].to_string());
  return 0;
}
