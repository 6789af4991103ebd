// Samples as bytes: blocks of up to kBlockSamplesMax times or values, each encoded by whichever way is smallest for it
// (or, of what is read for hours only, by the first way that fits).
//
// Times are an integer column: the regular run and its exceptions, bit packed. Values are, in the order in which they
// are tried: decimals turned into integers (ALP: Afroozeh, Kuffo, Boncz, SIGMOD 2024, but scaled back by division, so
// that every decimal of 15 digits comes out exact), decimals with an error of a few units in the last place (what
// summing decimals leaves), bit patterns as integers, XOR with the value before (Gorilla, VLDB 2015), plain. Every bit
// of every double comes back: NaN payloads, signed zeros, infinities, denormals. docs/formats/segment.md has the bytes.
//
// Decoding takes any bytes: it reads and writes in bounds only and says kCorrupt when they cannot be what was encoded
// (bytes changed in a way that still reads as a block give other samples: checksums are the caller's).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "model/sample.h"

namespace qd::store::metrics {

// 16 kB of times and values: what a block costs to decode bounds what a short query pays for too much.
inline constexpr std::size_t kBlockSamplesMax = 1024;

// Keeps buffers between blocks; one thread at a time.
class BlockEncoder {
 public:
  // kQuick takes the first coding that fits, a third of the time: for what is read for hours, not years.
  enum class Effort : std::uint8_t { kQuick, kFull };
  explicit BlockEncoder(Effort effort = Effort::kFull);
  ~BlockEncoder();
  BlockEncoder(const BlockEncoder&) = delete;
  BlockEncoder& operator=(const BlockEncoder&) = delete;

  // Appends a block to `out`. REQUIRES: 1 to kBlockSamplesMax strictly rising times.
  void encode_times(std::span<const model::TimestampMs> times, std::string& out);
  // Appends a block to `out`; `compress` also tries zstd. REQUIRES: 1 to kBlockSamplesMax values.
  void encode_values(std::span<const double> values, bool compress, std::string& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// Fills all of `out`, which has as many elements as were encoded (at most kBlockSamplesMax, at least one). On an error
// `out` holds anything. Times come out strictly rising, or it is kCorrupt.
base::Status decode_times(std::span<const std::byte> block, std::span<model::TimestampMs> out);
base::Status decode_values(std::span<const std::byte> block, std::span<double> out);

// How a value block is encoded, for statistics and tests.
enum class ValueCoding : std::uint8_t {
  kDecimal = 0,        // integers, divided by a power of ten
  kDecimalAndUlp = 1,  // the same, and how many units in the last place it is off
  kBits = 2,           // the bit patterns as integers
  kXor = 3,
  kPlain = 4,
  kZstd = 5,  // another block, compressed
};
base::Result<ValueCoding> value_coding(std::span<const std::byte> block);

}  // namespace qd::store::metrics
