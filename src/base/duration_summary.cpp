#include "base/duration_summary.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qd::base {

namespace {

constexpr double kGrowth = 1.1;
constexpr double kFirstSeconds = 1e-6;

}  // namespace

void DurationSummary::observe(std::int64_t ns) {
  const double seconds = static_cast<double>(ns) / 1e9;
  const double place = seconds <= kFirstSeconds ? 0 : std::ceil(std::log(seconds / kFirstSeconds) / std::log(kGrowth));
  const auto bucket = std::min(kBuckets - 1, static_cast<std::size_t>(std::max(0.0, place)));
  base::MutexLock lock(mutex_);
  const std::int64_t number = clock_.monotonic_ns() / kAgeNs;
  Age& age = ages_[static_cast<std::size_t>(number) % kAges];
  if (age.number != number) age = Age{.number = number};
  ++age.counts[bucket];
  ++count_;
  sum_ += seconds;
}

double DurationSummary::quantile(double q) const {
  base::MutexLock lock(mutex_);
  const std::int64_t newest = clock_.monotonic_ns() / kAgeNs;
  std::array<std::uint64_t, kBuckets> counts{};
  std::uint64_t all = 0;
  for (const Age& age : ages_) {
    if (age.number < 0 || age.number + static_cast<std::int64_t>(kAges) <= newest) continue;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts[i] += age.counts[i];
      all += age.counts[i];
    }
  }
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(all)));
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  for (; bucket + 1 < kBuckets; ++bucket) {
    seen += counts[bucket];
    if (seen >= rank) break;
  }
  // The middle of the bucket.
  return kFirstSeconds * std::pow(kGrowth, static_cast<double>(bucket) - 0.5);
}

double DurationSummary::sum() const {
  base::MutexLock lock(mutex_);
  return sum_;
}

std::uint64_t DurationSummary::count() const {
  base::MutexLock lock(mutex_);
  return count_;
}

}  // namespace qd::base
