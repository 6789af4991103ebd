// Sums that do not lose the small addends: Kahan's algorithm with Neumaier's improvement, as Prometheus sums.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "base/kahan.h"

namespace qd::query::promql {

using base::KahanSum;

// The sum of [first, last). Four sums side by side, which the CPU adds at the same time, then added up.
inline KahanSum kahan_sum(const double* first, const double* last) {
  constexpr std::size_t kLanes = 4;
  double sums[kLanes] = {};
  double compensations[kLanes] = {};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (; last - first >= static_cast<std::ptrdiff_t>(kLanes); first += kLanes) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const double total = sums[i] + first[i];
      const bool sum_larger = std::fabs(sums[i]) >= std::fabs(first[i]);
      const double large = sum_larger ? sums[i] : first[i];
      const double small = sum_larger ? first[i] : sums[i];
      compensations[i] = std::fabs(total) == kInfinity ? 0 : compensations[i] + ((large - total) + small);
      sums[i] = total;
    }
  }
  KahanSum out;
  for (std::size_t i = 0; i < kLanes; ++i) {
    out.add(sums[i]);
    if (!std::isinf(out.sum)) out.compensation += compensations[i];
  }
  for (; first != last; ++first) out.add(*first);
  return out;
}

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
