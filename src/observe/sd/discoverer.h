// What finds targets, and what it needs for that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "base/scheduler.h"
#include "base/thread_pool.h"
#include "connect/http/http_config.h"
#include "observe/sd/config.h"
#include "observe/sd/resolver.h"
#include "observe/sd/target_group.h"

namespace qd::base {
class Registry;
}

namespace qd::observe::sd {

// What a discovery takes of one source at most; more is kLimit.
inline constexpr std::size_t kTargetsMax = 1'000'000;
// How long a source may take to answer, where it is not asked again sooner.
inline constexpr std::int64_t kDeadlineMsMax = 60'000;

// Runs what waits for others somewhere else than on the loop; a refusal is an error.
using Submit = std::function<base::Status(std::function<void()>)>;

// All outlives what is made with it, and whatever of it still runs after stop.
struct Surroundings {
  base::Scheduler& scheduler;
  Submit submit;
  connect::http::ConfiguredFetch fetch;
  base::Log& log;
  base::Registry& registry;
  std::string user_agent = "Quarterdeck";
  // Who is asked for names; what /etc/resolv.conf says where it is empty.
  NameServers name_servers = {};
  base::CancelToken cancel = {};  // cuts look-ups of names short
};

// Tells what it found, each time anew and whole, whenever that changes; an error when it could not look, and then what
// it told last is what holds. Calls come one after the other.
using Tell = std::function<void(base::Result<TargetGroups>)>;

// Thread-safe.
class Discoverer {
 public:
  virtual ~Discoverer() = default;
  virtual void start() = 0;
  // Nothing is begun any more; what is under way may still tell once.
  virtual void stop() = 0;
};

std::shared_ptr<Discoverer> make_discoverer(const SdConfig& config, const Surroundings& surroundings, Tell tell);

// A request's answer, waited for. Not from a thread of the event loop.
base::Result<connect::http::ClientResponse> fetch_and_wait(const connect::http::ConfiguredFetch& fetch,
                                                           const connect::http::HttpConfig& config,
                                                           connect::http::ClientRequest request);

// What Prometheus makes of a name that is to be part of a label's: everything but letters, digits and underscores
// becomes an underscore.
std::string label_part(std::string_view name);
// "host:port", an IPv6 address in brackets.
std::string host_port(std::string_view host, std::string_view port);

}  // namespace qd::observe::sd
