// Samples as chunks of Prometheus: XOR encoding, 120 samples each, as remote read streams them.
//
// Pure functions, any thread. Source: tsdb/docs/format/chunks.md of Prometheus; Gorilla (VLDB 2015), sections 4.1.1 and
// 4.1.2, with Prometheus's own lengths of timestamp differences.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "model/sample.h"
#include "store/metrics/querier.h"

namespace qd::serve::prometheus {

inline constexpr std::size_t kChunkSamples = 120;

struct XorChunk {
  model::TimestampMs min_ms = 0;
  model::TimestampMs max_ms = 0;
  std::string bytes;
};

// The numbers of `columns`, in rising order of time.
std::vector<XorChunk> xor_chunks(const store::metrics::Columns& columns);

}  // namespace qd::serve::prometheus
