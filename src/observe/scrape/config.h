// The Prometheus file: what it scrapes, its rules, and where it sends what it has.
//
// Plain values, checked when they are read, with Prometheus's own rules: what it refuses is refused here, with file and
// line. What is valid and not done in this release is told in `warnings`, by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connect/http/http_config.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "observe/sd/config.h"

namespace qd::observe::scrape {

using connect::http::AuthorizationConfig;
using connect::http::BasicAuthConfig;
using connect::http::HttpConfig;
using connect::http::TlsConfig;

// 0 is no limit.
struct ScrapeLimits {
  std::uint64_t sample_limit = 0;
  std::uint64_t series_limit = 0;  // that a target makes as long as it is scraped; Quarterdeck's own
  std::uint64_t target_limit = 0;
  std::uint64_t label_limit = 0;
  std::uint64_t label_name_length_limit = 0;
  std::uint64_t label_value_length_limit = 0;
  std::uint64_t body_size_limit_bytes = 0;
  std::uint64_t keep_dropped_targets = 0;  // how many are remembered
  bool operator==(const ScrapeLimits&) const = default;
};

struct StaticGroup {
  std::vector<std::string> targets;
  std::map<std::string, std::string> labels;
  bool operator==(const StaticGroup&) const = default;
};

// What a target is asked for, the best first.
enum class ScrapeProtocol : std::uint8_t {
  kPrometheusProto,
  kOpenMetricsText1_0_0,
  kOpenMetricsText0_0_1,
  kPrometheusText1_0_0,
  kPrometheusText0_0_4,
};
std::string_view to_string(ScrapeProtocol protocol);
std::optional<ScrapeProtocol> parse_scrape_protocol(std::string_view text);

// How names that are not of the legacy scheme are asked for.
enum class NameEscaping : std::uint8_t { kAllowUtf8, kUnderscores, kDots, kValues };
std::string_view to_string(NameEscaping escaping);

// What global says and a job may say otherwise.
struct FormatConfig {
  std::vector<ScrapeProtocol> scrape_protocols;  // empty: those that fit the other settings
  bool scrape_native_histograms = false;
  bool always_scrape_classic_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool extra_scrape_metrics = false;
  model::NameScheme name_scheme = model::NameScheme::kUtf8;
  NameEscaping name_escaping = NameEscaping::kAllowUtf8;
  bool operator==(const FormatConfig&) const = default;
};

struct ScrapeConfig {
  std::string job_name;
  std::int64_t interval_ms = 60'000;
  std::int64_t timeout_ms = 10'000;
  std::string metrics_path = "/metrics";
  std::string scheme = "http";
  std::map<std::string, std::vector<std::string>> params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  bool enable_compression = true;
  HttpConfig http;
  ScrapeLimits limits;
  FormatConfig format;
  std::optional<ScrapeProtocol> fallback_protocol;
  std::string failure_log_file;
  std::uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  std::vector<StaticGroup> static_configs;
  std::vector<sd::SdConfig> sd_configs;
  std::vector<model::RelabelConfig> relabel_configs;
  std::vector<model::RelabelConfig> metric_relabel_configs;
  bool operator==(const ScrapeConfig&) const = default;
};

struct GlobalConfig {
  std::int64_t scrape_interval_ms = 60'000;
  std::int64_t scrape_timeout_ms = 10'000;
  std::int64_t evaluation_interval_ms = 60'000;
  std::int64_t rule_query_offset_ms = 0;
  std::string query_log_file;
  std::string scrape_failure_log_file;
  std::map<std::string, std::string> external_labels;
  ScrapeLimits limits;
  FormatConfig format;
  bool operator==(const GlobalConfig&) const = default;
};

// One group of Alertmanagers, of `alerting.alertmanagers`.
struct AlertmanagerConfig {
  std::string scheme = "http";
  std::string path_prefix = "/";
  std::int64_t timeout_ms = 10'000;
  HttpConfig http;
  std::vector<StaticGroup> static_configs;
  std::vector<sd::SdConfig> sd_configs;
  std::vector<model::RelabelConfig> relabel_configs;
  std::vector<model::RelabelConfig> alert_relabel_configs;
  bool operator==(const AlertmanagerConfig&) const = default;
};

struct AlertingConfig {
  std::vector<model::RelabelConfig> alert_relabel_configs;
  std::vector<AlertmanagerConfig> alertmanagers;
  bool operator==(const AlertingConfig&) const = default;
};

// How requests of a remote_write config are made up, and how often what families are is told.
struct RemoteWriteQueue {
  std::uint64_t min_shards = 1;
  std::uint64_t max_shards = 50;
  std::uint64_t max_samples_per_send = 2'000;
  std::int64_t batch_send_deadline_ms = 5'000;
  std::int64_t min_backoff_ms = 30;
  std::int64_t max_backoff_ms = 5'000;
  bool send_metadata = true;
  std::int64_t metadata_interval_ms = 60'000;
  bool operator==(const RemoteWriteQueue&) const = default;
};

struct RemoteWriteConfig {
  std::string url;
  std::string name;
  std::int64_t timeout_ms = 30'000;
  bool version_2 = false;  // io.prometheus.write.v2.Request
  bool send_exemplars = false;
  bool send_native_histograms = false;
  std::map<std::string, std::string> headers;
  RemoteWriteQueue queue;
  HttpConfig http;
  std::vector<model::RelabelConfig> write_relabel_configs;
  bool operator==(const RemoteWriteConfig&) const = default;
};

struct PrometheusFile {
  GlobalConfig global;
  std::vector<std::string> rule_files;  // patterns, as paths that are absolute or relative to the working directory
  std::vector<ScrapeConfig> scrape_configs;  // those of scrape_config_files after the file's own
  AlertingConfig alerting;
  std::vector<RemoteWriteConfig> remote_write;
  // Valid, and not done in this release; "file:line: …".
  std::vector<std::string> warnings;
  // This file and the patterns of scrape_config_files: what to watch.
  std::vector<std::string> files;
  bool operator==(const PrometheusFile&) const = default;
};

// A host or host:port, IPv6 in brackets; kInvalid says what is wrong with another.
base::Status check_address(std::string_view address);

// kInvalid with every fault of the file, one a line, each as "file:line: …".
base::Result<PrometheusFile> parse_prometheus_file(std::string_view text, const std::filesystem::path& file);
base::Result<PrometheusFile> load_prometheus_file(const std::filesystem::path& file);

}  // namespace qd::observe::scrape
