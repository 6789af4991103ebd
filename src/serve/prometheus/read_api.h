// POST /api/v1/read: what the store holds, for a Prometheus or Thanos that has this server as a source.
//
// - 200 with samples in one message (SAMPLES), or with chunks in frames as they are made (STREAMED_XOR_CHUNKS): the
// first
//   that the client takes.
// - 400: no Snappy, no such message, more series or samples than kReadSeriesMax and kReadBytesMax let through.
// - 413: unpacked it is larger than kReadRequestBytesMax.
// - 503: kReadsMax are being answered.
//
// A stream that cannot go on is broken off, so that nobody takes it for whole. Source: Prometheus documentation,
// "Remote Read API"; prometheus/prompb remote.proto.
#pragma once

#include <cstddef>

#include "base/counters.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "serve/router.h"
#include "store/metrics/querier.h"

namespace qd::serve::prometheus {

inline constexpr std::size_t kReadRequestBytesMax = 4 << 20;
inline constexpr std::size_t kReadSeriesMax = 1'000'000;  // of one query
inline constexpr std::size_t kReadBytesMax = 256 << 20;   // of an answer that is not streamed
inline constexpr std::size_t kReadsMax = 100;             // at once
inline constexpr std::size_t kFrameBytesMax = 1 << 20;    // of the chunks in one frame

// Everything outlives the router; `pool` makes the pieces of streams.
void add_read_route(Router& router, const store::metrics::Querier& querier, base::ThreadPool& pool, base::Log& log,
                    base::Registry& registry);

}  // namespace qd::serve::prometheus
