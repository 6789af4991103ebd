// Small pieces of memory of a few sizes, cut from large pages: no header each, no rounding but to the next size.
//
// Not thread-safe. Pages are given back when the slab is destroyed; a freed piece is the next one of its size.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "base/assert.h"

namespace qd::store::metrics {

class Slab {
 public:
  static constexpr std::array<std::size_t, 8> kSizes = {32, 48, 64, 96, 128, 160, 208, 256};

  // The smallest size class that holds `bytes`. REQUIRES: bytes <= kSizes.back().
  static unsigned size_class(std::size_t bytes) {
    unsigned c = 0;
    while (kSizes[c] < bytes) ++c;
    return c;
  }

  std::byte* allocate(unsigned c) {
    if (free_[c] != nullptr) {
      std::byte* const piece = free_[c];
      std::memcpy(&free_[c], piece, sizeof(std::byte*));
      return piece;
    }
    if (left_ < kSizes[c]) {
      // What is left of the page goes to the classes that it fits.
      for (unsigned smaller = kSizes.size(); smaller-- > 0;) {
        while (left_ >= kSizes[smaller]) free(take(kSizes[smaller]), smaller);
      }
      pages_.push_back(std::make_unique_for_overwrite<std::byte[]>(kPageBytes));
      next_ = pages_.back().get();
      left_ = kPageBytes;
    }
    return take(kSizes[c]);
  }

  void free(std::byte* piece, unsigned c) {
    std::memcpy(piece, &free_[c], sizeof(std::byte*));
    free_[c] = piece;
  }

 private:
  static constexpr std::size_t kPageBytes = 64 << 10;

  std::byte* take(std::size_t bytes) {
    std::byte* const piece = next_;
    next_ += bytes;
    left_ -= bytes;
    return piece;
  }

  std::array<std::byte*, kSizes.size()> free_{};
  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace qd::store::metrics
