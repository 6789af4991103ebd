// Where the API server of a cluster is and who asks it. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connect/http/http_config.h"
#include "observe/sd/config.h"

namespace qd::observe::sd {

struct KubernetesServer {
  std::string url;  // without a slash at its end
  connect::http::HttpConfig http;
  std::vector<std::string> namespaces;  // none: all
};

// What the config says; else what its kubeconfig file says; else the cluster that this process is a pod of. kNotFound
// when it is in none.
base::Result<KubernetesServer> kubernetes_server(const KubernetesSdConfig& config);

// A kubeconfig's current context. kInvalid for what this release cannot use, as credentials from a program.
base::Result<KubernetesServer> read_kubeconfig(std::string_view text, const std::string& file);

}  // namespace qd::observe::sd
