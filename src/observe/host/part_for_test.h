// One part alone, pass by pass, for tests.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "observe/host/part.h"
#include "observe/recording_sink.h"

namespace qd::observe::host {

// A manual clock on which each look takes time, so that all work does.
class SlowClock final : public base::Clock {
 public:
  explicit SlowClock(std::int64_t look_ns = 0) : look_ns_(look_ns) {}
  std::int64_t wall_ms() const override { return 1'700'000'000'000 + now_ns_ / 1'000'000; }
  std::int64_t monotonic_ns() const override { return now_ns_ += look_ns_; }
  void advance_ms(std::int64_t ms) { now_ns_ += ms * 1'000'000; }

 private:
  const std::int64_t look_ns_;
  mutable std::int64_t now_ns_ = 0;
};

struct Told {
  RecordingSink sink;
  Outcome outcome;

  std::optional<double> value(const std::string& key) const { return sink.value(key); }
};

// A pass that may take `patience_ms`; five seconds later by the clock it has ended.
template <typename Clock>
Told pass_of(Part& part, Clock& clock, std::int64_t patience_ms = 5000) {
  static std::uint64_t number = 0;
  Told told;
  const Pass pass{told.sink, clock, clock.monotonic_ns() + patience_ms * 1'000'000, ++number};
  told.outcome = part.collect(pass);
  clock.advance_ms(5000);
  return told;
}

}  // namespace qd::observe::host
