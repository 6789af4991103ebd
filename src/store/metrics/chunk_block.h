// Closed chunks of the head: collected in memory, then a file, mapped.
//
// A block is filled by one thread and read by any number. Chunks lie from its front, their directory entries from its
// back; what has been added never moves or changes, so whoever learned a chunk's reference under a lock reads it
// without one. Full (or wanted on disk), the block is written as a file `head/<number>.chunks`, and its memory replaced
// by the mapping: the same chunks in the same order, so a reference means the same before and after. Those of numbers
// are packed on the way (packed_chunk.h; docs/formats/wal.md).
//
// Each entry names the chunk of the same series before it, so that the head keeps one reference a series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/files.h"
#include "base/pages.h"
#include "base/result.h"
#include "model/sample.h"
#include "store/metrics/appender.h"

namespace qd::store::metrics {

// Block number in the upper half, chunk number in it in the lower. Blocks count from 1, so 0 is none.
using ChunkRef = std::uint64_t;
inline constexpr std::uint32_t block_of(ChunkRef ref) {
  return static_cast<std::uint32_t>(ref >> 32);
}
inline constexpr std::uint32_t index_of(ChunkRef ref) {
  return static_cast<std::uint32_t>(ref);
}

enum class ChunkKind : std::uint8_t { kNumbers = 0, kHistograms = 1, kPacked = 2 };

struct ChunkEntry {
  SeriesRef series;
  ChunkRef previous;  // of the same series, 0 when there is none
  model::TimestampMs min_ms;
  model::TimestampMs max_ms;
  double last_value;
  std::uint32_t offset;  // of its bytes, from the first chunk of the block
  std::uint32_t crc;     // of its bytes, once they are in a file
  std::uint16_t bytes_low;
  std::uint16_t samples;
  std::uint16_t bytes_high;
  ChunkKind kind;
  std::uint8_t zero;

  std::uint32_t bytes() const { return static_cast<std::uint32_t>(bytes_high) << 16 | bytes_low; }
  void set_length(std::size_t bytes);
};
static_assert(sizeof(ChunkEntry) == 56);

class ChunkBlock {
 public:
  static constexpr std::size_t kBytes = 8 << 20;  // chunks and entries together

  // An empty one in memory.
  explicit ChunkBlock(std::uint32_t number);
  // One on disk, mapped and hardly touched. kCorrupt, naming the file, unless header and footer are as written;
  // kInvalid, naming the versions, when a newer program wrote it.
  static base::Result<std::shared_ptr<const ChunkBlock>> open(base::Files& files, const std::filesystem::path& path,
                                                              std::uint32_t number);

  // The entries of a block on disk, read and not mapped: an opened store would otherwise count all of them as its
  // memory. kCorrupt when their checksum is wrong.
  base::Result<std::vector<ChunkEntry>> read_directory(base::Files& files) const;

  std::uint32_t number() const { return number_; }

  // Nothing when the chunk does not fit: the block is full. `entry` comes without offset, length and crc.
  std::optional<ChunkRef> add(ChunkEntry entry, std::span<const std::byte> bytes);

  // Writes and syncs the file. The caller has stopped adding. The block is still in memory then; open() the file.
  base::Status write(base::Files& files, const std::filesystem::path& path) const;

  std::uint32_t count() const { return count_; }
  model::TimestampMs max_ms() const { return max_ms_; }
  std::size_t size_bytes() const { return payload_bytes_ + count_ * sizeof(ChunkEntry); }

  const ChunkEntry& entry(std::uint32_t i) const { return *(entries_end_ - 1 - i); }
  // kCorrupt, naming file and offset, when the checksum is wrong.
  base::Result<std::span<const std::byte>> chunk(std::uint32_t i) const;
  // Tells the CPU that the chunk will be read, or its entry.
  void expect(std::uint32_t i) const;
  void expect_entry(std::uint32_t i) const {
    __builtin_prefetch(&entry(i));
    __builtin_prefetch(reinterpret_cast<const std::byte*>(&entry(i)) + sizeof(ChunkEntry) - 1);
  }
  // A damaged block before this one took with it what an entry refers to: set that right in memory.
  void relink(std::uint32_t i, ChunkRef previous);

 private:
  ChunkBlock() = default;

  std::uint32_t number_ = 0;
  std::uint32_t count_ = 0;
  std::uint64_t samples_ = 0;
  model::TimestampMs min_ms_ = model::kMaxTimestampMs;
  model::TimestampMs max_ms_ = model::kMinTimestampMs;
  std::size_t payload_bytes_ = 0;
  const std::byte* payload_ = nullptr;
  const ChunkEntry* entries_end_ = nullptr;

  base::Pages memory_;
  std::unique_ptr<ChunkEntry[]> relinked_;
  std::unique_ptr<base::Mapping> mapping_;
  std::uint32_t entries_crc_ = 0;
  std::filesystem::path path_;
};

}  // namespace qd::store::metrics
