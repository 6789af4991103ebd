#include "store/metrics/change_log.h"

#include <algorithm>

namespace qd::store::metrics {

namespace {

// Notes this close to the last one share its entry.
constexpr std::uint64_t kGrainMs = 1000;

std::uint64_t distance(model::TimestampMs from_ms, model::TimestampMs to_ms) {
  return static_cast<std::uint64_t>(to_ms) - static_cast<std::uint64_t>(from_ms);
}

}  // namespace

void ChangeLog::note(model::TimestampMs oldest_ms) {
  base::MutexLock lock(mutex_);
  ++generation_;
  while (!entries_.empty() && entries_.back().oldest_ms >= oldest_ms) entries_.pop_back();
  if (!entries_.empty() && entries_.back().oldest_ms > model::kMinTimestampMs &&
      distance(entries_.back().oldest_ms, oldest_ms) < kGrainMs) {
    entries_.back().generation = generation_;
    return;
  }
  entries_.push_back({generation_, oldest_ms});
  if (entries_.size() > kEntriesMax) thin_out();
}

// Of each two neighbours the older time, at the later generation.
void ChangeLog::thin_out() {
  const std::size_t pairs = entries_.size() / 2;
  for (std::size_t i = 0; i < pairs; ++i) {
    entries_[i] = {entries_[2 * i + 1].generation, entries_[2 * i].oldest_ms};
  }
  if (entries_.size() % 2 != 0) entries_[pairs] = entries_.back();
  entries_.resize((entries_.size() + 1) / 2);
}

std::uint64_t ChangeLog::generation() const {
  base::MutexLock lock(mutex_);
  return generation_;
}

model::TimestampMs ChangeLog::changed_since(std::uint64_t generation) const {
  base::MutexLock lock(mutex_);
  const auto later = std::partition_point(entries_.begin(), entries_.end(),
                                          [&](const Entry& entry) { return entry.generation <= generation; });
  return later == entries_.end() ? kUnchanged : later->oldest_ms;
}

}  // namespace qd::store::metrics
