#include "model/exposition/writer.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "model/exposition/number.h"

namespace qd::model::exposition {

namespace {

constexpr std::string_view kTotal = "_total";

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  while (true) {
    const std::size_t at = text.find_first_of(quotes ? "\\\n\"" : "\\\n");
    out.append(text.substr(0, at));
    if (at == std::string_view::npos) return;
    out.push_back('\\');
    out.push_back(text[at] == '\n' ? 'n' : text[at]);
    text.remove_prefix(at + 1);
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  append_escaped(out, text, true);
  out.push_back('"');
}

void append_family_name(std::string& out, std::string_view name) {
  if (valid_metric_name(name)) {
    out.append(name);
  } else {
    append_quoted(out, name);
  }
}

void append_integer(std::string& out, std::uint64_t value) {
  std::array<char, 20> buffer;
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), written.ptr);
}

// Milliseconds as seconds with three digits at most, for OpenMetrics.
void append_seconds(std::string& out, TimestampMs time_ms) {
  const auto magnitude = time_ms < 0 ? 0 - static_cast<std::uint64_t>(time_ms) : static_cast<std::uint64_t>(time_ms);
  if (time_ms < 0) out.push_back('-');
  append_integer(out, magnitude / 1000);
  const std::uint64_t fraction = magnitude % 1000;
  out.push_back('.');
  out.push_back(static_cast<char>('0' + fraction / 100));
  out.push_back(static_cast<char>('0' + fraction / 10 % 10));
  out.push_back(static_cast<char>('0' + fraction % 10));
}

std::string_view type_name(MetricType type, Format format) {
  if (format == Format::kOpenMetrics) return to_string(type);
  switch (type) {
    case MetricType::kUnknown:
      return "untyped";
    case MetricType::kGaugeHistogram:
      return "histogram";
    case MetricType::kInfo:
    case MetricType::kStateSet:
      return "gauge";
    default:
      return to_string(type);
  }
}

}  // namespace

void TextWriter::family(std::string_view name, MetricType type, std::string_view help) {
  type_ = type;
  const bool openmetrics = format_ == Format::kOpenMetrics;
  if (openmetrics && type == MetricType::kCounter && name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
  if (openmetrics && type == MetricType::kInfo && name.ends_with("_info")) name.remove_suffix(5);
  if (!help.empty()) {
    out_.append("# HELP ");
    append_family_name(out_, name);
    out_.push_back(' ');
    append_escaped(out_, help, openmetrics);
    out_.push_back('\n');
  }
  out_.append("# TYPE ");
  append_family_name(out_, name);
  out_.push_back(' ');
  out_.append(type_name(type, format_));
  out_.push_back('\n');
}

void TextWriter::sample(std::string_view name, std::span<const Label> labels, double value,
                        std::optional<TimestampMs> timestamp_ms) {
  const bool openmetrics = format_ == Format::kOpenMetrics;
  // OpenMetrics has no counter without the ending.
  const bool add_total =
      openmetrics && type_ == MetricType::kCounter && !name.ends_with(kTotal) && !name.ends_with("_created");
  bool braces = false;
  if (valid_metric_name(name)) {
    out_.append(name);
    if (add_total) out_.append(kTotal);
  } else {
    out_.append("{\"");
    append_escaped(out_, name, true);
    if (add_total) out_.append(kTotal);
    out_.push_back('"');
    braces = true;
  }
  for (const Label& label : labels) {
    if (label.name == kMetricName) continue;
    out_.push_back(braces ? ',' : '{');
    braces = true;
    if (valid_label_name(label.name)) {
      out_.append(label.name);
    } else {
      append_quoted(out_, label.name);
    }
    out_.push_back('=');
    append_quoted(out_, label.value);
  }
  if (braces) out_.push_back('}');
  out_.push_back(' ');
  append_go_float(out_, value);
  if (timestamp_ms) {
    out_.push_back(' ');
    if (openmetrics) {
      append_seconds(out_, *timestamp_ms);
    } else {
      out_.append(std::to_string(*timestamp_ms));
    }
  }
  out_.push_back('\n');
}

void TextWriter::finish() {
  if (format_ == Format::kOpenMetrics) out_.append("# EOF\n");
}

}  // namespace qd::model::exposition
