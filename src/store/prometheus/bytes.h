// Integers and checksums as they stand in Prometheus's files: big-endian, varints as ours, CRC-32C behind what it
// covers. Pure functions, any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace qd::store::prometheus {

inline constexpr std::size_t kChecksumBytes = 4;

inline std::uint16_t read_be16(base::ByteReader& in) {
  return std::byteswap(in.fixed<std::uint16_t>());
}
inline std::uint32_t read_be32(base::ByteReader& in) {
  return std::byteswap(in.fixed<std::uint32_t>());
}
inline std::uint64_t read_be64(base::ByteReader& in) {
  return std::byteswap(in.fixed<std::uint64_t>());
}
inline double read_be_double(base::ByteReader& in) {
  return std::bit_cast<double>(read_be64(in));
}
inline std::uint32_t be32_at(std::span<const std::byte> bytes, std::size_t offset) {
  base::ByteReader in(bytes.subspan(offset));
  return read_be32(in);
}

inline void write_be32(std::string& out, std::uint32_t value) {
  base::ByteWriter(out).fixed(std::byteswap(value));
}
inline void write_be64(std::string& out, std::uint64_t value) {
  base::ByteWriter(out).fixed(std::byteswap(value));
}
inline void write_checksum(std::string& out, std::string_view of) {
  write_be32(out, base::crc32c(base::as_bytes(of)));
}

// "<path> at byte <offset>: <what>", kCorrupt.
std::unexpected<base::Error> damage(const std::filesystem::path& path, std::uint64_t offset, std::string_view what);

}  // namespace qd::store::prometheus
