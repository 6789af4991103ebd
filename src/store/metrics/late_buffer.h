// Samples that came late: older than the newest of their series, or than what has been sealed. They stand in the log
// and here until the store writes them to segments of their own.
//
// The buffer keeps generations: one that grows, and those that are being written (more than one when writing failed
// before). Series are named by the slot that the head keeps them in; the head keeps a series as long as the buffer
// holds samples of it.
//
// Thread-safe. `apply`, `freeze` and `drop_frozen` are called by one thread at a time, and apply, view and drop_frozen
// inside the head's moments, so that a reader sees a batch whole or not at all and each sample once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "store/metrics/label_index.h"
#include "store/metrics/querier.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

// About what the samples of a batch take, in numbers: a histogram as much as its buckets do.
std::size_t late_weight(const SampleBatch& batch);

class LateBuffer {
 public:
  struct Generation;

  // What had come at one moment. Keeps it from being freed; it is read through the buffer.
  struct View {
    std::vector<std::shared_ptr<const Generation>> generations;
    std::uint64_t commits = 0;
    bool empty() const { return generations.empty(); }
  };

  LateBuffer();
  ~LateBuffer();

  // Adds a batch. REQUIRES: no sample of it is there already.
  void apply(const SampleBatch& batch);
  // Batches so far: what a sample was judged against is what this said before.
  std::uint64_t commits() const { return commits_.load(std::memory_order_acquire); }
  // Whether one of these samples may have come by another batch since commits() said `since`.
  bool overtaken(const SampleBatch& batch, std::uint64_t since) const;

  std::size_t samples() const { return samples_.load(std::memory_order_relaxed); }
  // About what it takes, in numbers: a series costs as much as a few of them, a histogram what late_weight says.
  std::size_t weight() const { return weight_.load(std::memory_order_relaxed); }
  // Of all samples: the oldest time and the newest; the wrong way round where there are none.
  std::pair<TimestampMs, TimestampMs> reach() const;
  // The same of what is frozen.
  std::pair<TimestampMs, TimestampMs> frozen_reach() const;
  bool holds(Slot slot) const;

  View view() const;
  bool overlaps(const View& view, Slot slot, TimestampMs from_ms, TimestampMs to_ms) const;
  // Appends the samples of a series in [from_ms, to_ms], in order of time, each time once: what came first stays. There
  // are histograms in `out` afterwards where there were some before, or one was appended.
  void read(const View& view, Slot slot, TimestampMs from_ms, TimestampMs to_ms, Columns& out) const;

  // What has come so far is to be written; it stays readable.
  void freeze();
  View frozen() const;
  std::vector<Slot> slots(const View& view) const;
  // It is in segments now.
  void drop_frozen();

 private:
  std::pair<TimestampMs, TimestampMs> frozen_reach_locked() const QD_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::shared_ptr<Generation> growing_ QD_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Generation>> frozen_ QD_GUARDED_BY(mutex_);
  std::uint64_t dropped_ QD_GUARDED_BY(mutex_) = 0;  // the newest commit that drop_frozen dropped
  std::atomic<std::uint64_t> commits_{0};
  std::atomic<std::size_t> samples_{0};
  std::atomic<std::size_t> weight_{0};
};

}  // namespace qd::store::metrics
