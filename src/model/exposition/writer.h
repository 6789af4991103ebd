// Writes metrics in a text format, as client libraries do.
//
//   TextWriter writer(out, Format::kOpenMetrics);
//   writer.family("http_requests_total", MetricType::kCounter, "Requests that were answered.");
//   writer.sample("http_requests_total", labels, 42);
//   writer.finish();
//
// Appends to a string that the caller owns. Families and their samples come in order and together; a counter has its
// full name everywhere ("…_total"), which the writer fits to the format. Names outside the classic alphabets are
// quoted.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/exposition/format.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

namespace qd::model::exposition {

class TextWriter {
 public:
  TextWriter(std::string& out, Format format) : out_(out), format_(format) {}

  // Types that Prometheus text has not are written there as what comes nearest. An empty help writes no HELP line.
  void family(std::string_view name, MetricType type, std::string_view help);
  // `name` is the whole name, with its ending; a label called __name__ is left out.
  void sample(std::string_view name, std::span<const Label> labels, double value,
              std::optional<TimestampMs> timestamp_ms = std::nullopt);
  // Call once, at the end: OpenMetrics ends with # EOF.
  void finish();

 private:
  std::string& out_;
  const Format format_;
  MetricType type_ = MetricType::kUnknown;
};

}  // namespace qd::model::exposition
