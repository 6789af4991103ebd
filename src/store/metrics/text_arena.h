// Short texts, side by side in large pages, given back one by one. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace qd::store::metrics {

class TextArena {
 public:
  TextArena() = default;
  TextArena(const TextArena&) = delete;
  TextArena& operator=(const TextArena&) = delete;

  // A copy that stays where it is until it is released. Not empty.
  const char* add(std::string_view text) {
    const std::size_t c = size_class(text.size());
    char* at = nullptr;
    if (c >= kClasses) {
      at = large(text.size());
    } else if (free_[c] != nullptr) {
      at = free_[c];
      std::memcpy(&free_[c], at, sizeof(char*));
    } else {
      const std::size_t bytes = (c + 1) * kStep;
      if (left_ < bytes) {
        pages_.push_back(std::make_unique_for_overwrite<char[]>(kPageBytes));
        next_ = pages_.back().get();
        left_ = kPageBytes;
      }
      at = next_;
      next_ += bytes;
      left_ -= bytes;
    }
    std::memcpy(at, text.data(), text.size());
    return at;
  }

  void release(const char* text, std::size_t size) {
    const std::size_t c = size_class(size);
    auto* const at = const_cast<char*>(text);
    if (c >= kClasses) {
      std::free(at);
      return;
    }
    std::memcpy(at, &free_[c], sizeof(char*));
    free_[c] = at;
  }

 private:
  static constexpr std::size_t kStep = 8;
  static constexpr std::size_t kClasses = 32;
  static constexpr std::size_t kPageBytes = 64 << 10;

  static std::size_t size_class(std::size_t size) { return (size + kStep - 1) / kStep - 1; }
  static char* large(std::size_t size) { return static_cast<char*>(std::malloc(size)); }

  std::array<char*, kClasses> free_{};
  std::vector<std::unique_ptr<char[]>> pages_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
};

}  // namespace qd::store::metrics
