// What one query may do.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/thread_pool.h"

namespace qd::query::promql {

// The longest label value that a function of a query may make: nested, they could double it at every level.
inline constexpr std::size_t kLabelValueBytesMax = 64 * 1024;

struct QueryOptions {
  // query.lookback: how old the newest sample of a series may be to still be its value.
  std::int64_t lookback_ms = 300'000;
  // query.samples_limit: samples held in memory at once, of results and of the series being read.
  std::uint64_t samples_limit = 50'000'000;
  // query.series_limit: series of one selector.
  std::size_t series_limit = 1'000'000;
  // query.memory_limit: the same samples, and the labels of results, in bytes.
  std::uint64_t memory_limit_bytes = std::uint64_t{2} << 30;
  // query.timeout
  std::int64_t timeout_ms = 120'000;
  // The resolution of a subquery that names none: the evaluation interval of rules.
  std::int64_t subquery_step_ms = 60'000;
  // query.experimental: see ParseOptions.
  bool experimental = false;
  // query.delayed_name_removal: rate() and the like drop the metric name at the end of the query, not at once.
  bool delayed_name_removal = false;
  // Whoever asked may stop it.
  base::CancelToken cancel;
};

}  // namespace qd::query::promql
