#include "serve/prometheus/xor_chunk.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/bytes.h"

namespace qd::serve::prometheus {

namespace {

// Bits, the highest first.
class BitWriter {
 public:
  void bits(std::uint64_t value, unsigned count) {
    while (count > 0) {
      if (free_ == 0) {
        bytes_.push_back('\0');
        free_ = 8;
      }
      const unsigned take = std::min(free_, count);
      const std::uint64_t part = value >> (count - take) & ((1U << take) - 1U);
      bytes_.back() = static_cast<char>(static_cast<unsigned char>(bytes_.back()) | part << (free_ - take));
      free_ -= take;
      count -= take;
    }
  }
  void varint(std::uint64_t value) {
    std::string text;
    base::ByteWriter(text).varint(value);
    for (const char c : text) bits(static_cast<unsigned char>(c), 8);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  unsigned free_ = 0;  // bits of the last byte
};

// Differences of differences of times: a prefix, and how many bits follow it.
struct Bucket {
  unsigned bits;
  std::uint64_t prefix;
  unsigned prefix_bits;
};
constexpr std::array<Bucket, 4> kBuckets = {{{14, 0b10, 2}, {17, 0b110, 3}, {20, 0b1110, 4}, {64, 0b1111, 4}}};

bool fits(std::int64_t value, unsigned bits) {
  if (bits == 64) return true;
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return value >= -half + 1 && value <= half;
}

class Encoder {
 public:
  void add(model::TimestampMs time_ms, double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    if (count_ == 0) {
      out_.varint(base::zigzag(time_ms));
      out_.bits(bits, 64);
    } else if (count_ == 1) {
      delta_ms_ = time_ms - time_ms_;
      out_.varint(static_cast<std::uint64_t>(delta_ms_));
      add_value(bits);
    } else {
      const std::int64_t delta_ms = time_ms - time_ms_;
      add_time(delta_ms - delta_ms_);
      delta_ms_ = delta_ms;
      add_value(bits);
    }
    time_ms_ = time_ms;
    value_ = bits;
    ++count_;
  }

  std::string finish() {
    std::string bytes;
    bytes.push_back(static_cast<char>(count_ >> 8));
    bytes.push_back(static_cast<char>(count_ & 0xff));
    return bytes + out_.take();
  }

 private:
  void add_time(std::int64_t change_ms) {
    if (change_ms == 0) return out_.bits(0, 1);
    for (const Bucket& bucket : kBuckets) {
      if (!fits(change_ms, bucket.bits)) continue;
      out_.bits(bucket.prefix, bucket.prefix_bits);
      return out_.bits(static_cast<std::uint64_t>(change_ms), bucket.bits);
    }
  }

  void add_value(std::uint64_t bits) {
    const std::uint64_t change = bits ^ value_;
    if (change == 0) return out_.bits(0, 1);
    out_.bits(1, 1);
    // Five bits hold it.
    const unsigned leading = std::min(static_cast<unsigned>(std::countl_zero(change)), 31U);
    const auto trailing = static_cast<unsigned>(std::countr_zero(change));
    if (leading_ <= 64 && leading >= leading_ && trailing >= trailing_) {
      out_.bits(0, 1);
      return out_.bits(change >> trailing_, 64 - leading_ - trailing_);
    }
    leading_ = leading;
    trailing_ = trailing;
    const unsigned length = 64 - leading - trailing;
    out_.bits(1, 1);
    out_.bits(leading, 5);
    out_.bits(length & 63U, 6);  // 64 is told as 0
    out_.bits(change >> trailing, length);
  }

  BitWriter out_;
  unsigned count_ = 0;
  model::TimestampMs time_ms_ = 0;
  std::int64_t delta_ms_ = 0;
  std::uint64_t value_ = 0;
  unsigned leading_ = 255;  // none yet
  unsigned trailing_ = 0;
};

}  // namespace

std::vector<XorChunk> xor_chunks(const store::metrics::Columns& columns) {
  std::vector<XorChunk> chunks;
  for (std::size_t at = 0; at < columns.size(); at += kChunkSamples) {
    const std::size_t end = std::min(columns.size(), at + kChunkSamples);
    Encoder encoder;
    for (std::size_t i = at; i < end; ++i) encoder.add(columns.times[i], columns.values[i]);
    chunks.push_back({.min_ms = columns.times[at], .max_ms = columns.times[end - 1], .bytes = encoder.finish()});
  }
  return chunks;
}

}  // namespace qd::serve::prometheus
