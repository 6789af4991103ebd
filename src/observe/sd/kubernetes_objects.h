// Objects of a Kubernetes cluster, and the targets that they come to. Private to this room.
//
// Source: prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config for the labels;
// kubernetes.io/docs/reference/kubernetes-api for the objects.
#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "observe/sd/config.h"
#include "observe/sd/target_group.h"

namespace qd::observe::sd {

enum class Resource : std::uint8_t { kNodes, kServices, kPods, kEndpoints, kEndpointSlices, kIngresses, kNamespaces };
inline constexpr std::size_t kResources = 7;

// By "namespace/name", or the name where there are no namespaces. An object never changes: another takes its place.
using ObjectPtr = std::shared_ptr<const boost::json::value>;
using Objects = std::map<std::string, ObjectPtr>;

struct Cluster {
  std::map<Resource, Objects> objects;
  const Objects& of(Resource resource) const;
  const boost::json::value& find(Resource resource, const std::string& key) const;  // null when it is not there
};

std::string key_of(const boost::json::value& object);

// What the config's role makes of them, a group for each object of the role.
TargetGroups kubernetes_targets(const KubernetesSdConfig& config, const Cluster& cluster);

}  // namespace qd::observe::sd
