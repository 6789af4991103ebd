// A native histogram as remote write and remote read carry it: prometheus.Histogram of 1.0 and of 2.0 are one message.
//
// Counts of integers stand as differences from bucket to bucket, others as they are. Pure functions, any thread.
// Source: prometheus/prompb types.proto and io/prometheus/write/v2/types.proto.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/histogram.h"
#include "model/sample.h"

namespace qd::model::remote_write {

struct TimedHistogram {
  TimestampMs time_ms = 0;
  // kInvalid or kLimit where it breaks the specification. One that is finer than kSchemaMax comes brought down to it.
  base::Result<Histogram> histogram;
  // It says that the series ended (its sum is the stale marker); the histogram holds nothing then.
  bool stale = false;
};

// kInvalid when the bytes are no such message.
base::Result<TimedHistogram> read_histogram(std::string_view message);
// Appends the message's fields to `message`, which is no part of another field.
void append_histogram(std::string& message, TimestampMs time_ms, const Histogram& histogram);

}  // namespace qd::model::remote_write
