// POST /v1/metrics and /api/v1/otlp/v1/metrics: metrics by OTLP over HTTP, as protobuf or JSON, plain or packed by
// gzip.
//
// - 200 with ExportMetricsServiceResponse: what is good is stored; partialSuccess says how many points were not, and
// why.
// - 400: no such message. 413: larger than kBodyBytesMax, unpacked. 415: another type or coding. Nothing is stored.
// - 503: the log cannot be written. The sender tries again.
//
// Source: OTLP 1.x specification, "OTLP/HTTP"; Prometheus documentation, "OTLP Receiver".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "model/config/schema.h"
#include "serve/router.h"
#include "store/metrics/appender.h"

namespace qd::serve::otlp {

inline constexpr std::size_t kBodyBytesMax = 32 << 20;
inline constexpr std::size_t kJsonBytesMax = 16 << 20;  // it takes several times that in memory

struct OtlpSettings {
  std::string translation_strategy = "UnderscoreEscapingWithSuffixes";
  std::vector<std::string> promote_resource_attributes;
  bool convert_delta = false;
};
void declare(model::config::Schema& schema, OtlpSettings& settings);

// Everything outlives the router. `settings` may be called from any thread.
void add_metrics_routes(Router& router, store::metrics::Appendable& store, const base::Clock& clock, base::Log& log,
                        base::Registry& registry, std::function<OtlpSettings()> settings);

}  // namespace qd::serve::otlp
