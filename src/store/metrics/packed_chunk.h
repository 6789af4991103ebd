// How a closed chunk of numbers stands in a chunk file: as columns of segments do, which take less room than samples
// one by one and decode in half the time.
//
// An open chunk must take one sample more at any moment; one on disk must not. A chunk that is not shorter as columns
// (arbitrary doubles, a few samples) stays as it was. Bytes in docs/formats/wal.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "store/metrics/chunk.h"
#include "store/metrics/codec.h"

namespace qd::store::metrics {

// Keeps buffers between chunks; one thread at a time.
class ChunkPacker {
 public:
  // Appends the chunk to `out`. False, and nothing appended, when that would not be shorter, or does not give back
  // every bit: what is packed is soon the only copy.
  bool pack(const EncodedChunk& chunk, std::string& out);

 private:
  BlockEncoder encoder_{BlockEncoder::Effort::kQuick};
  Columns columns_;
  Columns unpacked_;
  std::string block_;
};

// Appends the `count` samples of a packed chunk to `out`. False when the bytes cannot be such a chunk; `out` is then as
// before. Any thread.
bool decode_packed_chunk(std::span<const std::byte> bytes, std::size_t count, Columns& out);

}  // namespace qd::store::metrics
