// How the head keeps the samples of one series: a few dozen of them in one short run of bytes.
//
// The first value stands raw; its time is kept outside. Each further sample is one tag byte and what the tag asks for
// (docs/formats/wal.md has the table): a regular time costs nothing, a counter or a decimal gauge one to three bytes,
// an arbitrary double up to nine. Encoding keeps its state in ChunkState, decoding finds the same state again by
// itself. Pure functions, any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "model/sample.h"
#include "store/metrics/querier.h"

namespace qd::store::metrics {

inline constexpr std::size_t kChunkBytesMax = 256;
// What one further sample can take: tag, time, and a value of its own.
inline constexpr std::size_t kChunkSampleBytesMax = 22;

// What the encoder must know of the samples so far.
struct ChunkState {
  model::TimestampMs time_ms = 0;
  std::int64_t delta_ms = 0;  // between the last two samples
  double value = 0;
  std::int64_t mantissa = 0;  // of the last value that was a decimal
  std::uint8_t scale = 0;     // digits behind the point; the upper half counts values that were no decimal
};

// Starts a chunk at `out`, which has room for eight bytes; returns how many it took.
std::size_t begin_chunk(ChunkState& state, model::TimestampMs time_ms, double value, std::byte* out);
// Adds a sample at `out`, which has room for kChunkSampleBytesMax; returns how many bytes it took.
// REQUIRES: time_ms > state.time_ms.
std::size_t extend_chunk(ChunkState& state, model::TimestampMs time_ms, double value, std::byte* out);
struct EncodedChunk {
  std::span<const std::byte> bytes;
  model::TimestampMs first_ms;
  std::size_t count;
};
// Appends the samples of all of them to `out`; several at once take half the time of one by one. False when one cannot
// be a chunk; `out` is then as before.
bool decode_chunks(std::span<const EncodedChunk> chunks, Columns& out);
// Appends the `count` samples of a chunk to `out`. False when the bytes cannot be such a chunk; `out` is then as
// before.
bool decode_chunk(std::span<const std::byte> bytes, model::TimestampMs first_ms, std::size_t count, Columns& out);

// A value as mantissa / 10^scale when that gives back every bit of it, with |mantissa| < 2^51.
inline constexpr int kDecimalScaleMax = 6;
inline constexpr double kPowersOfTen[kDecimalScaleMax + 1] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};

inline bool as_decimal(double value, int scale, std::int64_t& mantissa) {
  constexpr double kLimit = 2251799813685248.0;  // 2^51: below it adding and taking away kRound rounds to an integer
  constexpr double kRound = 6755399441055744.0;  // 2^52 + 2^51
  const double scaled = value * kPowersOfTen[scale];
  if (!(scaled < kLimit && scaled > -kLimit)) return false;
  const double rounded = (scaled + kRound) - kRound;
  mantissa = static_cast<std::int64_t>(rounded);
  return std::bit_cast<std::uint64_t>(static_cast<double>(mantissa) / kPowersOfTen[scale]) ==
         std::bit_cast<std::uint64_t>(value);
}

}  // namespace qd::store::metrics
