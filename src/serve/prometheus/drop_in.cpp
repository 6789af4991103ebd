#include "serve/prometheus/drop_in.h"

#include <fmt/format.h>

#include <array>

#include "serve/prometheus/exporter_page.h"
#include "serve/prometheus/probe_page.h"

namespace qd::serve::prometheus {
namespace {

using connect::http::Response;

constexpr std::array<DropInPort, 9> kPorts = {{
    {"node", 9100, "node_exporter"},
    {"cadvisor", 8081, "cAdvisor"},
    {"postgres", 9187, "postgres_exporter"},
    {"mysql", 9104, "mysqld_exporter"},
    {"memcached", 9150, "memcached_exporter"},
    {"redis", 9121, "redis_exporter"},
    {"nginx", 9113, "nginx-prometheus-exporter"},
    {"dcgm", 9400, "dcgm-exporter"},
    {"blackbox", 9115, "blackbox_exporter"},
}};

// A router of one port; the server's handler keeps it.
std::shared_ptr<const Router> make_router(const DropInPort& port, const Authenticator& authenticator,
                                          base::ThreadPool& pool, observe::CollectorRunner& collectors,
                                          observe::probe::Probes& probes, base::Log& log, base::Registry& registry) {
  auto router = std::make_shared<Router>(authenticator, pool, log, registry);
  router->add({.methods = {"GET"}, .path = "/metrics", .handler = [&collectors, port](Call call) {
                 send_exporter_page(std::move(call), collectors, port.collector);
               }});
  if (port.collector == "blackbox") {
    router->add({.methods = {"GET"}, .path = "/probe", .handler = [&probes](Call call) {
                   send_probe(std::move(call), probes);
                 }});
  }
  router->add(
      {.methods = {"GET"}, .path = "/", .handler = [port](Call call) {
         call.reply.send(Response::text(
             200, fmt::format("Quarterdeck, in the place of {}: the metrics are at /metrics\n", port.replaces)));
       }});
  return router;
}

}  // namespace

std::span<const DropInPort> drop_in_ports() {
  return kPorts;
}

void declare(model::config::Schema& schema, ExporterSettings& settings) {
  schema.section("exporters", "The built-in collectors for other scrapers, beside /exporters/<name>/metrics.");
  schema
      .choice("exporters.ports", settings.ports, {"off", "drop-in"},
              "`drop-in` opens the port of each exporter that a built-in collector replaces (node 9100, cadvisor 8081, "
              "postgres 9187, mysql 9104, memcached 9150, redis 9121, nginx 9113, dcgm 9400, blackbox 9115).")
      .only_at_start();
  schema
      .text("exporters.bind", settings.bind,
            "The address of these ports; beyond loopback `serve.auth` and `serve.tls` must be set.")
      .only_at_start();
  schema
      .flag("exporters.legacy_names", settings.legacy_names,
            "Also give the names that older exporters gave to what newer ones call otherwise.")
      .only_at_start();
}

base::Result<std::vector<std::unique_ptr<connect::http::Server>>> open_drop_in_ports(
    const ExporterSettings& settings, connect::EventLoop& loop, const connect::http::ServerOptions& options,
    const Authenticator& authenticator, base::ThreadPool& pool, observe::CollectorRunner& collectors,
    observe::probe::Probes& probes, base::Log& log, base::Registry& registry) {
  std::vector<std::unique_ptr<connect::http::Server>> servers;
  if (settings.ports != "drop-in") return servers;
  for (const auto& port : kPorts) {
    auto here = options;
    here.listen = {fmt::format("{}:{}", settings.bind, port.port)};
    here.unix_socket_path.clear();
    const auto router = make_router(port, authenticator, pool, collectors, probes, log, registry);
    auto server = connect::http::Server::start(
        loop, std::move(here),
        [router](connect::http::Request request, connect::http::Reply reply) {
          router->handle(std::move(request), std::move(reply));
        },
        log, registry);
    if (!server) {
      return base::fail(server.error().code(),
                        fmt::format("exporters.ports: {}; if {} still runs, stop it, or set exporters.ports: off",
                                    server.error().message(), port.replaces));
    }
    servers.push_back(std::move(*server));
  }
  return servers;
}

}  // namespace qd::serve::prometheus
