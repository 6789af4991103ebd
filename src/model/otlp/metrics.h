// OTLP's metrics: ExportMetricsServiceRequest, as protobuf and as JSON, as values.
//
// Reading copies what it gives; a request is bounded by its body. Pure functions, any thread.
// Source: OTLP 1.x, opentelemetry/proto/metrics/v1/metrics.proto and collector/metrics/v1; for JSON the section "JSON
// Protobuf Encoding" of the OTLP specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace qd::model::otlp {

// Values that are no texts are written as texts: true, 12, 0.5; lists and mappings as JSON, bytes in base64.
struct Attribute {
  std::string key;
  std::string value;
};
using Attributes = std::vector<Attribute>;

enum class Kind : std::uint8_t { kNone, kGauge, kSum, kHistogram, kExponential, kSummary };
enum class Temporality : std::uint8_t { kUnspecified, kDelta, kCumulative };

struct Buckets {
  std::int32_t offset = 0;
  std::vector<std::uint64_t> counts;
};

// One measurement behind a point.
struct Exemplar {
  Attributes attributes;  // those that the point does not have
  std::uint64_t time_ns = 0;
  double value = 0;
  std::string trace_id;  // in hexadecimal, lower case; empty when it has none or a broken one
  std::string span_id;
};

// Of which kind it is, its metric says; fields of others are empty.
struct Point {
  Attributes attributes;
  std::uint64_t start_ns = 0;
  std::uint64_t time_ns = 0;
  bool no_value = false;  // the series had none at that time
  double value = 0;       // of a gauge or sum
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::vector<std::uint64_t> bucket_counts;  // of a histogram: one more than bounds, or none
  std::vector<double> bounds;
  std::int32_t scale = 0;  // of an exponential one, and what follows
  std::uint64_t zero_count = 0;
  double zero_threshold = 0;
  Buckets positive;
  Buckets negative;
  std::vector<std::pair<double, double>> quantiles;  // of a summary: which, and its value
  std::vector<Exemplar> exemplars;
};

struct Metric {
  std::string name;
  std::string description;
  std::string unit;
  Kind kind = Kind::kNone;
  Temporality temporality = Temporality::kUnspecified;
  bool monotonic = false;
  std::vector<Point> points;
};

class MetricsSink {
 public:
  virtual ~MetricsSink() = default;
  // Metrics follow that are of this resource.
  virtual void resource(const Attributes& attributes) = 0;
  virtual void metric(const Metric& metric) = 0;
  // No more of the resource follow.
  virtual void resource_ends() = 0;
};

inline constexpr std::size_t kAttributesMax = 1024;  // of one point or resource; what comes after is passed over
inline constexpr std::size_t kExemplarsMax = 1024;   // of one point; what comes after is passed over
inline constexpr int kValueDepthMax = 16;            // of lists in lists
// What the points of one metric take in memory, beside their texts: those of a hostile message are a hundred times as
// large as they are on the wire.
inline constexpr std::size_t kPointBytesMax = 128 << 20;

// kInvalid when the bytes are no such message, kLimit past kPointBytesMax; the sink may have taken a part by then.
base::Status read_metrics(std::string_view message, MetricsSink& sink);
base::Status read_metrics_json(std::string_view text, MetricsSink& sink);

// ExportMetricsServiceResponse: what was not taken of it, with the reason; an empty message when all was.
std::string write_response(std::uint64_t rejected_points, std::string_view reason);
std::string write_response_json(std::uint64_t rejected_points, std::string_view reason);
// google.rpc.Status, as errors are answered: its message alone.
std::string write_status(std::string_view message);

}  // namespace qd::model::otlp
