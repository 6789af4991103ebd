// /api/v1/query_exemplars: what stands behind the samples of the series that an expression selects.
#include <vector>

#include "query/promql/matchers_of.h"
#include "query/promql/parser.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"
#include "store/metrics/store.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using base::Result;
using connect::http::Response;

void write_exemplars(std::string& out, const std::vector<store::metrics::SeriesExemplars>& found) {
  JsonWriter json(out);
  json.begin_array();
  for (const auto& series : found) {
    json.begin_object().key("seriesLabels");
    write_labels(json, series.labels);
    json.key("exemplars").begin_array();
    for (const model::Exemplar& exemplar : series.exemplars) {
      json.begin_object().key("labels");
      write_labels(json, exemplar.labels);
      std::string text;
      write_value(text, exemplar.value);
      json.key("value").text(text);
      text.clear();
      write_time(text, exemplar.time_ms);
      json.key("timestamp").raw(text);
      json.end_object();
    }
    json.end_array().end_object();
  }
  json.end_array();
}

Result<Response> query_exemplars(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto start_ms, time_parameter(call.request, "start", model::kMinTimestampMs));
  QD_ASSIGN(const auto end_ms, time_parameter(call.request, "end", model::kMaxTimestampMs));
  if (end_ms < start_ms)
    return base::fail(ErrorCode::kInvalid,
                      "invalid parameter \"end\": end timestamp must not be before start timestamp");
  const auto options = sources.query_options();
  const auto expr =
      query::promql::parse(call.request.param("query").value_or(""), {.experimental = options.experimental});
  if (!expr) return base::fail(ErrorCode::kInvalid, "invalid parameter \"query\": " + expr.error().message());
  QD_ASSIGN(const auto found,
            sources.store.exemplars(query::promql::matchers_of(**expr), start_ms, end_ms, options.series_limit));
  return success([&](std::string& out) { write_exemplars(out, found); });
}

}  // namespace

void add_exemplar_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET", "POST"},
              .path = "/api/v1/query_exemplars",
              .computes = true,
              .handler = [&sources](Call call) {
                auto response = query_exemplars(call, sources);
                call.reply.send(response ? std::move(*response) : api_error(response.error()));
              }});
}

}  // namespace qd::serve::prometheus
