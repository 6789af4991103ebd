#include "observe/services.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/strings.h"

namespace qd::observe {
namespace {

// Of labels on containers.
constexpr std::int64_t kIntervalMsMin = 100;
constexpr std::int64_t kIntervalMsMax = 60 * 60 * 1000;

bool is_no(std::string_view text) {
  return text == "false" || text == "no" || text == "off" || text == "0";
}

std::int64_t duration_label(const Service& service, const char* name) {
  const auto found = service.tuning.find(name);
  if (found == service.tuning.end()) return 0;
  const auto ms = base::parse_duration_ms(found->second);
  return ms && *ms >= kIntervalMsMin && *ms <= kIntervalMsMax ? *ms : 0;
}

ServiceState state_of(const CollectorReport& report, std::string& why) {
  if (report.last_pass_ms == 0) return ServiceState::kUnknown;
  const auto& fault = report.error ? report.error : report.trouble;
  if (!fault) return ServiceState::kUp;
  why = fault->message();
  const bool silent = fault->code() == base::ErrorCode::kUnavailable || fault->code() == base::ErrorCode::kTimeout;
  return silent ? ServiceState::kDown : ServiceState::kUnreadable;
}

Placement placement_of(const Service& service, const ServiceTuning& tuning, Work work) {
  model::LabelBuilder labels;
  labels.set("project", service.project);
  labels.set("service", service.service);
  labels.set("replica", service.replica);
  return {.instance = service.address,
          .module = service.variant,
          .labels = labels.build(),
          .interval_ms = tuning.interval_ms,
          .timeout_ms = tuning.timeout_ms,
          .work = work};
}

}  // namespace

std::string_view to_string(ServiceState state) {
  switch (state) {
    case ServiceState::kUnknown:
      return "unknown";
    case ServiceState::kUp:
      return "up";
    case ServiceState::kUnreadable:
      return "unreadable";
    case ServiceState::kDown:
      return "down";
    case ServiceState::kOff:
      return "off";
  }
  return {};
}

Services::Services(CollectorRunner& runner, base::Log& log)
    : runner_(runner), log_(log), found_(std::make_shared<const std::vector<Service>>()) {}

void Services::add_kind(std::string kind, Make make) {
  base::MutexLock lock(mutex_);
  kinds_.insert_or_assign(std::move(kind), std::move(make));
}

void Services::on_pages(OnPages then) {
  base::MutexLock lock(mutex_);
  on_pages_ = std::move(then);
}

void Services::declare(std::vector<DeclaredService> declared, std::map<std::string, ServiceTuning> tuning) {
  base::MutexLock one_at_a_time(order_);
  {
    base::MutexLock lock(mutex_);
    declared_ = std::move(declared);
    tuning_ = std::move(tuning);
  }
  reconcile();
}

void Services::found(std::shared_ptr<const std::vector<Service>> list) {
  base::MutexLock one_at_a_time(order_);
  {
    base::MutexLock lock(mutex_);
    found_ = std::move(list);
  }
  reconcile();
}

ServiceTuning Services::tuning_of(const Service& service, const DeclaredService* declared) const {
  ServiceTuning tuning{.interval_ms = duration_label(service, "quarterdeck.interval"),
                       .timeout_ms = duration_label(service, "quarterdeck.timeout")};
  if (declared) tuning = declared->tuning;
  const auto enabled = service.tuning.find("quarterdeck.enabled");
  tuning.off = enabled != service.tuning.end() && is_no(enabled->second);
  // The configuration's word counts for more than a label's.
  for (const std::string* name : {&service.name, &service.service, &service.address}) {
    const auto said = tuning_.find(*name);
    if (name->empty() || said == tuning_.end()) continue;
    if (said->second.interval_ms > 0) tuning.interval_ms = said->second.interval_ms;
    if (said->second.timeout_ms > 0) tuning.timeout_ms = said->second.timeout_ms;
    tuning.off = said->second.off;
    break;
  }
  return tuning;
}

std::unique_ptr<Collector> Services::make(const Service& service, const DeclaredService* declared) const {
  if (declared) return declared->make();
  const auto kind = kinds_.find(service.kind);
  return kind == kinds_.end() ? nullptr : kind->second(service);
}

void Services::keep(const Service& service, const DeclaredService* declared, std::map<std::string, Running>& kept) {
  const auto key = service.key();
  if (kept.contains(key)) return;
  const auto tuning = tuning_of(service, declared);
  if (const auto old = running_.find(key); old != running_.end()) {
    const bool same_options = declared ? declared->same_options(old->second.options) : !old->second.options.has_value();
    if (old->second.service == service && old->second.tuning == tuning && same_options) {
      kept.insert(running_.extract(old));
      return;
    }
    // The runner knows one of a name and instance.
    if (old->second.id != 0) runner_.remove(old->second.id);
    running_.erase(old);
  }
  Running running{.service = service, .tuning = tuning, .options = declared ? declared->options : std::any(), .id = 0};
  auto collector = tuning.off ? nullptr : make(service, declared);
  if (collector) {
    running.id =
        runner_.add(std::move(collector), placement_of(service, tuning, declared ? declared->work : Work::kWaits));
    log_.info(
        "a service is watched",
        {{"kind", service.kind}, {"name", service.name}, {"address", service.address}, {"found_by", service.found_by}});
  }
  kept.emplace(key, std::move(running));
}

void Services::reconcile() {
  std::vector<Page> pages;
  OnPages tell;
  {
    base::MutexLock lock(mutex_);
    std::map<std::string, Running> kept;
    for (const auto& declared : declared_) keep(declared.service, &declared, kept);
    for (const auto& service : *found_) keep(service, nullptr, kept);
    for (const auto& [key, gone] : running_) {
      if (gone.id == 0) continue;
      runner_.remove(gone.id);
      log_.info("a service is gone",
                {{"kind", gone.service.kind}, {"name", gone.service.name}, {"address", gone.service.address}});
    }
    running_ = std::move(kept);
    for (const auto& [key, running] : running_) {
      if (running.service.kind == kPageKind && !running.tuning.off) pages.push_back({running.service, running.tuning});
    }
    if (pages != pages_) {
      pages_ = pages;
      tell = on_pages_;
    }
  }
  if (tell) tell(pages);
}

std::vector<ServiceStatus> Services::statuses() const {
  std::vector<ServiceStatus> all;
  base::MutexLock lock(mutex_);
  for (const auto& [key, running] : running_) {
    auto& status = all.emplace_back();
    status.service = running.service;
    status.service.password.clear();
    if (running.tuning.off) {
      status.state = ServiceState::kOff;
      status.why = "switched off by a label or by observe.services";
      continue;
    }
    status.report = runner_.report(running.id);
    if (status.report) status.state = state_of(*status.report, status.why);
  }
  std::sort(all.begin(), all.end(), [](const ServiceStatus& a, const ServiceStatus& b) {
    return std::tie(a.service.kind, a.service.name, a.service.address) <
           std::tie(b.service.kind, b.service.name, b.service.address);
  });
  return all;
}

}  // namespace qd::observe
