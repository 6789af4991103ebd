// Writes one block of Prometheus: chunks, index, meta.json.
//
//   QD_ASSIGN(auto writer, BlockWriter::create(files, parent, options));
//   for (...) QD_TRY(writer->add(labels, columns));
//   QD_ASSIGN(BlockMeta meta, writer->finish());
//
// Chunks stream to the disk as series come; memory holds the index only (some 100 bytes a series with five labels, and
// 40 a chunk). The folder grows as `<ULID>.tmp-for-creation`, which every Prometheus removes that finds it, and takes
// its name when it is whole and synced. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/files.h"
#include "base/result.h"
#include "model/labels.h"
#include "store/metrics/querier.h"
#include "store/prometheus/block_meta.h"

namespace qd::store::prometheus {

struct BlockOptions {
  std::string ulid;
  model::TimestampMs min_ms = 0;
  model::TimestampMs end_ms = 0;  // the first time that is not in it
  std::uint32_t level = 1;
  std::map<std::string, std::string> external_labels;  // of the thanos section; none writes no section
  std::uint64_t chunk_file_bytes_max = 512ULL << 20;
};

class BlockWriter {
 public:
  static base::Result<std::unique_ptr<BlockWriter>> create(base::Files& files, const std::filesystem::path& parent,
                                                           const BlockOptions& options);
  // Not finished: removes what was written.
  ~BlockWriter();
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  // One series. kInvalid unless it comes after the one before in label order, has samples, and all of them rise and lie
  // in the block's time; the writer is unchanged then. After any other error only destroying it is left.
  base::Status add(const model::LabelSet& labels, const metrics::Columns& columns);
  std::uint64_t series() const;

  // kInvalid when no series was added. Once.
  base::Result<BlockMeta> finish();

 private:
  struct State;
  explicit BlockWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace qd::store::prometheus
