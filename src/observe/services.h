// Every service that is measured, each by a collector of its own: what the configuration declares, and what discovery
// finds and nobody declared.
//
//   services.add_kind("redis", [&](const Service& found) { return std::make_unique<RedisCollector>(…); });
//   services.declare(from_the_configuration, tuning);   // at start, and on reload
//   services.found(list);                               // whenever discovery has news
//
// A service that stays the same keeps its collector; one that changes gets another; one that is gone ends, and so do
// its series. Two are the same service when kind and address are.
//
// Thread-safe. The runner outlives it.
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "observe/runner.h"
#include "observe/service.h"

namespace qd::observe {

// observe.services.<name>: 0 and false leave what is usual.
struct ServiceTuning {
  std::int64_t interval_ms = 0;
  std::int64_t timeout_ms = 0;
  bool off = false;
  bool operator==(const ServiceTuning&) const = default;
};

// One that the configuration declares.
struct DeclaredService {
  Service service;
  std::any options;                                   // of its kind, with everything that `make` uses
  std::function<bool(const std::any&)> same_options;  // as those of another
  std::function<std::unique_ptr<Collector>()> make;
  ServiceTuning tuning = {};  // of its own; what is set by name counts for more
  Work work = Work::kWaits;   // of its collector
};

// A page of metrics, to be scraped as its tuning says.
struct Page {
  Service service;
  ServiceTuning tuning;
  bool operator==(const Page&) const = default;
};

enum class ServiceState : std::uint8_t {
  kUnknown,  // no pass yet
  kUp,
  kUnreadable,  // it answers, and not all of it may be read
  kDown,        // it does not answer
  kOff,         // switched off by a label or a setting
};
std::string_view to_string(ServiceState state);

struct ServiceStatus {
  Service service;  // without password
  ServiceState state = ServiceState::kUnknown;
  std::string why;  // with the cure; empty when it is up
  std::optional<CollectorReport> report;
};

class Services {
 public:
  using Make = std::function<std::unique_ptr<Collector>(const Service& found)>;
  // Services of kPageKind have no collector: they are scraped.
  using OnPages = std::function<void(const std::vector<Page>& pages)>;

  Services(CollectorRunner& runner, base::Log& log);
  // Ends nothing: stop the runner.
  ~Services() = default;
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  // Before anything is declared or found. Found services of other kinds are only listed.
  void add_kind(std::string kind, Make make);
  // Told of all pages whenever they change, on the thread that brought the change.
  void on_pages(OnPages then);

  void declare(std::vector<DeclaredService> declared, std::map<std::string, ServiceTuning> tuning) QD_EXCLUDES(mutex_);
  void found(std::shared_ptr<const std::vector<Service>> list) QD_EXCLUDES(mutex_);

  // Sorted by kind, then name, then address.
  std::vector<ServiceStatus> statuses() const QD_EXCLUDES(mutex_);

 private:
  struct Running {
    Service service;
    ServiceTuning tuning;
    std::any options;
    CollectorRunner::Id id = 0;  // 0: switched off, or nothing collects its kind
  };

  ServiceTuning tuning_of(const Service& service, const DeclaredService* declared) const QD_REQUIRES(mutex_);
  void reconcile() QD_EXCLUDES(mutex_);
  void keep(const Service& service, const DeclaredService* declared, std::map<std::string, Running>& kept)
      QD_REQUIRES(mutex_);
  std::unique_ptr<Collector> make(const Service& service, const DeclaredService* declared) const QD_REQUIRES(mutex_);

  CollectorRunner& runner_;
  base::Log& log_;
  base::Mutex order_;  // guards no data: one change at a time, with what it tells
  mutable base::Mutex mutex_;
  std::map<std::string, Make> kinds_ QD_GUARDED_BY(mutex_);
  OnPages on_pages_ QD_GUARDED_BY(mutex_);
  std::vector<DeclaredService> declared_ QD_GUARDED_BY(mutex_);
  std::map<std::string, ServiceTuning> tuning_ QD_GUARDED_BY(mutex_);
  std::shared_ptr<const std::vector<Service>> found_ QD_GUARDED_BY(mutex_);
  std::map<std::string, Running> running_ QD_GUARDED_BY(mutex_);  // by Service::key
  std::vector<Page> pages_ QD_GUARDED_BY(mutex_);
};

}  // namespace qd::observe
