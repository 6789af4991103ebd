// What a Prometheus has not put into blocks yet: its write-ahead log and the chunks that it has mapped, as they stood
// when they were read.
//
// Sources: tsdb/docs/format/wal.md and head_chunks.md of Prometheus. Nothing is written, and no lock is taken: beside a
// running Prometheus it is the state of that moment, perhaps without the last record. Immutable and thread-safe once
// read. Memory: some 200 bytes a series and two bytes a sample of the log; chunks stay mapped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/querier.h"
#include "store/prometheus/chunk.h"
#include "store/prometheus/wal.h"

namespace qd::store::prometheus {

class Head final : public metrics::Querier, public std::enable_shared_from_this<Head> {
 public:
  struct Counts {
    WalCounts wal;
    std::uint64_t series = 0;
    std::uint64_t samples = 0;
    std::uint64_t mapped_chunks = 0;
    std::uint64_t unknown_series = 0;  // samples and chunks of series that nothing names
    model::TimestampMs min_ms = model::kMaxTimestampMs;
    model::TimestampMs max_ms = model::kMinTimestampMs;
  };

  // Of the data directory of a Prometheus. Samples before `from_ms` stand in blocks already and are left out, but for
  // those that came late. Damage is told to `warn`; only a directory that cannot be read is an error.
  static base::Result<std::shared_ptr<const Head>> read(base::Files& files, const std::filesystem::path& dir,
                                                        model::TimestampMs from_ms, const Warn& warn);
  ~Head() override;

  const Counts& counts() const;

  base::Result<std::unique_ptr<metrics::SeriesSet>> select(std::span<const metrics::Matcher> matchers,
                                                           model::TimestampMs from_ms, model::TimestampMs to_ms,
                                                           std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const metrics::Matcher> matchers,
                                                     model::TimestampMs from_ms,
                                                     model::TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const metrics::Matcher> matchers,
                                                      model::TimestampMs from_ms,
                                                      model::TimestampMs to_ms) const override;

 private:
  struct State;
  class Loader;
  class Series;
  explicit Head(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Reads a file of mapped chunks: calls with each. kCorrupt, naming file and offset, ends it; what stands before has
// been told. The data is valid as long as `bytes`.
struct MappedChunk {
  std::uint64_t series = 0;
  model::TimestampMs min_ms = 0;
  model::TimestampMs max_ms = 0;
  std::uint8_t encoding = 0;
  bool out_of_order = false;
  std::span<const std::byte> data;
};
base::Status read_mapped_chunks(std::span<const std::byte> bytes, const std::filesystem::path& path,
                                const std::function<void(const MappedChunk&)>& call);

}  // namespace qd::store::prometheus
