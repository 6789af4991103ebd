// Sums that do not lose the small addends: Kahan's algorithm with Neumaier's improvement, as Prometheus sums.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/kahan.h"

namespace qd::query::promql {

using base::KahanSum;

// The mean of values that come one by one. It divides a sum at the end; once that would overflow, it goes on with a
// running mean.
class KahanMean {
 public:
  void add(double value) {
    ++count_;
    if (!running_) {
      KahanSum next = sum_;
      next.add(value);
      if (count_ == 1 || !std::isinf(next.sum)) {
        sum_ = next;
        return;
      }
      running_ = true;
      sum_.sum /= count_ - 1;
      sum_.compensation /= count_ - 1;
    }
    if (std::isinf(sum_.sum)) {
      // An infinite mean stays what it is, unless the other infinity or a NaN comes.
      if (std::isfinite(value) || (std::isinf(value) && (value > 0) == (sum_.sum > 0))) return;
    }
    const double share = (count_ - 1) / count_;
    sum_ = {share * sum_.sum, share * sum_.compensation};
    sum_.add(value / count_);
  }
  double value() const {
    if (running_) return std::isinf(sum_.sum) ? sum_.sum : sum_.sum + sum_.compensation;
    return sum_.sum / count_ + sum_.compensation / count_;
  }

 private:
  KahanSum sum_;
  double count_ = 0;
  bool running_ = false;
};

}  // namespace qd::query::promql
