// Every family that the nginx collector tells: of the server, of its access log, and of the VTS module.
//
// Names, types and help texts are those of nginx-prometheus-exporter (what stub_status says), of
// prometheus-nginxlog-exporter in its namespace "nginx" (what the access log says), and of nginx-module-vts's own
// Prometheus page. The families below kLegacy are nginx-vts-exporter's names for the same values.
#pragma once

#include <span>

#include "observe/collector.h"
#include "observe/family_info.h"

namespace qd::observe::nginx {

std::span<const FamilyInfo> families();
// Told with legacy_names only.
std::span<const FamilyInfo> legacy_families();
std::span<const LeftOut> left_out();

inline void begin(Sink& sink, const FamilyInfo& info) {
  sink.family(info.name, info.type, info.help);
}

namespace family {
using enum model::MetricType;

inline constexpr FamilyInfo kUp{"nginx_up", kGauge, "Status of the last metric scrape", ""};
inline constexpr FamilyInfo kScrapeSuccess{"nginx_scrape_success", kGauge,
                                           "Whether the last scrape of NGINX metrics was successful", ""};
inline constexpr FamilyInfo kScrapeDuration{"nginx_scrape_duration_seconds", kGauge,
                                            "Duration of the last scrape in seconds", ""};
inline constexpr FamilyInfo kScrapeErrors{"nginx_scrape_errors_total", kCounter,
                                          "Total number of scrape errors by type", "type"};
inline constexpr FamilyInfo kAccepted{"nginx_connections_accepted", kCounter, "Accepted client connections", ""};
inline constexpr FamilyInfo kActive{"nginx_connections_active", kGauge, "Active client connections", ""};
inline constexpr FamilyInfo kHandled{"nginx_connections_handled", kCounter, "Handled client connections", ""};
inline constexpr FamilyInfo kReading{"nginx_connections_reading", kGauge,
                                     "Connections where NGINX is reading the request header", ""};
inline constexpr FamilyInfo kWaiting{"nginx_connections_waiting", kGauge, "Idle client connections", ""};
inline constexpr FamilyInfo kWriting{"nginx_connections_writing", kGauge,
                                     "Connections where NGINX is writing the response back to the client", ""};
inline constexpr FamilyInfo kRequests{"nginx_http_requests_total", kCounter, "Total http requests", ""};

// `status` of an upstream's families is what the upstream answered; `host` is there when the log has it.
inline constexpr FamilyInfo kResponses{"nginx_http_response_count_total", kCounter, "Amount of processed HTTP requests",
                                       "method,status,host"};
inline constexpr FamilyInfo kResponseSize{"nginx_http_response_size_bytes", kCounter,
                                          "Total amount of transferred bytes", "method,status,host"};
inline constexpr FamilyInfo kRequestSize{"nginx_http_request_size_bytes", kCounter, "Total amount of received bytes",
                                         "method,status,host"};
inline constexpr FamilyInfo kResponseTime{"nginx_http_response_time_seconds_hist", kHistogram,
                                          "Time needed by NGINX to handle requests", "method,status,host,le"};
inline constexpr FamilyInfo kUpstreamTime{"nginx_http_upstream_time_seconds_hist", kHistogram,
                                          "Time needed by upstream servers to handle requests",
                                          "status,upstream_addr,le"};
inline constexpr FamilyInfo kUpstreamConnectTime{"nginx_http_upstream_connect_time_seconds_hist", kHistogram,
                                                 "Time needed to connect to upstream servers",
                                                 "status,upstream_addr,le"};
inline constexpr FamilyInfo kParseErrors{"nginx_parse_errors_total", kCounter,
                                         "Total number of log file lines that could not be parsed", ""};

inline constexpr FamilyInfo kVtsInfo{"nginx_vts_info", kGauge, "Nginx info", "hostname,module_version,version"};
inline constexpr FamilyInfo kVtsStart{"nginx_vts_start_time_seconds", kGauge, "Nginx start time", ""};
inline constexpr FamilyInfo kVtsConnections{"nginx_vts_main_connections", kGauge, "Nginx connections", "status"};
inline constexpr FamilyInfo kVtsShm{"nginx_vts_main_shm_usage_bytes", kGauge,
                                    "Shared memory [ngx_http_vhost_traffic_status] info", "shared"};
inline constexpr FamilyInfo kVtsServerBytes{"nginx_vts_server_bytes_total", kCounter, "The request/response bytes",
                                            "host,direction"};
inline constexpr FamilyInfo kVtsServerRequests{"nginx_vts_server_requests_total", kCounter, "The requests counter",
                                               "host,code"};
inline constexpr FamilyInfo kVtsServerSeconds{"nginx_vts_server_request_seconds_total", kCounter,
                                              "The request processing time in seconds", "host"};
inline constexpr FamilyInfo kVtsServerAverage{"nginx_vts_server_request_seconds", kGauge,
                                              "The average of request processing times in seconds", "host"};
inline constexpr FamilyInfo kVtsServerDuration{"nginx_vts_server_request_duration_seconds", kHistogram,
                                               "The histogram of request processing time", "host,le"};
inline constexpr FamilyInfo kVtsServerCache{"nginx_vts_server_cache_total", kCounter, "The requests cache counter",
                                            "host,status"};
inline constexpr FamilyInfo kVtsFilterBytes{"nginx_vts_filter_bytes_total", kCounter, "The request/response bytes",
                                            "filter,filter_name,direction"};
inline constexpr FamilyInfo kVtsFilterRequests{"nginx_vts_filter_requests_total", kCounter, "The requests counter",
                                               "filter,filter_name,code"};
inline constexpr FamilyInfo kVtsFilterSeconds{"nginx_vts_filter_request_seconds_total", kCounter,
                                              "The request processing time in seconds counter", "filter,filter_name"};
inline constexpr FamilyInfo kVtsFilterAverage{"nginx_vts_filter_request_seconds", kGauge,
                                              "The average of request processing times in seconds",
                                              "filter,filter_name"};
inline constexpr FamilyInfo kVtsFilterDuration{"nginx_vts_filter_request_duration_seconds", kHistogram,
                                               "The histogram of request processing time", "filter,filter_name,le"};
inline constexpr FamilyInfo kVtsFilterCache{"nginx_vts_filter_cache_total", kCounter, "The requests cache counter",
                                            "filter,filter_name,status"};
inline constexpr FamilyInfo kVtsUpstreamBytes{"nginx_vts_upstream_bytes_total", kCounter, "The request/response bytes",
                                              "upstream,backend,direction"};
inline constexpr FamilyInfo kVtsUpstreamRequests{"nginx_vts_upstream_requests_total", kCounter,
                                                 "The upstream requests counter", "upstream,backend,code"};
inline constexpr FamilyInfo kVtsUpstreamSeconds{"nginx_vts_upstream_request_seconds_total", kCounter,
                                                "The request Processing time including upstream in seconds",
                                                "upstream,backend"};
inline constexpr FamilyInfo kVtsUpstreamAverage{"nginx_vts_upstream_request_seconds", kGauge,
                                                "The average of request processing times including upstream in seconds",
                                                "upstream,backend"};
inline constexpr FamilyInfo kVtsUpstreamResponseSeconds{"nginx_vts_upstream_response_seconds_total", kCounter,
                                                        "The only upstream response processing time in seconds",
                                                        "upstream,backend"};
inline constexpr FamilyInfo kVtsUpstreamResponseAverage{
    "nginx_vts_upstream_response_seconds", kGauge, "The average of only upstream response processing times in seconds",
    "upstream,backend"};
inline constexpr FamilyInfo kVtsUpstreamDuration{"nginx_vts_upstream_request_duration_seconds", kHistogram,
                                                 "The histogram of request processing time including upstream",
                                                 "upstream,backend,le"};
inline constexpr FamilyInfo kVtsUpstreamResponseDuration{"nginx_vts_upstream_response_duration_seconds", kHistogram,
                                                         "The histogram of only upstream response processing time",
                                                         "upstream,backend,le"};
inline constexpr FamilyInfo kVtsCacheUsage{"nginx_vts_cache_usage_bytes", kGauge, "THe cache zones info",
                                           "cache_zone,cache_size"};
inline constexpr FamilyInfo kVtsCacheBytes{"nginx_vts_cache_bytes_total", kCounter,
                                           "The cache zones request/response bytes", "cache_zone,direction"};
inline constexpr FamilyInfo kVtsCacheRequests{"nginx_vts_cache_requests_total", kCounter, "The cache requests counter",
                                              "cache_zone,status"};

inline constexpr FamilyInfo kLegacyInfo{"nginx_server_info", kGauge, "nginx info", "hostName,nginxVersion"};
inline constexpr FamilyInfo kLegacyConnections{"nginx_server_connections", kGauge, "nginx connections", "status"};
inline constexpr FamilyInfo kLegacyServerRequests{"nginx_server_requests", kCounter, "requests counter", "host,code"};
inline constexpr FamilyInfo kLegacyServerBytes{"nginx_server_bytes", kCounter, "request/response bytes",
                                               "host,direction"};
inline constexpr FamilyInfo kLegacyServerCache{"nginx_server_cache", kCounter, "cache counter", "host,status"};
inline constexpr FamilyInfo kLegacyServerMsec{"nginx_server_requestMsec", kGauge,
                                              "average of request processing times in milliseconds", "host"};
inline constexpr FamilyInfo kLegacyUpstreamRequests{"nginx_upstream_requests", kCounter, "requests counter",
                                                    "upstream,backend,code"};
inline constexpr FamilyInfo kLegacyUpstreamBytes{"nginx_upstream_bytes", kCounter, "request/response bytes",
                                                 "upstream,backend,direction"};
inline constexpr FamilyInfo kLegacyUpstreamResponseMsec{
    "nginx_upstream_responseMsec", kGauge, "average of only upstream/backend response processing times in milliseconds",
    "upstream,backend"};
inline constexpr FamilyInfo kLegacyUpstreamMsec{
    "nginx_upstream_requestMsec", kGauge, "average of request processing times in milliseconds", "upstream,backend"};
inline constexpr FamilyInfo kLegacyFilterRequests{"nginx_filter_requests", kCounter, "requests counter",
                                                  "filter,filterName,code"};
inline constexpr FamilyInfo kLegacyFilterBytes{"nginx_filter_bytes", kCounter, "request/response bytes",
                                               "filter,filterName,direction"};
inline constexpr FamilyInfo kLegacyFilterMsec{
    "nginx_filter_requestMsec", kGauge, "average of request processing times in milliseconds", "filter,filterName"};
inline constexpr FamilyInfo kLegacyCacheRequests{"nginx_cache_requests", kCounter, "cache requests counter",
                                                 "zone,status"};
inline constexpr FamilyInfo kLegacyCacheBytes{"nginx_cache_bytes", kCounter, "cache request/response bytes",
                                              "zone,direction"};
}  // namespace family

}  // namespace qd::observe::nginx
