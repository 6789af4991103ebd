// Bits, the lowest of each byte first. The first value is 64 plain bits; then for each, with x its XOR with the one
// before:
//   0                              x = 0
//   1 0 window                     the meaningful bits of x lie in the window of the last x that brought one
//   1 1 leading:5 length-1:6 bits  a new window: leading zero bits (at most 31 are counted), how many bits follow
#include "store/metrics/codec_xor.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qd::store::metrics {
namespace {

class BitWriter {
 public:
  explicit BitWriter(std::string& out) : out_(out) {}
  ~BitWriter() { out_.append(reinterpret_cast<const char*>(&word_), (used_ + 7) / 8); }
  BitWriter(const BitWriter&) = delete;
  BitWriter& operator=(const BitWriter&) = delete;

  // REQUIRES: 1 <= bits <= 64, nothing above them in `value`.
  void put(std::uint64_t value, unsigned bits) {
    word_ |= value << used_;
    used_ += bits;
    if (used_ < 64) return;
    out_.append(reinterpret_cast<const char*>(&word_), 8);
    used_ -= 64;
    word_ = used_ == 0 ? 0 : value >> (bits - used_);
  }

 private:
  std::string& out_;
  std::uint64_t word_ = 0;
  unsigned used_ = 0;
};

class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> in) : in_(in), bits_(in.size() * 8) {}

  // Zero bits past the end, and ok() is false then. REQUIRES: 1 <= bits <= 64.
  std::uint64_t get(unsigned bits) {
    if (bits <= 56) return get_short(bits);
    const std::uint64_t low = get_short(32);
    return low | get_short(bits - 32) << 32;
  }
  bool ok() const { return at_ <= bits_; }

 private:
  std::uint64_t get_short(unsigned bits) {
    const std::size_t byte = at_ / 8;
    std::uint64_t word = 0;
    if (byte + 8 <= in_.size()) [[likely]] {
      std::memcpy(&word, in_.data() + byte, 8);
    } else if (byte < in_.size()) {
      std::memcpy(&word, in_.data() + byte, in_.size() - byte);
    }
    word >>= at_ % 8;
    at_ += bits;
    return word & ((std::uint64_t{1} << bits) - 1);
  }

  std::span<const std::byte> in_;
  std::size_t bits_;
  std::size_t at_ = 0;
};

}  // namespace

void encode_xor(std::span<const double> values, std::string& out) {
  BitWriter bits(out);
  std::uint64_t before = std::bit_cast<std::uint64_t>(values[0]);
  bits.put(before, 64);
  unsigned leading = 64;  // no window yet
  unsigned trailing = 0;
  for (const double value : values.subspan(1)) {
    const auto now = std::bit_cast<std::uint64_t>(value);
    const std::uint64_t x = now ^ before;
    before = now;
    if (x == 0) {
      bits.put(0, 1);
      continue;
    }
    const unsigned its_leading = std::min(static_cast<unsigned>(std::countl_zero(x)), 31U);
    const auto its_trailing = static_cast<unsigned>(std::countr_zero(x));
    if (leading != 64 && its_leading >= leading && its_trailing >= trailing) {
      bits.put(1, 2);
    } else {
      leading = its_leading;
      trailing = its_trailing;
      bits.put(3 | leading << 2 | (63 - leading - trailing) << 7, 13);
    }
    bits.put(x >> trailing, 64 - leading - trailing);
  }
}

bool decode_xor(std::span<const std::byte> in, std::span<double> out) {
  BitReader bits(in);
  std::uint64_t value = bits.get(64);
  out[0] = std::bit_cast<double>(value);
  unsigned length = 0;
  unsigned trailing = 0;
  for (double& to : out.subspan(1)) {
    if (bits.get(1) != 0) {
      if (bits.get(1) != 0) {
        const auto window = static_cast<unsigned>(bits.get(11));
        const unsigned leading = window & 31;
        length = (window >> 5) + 1;
        if (leading + length > 64) return false;
        trailing = 64 - leading - length;
      } else if (length == 0) {
        return false;
      }
      value ^= bits.get(length) << trailing;
    }
    to = std::bit_cast<double>(value);
  }
  return bits.ok();
}

}  // namespace qd::store::metrics
