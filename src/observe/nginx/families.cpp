#include "observe/nginx/families.h"

#include <array>

namespace qd::observe::nginx {

std::span<const FamilyInfo> families() {
  using namespace family;
  static constexpr std::array kAll{
      kUp,
      kScrapeSuccess,
      kScrapeDuration,
      kScrapeErrors,
      kAccepted,
      kActive,
      kHandled,
      kReading,
      kWaiting,
      kWriting,
      kRequests,
      kResponses,
      kResponseSize,
      kRequestSize,
      kResponseTime,
      kUpstreamTime,
      kUpstreamConnectTime,
      kParseErrors,
      kVtsInfo,
      kVtsStart,
      kVtsConnections,
      kVtsShm,
      kVtsServerBytes,
      kVtsServerRequests,
      kVtsServerSeconds,
      kVtsServerAverage,
      kVtsServerDuration,
      kVtsServerCache,
      kVtsFilterBytes,
      kVtsFilterRequests,
      kVtsFilterSeconds,
      kVtsFilterAverage,
      kVtsFilterDuration,
      kVtsFilterCache,
      kVtsUpstreamBytes,
      kVtsUpstreamRequests,
      kVtsUpstreamSeconds,
      kVtsUpstreamAverage,
      kVtsUpstreamResponseSeconds,
      kVtsUpstreamResponseAverage,
      kVtsUpstreamDuration,
      kVtsUpstreamResponseDuration,
      kVtsCacheUsage,
      kVtsCacheBytes,
      kVtsCacheRequests,
  };
  return kAll;
}

std::span<const FamilyInfo> legacy_families() {
  using namespace family;
  static constexpr std::array kAll{
      kLegacyInfo,
      kLegacyConnections,
      kLegacyServerRequests,
      kLegacyServerBytes,
      kLegacyServerCache,
      kLegacyServerMsec,
      kLegacyUpstreamRequests,
      kLegacyUpstreamBytes,
      kLegacyUpstreamResponseMsec,
      kLegacyUpstreamMsec,
      kLegacyFilterRequests,
      kLegacyFilterBytes,
      kLegacyFilterMsec,
      kLegacyCacheRequests,
      kLegacyCacheBytes,
  };
  return kAll;
}

std::span<const LeftOut> left_out() {
  static constexpr std::string_view kBuild = "about the exporter's own build, which does not run here";
  static constexpr std::string_view kSummary =
      "quantiles made by one process cannot be added up: the histogram nginx_…_seconds_hist has the same times";
  static constexpr std::array kAll{
      LeftOut{"nginxexporter_build_info", kBuild},
      LeftOut{"nginx_exporter_build_info", kBuild},
      LeftOut{"nginxplus_*", "the API of NGINX Plus, which Quarterdeck has not been tried with"},
      LeftOut{"nginx_http_response_time_seconds", kSummary},
      LeftOut{"nginx_http_upstream_time_seconds", kSummary},
      LeftOut{"nginx_http_upstream_connect_time_seconds", kSummary},
      LeftOut{"nginx_filter_responseMsec", "a filter of the VTS module has no times of upstreams: it was always 0"},
  };
  return kAll;
}

}  // namespace qd::observe::nginx
