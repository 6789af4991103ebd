#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "query/promql/parser.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using base::Result;
using connect::http::Request;
using connect::http::Response;
using query::promql::QueryOptions;
using query::promql::QueryResult;

// The options in force, with what the request asks for and may; timeout_ms is 0 where it leaves no time at all.
Result<QueryOptions> options_of(const Call& call, const Sources& sources) {
  QueryOptions options = sources.query_options();
  options.cancel = call.reply.cancel_token();
  if (call.request.param("timeout").value_or("") != "") {
    QD_ASSIGN(const auto timeout_ms, duration_parameter(call.request, "timeout"));
    options.timeout_ms = std::clamp<std::int64_t>(timeout_ms, 0, options.timeout_ms);
  }
  if (call.request.param("lookback_delta").value_or("") != "") {
    QD_ASSIGN(options.lookback_ms, duration_parameter(call.request, "lookback_delta"));
    if (options.lookback_ms <= 0)
      return base::fail(ErrorCode::kInvalid, "invalid parameter \"lookback_delta\": it must be positive");
  }
  return options;
}

base::Status has_time(const QueryOptions& options) {
  if (options.timeout_ms > 0) return {};
  return base::fail(ErrorCode::kTimeout,
                    "query timed out in expression evaluation: the parameter \"timeout\" leaves it no time");
}

// A query that does not parse is bad_data; one that fails on its data is an execution error, as Prometheus has it.
base::Error execution_error(const base::Error& error) {
  return {error.code() == ErrorCode::kInvalid ? ErrorCode::kLimit : error.code(), error.message()};
}

Result<query::promql::ExprPtr> parsed(const Call& call, const QueryOptions& options) {
  auto expr = query::promql::parse(call.request.param("query").value_or(""), {.experimental = options.experimental});
  if (!expr) return base::fail(ErrorCode::kInvalid, "invalid parameter \"query\": " + expr.error().message());
  return expr;
}

Response answer(const Request& request, const QueryResult& result, std::size_t limit) {
  std::vector<std::string> warnings = result.warnings;
  const bool stats = request.param("stats").value_or("") != "";
  bool cut = false;
  auto response = success(
      [&](std::string& out) {
        cut = write_result(out, result, limit);
        if (!stats) return;
        out.pop_back();
        const auto seconds = [](std::int64_t ns) { return static_cast<double>(ns) / 1e9; };
        out += ",\"stats\":";
        JsonWriter json(out);
        json.begin_object().key("timings").begin_object();
        json.key("evalTotalTime").number(seconds(result.stats.parse_ns + result.stats.evaluate_ns));
        json.key("queryPreparationTime").number(seconds(result.stats.parse_ns));
        json.key("innerEvalTime").number(seconds(result.stats.evaluate_ns));
        json.key("resultSortTime").number(0).key("execQueueTime").number(0);
        json.key("execTotalTime").number(seconds(result.stats.parse_ns + result.stats.evaluate_ns));
        json.end_object().key("samples").begin_object();
        json.key("totalQueryableSamples").unsigned_integer(result.stats.samples_read);
        json.key("peakSamples").unsigned_integer(result.stats.samples_peak);
        json.end_object().end_object();
        out += '}';
      },
      warnings, result.infos);
  if (!cut) return response;
  // The limit is known to have cut only once the result is written: say so beside the others.
  warnings.emplace_back("results truncated due to limit");
  return success([&](std::string& out) { write_result(out, result, limit); }, warnings, result.infos);
}

Result<Response> instant(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto limit, limit_parameter(call.request));
  QD_ASSIGN(const auto time_ms, time_parameter(call.request, "time", sources.clock.wall_ms()));
  QD_ASSIGN(const auto options, options_of(call, sources));
  QD_ASSIGN(const auto expr, parsed(call, options));
  QD_TRY(has_time(options));
  auto result =
      sources.engine.instant(sources.querier, *expr, call.request.param("query").value_or(""), time_ms, options);
  if (!result) return base::fail(execution_error(result.error()));
  return answer(call.request, *result, limit);
}

Result<Response> range(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto limit, limit_parameter(call.request));
  QD_ASSIGN(const auto start_ms, time_parameter(call.request, "start", std::nullopt));
  QD_ASSIGN(const auto end_ms, time_parameter(call.request, "end", std::nullopt));
  if (end_ms < start_ms)
    return base::fail(ErrorCode::kInvalid, "invalid parameter \"end\": end timestamp must not be before start time");
  QD_ASSIGN(const auto step_ms, duration_parameter(call.request, "step"));
  if (step_ms <= 0)
    return base::fail(ErrorCode::kInvalid,
                      "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try "
                      "a positive integer");
  if ((end_ms - start_ms) / step_ms > kPointsMax)
    return base::fail(ErrorCode::kInvalid,
                      "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
                      "resolution (?step=XX)");
  QD_ASSIGN(const auto options, options_of(call, sources));
  QD_ASSIGN(const auto expr, parsed(call, options));
  if (const auto fits = query::promql::check_range_type(*expr); !fits)
    return base::fail(fits.error().within("invalid parameter \"query\""));
  QD_TRY(has_time(options));
  auto result = sources.engine.range(sources.querier, *expr, call.request.param("query").value_or(""), start_ms, end_ms,
                                     step_ms, options);
  if (!result) return base::fail(execution_error(result.error()));
  return answer(call.request, *result, limit);
}

Result<Response> format_query(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto expr, parsed(call, sources.query_options()));
  const auto text = query::promql::to_string(*expr);
  return success([&](std::string& out) { JsonWriter(out).text(text); });
}

}  // namespace

void add_query_routes(Router& router, const Sources& sources) {
  const auto add = [&](std::string path, Result<Response> (*handle)(const Call&, const Sources&)) {
    router.add({.methods = {"GET", "POST"},
                .path = std::move(path),
                .computes = true,
                .handler = [&sources, handle](Call call) {
                  auto response = handle(call, sources);
                  call.reply.send(response ? std::move(*response) : api_error(response.error()));
                }});
  };
  add("/api/v1/query", instant);
  add("/api/v1/query_range", range);
  add("/api/v1/format_query", format_query);
}

}  // namespace qd::serve::prometheus
