// A message of a name server: any bytes.
//
// Besides not failing on any bytes: what it is read to is printable, bounded, and the same each time.

#include <cstdint>
#include <string>

#include "base/assert.h"
#include "connect/dns.h"
#include "input.h"

namespace {

using namespace qd::connect;

void check(const std::vector<DnsRecord>& records) {
  QD_ASSERT(records.size() <= kDnsRecordsMax);
  for (const auto& record : records) {
    QD_ASSERT(record.text.size() < 5 * 65'536);
    std::size_t tabs = 0;
    for (const char c : record.text) {
      tabs += c == '\t' ? 1 : 0;
      QD_ASSERT(c == '\t' || (c >= ' ' && c <= '~'));
    }
    QD_ASSERT(tabs == 4, record.text);
    QD_ASSERT(!record.serial || record.type == 6);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const qd::fuzz::Input input(data, size);
  const auto message = decode_dns_message(input.text());
  QD_ASSERT(message.has_value() == decode_dns_message(input.text()).has_value());
  if (!message) {
    QD_ASSERT(message.error().code() == qd::base::ErrorCode::kCorrupt);
    return 0;
  }
  check(message->answers);
  check(message->authorities);
  check(message->additionals);
  return 0;
}
