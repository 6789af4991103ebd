// How many evaluations may run beside those that run anyway: a bound shared by all groups.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace qd::judge::rules {

// Thread-safe.
class Permits {
 public:
  explicit Permits(std::size_t count) : free_(static_cast<std::ptrdiff_t>(count)) {}

  // Up to `wanted` of those that are free now, without waiting.
  std::size_t take(std::size_t wanted) {
    auto free = free_.load(std::memory_order_relaxed);
    while (true) {
      const auto taken = std::clamp<std::ptrdiff_t>(free, 0, static_cast<std::ptrdiff_t>(wanted));
      if (taken == 0) return 0;
      if (free_.compare_exchange_weak(free, free - taken, std::memory_order_relaxed))
        return static_cast<std::size_t>(taken);
    }
  }
  void give(std::size_t count) { free_.fetch_add(static_cast<std::ptrdiff_t>(count), std::memory_order_relaxed); }

 private:
  std::atomic<std::ptrdiff_t> free_;
};

}  // namespace qd::judge::rules
