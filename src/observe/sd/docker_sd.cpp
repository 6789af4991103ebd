#include "observe/sd/docker_sd.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "observe/sd/engine_api.h"

namespace qd::observe::sd {

namespace json = boost::json;

namespace {

// Containers that share each other's network, one after the other.
constexpr int kSharedMax = 16;

struct Containers {
  json::array list;
  std::map<std::string, const json::value*> by_id;
};

const json::value& networks_of(const json::value& container) {
  return field(field(container, "NetworkSettings"), "Networks");
}

// Those of the container whose network this one shares, where it has none of its own.
const json::value& shared_networks_of(const json::value& container, const Containers& all) {
  const json::value* at = &container;
  for (int i = 0; i < kSharedMax; ++i) {
    const json::value& networks = networks_of(*at);
    if (networks.is_object() && !networks.as_object().empty()) return networks;
    const std::string mode = text(field(*at, "HostConfig"), "NetworkMode");
    if (!mode.starts_with("container:")) return networks;
    const auto found = all.by_id.find(mode.substr(10));
    if (found == all.by_id.end()) return networks;
    at = found->second;
  }
  return networks_of(*at);
}

class ContainerTargets {
 public:
  ContainerTargets(const DockerSdConfig& config, const std::map<std::string, model::LabelSet>& networks)
      : config_(config), networks_(networks) {}

  void add(const json::value& container, const Containers& all) {
    const json::array& names = items(field(container, "Names"));
    if (names.empty() || !names.front().is_string()) return;
    mode_ = text(field(container, "HostConfig"), "NetworkMode");
    common_.clear();
    common_.set("__meta_docker_container_id", text(container, "Id"));
    common_.set("__meta_docker_container_name", std::string_view(names.front().as_string()));
    common_.set("__meta_docker_container_network_mode", mode_);
    add_labels(common_, "__meta_docker_container_label_", field(container, "Labels"));

    // By name, so that the first is the same each time.
    std::map<std::string, const json::value*> networks;
    if (const auto* const object = shared_networks_of(container, all).if_object()) {
      for (const auto& [name, network] : *object) networks.emplace(name, &network);
    }
    for (const auto& [name, network] : networks) {
      if (!network->is_object()) continue;
      add_network(container, *network);
      if (config_.match_first_network) break;
    }
  }

  std::vector<model::LabelSet> take() { return std::move(targets_); }

 private:
  void add_network(const json::value& container, const json::value& network) {
    std::string ip = text(network, "IPAddress");
    if (ip.empty()) ip = text(network, "GlobalIPv6Address");
    model::LabelBuilder labels;
    add_all(labels, common_.build());
    labels.set("__meta_docker_network_ip", ip);
    if (const auto known = networks_.find(text(network, "NetworkID")); known != networks_.end())
      add_all(labels, known->second);
    bool added = false;
    for (const json::value& port : items(field(container, "Ports"))) {
      if (text(port, "Type") != "tcp") continue;
      const std::string inside = scalar(port, "PrivatePort");
      const std::string outside = scalar(port, "PublicPort");
      labels.set("__meta_docker_port_private", inside);
      labels.set("__meta_docker_port_public", outside == "0" ? "" : outside);
      labels.set("__meta_docker_port_public_ip", outside == "0" || outside.empty() ? "" : text(port, "IP"));
      labels.set("__address__", host_port(ip, inside));
      targets_.push_back(labels.build());
      added = true;
    }
    if (added) return;
    labels.set("__address__",
               mode_ == "host" ? config_.host_networking_host : host_port(ip, std::to_string(config_.port)));
    targets_.push_back(labels.build());
  }

  const DockerSdConfig& config_;
  const std::map<std::string, model::LabelSet>& networks_;
  std::string mode_;
  model::LabelBuilder common_;
  std::vector<model::LabelSet> targets_;
};

}  // namespace

base::Result<TargetGroups> look_at_docker(const DockerSdConfig& config, const Surroundings& surroundings) {
  const EngineAddress engine{
      .host = config.host, .http = config.http, .deadline_ms = std::min(config.refresh_interval_ms, kDeadlineMsMax)};
  Containers all;
  QD_ASSIGN(all.list, get_list(engine, surroundings, "/containers/json", config.filters));
  for (const json::value& container : all.list) all.by_id[text(container, "Id")] = &container;
  QD_ASSIGN(const auto networks, get_networks(engine, surroundings, "__meta_docker_network_"));
  ContainerTargets targets(config, networks);
  for (const json::value& container : all.list) targets.add(container, all);
  TargetGroups groups(1);
  groups.front().source = "docker";
  groups.front().targets = targets.take();
  return groups;
}

}  // namespace qd::observe::sd
