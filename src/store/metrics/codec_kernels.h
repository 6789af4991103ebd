// The inner loops of decoding, compiled for several instruction sets; the best that the CPU has is taken at run time.
//
// Every variant gives the same bits. Pure functions; nothing is checked here. AVX2 takes a quarter (unpack) to two
// thirds (add_up) of the time of what every x86-64 has, AVX-512 (with VBMI: what unpack is made of) two thirds of that
// again; kernels_of in codec_bench.cpp measures it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace qd::store::metrics {

struct DecodeKernels {
  std::string_view name;
  // `groups` times eight integers of `bits` bits (at most kPackedBitsMax). Reads unpack_reach(bits) bytes from
  // where each group begins.
  void (*unpack)(const std::byte* in, unsigned bits, std::uint64_t* out, std::size_t groups);
  // u[i] *= factor
  void (*scale)(std::uint64_t* u, std::size_t n, std::uint64_t factor);
  // to[i] = x + (i + 1) * slope + u[i]
  void (*add_line)(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope, std::int64_t* to);
  // to[i] = x + the sum of (step + u[k]) for k <= i. `to` may be `u`.
  void (*add_up)(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, std::int64_t* to);
  // to[i] = integers[i] / power, the integers below 2^51.
  void (*divide)(const std::int64_t* integers, std::size_t n, double power, double* to);
  // add_line and add_up, and what they give divided as divide does.
  void (*divide_line)(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t slope, double power,
                      double* to);
  void (*divide_sums)(const std::uint64_t* u, std::size_t n, std::uint64_t x, std::uint64_t step, double power,
                      double* to);
  bool (*rises)(const std::int64_t* integers, std::size_t n);
};

// Loads of eight bytes reach this far behind the beginning of a group of eight integers.
constexpr std::size_t unpack_reach(unsigned bits) {
  return bits <= 8 ? 8 : bits <= 16 ? bits / 2 + 8 : 7 * bits / 8 + 8;
}

const DecodeKernels& decode_kernels();
// All that this CPU runs, the plain one first.
std::span<const DecodeKernels* const> runnable_decode_kernels();

// An integer below 2^51 as a double, by the trick that works in vectors without AVX-512 too: added to 1.5 * 2^52 it
// stands in the low bits of the sum.
inline constexpr double kIntegerShift = 6755399441055744.0;

}  // namespace qd::store::metrics
