// A sum that does not lose small addends beside large ones: Kahan's algorithm with Neumaier's improvement.
#pragma once

#include <cmath>

namespace qd::base {

struct KahanSum {
  double sum = 0;
  double compensation = 0;

  void add(double value) {
    const double total = sum + value;
    if (std::isinf(total)) {
      compensation = 0;
    } else if (std::fabs(sum) >= std::fabs(value)) {
      compensation += (sum - total) + value;
    } else {
      compensation += (value - total) + sum;
    }
    sum = total;
  }
  double value() const { return std::isinf(sum) ? sum : sum + compensation; }
};

}  // namespace qd::base
