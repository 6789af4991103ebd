// Reads metrics that come as delimited io.prometheus.client.MetricFamily messages, event by event as Parser reads text.
//
// Source: metrics.proto of prometheus/client_model. A message becomes the series that the text of the same metrics
// would have; numbers in `le` and `quantile` are written as OpenMetrics writes them ("1.0"). A native histogram is one
// series of the family's name, an event of its own.
//
// The body outlives the parser; what the accessors return is valid until the next call of next(). After an error the
// parser is done. Not thread-safe. Memory: bounded by the largest metric.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/exposition/parser.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::model::exposition {

class ProtoParser {
 public:
  struct Options {
    bool native_histograms = false;   // else a histogram's native part is passed over
    bool classic_histograms = false;  // the classic part too, where there is a native one
    bool classic_to_native = false;   // a histogram without native part becomes one with the bounds of its buckets
  };

  ProtoParser(std::string_view body, const Options& options);
  ~ProtoParser();
  ProtoParser(const ProtoParser&) = delete;
  ProtoParser& operator=(const ProtoParser&) = delete;

  // kCorrupt, "message 7: …", for what is no such message; kInvalid for a metric that cannot be.
  base::Result<Event> next(std::string_view expected = {});

  // After kSeries and kHistogram: metric name and labels as text would have them.
  std::string_view series() const;
  bool as_expected() const { return false; }
  // The name first, as __name__, then the labels in the order of the message.
  std::span<const Label> labels();
  std::optional<TimestampMs> timestamp_ms() const;
  // When it began to count, where that is told and the series counts: not of gauges and quantiles.
  std::optional<TimestampMs> created_ms() const;
  double value() const;                // after kSeries
  const Histogram& histogram() const;  // after kHistogram

  // Of a counter or a bucket one at most, of a native histogram any number up to kExemplarsMax.
  struct Exemplar {
    LabelSet labels;
    double value = 0;
    std::optional<TimestampMs> timestamp_ms;
  };
  static constexpr std::size_t kExemplarsMax = 100;
  std::span<const Exemplar> exemplars() const;

  // After kType, kHelp and kUnit.
  std::string_view family() const;
  MetricType type() const;
  std::string_view help() const;
  std::string_view unit() const;

 private:
  class Core;
  const std::unique_ptr<Core> core_;
};

}  // namespace qd::model::exposition
