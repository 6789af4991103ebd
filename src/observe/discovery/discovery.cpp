#include "observe/discovery/discovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/mutex.h"
#include "observe/discovery/config.h"
#include "observe/discovery/machine.h"
#include "observe/discovery/probes.h"
#include "observe/discovery/process_watch.h"
#include "observe/discovery/recognise.h"
#include "observe/discovery/repeated_task.h"

namespace qd::observe::discovery {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kRecogniseEveryMs = 50;
constexpr std::int64_t kProbeEveryMs = 20;
constexpr std::int64_t kProbeMs = 2'000;
constexpr std::size_t kComplaintsMax = 1000;
constexpr std::array kKinds = {"postgres", "mysql", "redis", "memcached", "nginx", "openmetrics"};

// As addresses are compared: people write localhost.
std::string comparable(std::string address) {
  if (address.starts_with("localhost:")) address.replace(0, 9, "127.0.0.1");
  if (address.starts_with("[::1]:")) address.replace(0, 5, "127.0.0.1");
  return address;
}

// All addresses at which a service of a container can be written down.
std::vector<std::string> addresses_of(const Service& service, const Container& container, const Knowledge& knowledge) {
  std::vector<std::string> addresses = {comparable(service.address)};
  for (const ContainerPort& port : container.ports) {
    if (port.protocol != "tcp" || reach(container, port.container_port, knowledge) != service.address) continue;
    for (const auto& [network, ip] : container.addresses) addresses.push_back(join_address(ip, port.container_port));
    if (port.host_port != 0) addresses.push_back(join_address("127.0.0.1", port.host_port));
  }
  return addresses;
}

}  // namespace

class Discovery::Core {
 public:
  Core(const Surroundings& around, const DiscoveryOptions& options, std::function<void()> changed, Prober prober)
      : around_(around),
        options_(options),
        changed_(std::move(changed)),
        ask_(std::move(prober)),
        probed_(around.registry),
        services_(std::make_shared<const std::vector<Service>>()),
        complaints_(std::make_shared<const std::vector<std::string>>()),
        recogniser_(around.scheduler, around.submit, kRecogniseEveryMs, [this] { recognise_all(); }),
        prober_(around.scheduler, around.submit, kProbeEveryMs, [this] { probe_next(); }, 0) {
    for (const char* kind : kKinds) {
      found_.emplace(
          kind, &around.registry.gauge("quarterdeck_discovery_services", "Services known, by kind.", {{"kind", kind}}));
    }
    if (options.docker != "off") {
      watch_.emplace(around,
                     ContainerWatchOptions{.sockets = sockets_of(options),
                                           .required = options.docker == "on",
                                           .containers_max = static_cast<std::size_t>(options.containers_limit),
                                           .procfs = options.procfs},
                     [this] {
                       containers_changed_ = true;
                       recogniser_.ask();
                     });
    }
    if (options.enabled && options.processes) processes_.emplace(around, options.procfs, [this] { recogniser_.ask(); });
  }

  void start() {
    if (watch_) watch_->start();
    if (processes_) processes_->start();
  }

  void stop() {
    if (watch_) watch_->stop();
    if (processes_) processes_->stop();
    recogniser_.stop();
    prober_.stop();
  }

  void set_declared(std::vector<Service> declared) QD_EXCLUDES(mutex_) {
    {
      base::MutexLock lock(mutex_);
      declared_ = std::move(declared);
    }
    recogniser_.ask();
  }

  Services services() const QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return services_;
  }

  Complaints complaints() const QD_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return complaints_;
  }

  ContainerList containers() const {
    return watch_ ? watch_->containers() : std::make_shared<const std::vector<Container>>();
  }

  EngineState engine() const { return watch_ ? watch_->state() : EngineState{}; }

 private:
  struct ProbeCounters {
    explicit ProbeCounters(base::Registry& a_registry) : registry(a_registry) {}
    base::Counter& of(const Probed& probed) {
      const std::string kind = !probed.kind.empty() ? probed.kind : probed.connected ? "unknown" : "silent";
      return registry.counter("quarterdeck_discovery_probes_total",
                              "Unknown ports of containers asked what they are, by answer.", {{"answer", kind}});
    }
    base::Registry& registry;
  };

  // What one look at everything gathers.
  struct Look {
    std::vector<Service> services;
    std::set<std::string> keys;
    std::set<std::string> declared;  // kind and address, as they are compared
    std::vector<std::string> complaints;
    std::set<std::string> probed;  // containers with unknown ports

    void add(Service service) {
      if (keys.insert(service.key()).second) services.push_back(std::move(service));
    }
  };

  void recognise_all() QD_EXCLUDES(mutex_) {
    Look look;
    {
      base::MutexLock lock(mutex_);
      for (const Service& service : declared_) {
        look.declared.insert(service.kind + "\n" + comparable(service.address));
        look.add(service);
      }
    }
    const ContainerList containers = this->containers();
    if (options_.enabled) {
      recognise_containers(*containers, look);
      recognise_processes(*containers, look);
    }
    std::ranges::sort(look.services, {}, [](const Service& one) { return std::tie(one.kind, one.address); });
    std::ranges::sort(look.complaints);
    const auto [first, last] = std::ranges::unique(look.complaints);
    look.complaints.erase(first, last);
    if (look.complaints.size() > kComplaintsMax) look.complaints.resize(kComplaintsMax);
    tell(look);
    if (const auto next_ns = probes_.next_ns()) prober_.ask(*next_ns);
  }

  void recognise_containers(const std::vector<Container>& containers, Look& look) {
    const auto networks = AttachedNetworks::read(options_.procfs);
    std::map<std::string, std::string> secrets;
    Knowledge knowledge{.containers = containers};
    knowledge.is_attached = [&networks](const std::string& ip) { return networks.contains(ip); };
    knowledge.read_secret = [&](const Container& container, const std::string& path) {
      return secret(container, path, secrets, look);
    };
    for (const Container& container : containers) {
      Recognised found = recognise(container, knowledge);
      for (Service& service : found.services) add(std::move(service), container, knowledge, look);
      for (const UnknownPort& port : found.unknown) ask_or_add(container, port, knowledge, look, found.complaints);
      std::ranges::move(found.complaints, std::back_inserter(look.complaints));
    }
    probes_.keep(look.probed);
    secrets_ = std::move(secrets);
  }

  void add(Service service, const Container& container, const Knowledge& knowledge, Look& look) const {
    if (!look.declared.empty()) {
      for (const std::string& address : addresses_of(service, container, knowledge)) {
        if (look.declared.contains(service.kind + "\n" + address)) return;
      }
    }
    look.add(std::move(service));
  }

  void ask_or_add(const Container& container, const UnknownPort& port, const Knowledge& knowledge, Look& look,
                  std::vector<std::string>& complaints) {
    const Probes::Key key{container.id, port.port};
    look.probed.insert(container.id);
    if (const auto kind = probes_.kind(key); !kind.empty()) {
      auto service = service_of(container, kind, port.port,
                                fmt::format("answer at port {} of container {}", port.port, container.name), knowledge,
                                complaints);
      if (service) add(std::move(*service), container, knowledge, look);
      return;
    }
    const auto& clock = around_.scheduler.clock();
    const std::int64_t age_ms = std::max<std::int64_t>(clock.wall_ms() - container.started_ms, 0);
    probes_.want(key, port.address, clock.monotonic_ns() + std::max<std::int64_t>(kProbeAgeMs - age_ms, 0) * kNsPerMs);
  }

  // Secrets of a container stay while it runs; each is read once. `now` gathers those that are still asked for.
  std::optional<std::string> secret(const Container& container, const std::string& path,
                                    std::map<std::string, std::string>& now, Look& look) {
    const std::string key = fmt::format("{}\n{}\n{}", container.id, container.pid, path);
    if (const auto known = secrets_.find(key); known != secrets_.end()) return now.insert(*known).first->second;
    auto text = read_secret(options_.procfs, container.pid, path);
    if (text) {
      now.emplace(key, *text);
    } else {
      look.complaints.push_back(
          fmt::format("container {}: the file in it that its environment or labels name for a credential cannot be "
                      "read; run Quarterdeck as root, or give the label quarterdeck.password",
                      container.name));
    }
    return text;
  }

  void recognise_processes(const std::vector<Container>& containers, Look& look) const {
    if (!processes_) return;
    std::vector<Listener> outside = *processes_->listeners();
    std::erase_if(outside, [&](const Listener& one) {
      if (one.container_id.empty()) return false;
      const auto found = std::ranges::lower_bound(containers, one.container_id, {}, &Container::id);
      return found != containers.end() && found->id == one.container_id;
    });
    for (Service& service : recognise(outside)) {
      if (!options_.sockets) service.unix_socket.clear();
      if (!look.declared.contains(service.kind + "\n" + comparable(service.address))) look.add(std::move(service));
    }
  }

  void tell(Look& look) QD_EXCLUDES(mutex_) {
    std::map<std::string_view, double> counts;
    for (const Service& service : look.services) ++counts[service.kind];
    for (const auto& [kind, gauge] : found_) gauge->set(counts[kind]);
    for (const std::string& complaint : look.complaints) {
      if (told_.insert(complaint).second) around_.log.warn("a container is not measured", {{"reason", complaint}});
    }
    // One that goes and comes again (a restart) is not told again, but the memory of it is bounded.
    if (told_.size() > 10 * kComplaintsMax) told_ = {look.complaints.begin(), look.complaints.end()};
    bool changed = containers_changed_.exchange(false);
    {
      base::MutexLock lock(mutex_);
      if (*services_ != look.services) {
        services_ = std::make_shared<const std::vector<Service>>(std::move(look.services));
        changed = true;
      }
      if (*complaints_ != look.complaints) {
        complaints_ = std::make_shared<const std::vector<std::string>>(std::move(look.complaints));
        changed = true;
      }
    }
    if (changed) changed_();
  }

  void probe_next() {
    const auto& clock = around_.scheduler.clock();
    if (const auto due = probes_.due(clock.monotonic_ns())) {
      const Probed probed = ask_(due->address);
      probed_.of(probed).add();
      if (probes_.done(due->key, probed, clock.monotonic_ns())) recogniser_.ask();
    }
    if (const auto next_ns = probes_.next_ns()) prober_.ask(*next_ns);
  }

  const Surroundings around_;
  const DiscoveryOptions options_;
  const std::function<void()> changed_;
  const Prober ask_;
  ProbeCounters probed_;
  std::map<std::string_view, base::Gauge*> found_;
  Probes probes_;
  std::atomic<bool> containers_changed_ = false;

  // Of the recogniser's task alone.
  std::map<std::string, std::string> secrets_;
  std::set<std::string> told_;

  mutable base::Mutex mutex_;
  std::vector<Service> declared_ QD_GUARDED_BY(mutex_);
  Services services_ QD_GUARDED_BY(mutex_);
  Complaints complaints_ QD_GUARDED_BY(mutex_);

  RepeatedTask recogniser_;
  RepeatedTask prober_;
  std::optional<ContainerWatch> watch_;
  std::optional<ProcessWatch> processes_;
};

Probed probe_on_network(const std::string& address) {
  const base::SystemClock clock;
  return probe(address, clock.monotonic_ns() + kProbeMs * kNsPerMs, clock);
}

Discovery::Discovery(const Surroundings& surroundings, const DiscoveryOptions& options, std::function<void()> changed,
                     Prober prober)
    : core_(std::make_unique<Core>(surroundings, options, std::move(changed), std::move(prober))) {}

Discovery::~Discovery() {
  core_->stop();
}

void Discovery::start() {
  core_->start();
}

void Discovery::stop() {
  core_->stop();
}

void Discovery::set_declared(std::vector<Service> declared) {
  core_->set_declared(std::move(declared));
}

Discovery::Services Discovery::services() const {
  return core_->services();
}

ContainerList Discovery::containers() const {
  return core_->containers();
}

EngineState Discovery::engine() const {
  return core_->engine();
}

Discovery::Complaints Discovery::complaints() const {
  return core_->complaints();
}

}  // namespace qd::observe::discovery
