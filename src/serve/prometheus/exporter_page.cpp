#include "serve/prometheus/exporter_page.h"

#include <memory>
#include <string>

#include "model/exposition/format.h"

namespace qd::serve::prometheus {

using connect::http::Response;

void send_exporter_page(Call call, observe::CollectorRunner& collectors, std::string_view name) {
  const auto format = model::exposition::negotiate(call.request.headers.get("Accept").value_or(""));
  const std::string target(call.request.param("target").value_or(""));
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
