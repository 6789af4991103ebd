// Names of OTLP as names of Prometheus.
//
// Pure functions, any thread. Source: the OpenTelemetry specification "Prometheus and OpenMetrics Compatibility";
// Prometheus documentation, otlp.translation_strategy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/metadata.h"
#include "model/otlp/metrics.h"

namespace qd::model::otlp {

// What is done to names of metrics and labels.
enum class Translation : std::uint8_t {
  kUnderscoresWithSuffixes,     // other characters become '_'; the unit and the type are told at the end
  kUnderscoresWithoutSuffixes,  // only the former
  kUtf8WithSuffixes,            // only the latter
  kNone,
};
// "UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation".
std::optional<Translation> parse_translation(std::string_view text);

std::string metric_name(const Metric& metric, Translation translation);
std::string label_name(std::string_view attribute, Translation translation);
MetricType metric_type(const Metric& metric);

}  // namespace qd::model::otlp
