// One measurement: when and how much.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace qd::model {

// Milliseconds since the Unix epoch.
using TimestampMs = std::int64_t;
inline constexpr TimestampMs kMinTimestampMs = std::numeric_limits<std::int64_t>::min();
inline constexpr TimestampMs kMaxTimestampMs = std::numeric_limits<std::int64_t>::max();

struct Sample {
  TimestampMs time_ms;
  double value;
};

// "This series has ended": a NaN with a payload of its own (the bits are Prometheus's, value.StaleNaN).
inline constexpr std::uint64_t kStaleNanBits = 0x7ff0000000000002;
inline constexpr std::uint64_t kNormalNanBits = 0x7ff8000000000001;
inline double stale_nan() {
  return std::bit_cast<double>(kStaleNanBits);
}
inline bool is_stale_nan(double value) {
  return std::bit_cast<std::uint64_t>(value) == kStaleNanBits;
}

}  // namespace qd::model
