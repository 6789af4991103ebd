// Native histograms as blocks: their buckets side by side, one column a bucket (docs/formats/segment.md).
//
// A block holds histograms of one schema, zero threshold and set of bounds; which buckets they tell may change inside
// of it, and is told once for each set. Integer counts are integer columns (delta or delta of delta, bit packed), other
// counts and sums are blocks of values. Every bit of every count comes back.
//
// Decoding takes any bytes: it reads and writes in bounds only, allocates at most kHistogramCellsMax counts twice, and
// says kCorrupt when they cannot be what was encoded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/histogram.h"
#include "store/metrics/codec.h"

namespace qd::store::metrics {

// What a block of values begins with when it is one of histograms.
inline constexpr std::uint8_t kHistogramBlockHead = 6;

// Keeps buffers between blocks; one thread at a time.
class HistogramEncoder {
 public:
  HistogramEncoder();
  ~HistogramEncoder();
  HistogramEncoder(const HistogramEncoder&) = delete;
  HistogramEncoder& operator=(const HistogramEncoder&) = delete;

  // How many of the first of `histograms` one block takes, at least one. REQUIRES: not empty, none is null.
  static std::size_t fitting(std::span<const model::HistogramPtr> histograms);
  // Appends a block to `out`. REQUIRES: fitting(histograms) == histograms.size().
  void encode(std::span<const model::HistogramPtr> histograms, bool compress, std::string& out);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

// Whether a block of values holds histograms.
bool is_histogram_block(std::span<const std::byte> block);
// Appends histograms [first, first + count) of the `samples` that are in the block to `out`; an error leaves `out` as
// it was. REQUIRES: first + count <= samples <= kBlockSamplesMax.
base::Status decode_histograms(std::span<const std::byte> block, std::size_t samples, std::size_t first,
                               std::size_t count, std::vector<model::HistogramPtr>& out);

}  // namespace qd::store::metrics
