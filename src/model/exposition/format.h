// The two text formats in which metrics are exposed, and how HTTP names them.
//
// Prometheus text format 0.0.4 and OpenMetrics 1.0.0.
#pragma once

#include <string_view>

#include "base/result.h"

namespace qd::model::exposition {

enum class Format { kPrometheusText, kOpenMetrics };

// The Content-Type of a body in this format.
std::string_view content_type(Format format);

// What a target sent, by its Content-Type. No header, text/plain and types that say nothing about metrics are read as
// Prometheus text, as scrapers always did; kInvalid for the protobuf format, which is never asked for.
base::Result<Format> format_of(std::string_view content_type);

// What to send for this Accept header: the first by weight, then by order, that we can write; text where there is none.
Format negotiate(std::string_view accept);

// The Accept header of a scraper that reads both.
inline constexpr std::string_view kAcceptHeader =
    "application/openmetrics-text;version=1.0.0;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=0.0.4;q=0.4,"
    "*/*;q=0.3";

}  // namespace qd::model::exposition
