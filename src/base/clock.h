// Time as an argument. Everything that waits or stamps takes one of these; tests run on a manual clock.
#pragma once

#include <atomic>
#include <cstdint>

namespace qd::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds since the Unix epoch: for stamps on samples and events. It may jump.
  virtual std::int64_t wall_ms() const = 0;
  // Nanoseconds since an arbitrary start: for intervals and deadlines. It never goes back.
  virtual std::int64_t monotonic_ns() const = 0;
};

// CLOCK_REALTIME and CLOCK_MONOTONIC. Stateless, thread-safe.
class SystemClock final : public Clock {
 public:
  std::int64_t wall_ms() const override;
  std::int64_t monotonic_ns() const override;
};

// Stands still until it is told. Thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wall_ms = 1'700'000'000'000) : wall_ms_(wall_ms) {}
  std::int64_t wall_ms() const override { return wall_ms_.load(); }
  std::int64_t monotonic_ns() const override { return monotonic_ns_.load(); }

  void advance_ms(std::int64_t ms) {
    wall_ms_ += ms;
    monotonic_ns_ += ms * 1'000'000;
  }
  // The wall clock was set by somebody; intervals do not notice.
  void jump_wall_ms(std::int64_t ms) { wall_ms_ += ms; }

 private:
  std::atomic<std::int64_t> wall_ms_;
  std::atomic<std::int64_t> monotonic_ns_{0};
};

}  // namespace qd::base
