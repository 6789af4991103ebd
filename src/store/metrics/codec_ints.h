// A column of integers: the common shape under times, decimals and bit patterns.
//
// The integers become steps from the first (divided by what they have in common), the steps are predicted by one of
// four orders, and what the prediction is off by is packed at one width above one reference. What does not fit that
// width (a counter's reset, a missed scrape) keeps its low bits in place and gets the high ones from a list of
// outliers. All arithmetic is modulo 2^64, so any integers come back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace qd::store::metrics {

class IntsEncoder {
 public:
  enum class For : std::uint8_t { kTimes, kValues };

  // Appends the column. REQUIRES: not empty.
  void encode(std::span<const std::int64_t> ints, For what, std::string& out);
  // From now on residuals take whole bytes: longer, and what a compressor of bytes makes most of.
  void align_to_bytes(bool aligned) { aligned_ = aligned; }
  // From now on steps are packed as they are, and no other order is tried: a third of the time, mostly as short.
  void only_steps() { only_steps_ = true; }

 private:
  struct Frame {
    std::uint64_t reference = 0;
    unsigned width = 64;
    std::size_t bytes = SIZE_MAX;
  };
  Frame choose_frame(std::span<const std::uint64_t> residuals) const;

  std::vector<std::uint64_t> steps_;
  std::vector<std::uint64_t> residuals_;
  std::vector<std::uint64_t> best_;
  bool aligned_ = false;
  bool only_steps_ = false;
};

// Fills `out` and leaves the reader behind the column; false when the bytes cannot be a column of so many integers.
// REQUIRES: `out` is not empty.
bool decode_ints(base::ByteReader& in, std::span<std::int64_t> out);
// The same, and each integer divided by `power`; anything for integers beyond what DecodeKernels::divide takes.
bool decode_ints_divided(base::ByteReader& in, double power, std::span<double> out);

}  // namespace qd::store::metrics
