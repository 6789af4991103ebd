// The message of remote write 2.0, io.prometheus.write.v2.Request: texts stand once in a table, and series name them by
// their place in it.
//
//   Request    { repeated string symbols = 4; repeated TimeSeries timeseries = 5; }         symbols[0] is ""
//   TimeSeries { repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
//                repeated Exemplar exemplars = 4; Metadata metadata = 5; int64 created_timestamp = 6; }
//   Sample     { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
//   Histogram  { as that of 1.0 (histogram_wire.h); int64 start_timestamp = 17; }
//   Exemplar   { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
//   Metadata   { MetricType type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }
//
// Pure functions, any thread. Source: Prometheus Remote-Write 2.0 specification; prompb/io/prometheus/write/v2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/remote_write/write_request.h"
#include "model/sample.h"

namespace qd::model::remote_write {

inline constexpr std::string_view kProtoV1 = "prometheus.WriteRequest";
inline constexpr std::string_view kProtoV2 = "io.prometheus.write.v2.Request";
inline constexpr std::string_view kContentTypeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
inline constexpr std::string_view kVersionV2 = "2.0.0";

// A short message may name long texts again and again: labels and words of one message are so many bytes at most.
inline constexpr std::size_t kExpandedBytesMax = 256 << 20;

// Gives the same calls as read_write_request does for a message of 1.0, metadata behind the samples of its series.
// kInvalid when the bytes are no such message or name a text that is not there; kLimit past kExpandedBytesMax. The sink
// may have taken a part by then.
base::Status read_write_request_v2(std::string_view message, WriteSink& sink);

// Builds one message. Texts are copied; one thread at a time.
class WriteRequestV2 {
 public:
  WriteRequestV2();
  // What follows is of this series. `metadata` may be null.
  void series(const LabelSet& labels, const Metadata* metadata);
  // `start_ms` 0 is none.
  void sample(const Sample& sample, TimestampMs start_ms = 0);
  void histogram(TimestampMs time_ms, const Histogram& histogram);
  void exemplar(const LabelSet& labels, const Sample& sample);
  // The message; the builder is empty afterwards.
  std::string finish();

 private:
  std::uint32_t ref(std::string_view text);
  void end_series();

  std::map<std::string, std::uint32_t, std::less<>> refs_;
  std::string symbols_;  // fields, as they stand in the message
  std::string all_;      // the same of the series that are done
  std::string one_;      // of the series that is being written
  bool open_ = false;
};

}  // namespace qd::model::remote_write
