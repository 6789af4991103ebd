// Decides, sample by sample, what of a batch's late samples is taken: a time that its series has already is a duplicate
// wherever it stands, in segments, in the head, among the late ones that wait, or in the batch. Of one appender.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "store/metrics/appender.h"
#include "store/metrics/querier.h"
#include "store/metrics/wal_record.h"

namespace qd::store::metrics {

class LateJudge {
 public:
  // Replaces the columns with all that the store has of a series in [from_ms, to_ms].
  using Stored = std::function<base::Status(SeriesRef, TimestampMs from_ms, TimestampMs to_ms, Columns&)>;

  explicit LateJudge(Stored stored) : stored_(std::move(stored)) {}

  // A number, or what stands for a histogram: that is given as well then. `in_order` is what the batch holds besides;
  // it may hold the sample's time only where `among_in_order`. kOk puts the sample among late() unless it is
  // `repeated`: there already with the same value. kTooOld where what is stored cannot be read: taking it could alter a
  // sample.
  AppendOutcome append(SeriesRef ref, TimestampMs time_ms, double value, const model::Histogram* histogram,
                       const SampleBatch& in_order, bool among_in_order, bool& repeated);
  // The batch holds a further sample in order.
  void note_in_order(SeriesRef ref, TimestampMs time_ms, double value) {
    if (indexed_) by_time_.emplace(Key{ref, time_ms}, value);
  }

  const SampleBatch& late() const { return late_; }
  void clear();

 private:
  struct Key {
    SeriesRef ref;
    TimestampMs time_ms;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };

  // A number, or the mark of a histogram.
  std::optional<double> find_stored(SeriesRef ref, TimestampMs time_ms, bool& readable);
  void index(const SampleBatch& in_order);

  const Stored stored_;
  SampleBatch late_;
  std::unordered_map<SeriesRef, TimestampMs> newest_;  // of late_, by series
  // What the batch holds, once a time came that may be there already.
  std::unordered_map<Key, double, KeyHash> by_time_;
  bool indexed_ = false;

  // The last stretch that was read.
  SeriesRef read_ref_ = 0;
  TimestampMs read_from_ms_ = 0;
  TimestampMs read_to_ms_ = 0;
  std::int64_t read_span_ms_ = 0;
  Columns read_;
};

}  // namespace qd::store::metrics
