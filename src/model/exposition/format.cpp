#include "model/exposition/format.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/strings.h"

namespace qd::model::exposition {

namespace {

constexpr std::string_view kOpenMetricsType = "application/openmetrics-text";
constexpr std::string_view kProtobufType = "application/vnd.google.protobuf";
constexpr std::string_view kProtobufMessage = "io.prometheus.client.MetricFamily";
// Of an Accept header: what comes later is not read.
constexpr std::size_t kAcceptEntriesLimit = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

struct MediaRange {
  std::string type;
  std::string version;
  std::string proto;
  std::string encoding;
  double weight = 1;
};

MediaRange parse_media_range(std::string_view entry) {
  MediaRange range;
  bool first = true;
  for (std::string_view part : base::split(entry, ';')) {
    part = base::trim(part);
    if (first) {
      range.type = lower(part);
      first = false;
      continue;
    }
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string key = lower(base::trim(part.substr(0, equals)));
    std::string_view value = base::trim(part.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (key == "version") range.version = value;
    if (key == "proto") range.proto = value;
    if (key == "encoding") range.encoding = value;
    if (key == "q") {
      double weight = 0;
      const auto read = std::from_chars(value.data(), value.data() + value.size(), weight);
      range.weight = read.ec == std::errc() && weight >= 0 && weight <= 1 ? weight : 0;
    }
  }
  return range;
}

std::optional<Format> writable(const MediaRange& range) {
  if (range.weight <= 0) return std::nullopt;
  if (range.type == kOpenMetricsType &&
      (range.version.empty() || range.version == "1.0.0" || range.version == "0.0.1")) {
    return Format::kOpenMetrics;
  }
  if ((range.type == "text/plain" && (range.version.empty() || range.version == "0.0.4")) || range.type == "text/*" ||
      range.type == "*/*") {
    return Format::kPrometheusText;
  }
  return std::nullopt;
}

}  // namespace

std::string_view content_type(Format format) {
  return format == Format::kOpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                        : "text/plain; version=0.0.4; charset=utf-8";
}

base::Result<Format> format_of(std::string_view content_type) {
  const MediaRange range = parse_media_range(content_type);
  if (range.type == kOpenMetricsType) return Format::kOpenMetrics;
  if (range.type == kProtobufType) {
    if (range.proto == kProtobufMessage && (range.encoding.empty() || range.encoding == "delimited"))
      return Format::kProtobuf;
    return base::fail(base::ErrorCode::kInvalid,
                      "the target sent protobuf other than delimited io.prometheus.client.MetricFamily messages, which "
                      "was not asked for; have it honour the Accept header");
  }
  return Format::kPrometheusText;
}

bool names_format(std::string_view content_type) {
  const std::string type = parse_media_range(content_type).type;
  return type == kOpenMetricsType || type == kProtobufType || type == "text/plain";
}

Format negotiate(std::string_view accept) {
  Format best = Format::kPrometheusText;
  double best_weight = 0;
  std::size_t entries = 0;
  for (const std::string_view entry : base::split(accept, ',')) {
    if (++entries > kAcceptEntriesLimit) break;
    const MediaRange range = parse_media_range(entry);
    const auto format = writable(range);
    if (format && range.weight > best_weight) {
      best = *format;
      best_weight = range.weight;
    }
  }
  return best;
}

}  // namespace qd::model::exposition
