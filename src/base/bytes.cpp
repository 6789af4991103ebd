// CRC-32C: reflected, polynomial 0x1edc6f41, initial value and final xor 0xffffffff.
#include "base/bytes.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace qd::base {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// tables[k][b]: the remainder of byte b followed by k zero bytes, so that eight bytes are taken in one step.
constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t b = 0; b < 256; ++b) tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
  return tables;
}
constexpr Tables kTables = make_tables();

std::uint32_t crc_by_table(std::uint32_t crc, const unsigned char* at, std::size_t n) {
  for (; n >= 8; at += 8, n -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; n > 0; ++at, --n) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc_by_sse42(std::uint32_t crc, const unsigned char* at,
                                                             std::size_t n) {
  std::uint64_t wide = crc;
  for (; n >= 8; at += 8, n -= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (; n > 0; ++at, --n) crc = _mm_crc32_u8(crc, *at);
  return crc;
}
#endif

using Kernel = std::uint32_t (*)(std::uint32_t, const unsigned char*, std::size_t);

Kernel best_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return crc_by_sse42;
#endif
  return crc_by_table;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed) {
  static const Kernel kernel = best_kernel();
  return ~kernel(~seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::uint32_t crc32c_portable(std::span<const std::byte> bytes, std::uint32_t seed) {
  return ~crc_by_table(~seed, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace qd::base
