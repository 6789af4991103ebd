// The samples of one chunk of Prometheus, decoded and encoded: XOR for numbers, and the two histogram encodings.
//
// Source: tsdb/docs/format/chunks.md of Prometheus. These are the bytes between the encoding and the checksum, which
// the files that hold chunks have around them. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/sample.h"
#include "store/metrics/querier.h"
#include "store/prometheus/bits.h"

namespace qd::store::prometheus {

using metrics::Columns;
using model::TimestampMs;

enum class Encoding : std::uint8_t { kXor = 1, kHistogram = 2, kFloatHistogram = 3 };

// Samples that a writer puts into a chunk, as Prometheus does.
inline constexpr std::size_t kChunkSamples = 120;
// Larger ones are taken for damage.
inline constexpr std::size_t kChunkBytesMax = 16 << 20;

// Appends the samples of a chunk in [from_ms, to_ms] to `out`. A histogram that says that its series has ended comes as
// the stale number. kCorrupt says what is wrong, and leaves `out` as it was; kInvalid for an encoding of a newer
// Prometheus.
base::Status decode_chunk(std::uint8_t encoding, std::span<const std::byte> bytes, TimestampMs from_ms,
                          TimestampMs to_ms, Columns& out);

// Appends one sample; `histogram` is null for a number.
void add_sample(Columns& columns, TimestampMs time_ms, double value, model::HistogramPtr histogram = nullptr);
// Removes what stands behind the first `size` samples.
void cut_columns(Columns& columns, std::size_t size);
// Puts samples in order of time; of those at one time the first is kept.
void sort_columns(Columns& columns);

struct EncodedChunk {
  TimestampMs min_ms = 0;
  TimestampMs max_ms = 0;
  Encoding encoding = Encoding::kXor;
  std::size_t samples = 0;
  std::string bytes;
};

// A chunk of numbers that grows.
class XorEncoder {
 public:
  // REQUIRES: time_ms is later than the one before; size() < 65,535.
  void add(TimestampMs time_ms, double value);
  std::size_t size() const { return samples_; }
  TimestampMs min_ms() const { return min_ms_; }
  TimestampMs max_ms() const { return time_ms_; }
  const std::string& bytes() const { return out_.bytes(); }
  // Gives the chunk and starts anew.
  EncodedChunk finish();

 private:
  BitWriter out_;
  std::uint16_t samples_ = 0;
  TimestampMs min_ms_ = 0;
  TimestampMs time_ms_ = 0;
  std::int64_t delta_ms_ = 0;
  XorColumn value_;
};

// Samples in order of time as chunks: a new one after kChunkSamples, where numbers and histograms change places, where
// the buckets of histograms change, and where counting began anew.
std::vector<EncodedChunk> encode_chunks(const Columns& columns);

}  // namespace qd::store::prometheus
