// The two encodings of chunks of histograms. All histograms of a chunk have the same buckets, told once in front.
//
// Source: tsdb/docs/format/chunks.md of Prometheus. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/histogram.h"
#include "store/prometheus/chunk.h"

namespace qd::store::prometheus {

// As decode_chunk, but after an error `out` holds what came before it.
base::Status decode_histograms(Encoding encoding, std::span<const std::byte> bytes, TimestampMs from_ms,
                               TimestampMs to_ms, Columns& out);

// A chunk of histograms that grows. Knows the histogram before its first one, so that it can say whether counting began
// anew between them.
class HistogramEncoder {
 public:
  // Whether it can stand in the chunk as it is now: same form, same buckets, nothing counted back. Always so in an
  // empty one.
  bool fits(const model::Histogram& histogram) const;
  // REQUIRES: fits(histogram), and time_ms is later than the one before.
  void add(TimestampMs time_ms, const model::Histogram& histogram);
  std::size_t size() const { return samples_; }
  EncodedChunk finish();

 private:
  void write_layout(const model::Histogram& histogram);
  void write_integers(TimestampMs time_ms, const model::Histogram& histogram);
  void write_floats(TimestampMs time_ms, const model::Histogram& histogram);

  struct Number {  // of an integer histogram
    std::int64_t value = 0;
    std::int64_t delta = 0;
  };

  BitWriter out_;
  std::uint16_t samples_ = 0;
  Encoding encoding_ = Encoding::kHistogram;
  TimestampMs min_ms_ = 0;
  Number time_;
  Number count_;
  Number zero_count_;
  std::vector<Number> buckets_;
  XorColumn sum_;
  XorColumn float_count_;
  XorColumn float_zero_count_;
  std::vector<XorColumn> float_buckets_;
  model::Histogram last_;
  bool any_before_ = false;
};

}  // namespace qd::store::prometheus
