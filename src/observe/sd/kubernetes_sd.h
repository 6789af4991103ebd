// Targets that a Kubernetes cluster has: nodes, services, pods, endpoints, endpoint slices, ingresses.
//
// Lists what the role needs and then watches it, so that a change is seen at once and the API server is not asked again
// and again. A watch that breaks is begun anew where it stopped; where the server no longer knows that place, or
// nothing comes for longer than it promised, everything is listed anew. What is known stays meanwhile.
#pragma once

#include <memory>

#include "observe/sd/discoverer.h"

namespace qd::observe::sd {

std::shared_ptr<Discoverer> make_kubernetes_discoverer(const KubernetesSdConfig& config,
                                                       const Surroundings& surroundings, Tell tell);

}  // namespace qd::observe::sd
