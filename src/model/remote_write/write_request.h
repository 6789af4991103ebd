// The message of remote write 1.0, prometheus.WriteRequest: series with samples, and what metric families are.
//
//   WriteRequest  { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
//   TimeSeries    { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3;
//                   repeated Histogram histograms = 4; }
//   Label         { string name = 1; string value = 2; }
//   Sample        { double value = 1; int64 timestamp = 2; }       timestamp: milliseconds
//   Exemplar      { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
//   MetricMetadata{ MetricType type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
//
// Two messages one behind the other are one message with the fields of both: that is how protobuf merges. Reading is a
// walk over the bytes that copies nothing but the labels of the series it stands at. Pure functions, any thread.
// Source: Prometheus Remote-Write 1.0 specification; prometheus/prompb types.proto and remote.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::model::remote_write {

inline constexpr std::string_view kContentType = "application/x-protobuf";
inline constexpr std::string_view kVersionHeader = "X-Prometheus-Remote-Write-Version";
inline constexpr std::string_view kVersion = "0.1.0";
// In answers, how many samples are stored: it comes with remote write 2.0, and tells a sender of 1.0 as well that the
// rest of a request that was refused in part need not be sent again.
inline constexpr std::string_view kWrittenHeader = "X-Prometheus-Remote-Write-Samples-Written";
inline constexpr std::string_view kHistogramsWrittenHeader = "X-Prometheus-Remote-Write-Histograms-Written";
inline constexpr std::string_view kExemplarsWrittenHeader = "X-Prometheus-Remote-Write-Exemplars-Written";

// Labels of one series. What has more is refused alone, as is a family whose help is longer than kHelpBytesMax.
inline constexpr std::size_t kLabelsMax = 1024;

// Takes a request as it stands in the message. Nothing of it is known to be whole before read_write_request returns.
class WriteSink {
 public:
  virtual ~WriteSink() = default;
  // Samples of this series follow. Labels may come in any order; kInvalid where they make no series: no metric name, an
  // empty or repeated label name, what is not UTF-8, or too many. Its samples follow all the same.
  virtual void series(base::Result<LabelSet> labels) = 0;
  virtual void sample(const Sample& sample) = 0;
  // Asked for every series: whether it wants to know when counting began, which messages of 2.0 may say.
  virtual bool wants_starts() const { return false; }
  // Counting of the sample or histogram that follows began then.
  virtual void start(TimestampMs /*start_ms*/) {}
  // kInvalid or kLimit where it breaks the specification; it has kSchemaMax at most.
  virtual void histogram(TimestampMs time_ms, base::Result<Histogram> histogram) = 0;
  // Behind the samples of its series. kInvalid where its labels are none.
  virtual void exemplar(base::Result<LabelSet> labels, const Sample& sample) = 0;
  // The views last for the call.
  virtual void metadata(std::string_view family, MetricType type, std::string_view help, std::string_view unit) = 0;
};

// kInvalid when the bytes are no such message; the sink may have taken a part of them by then.
base::Status read_write_request(std::string_view message, WriteSink& sink);

// The labels of a TimeSeries as they stand in one: what is put before its samples.
std::string encode_labels(const LabelSet& labels);
// Append one TimeSeries, or one MetricMetadata, to a message. `others` are further fields of the TimeSeries, as
// histogram_field and exemplar_field give them.
void append_series(std::string& message, std::string_view encoded_labels, std::span<const Sample> samples,
                   std::string_view others = {});
enum class OtherKind : std::uint8_t { kExemplar, kHistogram };
std::string histogram_field(TimestampMs time_ms, const Histogram& histogram);
std::string exemplar_field(const LabelSet& labels, const Sample& sample);
void append_metadata(std::string& message, std::string_view family, const Metadata& metadata);

// A message that this program wrote, taken apart without looking at labels: to merge messages.
class EncodedSink {
 public:
  virtual ~EncodedSink() = default;
  // `encoded_labels` is what encode_labels gave. The views last as long as the message.
  virtual void sample(std::string_view encoded_labels, const Sample& sample) = 0;
  // An exemplar or a histogram, with its tag: what exemplar_field or histogram_field gave. Passed over by default.
  virtual void other(std::string_view /*encoded_labels*/, OtherKind /*kind*/, std::string_view /*field*/) {}
};
// kInvalid unless append_series alone wrote the message.
base::Status read_encoded(std::string_view message, EncodedSink& sink);

// What encode_labels gave; kInvalid for other bytes.
base::Result<LabelSet> decode_labels(std::string_view encoded_labels);
// The time, and what is in it, of such a field; kInvalid for other bytes.
struct DecodedExemplar {
  LabelSet labels;
  Sample sample;
};
base::Result<DecodedExemplar> decode_exemplar(std::string_view field);
struct TimedHistogram;
base::Result<TimedHistogram> decode_histogram(std::string_view field);

}  // namespace qd::model::remote_write
