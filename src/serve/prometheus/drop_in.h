// The ports of the exporters that the built-in collectors replace, each with their /metrics, and that of
// blackbox_exporter with its /probe: existing Prometheus files go on as they are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "connect/http/server.h"
#include "model/config/schema.h"
#include "serve/auth.h"

namespace qd::base {
class ThreadPool;
}
namespace qd::observe {
class CollectorRunner;
namespace probe {
class Probes;
}
}  // namespace qd::observe

namespace qd::serve::prometheus {

struct DropInPort {
  std::string_view collector;
  std::uint16_t port;
  std::string_view replaces;
};
std::span<const DropInPort> drop_in_ports();

// The section exporters.
struct ExporterSettings {
  std::string ports = "off";  // or "drop-in"
  std::string bind = "127.0.0.1";
  bool legacy_names = false;
};
void declare(model::config::Schema& schema, ExporterSettings& settings);

// Listens on all of the ports, with what `options` says of TLS and the log; requests are judged by `authenticator`.
// kConflict, with the cure, when one is taken. Everything outlives the servers.
base::Result<std::vector<std::unique_ptr<connect::http::Server>>> open_drop_in_ports(
    const ExporterSettings& settings, connect::EventLoop& loop, const connect::http::ServerOptions& options,
    const Authenticator& authenticator, base::ThreadPool& pool, observe::CollectorRunner& collectors,
    observe::probe::Probes& probes, base::Log& log, base::Registry& registry);

}  // namespace qd::serve::prometheus
