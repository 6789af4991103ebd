// How many requests to a destination there are to be at once, from what was seen of it.
//
// What keeps up has one. The aim is as many as carry what comes in, and a twentieth of what waits each second on top.
// Source: prometheus.io/docs/practices/remote_write, and the reference implementation's behaviour: rates are smoothed,
// and a wish within 30% of what is changes nothing. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace qd::ship::remote_write {

class ShardPlan {
 public:
  static constexpr std::int64_t kEveryNs = 10LL * 1'000'000'000;

  // Since the start, but for the last two.
  struct Seen {
    std::uint64_t samples_in = 0;   // queued
    std::uint64_t samples_out = 0;  // taken or refused by the receiver
    std::int64_t busy_ns = 0;       // of all requests together
    std::uint64_t waiting = 0;      // samples, now
    std::int64_t oldest_ms = 0;     // how long the first of them has waited
  };

  // How many there are to be from now on: `current` until kEveryNs have passed since the change before.
  std::size_t update(std::int64_t now_ns, const Seen& seen, std::size_t current, std::size_t min, std::size_t max);

  // What the last look came to, before it was rounded and bounded.
  double desired() const { return desired_; }

 private:
  static constexpr double kSmoothing = 0.2;

  struct Rate {
    double per_s = 0;
    bool begun = false;
    void add(double value, double seconds);
  };

  std::optional<std::int64_t> looked_ns_;
  Seen before_;
  Rate in_;
  Rate out_;
  Rate busy_;
  double desired_ = 1;
};

}  // namespace qd::ship::remote_write
