#include "serve/prometheus/api.h"
#include "serve/prometheus/exporter_page.h"
#include "serve/prometheus/probe_page.h"

namespace qd::serve::prometheus {

using connect::http::Response;

void add_exporter_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/metrics", .handler = [&sources](Call call) {
                send_exporter_page(std::move(call), sources.collectors, "quarterdeck");
              }});
  router.add({.methods = {"GET"}, .path = "/exporters/{name}/metrics", .handler = [&sources](Call call) {
                const auto name = call.path_parameter;
                send_exporter_page(std::move(call), sources.collectors, name);
              }});
  router.add({.methods = {"GET"}, .path = "/exporters/blackbox/probe", .handler = [&sources](Call call) {
                send_probe(std::move(call), sources.probes);
              }});
}

void add_management_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/-/healthy", .access = Access::kOpen, .handler = [](Call call) {
                call.reply.send(Response::text(200, "Quarterdeck is healthy.\n"));
              }});
  router.add({.methods = {"GET"}, .path = "/-/ready", .access = Access::kOpen, .handler = [&sources](Call call) {
                const bool ready = sources.ready();
                call.reply.send(Response::text(ready ? 200 : 503,
                                               ready ? "Quarterdeck is ready.\n" : "Quarterdeck is not ready yet.\n"));
              }});
  router.add({.methods = {"POST", "PUT"},
              .path = "/-/reload",
              .access = Access::kAct,
              .computes = true,
              .handler = [&sources](Call call) {
                const auto done = sources.reload(call.principal);
                call.reply.send(
                    done ? Response::text(200, "")
                         : Response::text(500, "the configuration stays as it was: " + done.error().message() + "\n"));
              }});
}

void add_routes(Router& router, const Sources& sources) {
  add_query_routes(router, sources);
  add_series_routes(router, sources);
  add_exemplar_routes(router, sources);
  add_rule_routes(router, sources);
  add_target_routes(router, sources);
  add_status_routes(router, sources);
  add_admin_routes(router, sources.store, sources.snapshot);
  add_management_routes(router, sources);
  add_exporter_routes(router, sources);
}

}  // namespace qd::serve::prometheus
