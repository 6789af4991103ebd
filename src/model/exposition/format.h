// The formats in which metrics are exposed, and how HTTP names them.
//
// Prometheus text format 0.0.4 (and 1.0.0, which differs in its escaping only), OpenMetrics 1.0.0, and delimited
// io.prometheus.client.MetricFamily messages, which are read and never written.
#pragma once

#include <string_view>

#include "base/result.h"

namespace qd::model::exposition {

enum class Format { kPrometheusText, kOpenMetrics, kProtobuf };

// The Content-Type of a body in this format; one that is written.
std::string_view content_type(Format format);

// What a target sent, by its Content-Type. No header, text/plain and types that say nothing about metrics are read as
// Prometheus text, as scrapers always did; kInvalid for protobuf messages of another kind or encoding.
base::Result<Format> format_of(std::string_view content_type);
// Whether the Content-Type is one of a format of metrics.
bool names_format(std::string_view content_type);

// What to send for this Accept header: the first by weight, then by order, that we can write; text where there is none.
Format negotiate(std::string_view accept);

}  // namespace qd::model::exposition
