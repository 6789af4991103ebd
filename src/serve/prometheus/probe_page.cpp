#include "serve/prometheus/probe_page.h"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "base/strings.h"
#include "model/exposition/format.h"
#include "observe/text_sink.h"

namespace qd::serve::prometheus {
namespace {

using connect::http::Response;
using model::exposition::Format;
using observe::probe::ProbeAnswer;

Response refusal(const base::Error& error) {
  const bool asked_wrong = error.code() == base::ErrorCode::kNotFound || error.code() == base::ErrorCode::kInvalid;
  return Response::text(asked_wrong ? 400 : 503, error.message() + "\n");
}

Response page(const ProbeAnswer& answer, Format format) {
  std::string text;
  observe::TextSink sink(text, format);
  answer.outcome.samples.tell(sink);
  sink.finish();
  Response response;
  response.content_type = model::exposition::content_type(format);
  response.body = std::move(text);
  return response;
}

Response debug_page(const ProbeAnswer& answer) {
  std::string metrics;
  observe::TextSink sink(metrics, Format::kPrometheusText);
  answer.outcome.samples.tell(sink);
  sink.finish();
  return Response::text(200, fmt::format("Logs for the probe:\n{}\n\n\nMetrics that would have been returned:\n{}\n\n\n"
                                         "Module configuration:\n{}",
                                         answer.outcome.journal, metrics, answer.module_text));
}

}  // namespace

void send_probe(Call call, observe::probe::Probes& probes) {
  const auto& request = call.request;
  observe::probe::ProbeRequest wanted;
  if (!request.parameters_error.empty()) return call.reply.send(Response::text(400, request.parameters_error + "\n"));
  if (const auto module = request.param("module"); module && !module->empty()) wanted.module = *module;
  wanted.target.target = request.param("target").value_or("");
  wanted.target.hostname = request.param("hostname").value_or("");
  wanted.debug = request.param("debug").value_or("") == "true";
  if (const auto header = request.headers.get("X-Prometheus-Scrape-Timeout-Seconds"); header && !header->empty()) {
    const auto seconds = base::parse_float(*header);
    if (!seconds || !(*seconds >= 0)) {
      return call.reply.send(Response::text(
          400, fmt::format("X-Prometheus-Scrape-Timeout-Seconds is a number of seconds, not {:?}\n", *header)));
    }
    wanted.timeout_s = *seconds;
  }
  const auto format = model::exposition::negotiate(request.headers.get("Accept").value_or(""));
  auto reply = std::make_shared<connect::http::Reply>(std::move(call.reply));
  const bool debug = wanted.debug;
  probes.start(std::move(wanted), [reply, format, debug](base::Result<ProbeAnswer> answer) {
    if (!answer) return reply->send(refusal(answer.error()));
    reply->send(debug ? debug_page(*answer) : page(*answer, format));
  });
}

}  // namespace qd::serve::prometheus
