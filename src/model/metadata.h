// What a metric family is: its type, its unit, and what it says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qd::model {

// The types of OpenMetrics 1.0; Prometheus text 0.0.4 has the first five and calls kUnknown "untyped".
enum class MetricType : std::uint8_t {
  kUnknown,
  kCounter,
  kGauge,
  kHistogram,
  kSummary,
  kGaugeHistogram,
  kInfo,
  kStateSet,
};

// "counter", "gaugehistogram", …: as the HTTP API and OpenMetrics spell them.
std::string_view to_string(MetricType type);
std::optional<MetricType> parse_metric_type(std::string_view text);

struct Metadata {
  MetricType type = MetricType::kUnknown;
  std::string help;
  std::string unit;
  bool operator==(const Metadata&) const = default;
};

}  // namespace qd::model
