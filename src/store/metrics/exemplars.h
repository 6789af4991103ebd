// The newest exemplars of all series: a ring of which the oldest give way.
//
// Thread-safe. Memory: about 100 bytes an exemplar and its labels, `limit` of them at most. What it holds is in the log
// as well (docs/formats/wal.md) until it is sealed with its series, and then in the segments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "model/exemplar.h"
#include "store/metrics/appender.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

// Characters that UTF-8 makes of all names and values. A byte that continues none is not one.
std::size_t characters(const model::LabelSet& labels);
// The same time, value (by bits) and labels.
bool same_exemplar(const model::Exemplar& a, const model::Exemplar& b);
// In order of time, each once.
void put_in_order(std::vector<model::Exemplar>& exemplars);

class ExemplarRing {
 public:
  explicit ExemplarRing(std::size_t limit) : limit_(limit) {}

  // 0 keeps none. The oldest go when there are more.
  void set_limit(std::size_t limit);
  bool enabled() const;

  // Against the newest one of its series: kOk, with `repeated` for the very same, kOutOfOrder, or kInvalid for labels
  // that are too long.
  AppendOutcome judge(SeriesRef ref, const model::Exemplar& exemplar, bool& repeated) const;
  // Nothing where judge() does not take it now; else how many older ones gave way.
  std::optional<std::size_t> add(SeriesRef ref, const model::Exemplar& exemplar);

  using BySeries = std::unordered_map<SeriesRef, std::vector<model::Exemplar>>;
  // Those in [from_ms, to_ms], each series' in order of time.
  BySeries select(model::TimestampMs from_ms, model::TimestampMs to_ms) const;
  // What select() gave of these series is in a segment now. What came since stays, however old it is.
  void remove(const BySeries& sealed);
  // In the order in which they came.
  std::vector<RefExemplar> all() const;
  std::size_t size() const;

 private:
  AppendOutcome judge_locked(SeriesRef ref, const model::Exemplar& exemplar, bool& repeated) const QD_REQUIRES(mutex_);
  void drop_front() QD_REQUIRES(mutex_);

  mutable base::Mutex mutex_;
  std::size_t limit_ QD_GUARDED_BY(mutex_);
  std::deque<RefExemplar> ring_ QD_GUARDED_BY(mutex_);  // the oldest first
  std::uint64_t first_ QD_GUARDED_BY(mutex_) = 0;       // number of the oldest, counted from the first there was
  std::unordered_map<SeriesRef, std::uint64_t> newest_ QD_GUARDED_BY(mutex_);  // number of each series' newest
};

}  // namespace qd::store::metrics
