// Reads the write-ahead log of Prometheus: pages, records, and what they say.
//
// Source: tsdb/docs/format/wal.md of Prometheus. A log is a folder of segments 00000000, 00000001, …; each a row of
// pages of 32 KiB, in which records stand in one fragment or several, plain or packed by Snappy or zstd. Nothing is
// written. A record that does not read ends its segment: what stands before it is taken, the rest is told as a warning.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"
#include "store/prometheus/tombstones.h"

namespace qd::store::prometheus {

inline constexpr std::size_t kWalPageBytes = 32 << 10;
// Larger ones, packed or not, are taken for damage.
inline constexpr std::size_t kWalRecordBytesMax = 128 << 20;

// Takes what the log says, in its order. References are the log's own.
class WalVisitor {
 public:
  virtual ~WalVisitor() = default;
  virtual void series(std::uint64_t ref, const model::LabelSet& labels) = 0;
  virtual void sample(std::uint64_t ref, model::TimestampMs time_ms, double value) = 0;
  virtual void histogram(std::uint64_t ref, model::TimestampMs time_ms, model::HistogramPtr histogram) = 0;
  virtual void deleted(std::uint64_t ref, Interval interval) = 0;
};

struct WalCounts {
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t exemplars = 0;        // records that are passed over: so are metadata and marks of mapped chunks
  std::uint64_t unknown_records = 0;  // of types that only a newer Prometheus writes
  std::uint64_t damaged_segments = 0;
};

// What is wrong and passed over, in words for people. `harmless`: as every crash leaves it, and a running writer.
struct Warning {
  std::string what;
  bool harmless = false;
};
using Warn = std::function<void(const Warning&)>;

// One record. kCorrupt says what is wrong; what came before it in the record has been told.
base::Status read_wal_record(std::string_view record, WalVisitor& visitor, WalCounts& counts);
// One segment. kCorrupt, naming file and offset, for what does not read; `path` is what errors call the bytes.
base::Status read_wal_segment(std::span<const std::byte> bytes, const std::filesystem::path& path, WalVisitor& visitor,
                              WalCounts& counts);
// The segments of `dir` from number `first` on.
base::Status read_wal(base::Files& files, const std::filesystem::path& dir, std::uint64_t first, const Warn& warn,
                      WalVisitor& visitor, WalCounts& counts);
// The newest checkpoint below `wal_dir`, which stands for the segments up to its number, and the segments behind it.
base::Status read_wal_and_checkpoint(base::Files& files, const std::filesystem::path& wal_dir, const Warn& warn,
                                     WalVisitor& visitor, WalCounts& counts);

}  // namespace qd::store::prometheus
