#include "cli/observers.h"

#include <fmt/format.h>

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "observe/containers/config.h"
#include "observe/discovery/config.h"
#include "observe/gpu/config.h"
#include "observe/memcached/config.h"
#include "observe/mysql/config.h"
#include "observe/nginx/config.h"
#include "observe/nginx/fetch.h"
#include "observe/postgres/config.h"
#include "observe/redis/config.h"

namespace qd::cli {
namespace {

using model::config::Schema;
using observe::Collector;
using observe::DeclaredService;
using observe::Service;

constexpr std::int64_t kIntervalMsMax = 60 * 60 * 1000;
constexpr std::int64_t kPageTimeoutMs = 10'000;

void declare_tuning(Schema& schema, std::map<std::string, observe::ServiceTuning>& services) {
  schema
      .mapping("observe.services",
               "How single services are read, by the name of the service, of its Compose service, or by its address.",
               [&services](std::string_view name, Schema& item) {
                 auto& tuning = services[std::string(name)];
                 item.duration_ms("interval", tuning.interval_ms, "How often; `observe.interval` when 0.", 0,
                                  kIntervalMsMax);
                 item.duration_ms("timeout", tuning.timeout_ms,
                                  "How long a pass may take: 10s, or the interval where that is shorter, when 0.", 0,
                                  kIntervalMsMax);
                 item.flag("off", tuning.off, "Do not read it at all.");
               })
      .example("{checkout-db: {interval: 15s, timeout: 3s}}");
}

// Whether a server that was found can be asked over its Unix socket as the user that owns it: its servers let that user
// in without a password, and so root may read it with no configuration.
bool knows_us_by_socket(const Service& found) {
  const auto user = static_cast<std::int64_t>(::geteuid());
  return found.password.empty() && !found.unix_socket.empty() && found.owner >= 0 &&
         (user == 0 || user == found.owner) && ::access(found.unix_socket.c_str(), F_OK) == 0;
}

std::string name_of_user(uid_t user) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> text{};
  const bool known = ::getpwuid_r(user, &entry, text.data(), text.size(), &found) == 0 && found != nullptr;
  return known ? entry.pw_name : std::string();
}

// The options of its kind from what discovery found; `legacy_names` where the kind has them.
observe::postgres::Options postgres_of(const Service& found, bool legacy_names) {
  observe::postgres::Options options;
  options.address = found.address;
  if (!found.user.empty()) options.user = found.user;
  options.password = found.password;
  if (!found.database.empty()) options.database = found.database;
  options.legacy_names = legacy_names;
  if (knows_us_by_socket(found)) {
    options.socket = found.unix_socket;
    options.peer = static_cast<uid_t>(found.owner);
    if (auto name = name_of_user(*options.peer); found.user.empty() && !name.empty()) options.user = std::move(name);
  }
  return options;
}

observe::mysql::Options mysql_of(const Service& found, bool legacy_names) {
  observe::mysql::Options options;
  options.address = found.address;
  options.user = found.user;
  options.password = found.password;
  options.legacy_names = legacy_names;
  if (found.user.empty() && knows_us_by_socket(found)) {
    options.socket = found.unix_socket;
    options.user = name_of_user(::geteuid());
  }
  return options;
}

observe::redis::Options redis_of(const Service& found) {
  observe::redis::Options options;
  options.address = found.address;
  options.user = found.user;
  options.password = found.password;
  return options;
}

observe::nginx::Options nginx_of(const Service& found, bool legacy_names) {
  observe::nginx::Options options;
  options.status_url = "http://" + found.address + "/stub_status";
  options.legacy_names = legacy_names;
  return options;
}

// The job under which a page is scraped.
const std::string& job_of(const Service& page) {
  return page.service.empty() ? page.name : page.service;
}

// A declared service: `options` as they are, and a maker of collectors from them.
template <typename Options, typename Make>
DeclaredService declared(std::string kind, std::string address, const Options& options, const Make& make) {
  Service service;
  service.kind = std::move(kind);
  service.address = std::move(address);
  service.name = service.address;
  service.origin = observe::Origin::kDeclared;
  service.found_by = "observe." + service.kind + " in the configuration";
  return {.service = std::move(service),
          .options = options,
          .same_options =
              [options](const std::any& other) {
                const auto* there = std::any_cast<Options>(&other);
                return there != nullptr && *there == options;
              },
          .make = [options, make]() -> std::unique_ptr<Collector> { return make(options); }};
}

}  // namespace

void declare(Schema& schema, ObserverSettings& settings) {
  observe::containers::declare(schema, settings.containers);
  observe::gpu::declare(schema, settings.gpu);
  observe::discovery::declare(schema, settings.discovery);
  declare_tuning(schema, settings.tuning);
  observe::postgres::declare_instances(schema, settings.postgres);
  observe::mysql::declare_instances(schema, settings.mysql);
  observe::redis::declare_instances(schema, settings.redis);
  observe::memcached::declare_instances(schema, settings.memcached);
  observe::nginx::declare_instances(schema, settings.nginx);
  observe::probe::declare(schema, settings.blackbox);
}

void add_kinds(observe::Services& services, const Workbench& bench) {
  services.add_kind("postgres", [bench](const Service& found) {
    return std::make_unique<observe::postgres::PostgresCollector>(postgres_of(found, bench.legacy_names), bench.clock,
                                                                  bench.log);
  });
  services.add_kind("mysql", [bench](const Service& found) {
    return std::make_unique<observe::mysql::MysqlCollector>(mysql_of(found, bench.legacy_names), bench.clock);
  });
  services.add_kind("redis", [bench](const Service& found) {
    return std::make_unique<observe::redis::RedisCollector>(redis_of(found), bench.clock);
  });
  services.add_kind("memcached", [bench](const Service& found) {
    return std::make_unique<observe::memcached::MemcachedCollector>(
        observe::memcached::Options{.address = found.address}, bench.clock);
  });
  services.add_kind("nginx", [bench](const Service& found) {
    return std::make_unique<observe::nginx::NginxCollector>(nginx_of(found, bench.legacy_names),
                                                            observe::nginx::fetch_by(bench.client), bench.clock);
  });
}

std::vector<DeclaredService> declared_services(const ObserverSettings& settings, const Workbench& bench) {
  std::vector<DeclaredService> all;
  for (auto options : settings.postgres) {
    options.legacy_names = bench.legacy_names;
    all.push_back(declared("postgres", options.address, options, [bench](const auto& o) {
      return std::make_unique<observe::postgres::PostgresCollector>(o, bench.clock, bench.log);
    }));
  }
  for (auto options : settings.mysql) {
    options.legacy_names = bench.legacy_names;
    all.push_back(declared("mysql", options.address, options, [bench](const auto& o) {
      return std::make_unique<observe::mysql::MysqlCollector>(o, bench.clock);
    }));
  }
  for (const auto& options : settings.redis) {
    all.push_back(declared("redis", options.address, options, [bench](const auto& o) {
      return std::make_unique<observe::redis::RedisCollector>(o, bench.clock);
    }));
  }
  for (const auto& options : settings.memcached) {
    all.push_back(declared("memcached", options.address, options, [bench](const auto& o) {
      return std::make_unique<observe::memcached::MemcachedCollector>(o, bench.clock);
    }));
  }
  for (auto options : settings.nginx) {
    options.legacy_names = bench.legacy_names;
    all.push_back(declared("nginx", observe::nginx::instance(options), options, [bench](const auto& o) {
      return std::make_unique<observe::nginx::NginxCollector>(o, observe::nginx::fetch_by(bench.client), bench.clock);
    }));
  }
  for (const auto& options : settings.blackbox.targets) {
    auto& one = all.emplace_back(declared("blackbox", options.target, options, [bench](const auto& o) {
      return std::make_unique<observe::probe::TargetCollector>(o, bench.clock, bench.cancel_probes);
    }));
    one.service.name =
        options.name.empty() ? fmt::format("{} ({})", options.target, options.module_name) : options.name;
    one.service.variant = options.module_name;
    one.work = observe::Work::kProbes;
    one.tuning = {.interval_ms = options.interval_ms,
                  .timeout_ms = options.timeout_ms > 0 ? options.timeout_ms : options.module.timeout_ms};
  }
  return all;
}

observe::scrape::PrometheusFile with_pages(observe::scrape::PrometheusFile file,
                                           const std::vector<observe::Page>& pages, std::int64_t interval_ms) {
  for (const auto& [page, tuning] : pages) {
    observe::scrape::ScrapeConfig job;
    job.job_name = job_of(page);
    job.interval_ms = tuning.interval_ms > 0 ? tuning.interval_ms : interval_ms;
    job.timeout_ms = std::min(job.interval_ms, tuning.timeout_ms > 0 ? tuning.timeout_ms : kPageTimeoutMs);
    if (!page.metrics_path.empty()) job.metrics_path = page.metrics_path;
    if (!page.scheme.empty()) job.scheme = page.scheme;
    auto& group = job.static_configs.emplace_back();
    group.targets.push_back(page.address);
    for (const auto& [name, value] :
         {std::pair("project", page.project), std::pair("service", page.service), std::pair("replica", page.replica)}) {
      if (!value.empty()) group.labels[name] = value;
    }
    file.scrape_configs.push_back(std::move(job));
  }
  return file;
}

void tell_pages(std::vector<observe::ServiceStatus>& statuses,
                const std::vector<observe::scrape::TargetStatus>& targets) {
  std::map<std::pair<std::string_view, std::string_view>, const observe::scrape::TargetStatus*> by_job;
  for (const auto& target : targets) by_job[{target.scrape_pool, target.labels.get("instance")}] = &target;
  for (auto& status : statuses) {
    if (status.service.kind != observe::kPageKind || status.state == observe::ServiceState::kOff) continue;
    const auto found = by_job.find({job_of(status.service), status.service.address});
    if (found == by_job.end()) continue;
    const auto& target = *found->second;
    status.state = target.health == observe::scrape::Health::kUp     ? observe::ServiceState::kUp
                   : target.health == observe::scrape::Health::kDown ? observe::ServiceState::kDown
                                                                     : observe::ServiceState::kUnknown;
    status.why = target.last_error;
    status.report = {.name = target.scrape_pool,
                     .instance = status.service.address,
                     .interval_ms = target.interval_ms,
                     .timeout_ms = target.timeout_ms,
                     .last_pass_ms = target.last_scrape_ms,
                     .seconds = target.last_scrape_duration_s,
                     .samples = target.last_scrape_samples};
  }
}

}  // namespace qd::cli
