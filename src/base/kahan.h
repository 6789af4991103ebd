// A sum that does not lose small addends beside large ones: Kahan's algorithm with Neumaier's improvement.
#pragma once

#include <cmath>
#include <limits>

namespace qd::base {

// One step, without a branch: which of two numbers is larger nobody can guess.
[[gnu::always_inline]] inline void kahan_add(double& sum, double& compensation, double value) {
  const double total = sum + value;
  const bool sum_larger = std::fabs(sum) >= std::fabs(value);
  const double large = sum_larger ? sum : value;
  const double small = sum_larger ? value : sum;
  const bool infinite = std::fabs(total) == std::numeric_limits<double>::infinity();
  compensation = infinite ? 0 : compensation + ((large - total) + small);
  sum = total;
}

struct KahanSum {
  double sum = 0;
  double compensation = 0;

  void add(double value) { kahan_add(sum, compensation, value); }
  // Adds what `other` added up.
  void join(const KahanSum& other) {
    add(other.sum);
    if (!std::isinf(sum)) compensation += other.compensation;
  }
  double value() const { return std::isinf(sum) ? sum : sum + compensation; }
};

}  // namespace qd::base
