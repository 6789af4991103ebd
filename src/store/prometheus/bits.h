// Bits as the chunks of Prometheus have them: the most significant first, no alignment.
//
// Source: tsdb/docs/format/chunks.md of Prometheus. `varbit` numbers take fewer bits the nearer they are to zero: a
// prefix of ones says in which of nine widths the number stands. One thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qd::store::prometheus {

class BitWriter {
 public:
  void bit(bool value);
  // The lowest `count` bits of `value`, at most 64.
  void bits(std::uint64_t value, unsigned count);
  void float64(double value) { bits(std::bit_cast<std::uint64_t>(value), 64); }
  // LEB128, byte by byte.
  void uvarint(std::uint64_t value);
  void varint(std::int64_t value);
  void varbit_uint(std::uint64_t value);
  void varbit_int(std::int64_t value);
  // The first two bytes, which count the samples of a chunk.
  void set_count(std::uint16_t count);

  std::string& bytes() { return bytes_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  unsigned free_ = 0;  // bits of the last byte that nothing stands in
};

// Past the end every further read gives zero and ok() is false: check once a sample.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool bit() { return bits(1) != 0; }
  std::uint64_t bits(unsigned count);
  double float64() { return std::bit_cast<double>(bits(64)); }
  std::uint64_t uvarint();
  std::int64_t varint();
  std::uint64_t varbit_uint();
  std::int64_t varbit_int();

  bool ok() const { return ok_; }
  std::size_t bits_left() const { return bytes_.size() * 8 - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;  // in bits
  bool ok_ = true;
};

// The values of one column, each as what differs from the one before.
struct XorColumn {
  double value = 0;
  std::uint8_t leading = kNone;
  std::uint8_t trailing = 0;

  void write(BitWriter& out, double next);
  void read(BitReader& in);

  static constexpr std::uint8_t kNone = 0xff;
};

}  // namespace qd::store::prometheus
