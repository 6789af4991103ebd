#include "observe/scrape/config_sd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/strings.h"
#include "observe/scrape/config_http.h"

namespace qd::observe::scrape {

namespace {

using Node = Reader::Node;
using Keys = Reader::Keys;

StaticGroup static_group(Reader& reader, const Node& node) {
  StaticGroup group;
  if (node.is_null()) reader.fault(node, "a static config is empty");
  reader.mapping(node, "a static config",
                 {{"targets", reader.texts("targets", group.targets)},
                  {"labels", [&](const Node& n) { reader.labels(n, "labels", group.labels, false); }}});
  return group;
}

// Prometheus takes one star, in the last part, and a name that ends as the formats that it reads.
bool file_sd_pattern(std::string_view name) {
  const std::size_t star = name.find('*');
  if (star != std::string_view::npos && name.find_first_of("*/", star + 1) != std::string_view::npos) return false;
  return name.ends_with(".json") || name.ends_with(".yml") || name.ends_with(".yaml") || name.ends_with(".JSON") ||
         name.ends_with(".YML") || name.ends_with(".YAML");
}

sd::SdConfig file_sd(Reader& reader, const Node& node) {
  sd::FileSdConfig config;
  reader.mapping(node, "a file_sd config",
                 {{"files",
                   [&](const Node& n) {
                     reader.each(n, "files", [&](const Node& item) {
                       std::string& name = config.files.emplace_back();
                       reader.text(name)(item);
                       if (!file_sd_pattern(name)) {
                         reader.fault(item, fmt::format("{} is no path of file_sd: it ends in .json, .yml or .yaml, "
                                                        "and has * at most once, in its last part",
                                                        base::quote(name)));
                       }
                       name = reader.resolve(name);
                     });
                   }},
                  {"refresh_interval", reader.interval(config.refresh_interval_ms)}});
  if (config.files.empty()) reader.fault(node, "a file_sd config names no files");
  return config;
}

sd::SdConfig http_sd(Reader& reader, const Node& node) {
  sd::HttpSdConfig config;
  HttpFields http(reader, config.http);
  Keys keys = {{"url", reader.text(config.url)}, {"refresh_interval", reader.interval(config.refresh_interval_ms)}};
  http.add_to(keys);
  reader.mapping(node, "an http_sd config", keys);
  http.finish(node);
  if (const auto valid = check_http_url(config.url); !valid) reader.fault(node, valid.error().message());
  return config;
}

sd::SdConfig dns_sd(Reader& reader, const Node& node) {
  sd::DnsSdConfig config;
  reader.mapping(node, "a dns_sd config",
                 {{"names", reader.texts("names", config.names)},
                  {"type",
                   [&](const Node& n) {
                     std::string given;
                     reader.text(given)(n);
                     std::ranges::transform(given, given.begin(), [](char c) {
                       return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
                     });
                     config.type = given;
                   }},
                  {"port", reader.port(config.port)},
                  {"refresh_interval", reader.interval(config.refresh_interval_ms)}});
  if (config.names.empty()) reader.fault(node, "a dns_sd config names nothing to look up");
  constexpr std::array kTypes = {"SRV", "A", "AAAA", "MX", "NS"};
  if (std::ranges::find(kTypes, config.type) == kTypes.end())
    reader.fault(node, fmt::format("\"{}\" is none of SRV, A, AAAA, MX, NS", config.type));
  if (config.type != "SRV" && config.port == 0)
    reader.fault(node, "a dns_sd config of another type than SRV needs a port");
  return config;
}

Reader::Take filters(Reader& reader, std::vector<sd::EngineFilter>& into) {
  return [&reader, &into](const Node& n) {
    reader.each(n, "filters", [&](const Node& item) {
      sd::EngineFilter& filter = into.emplace_back();
      reader.mapping(item, "a filter",
                     {{"name", reader.text(filter.name)}, {"values", reader.texts("values", filter.values)}});
      if (filter.name.empty()) reader.fault(item, "a filter has no name");
      if (filter.values.empty()) reader.fault(item, "a filter has no values");
    });
  };
}

void check_engine_host(Reader& reader, const Node& node, const std::string& host) {
  for (const std::string_view scheme : {"unix://", "tcp://", "http://", "https://"}) {
    if (host.starts_with(scheme) && host.size() > scheme.size()) return;
  }
  reader.fault(node, host.empty() ? "the engine's host is missing; write host: unix:///var/run/docker.sock"
                                  : fmt::format("{} is no host of an engine; write unix:///PATH, tcp://HOST:PORT, "
                                                "http://HOST:PORT or https://HOST:PORT",
                                                base::quote(host)));
}

sd::SdConfig docker_sd(Reader& reader, const Node& node) {
  sd::DockerSdConfig config;
  HttpFields http(reader, config.http);
  Keys keys = {{"host", reader.text(config.host)},
               {"port", reader.port(config.port)},
               {"filters", filters(reader, config.filters)},
               {"host_networking_host", reader.text(config.host_networking_host)},
               {"match_first_network", reader.flag(config.match_first_network)},
               {"refresh_interval", reader.interval(config.refresh_interval_ms)}};
  http.add_to(keys);
  reader.mapping(node, "a docker_sd config", keys);
  http.finish(node);
  check_engine_host(reader, node, config.host);
  return config;
}

sd::SdConfig dockerswarm_sd(Reader& reader, const Node& node) {
  sd::DockerSwarmSdConfig config;
  HttpFields http(reader, config.http);
  Keys keys = {{"host", reader.text(config.host)},
               {"role", reader.choice(config.role, {"services", "tasks", "nodes"})},
               {"port", reader.port(config.port)},
               {"filters", filters(reader, config.filters)},
               {"refresh_interval", reader.interval(config.refresh_interval_ms)}};
  http.add_to(keys);
  reader.mapping(node, "a dockerswarm_sd config", keys);
  http.finish(node);
  check_engine_host(reader, node, config.host);
  if (config.role.empty()) reader.fault(node, "a dockerswarm_sd config has no role (services, tasks, nodes)");
  return config;
}

const std::vector<std::string> kKubernetesRoles = {"node", "pod", "service", "endpoints", "endpointslice", "ingress"};

// Which selectors a role may have: of everything that it looks at.
std::set<std::string> selectable(const std::string& role) {
  if (role == "pod") return {"pod", "node"};
  if (role == "endpoints") return {"pod", "service", "endpoints", "node"};
  if (role == "endpointslice") return {"pod", "service", "endpointslice", "node"};
  return {role};
}

void check_kubernetes(Reader& reader, const Node& node, const sd::KubernetesSdConfig& config, bool http_given) {
  if (config.role.empty()) reader.fault(node, "a kubernetes_sd config has no role");
  if (!config.api_server.empty() && !config.kubeconfig_file.empty())
    reader.fault(node, "at most one of api_server and kubeconfig_file is given");
  if (!config.kubeconfig_file.empty() && http_given)
    reader.fault(node, "with kubeconfig_file, that file says how the API server is spoken to");
  if (config.api_server.empty() && config.kubeconfig_file.empty() && http_given)
    reader.fault(node, "with credentials or the like, a kubernetes_sd config needs api_server");
  if (!config.api_server.empty() && config.own_namespace)
    reader.fault(node, "own_namespace is for a process inside of the cluster, without api_server");
  if (!config.kubeconfig_file.empty() && config.own_namespace)
    reader.fault(node, "own_namespace is for a process inside of the cluster, without kubeconfig_file");
  std::set<std::string> roles;
  const auto allowed = selectable(config.role);
  for (const sd::KubernetesSelector& selector : config.selectors) {
    if (!roles.insert(selector.role).second)
      reader.fault(node, fmt::format("there are two selectors of the role {}", selector.role));
    if (!allowed.contains(selector.role))
      reader.fault(node, fmt::format("the role {} has no selectors of the role {}", config.role, selector.role));
  }
}

sd::SdConfig kubernetes_sd(Reader& reader, const Node& node) {
  sd::KubernetesSdConfig config;
  HttpFields http(reader, config.http);
  Keys keys = {
      {"api_server", reader.text(config.api_server)},
      {"role", reader.choice(config.role, kKubernetesRoles)},
      {"kubeconfig_file", reader.path(config.kubeconfig_file)},
      {"namespaces",
       [&](const Node& n) {
         reader.mapping(n, "namespaces",
                        {{"names", reader.texts("names", config.namespaces)},
                         {"own_namespace", reader.flag(config.own_namespace)}});
       }},
      {"selectors",
       [&](const Node& n) {
         reader.each(n, "selectors", [&](const Node& item) {
           sd::KubernetesSelector& selector = config.selectors.emplace_back();
           reader.mapping(item, "a selector",
                          {{"role", reader.choice(selector.role, kKubernetesRoles)},
                           {"label", reader.text(selector.label)},
                           {"field", reader.text(selector.field)}});
         });
       }},
      {"attach_metadata",
       [&](const Node& n) {
         reader.mapping(
             n, "attach_metadata",
             {{"node", reader.flag(config.attach_node)}, {"namespace", reader.flag(config.attach_namespace)}});
       }},
  };
  http.add_to(keys);
  reader.mapping(node, "a kubernetes_sd config", keys);
  http.finish(node);
  check_kubernetes(reader, node, config, http.given());
  return config;
}

}  // namespace

void check_static_targets(Reader& reader, const Node& node) {
  const Node* const groups = node.is_mapping() ? node.find("static_configs") : nullptr;
  if (groups == nullptr || !groups->is_sequence()) return;
  for (const Node& group : groups->items()) {
    const Node* const targets = group.is_mapping() ? group.find("targets") : nullptr;
    if (targets == nullptr || !targets->is_sequence()) continue;
    for (const Node& target : targets->items()) {
      if (!target.is_scalar()) continue;  // told already
      if (const auto address = check_address(target.text()); !address) reader.fault(target, address.error().message());
    }
  }
}

void add_sd_keys(Reader& reader, Keys& keys, std::vector<StaticGroup>& static_configs,
                 std::vector<sd::SdConfig>& sd_configs) {
  keys["static_configs"] = [&](const Node& n) {
    reader.each(n, "static_configs", [&](const Node& item) { static_configs.push_back(static_group(reader, item)); });
  };
  using Read = sd::SdConfig (*)(Reader&, const Node&);
  constexpr std::pair<const char*, Read> kBuilt[] = {
      {"file_sd_configs", file_sd},
      {"http_sd_configs", http_sd},
      {"dns_sd_configs", dns_sd},
      {"docker_sd_configs", docker_sd},
      {"dockerswarm_sd_configs", dockerswarm_sd},
      {"kubernetes_sd_configs", kubernetes_sd},
  };
  for (const auto& [key, reads] : kBuilt) {
    keys[key] = [&reader, &sd_configs, name = std::string(key), read = reads](const Node& n) {
      reader.each(n, name, [&](const Node& item) {
        if (item.is_null()) return reader.fault(item, "one of " + name + " is empty");
        sd_configs.push_back(read(reader, item));
      });
    };
  }
  add_other_sd_keys(reader, keys);
}

}  // namespace qd::observe::scrape
