// What a metric family is: its type, its unit, and what it says.
#pragma once

#include <cstddef>
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

// Of a help text or a unit; what is longer is no help.
inline constexpr std::size_t kHelpBytesMax = 4096;

struct Metadata {
  MetricType type = MetricType::kUnknown;
  std::string help;
  std::string unit;
  bool operator==(const Metadata&) const = default;
};

}  // namespace qd::model
