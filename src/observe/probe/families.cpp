#include "observe/probe/families.h"

#include <array>
#include <vector>

namespace qd::observe::probe {
namespace {

constexpr auto kGauge = model::MetricType::kGauge;
constexpr auto kCounter = model::MetricType::kCounter;

}  // namespace

const FamilyInfo kSuccess{"probe_success", kGauge, "Displays whether or not the probe was a success", ""};
const FamilyInfo kDuration{"probe_duration_seconds", kGauge, "Returns how long the probe took to complete in seconds",
                           ""};
const FamilyInfo kDnsLookupTime{"probe_dns_lookup_time_seconds", kGauge,
                                "Returns the time taken for probe dns lookup in seconds", ""};
const FamilyInfo kIpProtocol{"probe_ip_protocol", kGauge, "Specifies whether probe ip protocol is IP4 or IP6", ""};
const FamilyInfo kIpAddrHash{"probe_ip_addr_hash", kGauge,
                             "Specifies the hash of IP address. It's useful to detect if the IP address changes.", ""};
const FamilyInfo kFailedDueToRegex{"probe_failed_due_to_regex", kGauge, "Indicates if probe failed due to regex", ""};

const FamilyInfo kHttpDuration{"probe_http_duration_seconds", kGauge,
                               "Duration of http request by phase, summed over all redirects", "phase"};
const FamilyInfo kHttpContentLength{"probe_http_content_length", kGauge, "Length of http content response", ""};
const FamilyInfo kHttpBodyLength{"probe_http_uncompressed_body_length", kGauge, "Length of uncompressed response body",
                                 ""};
const FamilyInfo kHttpRedirects{"probe_http_redirects", kGauge, "The number of redirects", ""};
const FamilyInfo kHttpSsl{"probe_http_ssl", kGauge, "Indicates if SSL was used for the final redirect", ""};
const FamilyInfo kHttpStatusCode{"probe_http_status_code", kGauge, "Response HTTP status code", ""};
const FamilyInfo kHttpVersion{"probe_http_version", kGauge, "Returns the version of HTTP of the probe response", ""};
const FamilyInfo kHttpLastModified{"probe_http_last_modified_timestamp_seconds", kGauge,
                                   "Returns the Last-Modified HTTP response header in unixtime", ""};

const FamilyInfo kSslEarliestExpiry{"probe_ssl_earliest_cert_expiry", kGauge,
                                    "Returns last SSL chain expiry in unixtime", ""};
const FamilyInfo kSslChainExpiry{"probe_ssl_last_chain_expiry_timestamp_seconds", kGauge,
                                 "Returns last SSL chain expiry in timestamp", ""};
const FamilyInfo kSslChainInfo{"probe_ssl_last_chain_info", kGauge, "Contains SSL leaf certificate information",
                               "fingerprint_sha256,subject,issuer,subjectalternative,serialnumber"};
const FamilyInfo kTlsVersion{"probe_tls_version_info", kGauge, "Returns the TLS version used or NaN when unknown",
                             "version"};
const FamilyInfo kTlsCipher{"probe_tls_cipher_info", kGauge, "Returns the TLS cipher negotiated during handshake",
                            "cipher"};

const FamilyInfo kExpectInfo{"probe_expect_info", kGauge, "Explicit content matched", "*"};

const FamilyInfo kDnsDuration{"probe_dns_duration_seconds", kGauge, "Duration of DNS request by phase", "phase"};
const FamilyInfo kDnsAnswers{"probe_dns_answer_rrs", kGauge,
                             "Returns number of entries in the answer resource record list", ""};
const FamilyInfo kDnsAuthorities{"probe_dns_authority_rrs", kGauge,
                                 "Returns number of entries in the authority resource record list", ""};
const FamilyInfo kDnsAdditionals{"probe_dns_additional_rrs", kGauge,
                                 "Returns number of entries in the additional resource record list", ""};
const FamilyInfo kDnsSucceeded{"probe_dns_query_succeeded", kGauge,
                               "Displays whether or not the query was executed successfully", ""};
const FamilyInfo kDnsSerial{"probe_dns_serial", kGauge, "Returns the serial number of the zone", ""};

const FamilyInfo kIcmpDuration{"probe_icmp_duration_seconds", kGauge, "Duration of icmp request by phase", "phase"};
const FamilyInfo kIcmpHopLimit{"probe_icmp_reply_hop_limit", kGauge, "Replied packet hop limit (TTL for ipv4)", ""};

const FamilyInfo kGrpcDuration{"probe_grpc_duration_seconds", kGauge, "Duration of gRPC request by phase", "phase"};
const FamilyInfo kGrpcHealth{"probe_grpc_healthcheck_response", kGauge, "Response HealthCheck response",
                             "serving_status"};
const FamilyInfo kGrpcSsl{"probe_grpc_ssl", kGauge, "Indicates if SSL was used for the connection", ""};
const FamilyInfo kGrpcStatusCode{"probe_grpc_status_code", kGauge, "Response gRPC status code", ""};

const FamilyInfo kReloadSuccessful{"blackbox_exporter_config_last_reload_successful", kGauge,
                                   "Blackbox exporter config loaded successfully.", ""};
const FamilyInfo kReloadTime{"blackbox_exporter_config_last_reload_success_timestamp_seconds", kGauge,
                             "Timestamp of the last successful configuration reload.", ""};
const FamilyInfo kModuleUnknown{"blackbox_module_unknown_total", kCounter,
                                "Count of unknown modules requested by probes", ""};

std::span<const FamilyInfo> families() {
  static const std::vector<FamilyInfo> kAll = {
      kSuccess,      kDuration,          kDnsLookupTime,     kIpProtocol,     kIpAddrHash,     kFailedDueToRegex,
      kHttpDuration, kHttpContentLength, kHttpBodyLength,    kHttpRedirects,  kHttpSsl,        kHttpStatusCode,
      kHttpVersion,  kHttpLastModified,  kSslEarliestExpiry, kSslChainExpiry, kSslChainInfo,   kTlsVersion,
      kTlsCipher,    kExpectInfo,        kDnsDuration,       kDnsAnswers,     kDnsAuthorities, kDnsAdditionals,
      kDnsSucceeded, kDnsSerial,         kIcmpDuration,      kIcmpHopLimit,   kGrpcDuration,   kGrpcHealth,
      kGrpcSsl,      kGrpcStatusCode,    kReloadSuccessful,  kReloadTime,     kModuleUnknown};
  return kAll;
}

std::span<const LeftOut> left_out() {
  static constexpr auto kLeftOut = std::to_array<LeftOut>({
      {"blackbox_exporter_build_info", "the build of Quarterdeck is quarterdeck_build_info at /metrics"},
      {"net_conntrack_dialer_*", "of a library of the exporter; failed probes say why in the log and in targets"},
      {"probe_failed_due_to_cel", "expressions in CEL are refused in the modules file"},
      {"process_*, go_*, promhttp_*", "of the exporter's own process; Quarterdeck's is at /metrics"},
  });
  return kLeftOut;
}

}  // namespace qd::observe::probe
