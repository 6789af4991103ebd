// How often a part reads what may be dear: at each pass while that costs little, else seldom, and tells it again in
// between.
#pragma once

#include <cstdint>

namespace qd::observe::host {

class Pace {
 public:
  static constexpr std::int64_t kCheapNs = 1'000'000;
  // Every 15 s, at which most people scrape; a little less, as passes do not come to the millisecond.
  static constexpr std::int64_t kSeldomNs = 14'500'000'000;

  explicit Pace(std::int64_t cheap_ns = kCheapNs) : cheap_ns_(cheap_ns) {}

  bool due(std::int64_t now_ns) const { return !begun_ || took_ns_ <= cheap_ns_ || now_ns - from_ns_ >= kSeldomNs; }
  void took(std::int64_t from_ns, std::int64_t to_ns) {
    begun_ = true;
    from_ns_ = from_ns;
    took_ns_ = to_ns - from_ns;
  }

 private:
  std::int64_t cheap_ns_;
  bool begun_ = false;
  std::int64_t from_ns_ = 0;
  std::int64_t took_ns_ = 0;
};

}  // namespace qd::observe::host
