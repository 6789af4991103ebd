// From which time on samples have changed since somebody looked: what caches of answers ask before they use one again.
//
//   const auto seen = log.generation();                      // before the samples are read
//   ...                                                      // an answer is computed and kept
//   const auto from_ms = log.changed_since(seen);            // what it says of earlier times still holds
//
// Whoever makes samples visible, or takes them away, notes the oldest of them afterwards and before it reports success:
// commits (late ones like any other), imports, deletions, and retention. Moving samples from one form into another
// changes nothing.
//
// Thread-safe. Memory: at most kEntriesMax entries; beyond them older ones are told less finely, never later than true.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/mutex.h"
#include "model/sample.h"

namespace qd::store::metrics {

class ChangeLog {
 public:
  static constexpr model::TimestampMs kUnchanged = std::numeric_limits<model::TimestampMs>::max();
  static constexpr std::size_t kEntriesMax = 4096;

  // Samples at `oldest_ms` or later came or went. kMinTimestampMs: anything may have.
  void note(model::TimestampMs oldest_ms) QD_EXCLUDES(mutex_);
  // Of what has been noted so far.
  std::uint64_t generation() const QD_EXCLUDES(mutex_);
  // The oldest time noted after `generation`, or one before it; kUnchanged where nothing was.
  model::TimestampMs changed_since(std::uint64_t generation) const QD_EXCLUDES(mutex_);

 private:
  // Rising in both: what a later note made irrelevant is gone.
  struct Entry {
    std::uint64_t generation;
    model::TimestampMs oldest_ms;
  };
  void thin_out() QD_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::uint64_t generation_ QD_GUARDED_BY(mutex_) = 0;
  std::vector<Entry> entries_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::store::metrics
