#include "model/exposition/format.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"

namespace qd::serve::prometheus {

namespace {

using connect::http::Response;

void exporter(Call call, const Sources& sources, const std::string& name) {
  const auto format = model::exposition::negotiate(call.request.headers.get("Accept").value_or(""));
  const std::string target(call.request.param("target").value_or(""));
  auto reply = std::make_shared<connect::http::Reply>(std::move(call.reply));
  sources.collectors.render(name, target, format, [reply, format](base::Result<observe::CollectorRunner::Text> text) {
    if (!text) {
      const int status = text.error().code() == base::ErrorCode::kNotFound ? 404 : 503;
      return reply->send(Response::text(status, text.error().message() + "\n"));
    }
    Response response;
    response.content_type = model::exposition::content_type(format);
    // A copy, for a text of its own is packed where the client takes that: here, on the pool's thread.
    response.body = std::string(**text);
    reply->send(std::move(response));
  });
}

}  // namespace

void add_exporter_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/metrics", .handler = [&sources](Call call) {
                exporter(std::move(call), sources, "quarterdeck");
              }});
  router.add({.methods = {"GET"}, .path = "/exporters/{name}/metrics", .handler = [&sources](Call call) {
                const auto name = call.path_parameter;
                exporter(std::move(call), sources, name);
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
  add_rule_routes(router, sources);
  add_target_routes(router, sources);
  add_status_routes(router, sources);
  add_management_routes(router, sources);
  add_exporter_routes(router, sources);
}

}  // namespace qd::serve::prometheus
