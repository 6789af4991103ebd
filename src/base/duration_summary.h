// How long something took, lately: quantiles over the last ten minutes, and the sum and count of all time, as a summary
// of Prometheus's client libraries has them.
//
// Thread-safe. Quantiles are within 5% between a microsecond and 20 minutes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/mutex.h"

namespace qd::base {

class DurationSummary {
 public:
  // `clock` outlives this.
  explicit DurationSummary(const base::Clock& clock) : clock_(clock) {}

  void observe(std::int64_t ns) QD_EXCLUDES(mutex_);
  // In seconds; NaN where nothing was observed in the last ten minutes.
  double quantile(double q) const QD_EXCLUDES(mutex_);
  double sum() const QD_EXCLUDES(mutex_);
  std::uint64_t count() const QD_EXCLUDES(mutex_);

 private:
  // Bucket i ends at 1.1^i microseconds.
  static constexpr std::size_t kBuckets = 220;
  static constexpr std::size_t kAges = 5;
  static constexpr std::int64_t kAgeNs = 120'000'000'000;
  struct Age {
    std::int64_t number = -1;  // of its two minutes, since the clock's start
    std::array<std::uint32_t, kBuckets> counts{};
  };

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::array<Age, kAges> ages_ QD_GUARDED_BY(mutex_);
  std::uint64_t count_ QD_GUARDED_BY(mutex_) = 0;
  double sum_ QD_GUARDED_BY(mutex_) = 0;
};

}  // namespace qd::base
