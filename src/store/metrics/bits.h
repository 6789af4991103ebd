// What several codecs ask about the bits of numbers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace qd::store::metrics {

inline std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

// Unlike ==, tells the zeros apart and finds a NaN again.
inline bool same_bits(double a, double b) {
  return bits_of(a) == bits_of(b);
}

// Of the bytes up to the highest that is not zero; 0 for 0.
inline unsigned byte_count(std::uint64_t value) {
  return (static_cast<unsigned>(std::bit_width(value)) + 7) / 8;
}

// What `value` takes as a varint: 7 bits a byte.
inline std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

}  // namespace qd::store::metrics
