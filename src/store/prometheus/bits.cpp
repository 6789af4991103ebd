#include "store/prometheus/bits.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace qd::store::prometheus {
namespace {

// Widths of varbit numbers; the prefix of width i is i + 1 ones and a zero, of the last one eight ones.
constexpr unsigned kWidths[] = {3, 6, 9, 12, 18, 25, 56, 64};
constexpr unsigned kLastWidth = 7;

void write_prefix(BitWriter& out, unsigned width) {
  if (width == kLastWidth) return out.bits(0xff, 8);
  out.bits((1U << (width + 2)) - 2, width + 2);
}

}  // namespace

void BitWriter::bit(bool value) {
  bits(value ? 1 : 0, 1);
}

void BitWriter::bits(std::uint64_t value, unsigned count) {
  while (count > 0) {
    if (free_ == 0) {
      bytes_.push_back('\0');
      free_ = 8;
    }
    const unsigned take = std::min(free_, count);
    const auto part = static_cast<unsigned char>((value >> (count - take)) & ((1U << take) - 1));
    bytes_.back() = static_cast<char>(static_cast<unsigned char>(bytes_.back()) | (part << (free_ - take)));
    free_ -= take;
    count -= take;
  }
}

void BitWriter::uvarint(std::uint64_t value) {
  while (value >= 0x80) {
    bits((value & 0x7f) | 0x80, 8);
    value >>= 7;
  }
  bits(value, 8);
}

void BitWriter::varint(std::int64_t value) {
  uvarint(base::zigzag(value));
}

void BitWriter::varbit_uint(std::uint64_t value) {
  if (value == 0) return bit(false);
  unsigned width = 0;
  while (width < kLastWidth && value >> kWidths[width] != 0) ++width;
  write_prefix(*this, width);
  bits(value, kWidths[width]);
}

void BitWriter::varbit_int(std::int64_t value) {
  if (value == 0) return bit(false);
  // Width n holds -(2^(n-1) - 1) to 2^(n-1).
  const auto fits = [value](unsigned width) {
    const std::int64_t half = std::int64_t{1} << (width - 1);
    return value > -half && value <= half;
  };
  unsigned width = 0;
  while (width < kLastWidth && !fits(kWidths[width])) ++width;
  write_prefix(*this, width);
  bits(static_cast<std::uint64_t>(value), kWidths[width]);
}

void BitWriter::set_count(std::uint16_t count) {
  bytes_[0] = static_cast<char>(count >> 8);
  bytes_[1] = static_cast<char>(count & 0xff);
}

std::uint64_t BitReader::bits(unsigned count) {
  if (count > 56) {
    const std::uint64_t high = bits(count - 32);
    return high << 32 | bits(32);
  }
  if (count == 0) return 0;
  if (count > bits_left()) {
    ok_ = false;
    at_ = bytes_.size() * 8;
    return 0;
  }
  const std::size_t byte = at_ / 8;
  std::uint64_t word = 0;
  if (bytes_.size() - byte >= sizeof word) {
    std::memcpy(&word, bytes_.data() + byte, sizeof word);
    word = std::byteswap(word);
  } else {
    for (std::size_t i = byte; i < bytes_.size(); ++i) {
      word |= std::to_integer<std::uint64_t>(bytes_[i]) << (56 - 8 * (i - byte));
    }
  }
  const std::uint64_t value = (word << (at_ % 8)) >> (64 - count);
  at_ += count;
  return value;
}

std::uint64_t BitReader::uvarint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const std::uint64_t byte = bits(8);
    if (shift == 63 && byte > 1) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  ok_ = false;
  return 0;
}

std::int64_t BitReader::varint() {
  return base::unzigzag(uvarint());
}

std::uint64_t BitReader::varbit_uint() {
  if (!bit()) return 0;
  unsigned width = 0;
  while (width < kLastWidth && bit()) ++width;
  return bits(kWidths[width]);
}

std::int64_t BitReader::varbit_int() {
  if (!bit()) return 0;
  unsigned width = 0;
  while (width < kLastWidth && bit()) ++width;
  const unsigned count = kWidths[width];
  const std::uint64_t value = bits(count);
  if (count < 64 && value > std::uint64_t{1} << (count - 1)) {
    return static_cast<std::int64_t>(value - (std::uint64_t{1} << count));
  }
  return static_cast<std::int64_t>(value);
}

void XorColumn::write(BitWriter& out, double next) {
  constexpr unsigned kLeadingMax = 31;  // five bits tell it
  const std::uint64_t changed = std::bit_cast<std::uint64_t>(next) ^ std::bit_cast<std::uint64_t>(value);
  value = next;
  if (changed == 0) return out.bit(false);
  const auto front = std::min(static_cast<unsigned>(std::countl_zero(changed)), kLeadingMax);
  const auto back = static_cast<unsigned>(std::countr_zero(changed));
  if (leading != kNone && front >= leading && back >= trailing) {
    out.bits(0b10, 2);
    return out.bits(changed >> trailing, 64U - leading - trailing);
  }
  leading = static_cast<std::uint8_t>(front);
  trailing = static_cast<std::uint8_t>(back);
  const unsigned width = 64U - front - back;
  out.bits(0b11, 2);
  out.bits(front, 5);
  out.bits(width & 63, 6);  // 64 is told as 0, which never occurs
  out.bits(changed >> back, width);
}

void XorColumn::read(BitReader& in) {
  if (!in.bit()) return;
  unsigned front = leading == kNone ? 0 : leading;
  unsigned back = trailing;
  if (in.bit()) {
    front = static_cast<unsigned>(in.bits(5));
    auto width = static_cast<unsigned>(in.bits(6));
    if (width == 0) width = 64;
    // More than there is: no writer does that, and the samples that come of it are refused by their checksum.
    back = front + width > 64 ? 0 : 64 - front - width;
    leading = static_cast<std::uint8_t>(front);
    trailing = static_cast<std::uint8_t>(back);
  }
  const std::uint64_t changed = in.bits(64 - front - back) << back;
  value = std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) ^ changed);
}

}  // namespace qd::store::prometheus
