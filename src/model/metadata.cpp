#include "model/metadata.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace qd::model {

namespace {

constexpr std::array<std::string_view, 8> kNames = {
    "unknown", "counter", "gauge", "histogram", "summary", "gaugehistogram", "info", "stateset",
};

}  // namespace

std::string_view to_string(MetricType type) {
  return kNames[static_cast<std::size_t>(type)];
}

std::optional<MetricType> parse_metric_type(std::string_view text) {
  if (text == "untyped") return MetricType::kUnknown;
  const auto at = std::ranges::find(kNames, text);
  if (at == kNames.end()) return std::nullopt;
  return static_cast<MetricType>(std::distance(kNames.begin(), at));
}

}  // namespace qd::model
