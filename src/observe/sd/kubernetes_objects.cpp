#include "observe/sd/kubernetes_objects.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "observe/sd/discoverer.h"
#include "observe/sd/engine_api.h"

namespace qd::observe::sd {

namespace json = boost::json;
using model::LabelBuilder;

namespace {

constexpr std::string_view kMeta = "__meta_kubernetes_";

const json::value& meta(const json::value& object) {
  return field(object, "metadata");
}

std::string in_namespace(const json::value& object, const std::string& name) {
  return text(meta(object), "namespace") + "/" + name;
}

// Labels and annotations, each with whether it is there: an empty one could not be told from none.
void add_metadata(LabelBuilder& labels, std::string_view kind, const json::value& object) {
  const std::string start = std::string(kMeta) + std::string(kind);
  labels.set(start + "_name", text(meta(object), "name"));
  for (const auto& [what, from] : {std::pair("label", "labels"), std::pair("annotation", "annotations")}) {
    const json::value& all = field(meta(object), from);
    add_labels(labels, start + "_" + what + "_", all);
    if (const json::object* const map = all.if_object()) {
      for (const auto& [name, value] : *map) labels.set(start + "_" + what + "present_" + label_part(name), "true");
    }
  }
}

void set(LabelBuilder& labels, std::string_view name, std::string_view value) {
  labels.set(std::string(kMeta).append(name), value);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

class Targets {
 public:
  Targets(const KubernetesSdConfig& config, const Cluster& cluster) : config_(config), cluster_(cluster) {}

  TargetGroups all() const {
    TargetGroups groups;
    for (const auto& [resource, role, make] : {std::tuple(Resource::kNodes, "node", &Targets::node),
                                               std::tuple(Resource::kServices, "service", &Targets::service),
                                               std::tuple(Resource::kPods, "pod", &Targets::pod),
                                               std::tuple(Resource::kEndpoints, "endpoints", &Targets::endpoints),
                                               std::tuple(Resource::kEndpointSlices, "endpointslice", &Targets::slice),
                                               std::tuple(Resource::kIngresses, "ingress", &Targets::ingress)}) {
      if (config_.role != role) continue;
      for (const auto& [key, object] : cluster_.of(resource)) {
        TargetGroup group = (this->*make)(*object);
        group.source = config_.role + "/" + key;
        if (!group.targets.empty()) groups.push_back(std::move(group));
      }
    }
    return groups;
  }

 private:
  // Of an object that lives in a namespace.
  LabelBuilder named(std::string_view kind, const json::value& object) const {
    LabelBuilder labels;
    add_metadata(labels, kind, object);
    const std::string name = text(meta(object), "namespace");
    set(labels, "namespace", name);
    if (config_.attach_namespace) {
      const json::value& space = cluster_.find(Resource::kNamespaces, name);
      if (space.is_object()) {
        LabelBuilder more;
        add_metadata(more, "namespace", space);
        more.remove("__meta_kubernetes_namespace_name");
        add_all(labels, more.build());
      }
    }
    return labels;
  }

  void attach_node(LabelBuilder& labels, const std::string& name) const {
    if (!config_.attach_node || name.empty()) return;
    const json::value& node = cluster_.find(Resource::kNodes, name);
    if (node.is_object()) add_metadata(labels, "node", node);
  }

  TargetGroup node(const json::value& node) const {
    TargetGroup group;
    LabelBuilder labels;
    add_metadata(labels, "node", node);
    set(labels, "node_provider_id", text(field(node, "spec"), "providerID"));
    group.labels = labels.build();
    const json::value& status = field(node, "status");
    std::map<std::string, std::string> addresses;  // the first of each type
    for (const json::value& address : items(field(status, "addresses")))
      addresses.emplace(text(address, "type"), text(address, "address"));
    std::string address;
    for (const char* const type :
         {"InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"}) {
      if (address.empty() && addresses.contains(type)) address = addresses[type];
    }
    if (address.empty()) return group;
    LabelBuilder target;
    const std::string port = scalar(field(field(status, "daemonEndpoints"), "kubeletEndpoint"), "Port");
    target.set("__address__", host_port(address, port.empty() ? "10250" : port));
    target.set("instance", text(meta(node), "name"));
    for (const auto& [type, value] : addresses) set(target, "node_address_" + label_part(type), value);
    group.targets.push_back(target.build());
    return group;
  }

  TargetGroup service(const json::value& service) const {
    TargetGroup group;
    const json::value& spec = field(service, "spec");
    group.labels = named("service", service).build();
    for (const json::value& port : items(field(spec, "ports"))) {
      LabelBuilder target;
      const std::string number = scalar(port, "port");
      target.set("__address__",
                 text(meta(service), "name") + "." + text(meta(service), "namespace") + ".svc:" + number);
      set(target, "service_port_name", text(port, "name"));
      set(target, "service_port_number", number);
      set(target, "service_port_protocol", text(port, "protocol"));
      const std::string type = text(spec, "type");
      set(target, "service_type", type);
      if (type == "ExternalName") {
        set(target, "service_external_name", text(spec, "externalName"));
      } else {
        set(target, "service_cluster_ip", text(spec, "clusterIP"));
      }
      if (type == "LoadBalancer") set(target, "service_loadbalancer_ip", text(spec, "loadBalancerIP"));
      group.targets.push_back(target.build());
    }
    return group;
  }

  // What every target in a pod carries.
  LabelBuilder pod_labels(const json::value& pod) const {
    LabelBuilder labels = named("pod", pod);
    const json::value& status = field(pod, "status");
    set(labels, "pod_ip", text(status, "podIP"));
    set(labels, "pod_host_ip", text(status, "hostIP"));
    set(labels, "pod_phase", text(status, "phase"));
    set(labels, "pod_node_name", text(field(pod, "spec"), "nodeName"));
    set(labels, "pod_uid", text(meta(pod), "uid"));
    std::string ready = "unknown";
    for (const json::value& condition : items(field(status, "conditions"))) {
      if (text(condition, "type") == "Ready") ready = lower(text(condition, "status"));
    }
    set(labels, "pod_ready", ready);
    for (const json::value& owner : items(field(meta(pod), "ownerReferences"))) {
      if (scalar(owner, "controller") != "true") continue;
      set(labels, "pod_controller_kind", text(owner, "kind"));
      set(labels, "pod_controller_name", text(owner, "name"));
    }
    attach_node(labels, text(field(pod, "spec"), "nodeName"));
    return labels;
  }

  static LabelBuilder container_labels(const json::value& pod, const json::value& container, bool init) {
    LabelBuilder labels;
    const std::string name = text(container, "name");
    set(labels, "pod_container_name", name);
    set(labels, "pod_container_image", text(container, "image"));
    set(labels, "pod_container_init", init ? "true" : "false");
    for (const json::value& status :
         items(field(field(pod, "status"), init ? "initContainerStatuses" : "containerStatuses"))) {
      if (text(status, "name") == name) set(labels, "pod_container_id", text(status, "containerID"));
    }
    return labels;
  }

  static void add_container_port(LabelBuilder& labels, const json::value& port) {
    set(labels, "pod_container_port_name", text(port, "name"));
    set(labels, "pod_container_port_number", scalar(port, "containerPort"));
    set(labels, "pod_container_port_protocol", protocol(port));
  }

  static std::string protocol(const json::value& port) {
    std::string given = text(port, "protocol");
    return given.empty() ? "TCP" : given;
  }

  TargetGroup pod(const json::value& pod) const {
    TargetGroup group;
    const std::string ip = text(field(pod, "status"), "podIP");
    if (ip.empty()) return group;
    group.labels = pod_labels(pod).build();
    for (const auto& [list, init] : {std::pair("containers", false), std::pair("initContainers", true)}) {
      for (const json::value& container : items(field(field(pod, "spec"), list))) {
        const LabelBuilder labels = container_labels(pod, container, init);
        const json::array& ports = items(field(container, "ports"));
        if (ports.empty()) {
          LabelBuilder target = labels;
          target.set("__address__", ip.find(':') == std::string::npos ? ip : "[" + ip + "]");
          group.targets.push_back(target.build());
        }
        for (const json::value& port : ports) {
          LabelBuilder target = labels;
          target.set("__address__", host_port(ip, scalar(port, "containerPort")));
          add_container_port(target, port);
          group.targets.push_back(target.build());
        }
      }
    }
    return group;
  }

  // The pods behind endpoints, and which of their ports were seen there.
  using Seen = std::map<std::string, std::set<std::string>>;

  // What the pod that an endpoint leads to adds to its target.
  void add_pod(LabelBuilder& target, const json::value& object, const json::value& reference, const std::string& port,
               Seen& seen) const {
    if (text(reference, "kind") != "Pod") return;
    std::string space = text(reference, "namespace");
    if (space.empty()) space = text(meta(object), "namespace");
    const std::string key = space + "/" + text(reference, "name");
    const json::value& pod = cluster_.find(Resource::kPods, key);
    if (!pod.is_object()) return;
    add_all(target, pod_labels(pod).build());
    seen[key].insert(port);
    for (const json::value& container : items(field(field(pod, "spec"), "containers"))) {
      for (const json::value& one : items(field(container, "ports"))) {
        if (scalar(one, "containerPort") != port) continue;
        add_all(target, container_labels(pod, container, false).build());
        add_container_port(target, one);
        return;
      }
    }
  }

  // Ports of those pods that no endpoint names are targets too.
  void add_other_ports(TargetGroup& group, const Seen& seen) const {
    for (const auto& [key, ports] : seen) {
      const json::value& pod = cluster_.find(Resource::kPods, key);
      const std::string ip = text(field(pod, "status"), "podIP");
      if (ip.empty()) continue;
      for (const json::value& container : items(field(field(pod, "spec"), "containers"))) {
        for (const json::value& port : items(field(container, "ports"))) {
          const std::string number = scalar(port, "containerPort");
          if (ports.contains(number)) continue;
          LabelBuilder target = container_labels(pod, container, false);
          add_container_port(target, port);
          target.set("__address__", host_port(ip, number));
          add_all(target, pod_labels(pod).build());
          group.targets.push_back(target.build());
        }
      }
    }
  }

  void add_service(LabelBuilder& labels, const std::string& key) const {
    const json::value& service = cluster_.find(Resource::kServices, key);
    if (service.is_object()) add_metadata(labels, "service", service);
  }

  TargetGroup endpoints(const json::value& object) const {
    TargetGroup group;
    LabelBuilder labels = named("endpoints", object);
    add_service(labels, in_namespace(object, text(meta(object), "name")));
    group.labels = labels.build();
    Seen seen;
    for (const json::value& subset : items(field(object, "subsets"))) {
      for (const json::value& port : items(field(subset, "ports"))) {
        for (const auto& [list, ready] : {std::pair("addresses", "true"), std::pair("notReadyAddresses", "false")}) {
          for (const json::value& address : items(field(subset, list)))
            group.targets.push_back(endpoint(object, address, port, ready, seen));
        }
      }
    }
    add_other_ports(group, seen);
    return group;
  }

  model::LabelSet endpoint(const json::value& object, const json::value& address, const json::value& port,
                           std::string_view ready, Seen& seen) const {
    LabelBuilder target;
    const std::string number = scalar(port, "port");
    target.set("__address__", host_port(text(address, "ip"), number));
    set(target, "endpoint_port_name", text(port, "name"));
    set(target, "endpoint_port_protocol", protocol(port));
    set(target, "endpoint_ready", ready);
    set(target, "endpoint_node_name", text(address, "nodeName"));
    set(target, "endpoint_hostname", text(address, "hostname"));
    const json::value& reference = field(address, "targetRef");
    set(target, "endpoint_address_target_kind", text(reference, "kind"));
    set(target, "endpoint_address_target_name", text(reference, "name"));
    attach_node(target, text(address, "nodeName"));
    add_pod(target, object, reference, number, seen);
    return target.build();
  }

  TargetGroup slice(const json::value& object) const {
    TargetGroup group;
    LabelBuilder labels = named("endpointslice", object);
    set(labels, "endpointslice_address_type", text(object, "addressType"));
    add_service(labels, in_namespace(object, text(field(meta(object), "labels"), "kubernetes.io/service-name")));
    group.labels = labels.build();
    Seen seen;
    for (const json::value& port : items(field(object, "ports"))) {
      for (const json::value& endpoint : items(field(object, "endpoints"))) {
        for (const json::value& address : items(field(endpoint, "addresses"))) {
          if (address.is_string())
            group.targets.push_back(slice_target(object, endpoint, std::string(address.as_string()), port, seen));
        }
      }
    }
    add_other_ports(group, seen);
    return group;
  }

  model::LabelSet slice_target(const json::value& object, const json::value& endpoint, const std::string& address,
                               const json::value& port, Seen& seen) const {
    LabelBuilder target;
    const std::string number = scalar(port, "port");
    target.set("__address__", number.empty() ? address : host_port(address, number));
    set(target, "endpointslice_port", number);
    set(target, "endpointslice_port_name", text(port, "name"));
    set(target, "endpointslice_port_protocol", text(port, "protocol"));
    set(target, "endpointslice_port_app_protocol", text(port, "appProtocol"));
    for (const char* const condition : {"ready", "serving", "terminating"}) {
      set(target, std::string("endpointslice_endpoint_conditions_") + condition,
          scalar(field(endpoint, "conditions"), condition));
    }
    set(target, "endpointslice_endpoint_hostname", text(endpoint, "hostname"));
    set(target, "endpointslice_endpoint_node_name", text(endpoint, "nodeName"));
    set(target, "endpointslice_endpoint_zone", text(endpoint, "zone"));
    const json::value& reference = field(endpoint, "targetRef");
    set(target, "endpointslice_address_target_kind", text(reference, "kind"));
    set(target, "endpointslice_address_target_name", text(reference, "name"));
    if (const json::object* const topology = field(endpoint, "deprecatedTopology").if_object()) {
      for (const auto& [name, value] : *topology) {
        if (!value.is_string()) continue;
        const std::string part = label_part(name);
        set(target, "endpointslice_endpoint_topology_" + part, std::string_view(value.as_string()));
        set(target, "endpointslice_endpoint_topology_present_" + part, "true");
      }
    }
    attach_node(target, text(endpoint, "nodeName"));
    add_pod(target, object, reference, number, seen);
    return target.build();
  }

  TargetGroup ingress(const json::value& object) const {
    TargetGroup group;
    const json::value& spec = field(object, "spec");
    LabelBuilder labels = named("ingress", object);
    set(labels, "ingress_class_name", text(spec, "ingressClassName"));
    group.labels = labels.build();
    std::set<std::string> secure;
    for (const json::value& tls : items(field(spec, "tls"))) {
      for (const json::value& host : items(field(tls, "hosts"))) {
        if (host.is_string()) secure.insert(std::string(host.as_string()));
      }
    }
    for (const json::value& rule : items(field(spec, "rules"))) {
      const std::string host = text(rule, "host");
      std::vector<std::string> paths;
      for (const json::value& path : items(field(field(rule, "http"), "paths"))) {
        const std::string given = text(path, "path");
        paths.push_back(given.empty() ? "/" : given);
      }
      if (paths.empty()) paths.emplace_back("/");
      for (const std::string& path : paths) {
        LabelBuilder target;
        target.set("__address__", host);
        set(target, "ingress_scheme", covers(secure, host) ? "https" : "http");
        set(target, "ingress_host", host);
        set(target, "ingress_path", path);
        group.targets.push_back(target.build());
      }
    }
    return group;
  }

  // A certificate may be for all names of a domain.
  static bool covers(const std::set<std::string>& secure, const std::string& host) {
    if (secure.contains(host)) return true;
    const std::size_t dot = host.find('.');
    return dot != std::string::npos && secure.contains("*" + host.substr(dot));
  }

  const KubernetesSdConfig& config_;
  const Cluster& cluster_;
};

}  // namespace

const Objects& Cluster::of(Resource resource) const {
  static const Objects none;
  const auto found = objects.find(resource);
  return found == objects.end() ? none : found->second;
}

const json::value& Cluster::find(Resource resource, const std::string& key) const {
  static const json::value null;
  const Objects& all = of(resource);
  const auto found = all.find(key);
  return found == all.end() ? null : *found->second;
}

std::string key_of(const json::value& object) {
  const std::string space = text(meta(object), "namespace");
  const std::string name = text(meta(object), "name");
  return space.empty() ? name : space + "/" + name;
}

TargetGroups kubernetes_targets(const KubernetesSdConfig& config, const Cluster& cluster) {
  return Targets(config, cluster).all();
}

}  // namespace qd::observe::sd
