// One block of Prometheus: an immutable folder of samples over some time, mapped and queried in place.
//
// Sources: tsdb/docs/format of Prometheus. Immutable and thread-safe. Opening reads meta.json and tombstones and checks
// the tables of the index; series and chunks are checked as they are read, so a flipped bit spoils only the series that
// hold it. A block that Prometheus removes while it is open stays readable until it is closed here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "store/metrics/querier.h"
#include "store/prometheus/block_meta.h"
#include "store/prometheus/index_reader.h"
#include "store/prometheus/tombstones.h"

namespace qd::store::prometheus {

// Of the files below chunks/.
inline constexpr std::uint32_t kChunksMagic = 0x85BD40DD;
inline constexpr std::uint8_t kChunksVersion = 1;
inline constexpr std::size_t kChunksHeaderBytes = 8;

using metrics::Matcher;
using metrics::SeriesSet;

class Block final : public metrics::Querier, public std::enable_shared_from_this<Block> {
 public:
  // kCorrupt, naming file and offset; kInvalid for versions that are not known; kNotFound where a part is not there.
  static base::Result<std::shared_ptr<const Block>> open(base::Files& files, const std::filesystem::path& dir);
  // Of the parts of a block that the caller keeps alive. For fuzzing: `checksums` as IndexReader has it.
  static base::Result<std::shared_ptr<const Block>> from_bytes(const BlockMeta& meta, std::span<const std::byte> index,
                                                               std::span<const std::byte> chunks,
                                                               IndexReader::Checksums checksums);

  const BlockMeta& meta() const { return meta_; }
  const std::filesystem::path& dir() const { return dir_; }
  const IndexReader& index() const { return *index_; }
  const Tombstones& tombstones() const { return tombstones_; }
  // Of index and chunks.
  std::uint64_t bytes() const;

  base::Result<std::unique_ptr<SeriesSet>> select(std::span<const Matcher> matchers, model::TimestampMs from_ms,
                                                  model::TimestampMs to_ms, std::size_t series_limit) const override;
  base::Result<std::vector<std::string>> label_names(std::span<const Matcher> matchers, model::TimestampMs from_ms,
                                                     model::TimestampMs to_ms) const override;
  base::Result<std::vector<std::string>> label_values(std::string_view name, std::span<const Matcher> matchers,
                                                      model::TimestampMs from_ms,
                                                      model::TimestampMs to_ms) const override;

  // Fills `out`, which is empty, with the samples of a series in [from_ms, to_ms], in order of time, without those that
  // were deleted. After an error it is empty.
  base::Status read(std::uint32_t ref, model::TimestampMs from_ms, model::TimestampMs to_ms,
                    metrics::Columns& out) const;

  // Reads everything: every checksum, every sample, and whether meta.json counts them right. `found` is called with
  // each fault; gives how many.
  std::uint64_t verify(const std::function<void(const base::Error&)>& found) const;

 private:
  struct ChunkFile {
    std::filesystem::path path;
    std::unique_ptr<base::Mapping> mapping;
  };
  struct Chunk {
    std::uint8_t encoding = 0;
    std::span<const std::byte> data;
  };

  Block() = default;
  base::Result<Chunk> chunk(std::uint64_t ref) const;
  bool covers(model::TimestampMs from_ms, model::TimestampMs to_ms) const {
    return from_ms <= to_ms && from_ms < meta_.end_ms && to_ms >= meta_.min_ms;
  }

  BlockMeta meta_;
  std::filesystem::path dir_;
  std::unique_ptr<base::Mapping> index_mapping_;
  std::unique_ptr<const IndexReader> index_;
  std::vector<ChunkFile> chunk_files_;
  Tombstones tombstones_;
  bool check_chunks_ = true;
};

}  // namespace qd::store::prometheus
