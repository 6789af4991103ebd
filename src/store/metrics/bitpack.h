// Integers of a fixed number of bits, one after the other, lowest bit first: the inner loop of every column.
//
// Eight integers of w bits fill w bytes, so that every eighth begins on a byte and all shifts are known to the
// compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qd::store::metrics {

// Widths above it are written as 64: one unaligned load holds 57 bits wherever they begin.
inline constexpr unsigned kPackedBitsMax = 57;

constexpr bool packable(unsigned bits) {
  return bits <= kPackedBitsMax || bits == 64;
}
// The least packable width that holds `bits`.
constexpr unsigned packed_width(unsigned bits) {
  return bits <= kPackedBitsMax ? bits : 64;
}
constexpr std::size_t packed_bytes(std::size_t count, unsigned bits) {
  return (count * bits + 7) / 8;
}

// Appends the low `bits` of each value. REQUIRES: packable(bits).
void pack_bits(std::span<const std::uint64_t> values, unsigned bits, std::string& out);
// REQUIRES: packable(bits), in.size() >= packed_bytes(out.size(), bits). Reads nothing outside of `in`.
void unpack_bits(std::span<const std::byte> in, unsigned bits, std::span<std::uint64_t> out);

}  // namespace qd::store::metrics
