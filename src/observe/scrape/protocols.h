// Which formats a target is asked for, and which it answered in.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/exposition/format.h"
#include "observe/scrape/config.h"

namespace qd::observe::scrape {

// Of a job that names no scrape_protocols: text, and protobuf before it where native histograms are wanted, since only
// that carries them.
std::vector<ScrapeProtocol> protocols_of(const FormatConfig& format);

// The protocols by weight, and whatever else a target may have.
std::string accept_header(const FormatConfig& format);

// What a target sent. A Content-Type that says nothing about metrics is read as `fallback` says, and without one as
// Prometheus text. kInvalid for protobuf that is not delimited MetricFamily messages.
base::Result<model::exposition::Format> format_of(std::string_view content_type,
                                                  std::optional<ScrapeProtocol> fallback);

}  // namespace qd::observe::scrape
