// Stamps for passes, from a clock that may be set while we run.
#pragma once

#include <cstdint>
#include <optional>

namespace qd::observe {

// Not thread-safe.
class PassClock {
 public:
  // A wall clock that moved this much against the monotonic one was set by somebody.
  static constexpr std::int64_t kJumpMs = 1000;
  // Stamps this near to the grid are put on it: a pass starts a little late, and regular times are stored in less room.
  static constexpr std::int64_t kToleranceMs = 2;

  struct Stamp {
    std::int64_t time_ms = 0;
    std::int64_t jumped_ms = 0;  // how far the wall clock was set since the last stamp, 0 when it was not
  };

  // For a pass that was due at `due_ns` and starts now.
  Stamp stamp(std::int64_t due_ns, std::int64_t now_ns, std::int64_t wall_ms) {
    const std::int64_t offset_ms = wall_ms - now_ns / 1'000'000;
    const std::int64_t moved_ms = offset_ms_ ? offset_ms - *offset_ms_ : 0;
    const bool jumped = moved_ms >= kJumpMs || moved_ms <= -kJumpMs;
    offset_ms_ = offset_ms;
    const std::int64_t on_grid_ms = grid_ms_ + (due_ns - grid_ns_) / 1'000'000;
    if (gridded_ && wall_ms - on_grid_ms <= kToleranceMs && on_grid_ms - wall_ms <= kToleranceMs) {
      return {on_grid_ms, jumped ? moved_ms : 0};
    }
    gridded_ = true;
    grid_ns_ = due_ns;
    grid_ms_ = wall_ms;
    return {wall_ms, jumped ? moved_ms : 0};
  }

 private:
  std::optional<std::int64_t> offset_ms_;
  bool gridded_ = false;
  std::int64_t grid_ns_ = 0;
  std::int64_t grid_ms_ = 0;
};

}  // namespace qd::observe
