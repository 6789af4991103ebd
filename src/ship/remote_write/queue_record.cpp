#include "ship/remote_write/queue_record.h"

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"

namespace qd::ship::remote_write {

namespace {

constexpr std::string_view kMarker = "QF";
constexpr std::uint8_t kTypeRequest = 1;
constexpr std::size_t kCheckedHeaderBytes = 8;  // before the checksum
// Looking for the next whole record may check what only looks like one; this bounds the work on damaged bytes.
constexpr std::size_t kSearchFactor = 8;

}  // namespace

std::string queue_header(std::uint64_t number) {
  std::string out(kQueueMagic);
  base::ByteWriter writer(out);
  writer.fixed(kQueueVersion);
  writer.fixed(number);
  return out;
}

void append_record(std::string& out, model::TimestampMs time_ms, std::uint32_t samples, std::string_view request) {
  QD_ASSERT(request.size() <= kRequestBytesMax, std::to_string(request.size()));
  const std::size_t at = out.size();
  base::ByteWriter writer(out);
  out.append(kMarker);
  writer.fixed(kTypeRequest);
  writer.fixed(std::uint8_t{0});
  writer.fixed(static_cast<std::uint32_t>(kRecordFixedBytes + request.size()));
  const std::size_t checksum_at = out.size();
  writer.fixed(std::uint32_t{0});
  writer.fixed(time_ms);
  writer.fixed(samples);
  out.append(request);
  const auto bytes = base::as_bytes(out);
  std::uint32_t crc = base::crc32c(bytes.subspan(at, kCheckedHeaderBytes));
  crc = base::crc32c(bytes.subspan(checksum_at + sizeof(crc)), crc);
  std::memcpy(out.data() + checksum_at, &crc, sizeof(crc));
}

bool read_record(std::span<const std::byte> bytes, std::size_t at, RecordView& record) {
  if (at > bytes.size()) return false;
  base::ByteReader reader(bytes.subspan(at));
  const std::string_view marker = base::as_text(reader.raw(kMarker.size()));
  const auto type = reader.fixed<std::uint8_t>();
  const auto zero = reader.fixed<std::uint8_t>();
  const auto length = reader.fixed<std::uint32_t>();
  const auto checksum = reader.fixed<std::uint32_t>();
  if (!reader.ok() || marker != kMarker || type != kTypeRequest || zero != 0) return false;
  if (length < kRecordFixedBytes || length > kRecordFixedBytes + kRequestBytesMax) return false;
  const auto payload = reader.raw(length);
  if (!reader.ok()) return false;
  if (base::crc32c(payload, base::crc32c(bytes.subspan(at, kCheckedHeaderBytes))) != checksum) return false;
  base::ByteReader fields(payload);
  record.time_ms = fields.fixed<model::TimestampMs>();
  record.samples = fields.fixed<std::uint32_t>();
  record.request = base::as_text(payload.subspan(kRecordFixedBytes));
  record.bytes = kRecordHeaderBytes + length;
  return true;
}

std::size_t find_record(std::span<const std::byte> bytes, std::size_t at) {
  std::size_t budget = kSearchFactor * bytes.size();
  while (at < bytes.size()) {
    const void* const found = std::memchr(bytes.data() + at, kMarker.front(), bytes.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
    RecordView record;
    if (read_record(bytes, at, record)) return at;
    // What a check that failed may have cost at most.
    std::uint32_t claimed = 0;
    if (bytes.size() - at >= kCheckedHeaderBytes) std::memcpy(&claimed, bytes.data() + at + 4, sizeof(claimed));
    const std::size_t cost = claimed <= kRecordBytesMax ? claimed : 0;
    if (cost > budget) break;
    budget -= cost;
    ++at;
  }
  return bytes.size();
}

}  // namespace qd::ship::remote_write
