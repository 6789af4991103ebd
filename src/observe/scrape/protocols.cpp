#include "observe/scrape/protocols.h"

#include <fmt/format.h>

namespace qd::observe::scrape {

using model::exposition::Format;

namespace {

std::string_view media_type(ScrapeProtocol protocol) {
  switch (protocol) {
    case ScrapeProtocol::kPrometheusProto:
      return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    case ScrapeProtocol::kOpenMetricsText1_0_0:
      return "application/openmetrics-text;version=1.0.0";
    case ScrapeProtocol::kOpenMetricsText0_0_1:
      return "application/openmetrics-text;version=0.0.1";
    case ScrapeProtocol::kPrometheusText1_0_0:
      return "text/plain;version=1.0.0";
    case ScrapeProtocol::kPrometheusText0_0_4:
      break;
  }
  return "text/plain;version=0.0.4";
}

Format format_of(ScrapeProtocol protocol) {
  switch (protocol) {
    case ScrapeProtocol::kPrometheusProto:
      return Format::kProtobuf;
    case ScrapeProtocol::kOpenMetricsText1_0_0:
    case ScrapeProtocol::kOpenMetricsText0_0_1:
      return Format::kOpenMetrics;
    case ScrapeProtocol::kPrometheusText1_0_0:
    case ScrapeProtocol::kPrometheusText0_0_4:
      break;
  }
  return Format::kPrometheusText;
}

}  // namespace

std::vector<ScrapeProtocol> protocols_of(const FormatConfig& format) {
  using enum ScrapeProtocol;
  if (!format.scrape_protocols.empty()) return format.scrape_protocols;
  std::vector<ScrapeProtocol> protocols = {kOpenMetricsText1_0_0, kOpenMetricsText0_0_1, kPrometheusText1_0_0,
                                           kPrometheusText0_0_4};
  if (format.scrape_native_histograms) protocols.insert(protocols.begin(), kPrometheusProto);
  return protocols;
}

std::string accept_header(const FormatConfig& format) {
  std::string out;
  int weight = 6;
  for (const ScrapeProtocol protocol : protocols_of(format)) {
    out.append(media_type(protocol));
    // The versions that know names beyond the legacy scheme.
    if (protocol == ScrapeProtocol::kOpenMetricsText1_0_0 || protocol == ScrapeProtocol::kPrometheusText1_0_0)
      out.append(";escaping=").append(to_string(format.name_escaping));
    out.append(fmt::format(";q=0.{},", weight--));
  }
  return out + fmt::format("*/*;q=0.{}", weight);
}

base::Result<Format> format_of(std::string_view content_type, std::optional<ScrapeProtocol> fallback) {
  if (fallback && !model::exposition::names_format(content_type)) return format_of(*fallback);
  return model::exposition::format_of(content_type);
}

}  // namespace qd::observe::scrape
