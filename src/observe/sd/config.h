// How the targets of a job are found, as the `…_sd_configs` of Prometheus's files say it. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "connect/http/http_config.h"

namespace qd::observe::sd {

// Refresh intervals are at least this: what is asked more often does nothing else.
inline constexpr std::int64_t kRefreshMsMin = 100;

struct FileSdConfig {
  std::vector<std::string> files;  // patterns whose last part may have *, ? and […]
  std::int64_t refresh_interval_ms = 300'000;
  bool operator==(const FileSdConfig&) const = default;
};

struct HttpSdConfig {
  std::string url;
  std::int64_t refresh_interval_ms = 60'000;
  connect::http::HttpConfig http;
  bool operator==(const HttpSdConfig&) const = default;
};

struct DnsSdConfig {
  std::vector<std::string> names;
  std::string type = "SRV";  // or A, AAAA, MX, NS
  std::uint16_t port = 0;    // of A, AAAA, MX and NS
  std::int64_t refresh_interval_ms = 30'000;
  bool operator==(const DnsSdConfig&) const = default;
};

struct EngineFilter {
  std::string name;
  std::vector<std::string> values;
  bool operator==(const EngineFilter&) const = default;
};

struct DockerSdConfig {
  std::string host;  // unix:///var/run/docker.sock, tcp://, http:// or https://
  std::uint16_t port = 80;
  std::string host_networking_host = "localhost";
  bool match_first_network = true;
  std::vector<EngineFilter> filters;
  std::int64_t refresh_interval_ms = 60'000;
  connect::http::HttpConfig http;
  bool operator==(const DockerSdConfig&) const = default;
};

struct DockerSwarmSdConfig {
  std::string host;
  std::string role;  // services, tasks or nodes
  std::uint16_t port = 80;
  std::vector<EngineFilter> filters;
  std::int64_t refresh_interval_ms = 60'000;
  connect::http::HttpConfig http;
  bool operator==(const DockerSwarmSdConfig&) const = default;
};

struct KubernetesSelector {
  std::string role;
  std::string label;
  std::string field;
  bool operator==(const KubernetesSelector&) const = default;
};

struct KubernetesSdConfig {
  std::string api_server;  // empty: that of the pod that this process runs in
  std::string role;        // node, service, pod, endpoints, endpointslice or ingress
  std::string kubeconfig_file;
  std::vector<std::string> namespaces;
  bool own_namespace = false;
  std::vector<KubernetesSelector> selectors;
  bool attach_node = false;
  bool attach_namespace = false;
  connect::http::HttpConfig http;
  bool operator==(const KubernetesSdConfig&) const = default;
};

using SdConfig =
    std::variant<FileSdConfig, HttpSdConfig, DnsSdConfig, DockerSdConfig, DockerSwarmSdConfig, KubernetesSdConfig>;

// "file", "http", "dns", "docker", "dockerswarm", "kubernetes": as Prometheus's metrics name them.
std::string_view mechanism(const SdConfig& config);

}  // namespace qd::observe::sd
