#include "observe/sd/swarm_sd.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "observe/sd/engine_api.h"

namespace qd::observe::sd {

namespace json = boost::json;

namespace {

// "10.0.0.3/24" is 10.0.0.3.
std::string address_of(const std::string& network) {
  return network.substr(0, network.find('/'));
}

model::LabelSet node_labels(const json::value& node) {
  model::LabelBuilder labels;
  const json::value& spec = field(node, "Spec");
  const json::value& description = field(node, "Description");
  const json::value& status = field(node, "Status");
  labels.set("__meta_dockerswarm_node_id", text(node, "ID"));
  labels.set("__meta_dockerswarm_node_role", text(spec, "Role"));
  labels.set("__meta_dockerswarm_node_availability", text(spec, "Availability"));
  labels.set("__meta_dockerswarm_node_hostname", text(description, "Hostname"));
  labels.set("__meta_dockerswarm_node_platform_architecture", text(field(description, "Platform"), "Architecture"));
  labels.set("__meta_dockerswarm_node_platform_os", text(field(description, "Platform"), "OS"));
  labels.set("__meta_dockerswarm_node_engine_version", text(field(description, "Engine"), "EngineVersion"));
  labels.set("__meta_dockerswarm_node_status", text(status, "State"));
  labels.set("__meta_dockerswarm_node_address", text(status, "Addr"));
  if (const json::value& manager = field(node, "ManagerStatus"); manager.is_object()) {
    const std::string leader = scalar(manager, "Leader");
    labels.set("__meta_dockerswarm_node_manager_leader", leader.empty() ? "false" : leader);
    labels.set("__meta_dockerswarm_node_manager_reachability", text(manager, "Reachability"));
    labels.set("__meta_dockerswarm_node_manager_address", text(manager, "Addr"));
  }
  add_labels(labels, "__meta_dockerswarm_node_label_", field(spec, "Labels"));
  return labels.build();
}

std::string mode_of(const json::value& service) {
  const json::value& mode = field(field(service, "Spec"), "Mode");
  if (field(mode, "Global").is_object()) return "global";
  if (field(mode, "Replicated").is_object()) return "replicated";
  return {};
}

// What tasks carry of their service.
model::LabelSet service_labels(const json::value& service) {
  model::LabelBuilder labels;
  const json::value& spec = field(service, "Spec");
  labels.set("__meta_dockerswarm_service_id", text(service, "ID"));
  labels.set("__meta_dockerswarm_service_name", text(spec, "Name"));
  labels.set("__meta_dockerswarm_service_mode", mode_of(service));
  add_labels(labels, "__meta_dockerswarm_service_label_", field(spec, "Labels"));
  return labels.build();
}

class Swarm {
 public:
  Swarm(const DockerSwarmSdConfig& config, const Surroundings& surroundings)
      : config_(config),
        surroundings_(surroundings),
        engine_{.host = config.host,
                .http = config.http,
                .deadline_ms = std::min(config.refresh_interval_ms, kDeadlineMsMax)} {}

  base::Result<std::vector<model::LabelSet>> look() {
    if (config_.role == "nodes") return look_at_nodes();
    if (config_.role == "tasks") return look_at_tasks();
    return look_at_services();
  }

 private:
  static constexpr std::string_view kNetworkPrefix = "__meta_dockerswarm_network_";

  // Filters belong to what the role lists.
  base::Result<json::array> get(std::string_view path, bool filtered) const {
    return get_list(engine_, surroundings_, path, filtered ? config_.filters : std::vector<EngineFilter>());
  }

  base::Result<std::vector<model::LabelSet>> look_at_nodes() const {
    QD_ASSIGN(const json::array nodes, get("/nodes", true));
    std::vector<model::LabelSet> out;
    for (const json::value& node : nodes) {
      model::LabelBuilder labels(node_labels(node));
      labels.set("__address__", host_port(text(field(node, "Status"), "Addr"), std::to_string(config_.port)));
      out.push_back(labels.build());
    }
    return out;
  }

  base::Result<std::vector<model::LabelSet>> look_at_services() {
    QD_ASSIGN(const json::array services, get("/services", true));
    QD_ASSIGN(networks_, get_networks(engine_, surroundings_, kNetworkPrefix));
    std::vector<model::LabelSet> out;
    for (const json::value& service : services) {
      model::LabelBuilder common(service_labels(service));
      const json::value& container = field(field(field(service, "Spec"), "TaskTemplate"), "ContainerSpec");
      common.set("__meta_dockerswarm_service_task_container_image", text(container, "Image"));
      common.set("__meta_dockerswarm_service_task_container_hostname", text(container, "Hostname"));
      common.set("__meta_dockerswarm_service_updating_status", text(field(service, "UpdateStatus"), "State"));
      const json::value& endpoint = field(service, "Endpoint");
      for (const json::value& address : items(field(endpoint, "VirtualIPs"))) {
        // In the host's network a service has none.
        if (text(address, "Addr").empty()) continue;
        model::LabelBuilder labels = common;
        add_network(labels, text(address, "NetworkID"));
        add_ports(out, labels, address_of(text(address, "Addr")), endpoint, "PublishedPort",
                  "__meta_dockerswarm_service_endpoint_port_");
      }
    }
    return out;
  }

  // A target for each TCP port of an endpoint, or one with the config's port.
  void add_ports(std::vector<model::LabelSet>& out, model::LabelBuilder& labels, const std::string& ip,
                 const json::value& endpoint, std::string_view which, std::string_view prefix) const {
    bool added = false;
    const std::string start(prefix);
    for (const json::value& port : items(field(endpoint, "Ports"))) {
      if (text(port, "Protocol") != "tcp") continue;
      if (which == "PublishedPort") labels.set(start + "name", text(port, "Name"));
      labels.set(start + "publish_mode", text(port, "PublishMode"));
      labels.set("__address__", host_port(ip, scalar(port, which)));
      out.push_back(labels.build());
      added = true;
    }
    if (added) return;
    labels.set("__address__", host_port(ip, std::to_string(config_.port)));
    out.push_back(labels.build());
  }

  void add_network(model::LabelBuilder& labels, const std::string& id) const {
    if (const auto known = networks_.find(id); known != networks_.end()) add_all(labels, known->second);
  }

  base::Result<std::vector<model::LabelSet>> look_at_tasks() {
    QD_ASSIGN(const json::array tasks, get("/tasks", true));
    QD_ASSIGN(const json::array services, get("/services", false));
    QD_ASSIGN(const json::array nodes, get("/nodes", false));
    QD_ASSIGN(networks_, get_networks(engine_, surroundings_, kNetworkPrefix));
    std::map<std::string, const json::value*> service_of;
    for (const json::value& service : services) service_of[text(service, "ID")] = &service;
    std::map<std::string, const json::value*> node_of;
    for (const json::value& node : nodes) node_of[text(node, "ID")] = &node;
    std::vector<model::LabelSet> out;
    for (const json::value& task : tasks) {
      const auto service = service_of.find(text(task, "ServiceID"));
      const auto node = node_of.find(text(task, "NodeID"));
      static const json::value kNone;
      add_task(out, task, service == service_of.end() ? kNone : *service->second,
               node == node_of.end() ? kNone : *node->second);
    }
    return out;
  }

  void add_task(std::vector<model::LabelSet>& out, const json::value& task, const json::value& service,
                const json::value& node) const {
    const json::value& status = field(task, "Status");
    model::LabelBuilder common;
    if (service.is_object()) add_all(common, service_labels(service));
    if (node.is_object()) add_all(common, node_labels(node));
    common.set("__meta_dockerswarm_task_id", text(task, "ID"));
    common.set("__meta_dockerswarm_task_desired_state", text(task, "DesiredState"));
    common.set("__meta_dockerswarm_task_state", text(status, "State"));
    const std::string slot = scalar(task, "Slot");
    common.set("__meta_dockerswarm_task_slot", slot.empty() ? "0" : slot);
    common.set("__meta_dockerswarm_task_container_id", text(field(status, "ContainerStatus"), "ContainerID"));
    add_labels(common, "__meta_dockerswarm_container_label_",
               field(field(field(task, "Spec"), "ContainerSpec"), "Labels"));

    // Ports that the node itself has open for this task.
    for (const json::value& port : items(field(field(status, "PortStatus"), "Ports"))) {
      if (text(port, "Protocol") != "tcp") continue;
      model::LabelBuilder labels = common;
      labels.set("__meta_dockerswarm_task_port_publish_mode", text(port, "PublishMode"));
      labels.set("__address__", host_port(text(field(node, "Status"), "Addr"), scalar(port, "PublishedPort")));
      out.push_back(labels.build());
    }
    for (const json::value& attachment : items(field(task, "NetworksAttachments"))) {
      model::LabelBuilder labels = common;
      add_network(labels, text(field(attachment, "Network"), "ID"));
      for (const json::value& address : items(field(attachment, "Addresses"))) {
        if (!address.is_string()) continue;
        add_ports(out, labels, address_of(std::string(address.as_string())), field(service, "Endpoint"), "TargetPort",
                  "__meta_dockerswarm_task_port_");
      }
    }
  }

  const DockerSwarmSdConfig& config_;
  const Surroundings& surroundings_;
  const EngineAddress engine_;
  std::map<std::string, model::LabelSet> networks_;
};

}  // namespace

base::Result<TargetGroups> look_at_swarm(const DockerSwarmSdConfig& config, const Surroundings& surroundings) {
  TargetGroups groups(1);
  groups.front().source = "dockerswarm";
  QD_ASSIGN(groups.front().targets, Swarm(config, surroundings).look());
  return groups;
}

}  // namespace qd::observe::sd
