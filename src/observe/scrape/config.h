// The Prometheus file, as far as this release reads it: global, rule_files, scrape_configs with static_configs.
//
// Plain values, checked when they are read. Everything that Prometheus knows and this release does not is refused by
// name, with file and line, never ignored: a file that loads does what it says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/labels.h"

namespace qd::observe::scrape {

struct BasicAuthConfig {
  std::string username;
  std::string username_file;  // read at each scrape
  std::string password;
  std::string password_file;
  bool operator==(const BasicAuthConfig&) const = default;
};

struct AuthorizationConfig {
  std::string type = "Bearer";
  std::string credentials;
  std::string credentials_file;  // read at each scrape
  bool operator==(const AuthorizationConfig&) const = default;
};

struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  bool operator==(const TlsConfig&) const = default;
};

// 0 is no limit.
struct ScrapeLimits {
  std::uint64_t sample_limit = 0;
  std::uint64_t target_limit = 0;
  std::uint64_t label_limit = 0;
  std::uint64_t label_name_length_limit = 0;
  std::uint64_t label_value_length_limit = 0;
  std::uint64_t body_size_limit_bytes = 0;
  bool operator==(const ScrapeLimits&) const = default;
};

struct StaticGroup {
  std::vector<std::string> targets;
  std::map<std::string, std::string> labels;
  bool operator==(const StaticGroup&) const = default;
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
  bool follow_redirects = true;
  bool enable_compression = true;
  std::optional<BasicAuthConfig> basic_auth;
  std::optional<AuthorizationConfig> authorization;
  TlsConfig tls;
  ScrapeLimits limits;
  std::vector<StaticGroup> static_configs;
  bool operator==(const ScrapeConfig&) const = default;
};

struct GlobalConfig {
  std::int64_t scrape_interval_ms = 60'000;
  std::int64_t scrape_timeout_ms = 10'000;
  std::int64_t evaluation_interval_ms = 60'000;
  std::map<std::string, std::string> external_labels;
  ScrapeLimits limits;
  bool operator==(const GlobalConfig&) const = default;
};

struct PrometheusFile {
  GlobalConfig global;
  std::vector<std::string> rule_files;  // patterns, as paths that are absolute or relative to the working directory
  std::vector<ScrapeConfig> scrape_configs;
  bool operator==(const PrometheusFile&) const = default;
};

// A host or host:port, IPv6 in brackets; kInvalid says what is wrong with another.
base::Status check_address(std::string_view address);

// kInvalid with every fault of the file, one a line, each as "file:line: …".
base::Result<PrometheusFile> parse_prometheus_file(std::string_view text, const std::filesystem::path& file);
base::Result<PrometheusFile> load_prometheus_file(const std::filesystem::path& file);

}  // namespace qd::observe::scrape
