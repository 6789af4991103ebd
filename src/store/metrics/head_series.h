// The record of one series in the head. See head.h for who may touch what.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "model/sample.h"
#include "store/metrics/chunk.h"
#include "store/metrics/chunk_block.h"
#include "store/metrics/open_chunk.h"

namespace qd::store::metrics {

// Slot in the lower half, generation in the upper.
inline constexpr std::uint32_t slot_of(SeriesRef ref) {
  return static_cast<std::uint32_t>(ref);
}
inline constexpr SeriesRef make_ref(std::uint64_t generation, std::uint32_t slot) {
  return (generation << 32) | slot;
}

struct alignas(64) HeadSeries {
  // Read without a lock by whoever judges a sample; written under state and stripe.
  std::atomic<SeriesRef> ref{0};  // 0: the slot is free
  std::atomic<model::TimestampMs> last_ms{model::kMinTimestampMs};
  std::atomic<double> last_value{0};

  // The rest under the stripe, and changed under state as well.
  std::int64_t mantissa = 0;
  ChunkRef closed = 0;  // the newest closed chunk
  OpenChunk open;       // of open_bytes
  // A chunk spans kChunkSpanMsMax at most, so that these are short.
  std::int32_t delta_ms = 0;
  std::int32_t open_span_ms = 0;  // from the first sample of the open chunk to the newest
  std::uint16_t open_bytes = 0;
  std::uint16_t open_samples = 0;
  std::uint8_t scale = 0;
  bool fresh = true;        // made since series were last dropped
  bool histograms = false;  // the open chunk is one of histograms: its stripe has it

  // Of the open chunk.
  model::TimestampMs open_first_ms() const { return last_ms.load(std::memory_order_relaxed) - open_span_ms; }
};
static_assert(sizeof(HeadSeries) == 64, "one cache line");

inline constexpr std::int64_t kChunkSpanMsMax = INT32_MAX;

}  // namespace qd::store::metrics
