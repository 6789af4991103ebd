// How the head keeps histograms of one series: the first whole, the others as what changed in them.
//
// Most samples leave most buckets as they were. A sample whose buckets are those of the one before is told as its time,
// its sum, and either the few buckets that moved (a byte each while the moves are small) or all of them (a byte each);
// one with other buckets is told whole (docs/formats/wal.md has the bytes).
//
// One thread at a time. Memory: kHistogramChunkBytesMax and the last histogram, of which every bucket is eight bytes;
// histograms that are large themselves get chunks of four of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/bytes.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "store/metrics/histogram_bytes.h"
#include "store/metrics/querier.h"

namespace qd::store::metrics {

inline constexpr std::size_t kHistogramChunkBytesMax = 1024;

// A chunk that is being filled.
class HistogramChunk {
 public:
  // REQUIRES, here and below: storable(histogram).
  HistogramChunk(model::TimestampMs time_ms, const model::Histogram& histogram);

  // REQUIRES: time_ms is after the last one, !full().
  void add(model::TimestampMs time_ms, const model::Histogram& histogram);
  // The next sample belongs into the next chunk.
  bool full() const { return bytes_.size() >= limit_ || cells_ >= kHistogramCellsMax; }

  std::span<const std::byte> bytes() const { return base::as_bytes(bytes_); }
  std::uint16_t samples() const { return samples_; }
  std::size_t memory_bytes() const;

 private:
  void begin(const model::Histogram& histogram);
  void put_changes(const model::Histogram& now, unsigned& tag);

  std::string bytes_;
  std::size_t limit_ = kHistogramChunkBytesMax;
  std::size_t cells_ = 0;
  std::uint16_t samples_ = 0;
  bool integers_ = false;
  model::TimestampMs time_ms_ = 0;
  std::int64_t delta_ms_ = 0;
  model::Histogram last_;
};

// Appends the `count` samples of a chunk to `out`. False when the bytes cannot be such a chunk; `out` is then as
// before.
bool decode_histogram_chunk(std::span<const std::byte> bytes, model::TimestampMs first_ms, std::size_t count,
                            Columns& out);

// What stands beside a histogram in Columns::values.
double no_number();

}  // namespace qd::store::metrics
