// The bytes of open chunks: each a chain of pieces of one cache line, so that a chunk grows without being copied, no
// piece is of a size that nothing asks for any more, and an append touches one line of it.
//
// Not thread-safe: one Pieces and all chains cut from it belong to one lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/pages.h"

namespace qd::store::metrics {

struct alignas(64) Piece {
  std::byte bytes[64 - sizeof(Piece*)];
  Piece* before;  // of the same chunk, or the next free one
};
static_assert(sizeof(Piece) == 64);

// Where pieces come from. A freed piece is the next one that is given out.
class Pieces {
 public:
  Piece* allocate();
  void free(Piece* piece);

  // Chunks that are opened and closed over and over scatter over all memory. Whoever closes all of them says so before
  // and after: pieces then come in rising order again, and those from before go back to the system. Between the two
  // none is used again.
  void begin_renewal();
  // Gives what those from before are in: letting it go takes long. REQUIRES: every piece that was given out before
  // begin_renewal has been freed.
  [[nodiscard]] std::vector<base::Pages> end_renewal();

 private:
  void take_pages();

  std::vector<base::Pages> pages_;
  std::vector<base::Pages> old_pages_;
  Piece* free_ = nullptr;
  Piece* next_ = nullptr;
  std::size_t left_ = 0;
  bool renewing_ = false;
};

// One chunk: its newest piece. How many bytes it has is for its owner to know.
class OpenChunk {
 public:
  // Adds `more` behind the `size` bytes that are there.
  void append(Pieces& pieces, std::size_t size, std::span<const std::byte> more);
  // Writes its `size` bytes to `out`.
  void copy(std::size_t size, std::byte* out) const;
  void free(Pieces& pieces);
  // Asks for the line that append would touch.
  void prefetch() const { __builtin_prefetch(newest_, 1); }

 private:
  Piece* newest_ = nullptr;
};

}  // namespace qd::store::metrics
