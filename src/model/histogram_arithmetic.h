// Native histograms added, subtracted, scaled and compared.
//
// Two histograms are brought to one layout first: the coarser schema, the wider zero bucket, the custom bounds that
// both have, the buckets that either has. Only exponential and custom buckets do not mix. Source: the specification
// "Native Histograms" of Prometheus, sections "Schema", "Zero bucket", "Counter resets" and "PromQL".
//
// Values; nothing here is shared between threads. A result never has more than kHistogramBucketsMax buckets a side:
// past that, its resolution is halved until it fits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/histogram.h"

namespace qd::model {

inline bool has_custom_bounds(const Histogram& histogram) {
  return histogram.schema == kCustomBounds;
}

// What came of joining two histograms.
struct Joined {
  bool compatible = true;          // false for exponential with custom buckets: nothing was done then
  bool bounds_reconciled = false;  // the custom bounds differed
  bool resets_conflict = false;    // one says that counting began anew, the other that it went on
};

// `to` and `from` keep buckets that are empty now: see compact.
Joined add(Histogram& to, const Histogram& other);
Joined subtract(Histogram& from, const Histogram& other);
// What is scaled by less than zero counts no more: it is a gauge.
void multiply(Histogram& histogram, double factor);
// By zero: everything infinite or NaN, and no buckets.
void divide(Histogram& histogram, double divisor);
// Drops empty buckets.
void compact(Histogram& histogram);
// REQUIRES: exponential buckets, `schema` in [kSchemaMin, histogram.schema].
void reduce_schema(Histogram& histogram, std::int32_t schema);

// Whether counting began anew between the two: told by the reset hint, else because a count fell.
bool was_reset(const Histogram& previous, const Histogram& current);

// The same observations in the same buckets, by bits; whether as integers, with which hint and over which spans does
// not matter.
bool same_value(const Histogram& a, const Histogram& b);

// Bytes it takes in memory, more or less.
std::size_t memory_bytes(const Histogram& histogram);

// The sum of many histograms, each component with its own compensation (base/kahan.h).
class HistogramSum {
 public:
  // False for exponential buckets with custom ones: nothing was added.
  bool add(const Histogram& value);
  // The sum of another part of the same.
  bool add(const HistogramSum& other);

  bool empty() const { return count_ == 0; }
  // How many histograms were added.
  std::size_t size() const { return count_; }
  bool bounds_reconciled() const { return bounds_reconciled_; }
  // Some of them said that counting began anew, others that it went on.
  bool resets_conflict() const { return reset_seen_ && not_reset_seen_; }
  // A component is infinite.
  bool overflowed() const;

  // REQUIRES: !empty(). Compact.
  Histogram value() const;
  Histogram divided(double divisor) const;

  void scale(double factor);

 private:
  void note_hint(CounterReset hint);

  Histogram sum_;
  Histogram compensation_;  // of the same layout as sum_, once there are two
  std::size_t count_ = 0;
  bool bounds_reconciled_ = false;
  bool reset_seen_ = false;
  bool not_reset_seen_ = false;
};

// Their mean. It divides a sum at the end; once that would overflow, it goes on with a running mean.
class HistogramMean {
 public:
  bool add(const Histogram& value);

  bool bounds_reconciled() const { return sum_.bounds_reconciled(); }
  bool resets_conflict() const { return sum_.resets_conflict(); }
  // REQUIRES: one was added.
  Histogram value() const;

 private:
  HistogramSum sum_;
  double count_ = 0;
  bool running_ = false;
};

}  // namespace qd::model
