#include "store/metrics/bitpack.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "store/metrics/codec_kernels.h"

namespace qd::store::metrics {

void pack_bits(std::span<const std::uint64_t> values, unsigned bits, std::string& out) {
  if (bits == 0 || values.empty()) return;
  const std::size_t begin = out.size();
  out.resize(begin + packed_bytes(values.size(), bits));
  char* at = out.data() + begin;
  if (bits == 64) {
    std::memcpy(at, values.data(), values.size_bytes());
    return;
  }
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  std::uint64_t word = 0;  // what is not written yet, below `used` bits
  unsigned used = 0;
  for (const std::uint64_t value : values) {
    word |= (value & mask) << used;
    used += bits;
    if (used >= 64) {
      std::memcpy(at, &word, 8);
      at += 8;
      used -= 64;
      word = used == 0 ? 0 : (value & mask) >> (bits - used);
    }
  }
  std::memcpy(at, &word, (used + 7) / 8);
}

void unpack_bits(std::span<const std::byte> in, unsigned bits, std::span<std::uint64_t> out) {
  if (bits == 64) {
    if (!out.empty()) std::memcpy(out.data(), in.data(), out.size_bytes());
    return;
  }
  const DecodeKernels& kernels = decode_kernels();
  const std::size_t reach = unpack_reach(bits);
  const std::size_t whole = out.size() / 8;
  std::size_t fast = whole;  // groups whose loads stay inside of `in`
  if (bits != 0) fast = in.size() < reach ? 0 : std::min(whole, (in.size() - reach) / bits + 1);
  kernels.unpack(in.data(), bits, out.data(), fast);

  // The rest from a copy with room behind it. Less than a reach is left, or less than a group: at most 64 bytes.
  std::size_t done = fast * 8;
  if (done == out.size()) return;
  std::array<std::byte, 192> tail{};
  std::array<std::uint64_t, 8> group;
  const std::size_t left_bytes = std::min<std::size_t>(packed_bytes(out.size() - done, bits), 64);
  if (left_bytes > 0) std::memcpy(tail.data(), in.data() + fast * bits, left_bytes);
  for (std::size_t at = 0; done < out.size(); at += bits) {
    kernels.unpack(tail.data() + at, bits, group.data(), 1);
    const std::size_t n = std::min<std::size_t>(8, out.size() - done);
    std::copy_n(group.begin(), n, out.begin() + static_cast<std::ptrdiff_t>(done));
    done += n;
  }
}

}  // namespace qd::store::metrics
