// What is observed beside the host and the targets of a Prometheus file: the settings of all kinds of services, and who
// reads a service of each.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "connect/http/client.h"
#include "model/config/schema.h"
#include "observe/containers/containers.h"
#include "observe/discovery/discovery.h"
#include "observe/gpu/options.h"
#include "observe/memcached/memcached.h"
#include "observe/mysql/mysql.h"
#include "observe/nginx/nginx.h"
#include "observe/postgres/postgres.h"
#include "observe/probe/config.h"
#include "observe/redis/redis.h"
#include "observe/scrape/config.h"
#include "observe/scrape/target.h"
#include "observe/services.h"

namespace qd::cli {

struct ObserverSettings {
  std::vector<observe::postgres::Options> postgres;
  std::vector<observe::mysql::Options> mysql;
  std::vector<observe::redis::Options> redis;
  std::vector<observe::memcached::Options> memcached;
  std::vector<observe::nginx::Options> nginx;
  observe::probe::ProbeSettings blackbox;
  observe::containers::Options containers;
  observe::gpu::Options gpu;
  observe::discovery::DiscoveryOptions discovery;
  std::map<std::string, observe::ServiceTuning> tuning;
};

// observe.postgres, .mysql, .redis, .memcached, .nginx, .blackbox, .containers, .gpu, .docker, .discovery, .services.
void declare(model::config::Schema& schema, ObserverSettings& settings);

// What collectors are made with; all of it outlives them.
struct Workbench {
  connect::http::Client& client;
  const base::Clock& clock;
  base::Log& log;
  bool legacy_names = false;
  base::CancelToken cancel_probes = {};
};

// A collector for what discovery finds of each kind.
void add_kinds(observe::Services& services, const Workbench& bench);
// What the configuration declares. No two of one kind and address: the first counts.
std::vector<observe::DeclaredService> declared_services(const ObserverSettings& settings, const Workbench& bench);

// The Prometheus file, and behind its jobs one for each page that was found; `interval_ms` where its tuning has none.
observe::scrape::PrometheusFile with_pages(observe::scrape::PrometheusFile file,
                                           const std::vector<observe::Page>& pages, std::int64_t interval_ms);
// Says of the pages among `statuses` how their scrapes go.
void tell_pages(std::vector<observe::ServiceStatus>& statuses,
                const std::vector<observe::scrape::TargetStatus>& targets);

}  // namespace qd::cli
