#include "observe/sd/kubernetes_sd.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/mutex.h"
#include "observe/sd/kubernetes_objects.h"
#include "observe/sd/kubernetes_reflector.h"
#include "observe/sd/kubernetes_server.h"

namespace qd::observe::sd {

namespace json = boost::json;

namespace {

// Events come in swarms: what they come to is made once for all of a moment.
constexpr std::int64_t kSettleMs = 200;
// Where there is no API server to ask, as a kubeconfig that cannot be read.
constexpr std::int64_t kRetryMs = 30'000;

struct Kind {
  Resource resource;
  const char* role;  // of selectors
  const char* group;
  const char* plural;
  bool in_namespace;
};

constexpr Kind kKinds[] = {
    {Resource::kNodes, "node", "/api/v1", "nodes", false},
    {Resource::kServices, "service", "/api/v1", "services", true},
    {Resource::kPods, "pod", "/api/v1", "pods", true},
    {Resource::kEndpoints, "endpoints", "/api/v1", "endpoints", true},
    {Resource::kEndpointSlices, "endpointslice", "/apis/discovery.k8s.io/v1", "endpointslices", true},
    {Resource::kIngresses, "ingress", "/apis/networking.k8s.io/v1", "ingresses", true},
    {Resource::kNamespaces, "namespace", "/api/v1", "namespaces", false},
};

bool needs(const KubernetesSdConfig& config, Resource resource) {
  const bool endpoints = config.role == "endpoints" || config.role == "endpointslice";
  switch (resource) {
    case Resource::kNodes:
      return config.role == "node" || (config.attach_node && (endpoints || config.role == "pod"));
    case Resource::kServices:
      return config.role == "service" || endpoints;
    case Resource::kPods:
      return config.role == "pod" || endpoints;
    case Resource::kEndpoints:
      return config.role == "endpoints";
    case Resource::kEndpointSlices:
      return config.role == "endpointslice";
    case Resource::kIngresses:
      return config.role == "ingress";
    case Resource::kNamespaces:
      return config.attach_namespace && config.role != "node";
  }
  return false;
}

std::string selectors(const KubernetesSdConfig& config, const char* role) {
  std::string query;
  for (const KubernetesSelector& selector : config.selectors) {
    if (selector.role != role) continue;
    for (const auto& [name, value] :
         {std::pair("labelSelector", selector.label), std::pair("fieldSelector", selector.field)}) {
      if (value.empty()) continue;
      query.append(query.empty() ? "" : "&").append(name).append("=").append(connect::http::percent_encode(value));
    }
  }
  return query;
}

class KubernetesDiscoverer final : public Discoverer, public std::enable_shared_from_this<KubernetesDiscoverer> {
 public:
  KubernetesDiscoverer(const KubernetesSdConfig& config, const Surroundings& surroundings, Tell tell)
      : config_(config),
        surroundings_(surroundings),
        tell_(std::move(tell)),
        failures_(surroundings.registry.counter("prometheus_sd_kubernetes_failures_total",
                                                "The number of failed WATCH/LIST requests.")) {}

  void start() override QD_EXCLUDES(mutex_) {
    const auto submitted = surroundings_.submit([self = shared_from_this()] { self->begin(); });
    if (!submitted) retry();
  }

  void stop() override QD_EXCLUDES(mutex_) {
    std::vector<std::shared_ptr<Reflector>> reflectors;
    {
      base::MutexLock lock(mutex_);
      stopped_ = true;
      if (timer_ != 0) surroundings_.scheduler.cancel(timer_);
      timer_ = 0;
      reflectors = std::move(reflectors_);
    }
    for (const auto& reflector : reflectors) reflector->stop();
  }

 private:
  using Source = std::pair<Resource, std::string>;  // of a namespace; empty for all

  void retry() QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (!stopped_) timer_ = surroundings_.scheduler.after_ms(kRetryMs, [self = shared_from_this()] { self->start(); });
  }

  void begin() QD_EXCLUDES(mutex_) {
    const auto server = kubernetes_server(config_);
    if (!server) {
      failed(server.error());
      return retry();
    }
    std::vector<std::shared_ptr<Reflector>> reflectors;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      for (const Kind& kind : kKinds) {
        if (!needs(config_, kind.resource)) continue;
        std::vector<std::string> namespaces = server->namespaces;
        if (!kind.in_namespace || namespaces.empty()) namespaces = {""};
        for (const std::string& one : namespaces) {
          sources_[{kind.resource, one}];
          reflectors_.push_back(make(*server, kind, one));
        }
      }
      reflectors = reflectors_;
    }
    for (const auto& reflector : reflectors) reflector->start();
  }

  std::shared_ptr<Reflector> make(const KubernetesServer& server, const Kind& kind, const std::string& space) {
    const std::string path = space.empty() ? fmt::format("{}/{}", kind.group, kind.plural)
                                           : fmt::format("{}/namespaces/{}/{}", kind.group,
                                                         connect::http::percent_encode(space), kind.plural);
    const Source source{kind.resource, space};
    const std::string role = kind.role;
    const auto weak = weak_from_this();
    return std::make_shared<Reflector>(
        surroundings_, server, path, selectors(config_, kind.role),
        Reflector::Owner{.replace =
                             [weak, source](Objects all) {
                               if (const auto self = weak.lock()) self->replace(source, std::move(all));
                             },
                         .change =
                             [weak, source, role](const std::string& key, json::value object) {
                               if (const auto self = weak.lock()) self->change(source, role, key, std::move(object));
                             },
                         .fail =
                             [weak](const base::Error& error) {
                               if (const auto self = weak.lock()) self->failed(error);
                             }});
  }

  void replace(const Source& source, Objects all) QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    sources_[source] = std::move(all);
    failing_ = false;
    settle();
  }

  void change(const Source& source, const std::string& role, const std::string& key, json::value object)
      QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    auto& objects = sources_[source];
    if (!objects) return;
    const bool known = objects->contains(key);
    const char* const event = object.is_null() ? "delete" : known ? "update" : "add";
    surroundings_.registry
        .counter("prometheus_sd_kubernetes_events_total", "The number of Kubernetes events handled.",
                 {{"event", event}, {"role", role}})
        .add();
    if (object.is_null()) {
      objects->erase(key);
    } else {
      (*objects)[key] = std::make_shared<const json::value>(std::move(object));
    }
    settle();
  }

  void failed(const base::Error& error) QD_EXCLUDES(mutex_) {
    failures_.add();
    bool first = false;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      first = !std::exchange(failing_, true);
    }
    if (!first) return;
    surroundings_.log.warn("looking for targets failed, those known stay", {{"error", error}});
    tell_(base::fail(error));
  }

  void settle() QD_REQUIRES(mutex_) {
    if (stopped_ || timer_ != 0) return;
    timer_ = surroundings_.scheduler.after_ms(kSettleMs, [self = shared_from_this()] {
      {
        base::MutexLock lock(self->mutex_);
        self->timer_ = 0;
      }
      if (self->surroundings_.submit([self] { self->build(); })) return;
      base::MutexLock lock(self->mutex_);
      self->settle();
    });
  }

  void build() QD_EXCLUDES(mutex_) {
    base::MutexLock building(building_);
    Cluster cluster;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      for (const auto& [source, objects] : sources_) {
        // Nothing is told before all is known.
        if (!objects) return;
        cluster.objects[source.first].insert(objects->begin(), objects->end());
      }
    }
    tell_(kubernetes_targets(config_, cluster));
  }

  const KubernetesSdConfig config_;
  const Surroundings surroundings_;
  const Tell tell_;
  base::Counter& failures_;

  base::Mutex building_;  // guards no data: one build at a time, so that they are told in their order
  base::Mutex mutex_;
  bool stopped_ QD_GUARDED_BY(mutex_) = false;
  bool failing_ QD_GUARDED_BY(mutex_) = false;
  base::Scheduler::TimerId timer_ QD_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<Reflector>> reflectors_ QD_GUARDED_BY(mutex_);
  std::map<Source, std::optional<Objects>> sources_ QD_GUARDED_BY(mutex_);  // nothing until it was listed
};

}  // namespace

std::shared_ptr<Discoverer> make_kubernetes_discoverer(const KubernetesSdConfig& config,
                                                       const Surroundings& surroundings, Tell tell) {
  return std::make_shared<KubernetesDiscoverer>(config, surroundings, std::move(tell));
}

}  // namespace qd::observe::sd
