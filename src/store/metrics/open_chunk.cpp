#include "store/metrics/open_chunk.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace qd::store::metrics {
namespace {

constexpr std::size_t kPieceBytes = sizeof(Piece::bytes);
// What is not touched of them takes no memory.
constexpr std::size_t kPagesBytes = 2 << 20;

}  // namespace

void Pieces::take_pages() {
  pages_.push_back(base::map_pages(kPagesBytes));
  next_ = reinterpret_cast<Piece*>(pages_.back().get());
  left_ = kPagesBytes / sizeof(Piece);
}

Piece* Pieces::allocate() {
  if (free_ != nullptr) {
    // The one after it is needed next, and likely in no cache.
    if (free_->before != nullptr) __builtin_prefetch(free_->before, 1);
    return std::exchange(free_, free_->before);
  }
  if (left_ == 0) take_pages();
  --left_;
  return next_++;
}

void Pieces::free(Piece* piece) {
  if (renewing_) return;
  piece->before = free_;
  free_ = piece;
}

void Pieces::begin_renewal() {
  // Behind those of a renewal that was not ended.
  std::move(pages_.begin(), pages_.end(), std::back_inserter(old_pages_));
  pages_.clear();
  free_ = nullptr;
  left_ = 0;
  renewing_ = true;
}

std::vector<base::Pages> Pieces::end_renewal() {
  renewing_ = false;
  return std::exchange(old_pages_, {});
}

void OpenChunk::append(Pieces& pieces, std::size_t size, std::span<const std::byte> more) {
  while (!more.empty()) {
    const std::size_t used = size % kPieceBytes;
    if (used == 0) {
      Piece* const piece = pieces.allocate();
      piece->before = newest_;
      newest_ = piece;
    }
    const std::size_t n = std::min(more.size(), kPieceBytes - used);
    std::memcpy(newest_->bytes + used, more.data(), n);
    more = more.subspan(n);
    size += n;
  }
}

void OpenChunk::copy(std::size_t size, std::byte* out) const {
  for (const Piece* piece = newest_; size > 0; piece = piece->before) {
    const std::size_t n = (size - 1) % kPieceBytes + 1;
    size -= n;
    std::memcpy(out + size, piece->bytes, n);
  }
}

void OpenChunk::free(Pieces& pieces) {
  for (Piece* piece = newest_; piece != nullptr;) pieces.free(std::exchange(piece, piece->before));
  newest_ = nullptr;
}

}  // namespace qd::store::metrics
