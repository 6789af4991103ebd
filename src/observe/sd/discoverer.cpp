#include "observe/sd/discoverer.h"

#include <utility>

#include "base/mutex.h"
#include "observe/sd/dns_sd.h"
#include "observe/sd/docker_sd.h"
#include "observe/sd/file_sd.h"
#include "observe/sd/http_sd.h"
#include "observe/sd/kubernetes_sd.h"
#include "observe/sd/refreshing.h"
#include "observe/sd/swarm_sd.h"

namespace qd::observe::sd {

using connect::http::ClientResponse;

namespace {

struct Waiting {
  base::Mutex mutex;
  base::CondVar came;
  std::optional<base::Result<ClientResponse>> response QD_GUARDED_BY(mutex);
};

struct Maker {
  const Surroundings& surroundings;
  Tell tell;

  std::shared_ptr<Discoverer> refreshing(std::string_view mechanism, std::int64_t interval_ms, Look look,
                                         std::function<bool()> changed = {}) {
    return std::make_shared<RefreshingDiscoverer>(surroundings, mechanism, interval_ms, std::move(look),
                                                  std::move(tell), std::move(changed));
  }
  std::shared_ptr<Discoverer> operator()(const FileSdConfig& config) {
    const auto files = std::make_shared<FileDiscovery>(config, surroundings);
    return refreshing(
        "file", config.refresh_interval_ms, [files] { return files->look(); }, [files] { return files->changed(); });
  }
  std::shared_ptr<Discoverer> operator()(const HttpSdConfig& config) {
    return refreshing("http", config.refresh_interval_ms,
                      [config, around = surroundings] { return look_by_http(config, around); });
  }
  std::shared_ptr<Discoverer> operator()(const DnsSdConfig& config) {
    const auto names = std::make_shared<DnsDiscovery>(config, surroundings);
    return refreshing("dns", config.refresh_interval_ms, [names] { return names->look(); });
  }
  std::shared_ptr<Discoverer> operator()(const DockerSdConfig& config) {
    return refreshing("docker", config.refresh_interval_ms,
                      [config, around = surroundings] { return look_at_docker(config, around); });
  }
  std::shared_ptr<Discoverer> operator()(const DockerSwarmSdConfig& config) {
    return refreshing("dockerswarm", config.refresh_interval_ms,
                      [config, around = surroundings] { return look_at_swarm(config, around); });
  }
  std::shared_ptr<Discoverer> operator()(const KubernetesSdConfig& config) {
    return make_kubernetes_discoverer(config, surroundings, std::move(tell));
  }
};

}  // namespace

std::shared_ptr<Discoverer> make_discoverer(const SdConfig& config, const Surroundings& surroundings, Tell tell) {
  return std::visit(Maker{.surroundings = surroundings, .tell = std::move(tell)}, config);
}

base::Result<ClientResponse> fetch_and_wait(const connect::http::ConfiguredFetch& fetch,
                                            const connect::http::HttpConfig& config,
                                            connect::http::ClientRequest request) {
  const auto waiting = std::make_shared<Waiting>();
  fetch(config, std::move(request), [waiting](base::Result<ClientResponse> response) {
    base::MutexLock lock(waiting->mutex);
    waiting->response = std::move(response);
    waiting->came.notify_all();
  });
  base::MutexLock lock(waiting->mutex);
  while (!waiting->response) waiting->came.wait(waiting->mutex);
  return std::move(*waiting->response);
}

std::string label_part(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) c = '_';
  }
  return out;
}

std::string host_port(std::string_view host, std::string_view port) {
  std::string out;
  const bool v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  if (v6) out.push_back('[');
  out.append(host);
  if (v6) out.push_back(']');
  return out.append(1, ':').append(port);
}

}  // namespace qd::observe::sd
