#include "ship/remote_write/shard_plan.h"

#include <algorithm>
#include <cmath>

namespace qd::ship::remote_write {

namespace {

// Of what waits, that is caught up with in a second.
constexpr double kCatchUpPerS = 0.05;
constexpr double kTolerance = 0.3;
// What has waited longer is behind: fewer requests would not help.
constexpr std::int64_t kBehindMs = 10'000;

}  // namespace

void ShardPlan::Rate::add(double value, double seconds) {
  const double now = value / seconds;
  per_s = begun ? kSmoothing * now + (1 - kSmoothing) * per_s : now;
  begun = true;
}

std::size_t ShardPlan::update(std::int64_t now_ns, const Seen& seen, std::size_t current, std::size_t min,
                              std::size_t max) {
  const auto bounded = [&](std::size_t shards) { return std::clamp(shards, min, std::max(min, max)); };
  if (!looked_ns_) {
    looked_ns_ = now_ns;
    before_ = seen;
    return bounded(current);
  }
  if (now_ns - *looked_ns_ < kEveryNs) return bounded(current);
  const double seconds = static_cast<double>(now_ns - *looked_ns_) / 1e9;
  looked_ns_ = now_ns;
  in_.add(static_cast<double>(seen.samples_in - before_.samples_in), seconds);
  out_.add(static_cast<double>(seen.samples_out - before_.samples_out), seconds);
  busy_.add(static_cast<double>(seen.busy_ns - before_.busy_ns) / 1e9, seconds);
  before_ = seen;
  // A receiver that is away says nothing about how many requests it could take.
  if (out_.per_s <= 0) return bounded(current);
  const double busy_s_per_sample = busy_.per_s / out_.per_s;
  desired_ = busy_s_per_sample * (in_.per_s + kCatchUpPerS * static_cast<double>(seen.waiting));
  const auto is = static_cast<double>(current);
  if (desired_ > is * (1 - kTolerance) && desired_ < is * (1 + kTolerance)) return bounded(current);
  const auto wanted =
      static_cast<std::size_t>(std::ceil(std::clamp(desired_, 0.0, static_cast<double>(std::max(min, max)))));
  if (wanted < current && seen.oldest_ms > kBehindMs) return bounded(current);
  return bounded(wanted);
}

}  // namespace qd::ship::remote_write
