// Samples out of any querier, as blocks of Prometheus or as OpenMetrics text.
//
// One thread. Memory: the labels of all series, the samples of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/querier.h"
#include "store/prometheus/block_meta.h"
#include "store/prometheus/tombstones.h"

namespace qd::store::prometheus {

// How far work is; called some times a second at most. False stops it: kCancelled.
struct Progress {
  double part = 0;  // 0 to 1
  std::uint64_t series = 0;
  std::uint64_t samples = 0;
};
using Tick = std::function<bool(const Progress&)>;

// Prometheus makes blocks of two hours, and longer ones of those.
inline constexpr std::int64_t kBlockMs = 2LL * 60 * 60 * 1000;

struct ExportOptions {
  Interval reach;                                      // of samples, both ends inside
  std::int64_t block_ms = kBlockMs;                    // a multiple of kBlockMs
  model::TimestampMs now_ms = 0;                       // goes into the names of blocks
  std::map<std::string, std::string> external_labels;  // for Thanos; none writes no thanos section
};

struct ExportReport {
  std::vector<BlockMeta> blocks;
  std::uint64_t series = 0;  // of a block each
  std::uint64_t samples = 0;
  std::uint64_t stale_markers = 0;  // not in text: it cannot say them
  std::uint64_t histograms = 0;     // the same
  std::uint64_t nameless = 0;       // series without a name: the same
};

// Writes a block to `out` for each stretch of `block_ms` that has samples; each is whole or not there.
base::Result<ExportReport> export_blocks(base::Files& files, const metrics::Querier& querier,
                                         const std::filesystem::path& out, const ExportOptions& options,
                                         std::mt19937_64& random, const Tick& tick);

// Writes one file of OpenMetrics, metric by metric, as `promtool tsdb create-blocks-from openmetrics` reads it.
base::Result<ExportReport> export_openmetrics(base::Files& files, const metrics::Querier& querier,
                                              const std::filesystem::path& out, const ExportOptions& options,
                                              const Tick& tick);

}  // namespace qd::store::prometheus
