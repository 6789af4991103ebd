// The arithmetic of a rate at several steps at a time: what is divided and compared at one step waits for no other, so
// the compiler does a few at once.
#pragma once

#include <array>
#include <cstddef>

namespace qd::query::promql {

// A sample is "near the edge" of its window within this many mean sample intervals.
inline constexpr double kNearEdge = 1.1;

class RateBlock {
 public:
  static constexpr std::size_t kSteps = 64;

  // A window whose first and last sample differ by `change`. Times in milliseconds.
  struct Window {
    double sampled_ms;   // between the first sample and the last
    double intervals;    // between samples, at least 1
    double to_start_ms;  // from the window's begin to the first sample
    double to_end_ms;
    double first;
    double change;
  };
  void set(std::size_t i, const Window& window) {
    present_[i] = 1;
    put(i, window);
  }
  void set_absent(std::size_t i) {
    present_[i] = 0;
    put(i, {1, 1, 0, 0, 0, 0});
  }

  // The rates of the first `n` windows, or with `per_second` false their increases; kAbsent where there is none. A
  // counter is not extrapolated below zero.
  void compute(std::size_t n, bool counter, bool per_second, double range_s, double* out) const;

 private:
  using Column = std::array<double, kSteps>;

  void put(std::size_t i, const Window& window) {
    sampled_ms_[i] = window.sampled_ms;
    intervals_[i] = window.intervals;
    to_start_ms_[i] = window.to_start_ms;
    to_end_ms_[i] = window.to_end_ms;
    first_[i] = window.first;
    change_[i] = window.change;
  }

  Column present_;
  Column sampled_ms_;
  Column intervals_;
  Column to_start_ms_;
  Column to_end_ms_;
  Column first_;
  Column change_;
};

}  // namespace qd::query::promql
