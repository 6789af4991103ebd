#include "serve/prometheus/exporter_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>

#include "model/exposition/format.h"
#include "serve/prometheus/drop_in.h"

namespace qd::serve::prometheus {

using connect::http::Response;

namespace {

bool is_built_in(std::string_view name) {
  return std::ranges::any_of(drop_in_ports(), [&](const DropInPort& port) { return port.collector == name; });
}

bool is_watched(const observe::CollectorRunner& collectors, std::string_view name) {
  const auto names = collectors.names();
  return std::ranges::find(names, name) != names.end();
}

void send_empty_page(connect::http::Reply reply, model::exposition::Format format, std::string_view name) {
  Response response;
  response.content_type = model::exposition::content_type(format);
  // OpenMetrics has no free comments.
  response.body = format == model::exposition::Format::kOpenMetrics
                      ? "# EOF\n"
                      : fmt::format("# nothing is watched that the collector {} measures\n", name);
  reply.send(std::move(response));
}

}  // namespace

void send_exporter_page(Call call, observe::CollectorRunner& collectors, std::string_view name) {
  const auto format = model::exposition::negotiate(call.request.headers.get("Accept").value_or(""));
  const std::string target(call.request.param("target").value_or(""));
  const bool idle = target.empty() && is_built_in(name) && !is_watched(collectors, name);
  if (idle) return send_empty_page(std::move(call.reply), format, name);
  auto reply = std::make_shared<connect::http::Reply>(std::move(call.reply));
  collectors.render(name, target, format, [reply, format](base::Result<observe::CollectorRunner::Text> text) {
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

}  // namespace qd::serve::prometheus
