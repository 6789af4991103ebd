#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "base/strings.h"
#include "query/promql/functions.h"
#include "query/promql/parser.h"
#include "query/running/gate.h"
#include "query/running/runner.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/parse_tree.h"
#include "serve/prometheus/values.h"
#include "store/metrics/querier.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using base::Result;
using connect::http::Request;
using connect::http::Response;
using query::promql::QueryOptions;
using query::promql::QueryResult;
using query::running::Waits;

constexpr std::int64_t kNsPerMs = 1'000'000;

// The options in force, with what the request asks for and may; timeout_ms is 0 where it leaves no time at all.
Result<QueryOptions> options_of(const Call& call, const Sources& sources) {
  QueryOptions options = sources.query_options();
  options.cancel = call.reply.cancel_token();
  if (!call.request.param("timeout").value_or("").empty()) {
    QD_ASSIGN(const auto timeout_ms, duration_parameter(call.request, "timeout"));
    options.timeout_ms = std::clamp<std::int64_t>(timeout_ms, 0, options.timeout_ms);
  }
  if (!call.request.param("lookback_delta").value_or("").empty()) {
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

query::running::Asker asker_of(const Call& call) {
  return {.principal = call.principal.to_string(),
          .client_ip = call.request.peer_address,
          .method = call.request.method,
          .path = call.request.path,
          .rule_file = {},
          .rule_group = {}};
}

void write_stats(std::string& out, const query::promql::QueryStats& stats, std::int64_t queue_ns) {
  const auto seconds = [](std::int64_t ns) { return static_cast<double>(ns) / 1e9; };
  JsonWriter json(out);
  json.begin_object().key("timings").begin_object();
  json.key("evalTotalTime").number(seconds(stats.parse_ns + stats.evaluate_ns));
  json.key("resultSortTime").number(0);
  json.key("queryPreparationTime").number(seconds(stats.parse_ns));
  json.key("innerEvalTime").number(seconds(stats.evaluate_ns));
  json.key("execQueueTime").number(seconds(queue_ns));
  json.key("execTotalTime").number(seconds(queue_ns + stats.parse_ns + stats.evaluate_ns));
  json.end_object().key("samples").begin_object();
  json.key("totalQueryableSamples").unsigned_integer(stats.samples_read);
  json.key("peakSamples").unsigned_integer(stats.samples_peak);
  json.end_object().end_object();
}

Response answer(const Request& request, const QueryResult& result, std::size_t limit, std::int64_t queue_ns) {
  std::vector<std::string> warnings = result.warnings;
  const bool stats = !request.param("stats").value_or("").empty();
  bool cut = false;
  const auto data = [&](std::string& out) {
    cut = write_result(out, result, limit);
    if (!stats) return;
    out.pop_back();
    out += ",\"stats\":";
    write_stats(out, result.stats, queue_ns);
    out += '}';
  };
  auto response = success(data, warnings, result.infos);
  if (!cut) return response;
  // The limit is known to have cut only once the result is written: say so beside the others.
  warnings.emplace_back("results truncated due to limit");
  return success(data, warnings, result.infos);
}

// With the expression; how long that took goes to `parse_ns`.
Result<query::promql::ExprPtr> timed_parse(const Call& call, const Sources& sources, const QueryOptions& options,
                                           std::int64_t& parse_ns) {
  const auto began = sources.clock.monotonic_ns();
  auto expr = parsed(call, options);
  parse_ns = sources.clock.monotonic_ns() - began;
  return expr;
}

Result<Response> instant(const Call& call, const Sources& sources, const QueryOptions& options, Waits waits) {
  QD_ASSIGN(const auto limit, limit_parameter(call.request));
  QD_ASSIGN(const auto time_ms, time_parameter(call.request, "time", sources.clock.wall_ms()));
  QD_ASSIGN(const auto expr, timed_parse(call, sources, options, waits.parse_ns));
  QD_TRY(has_time(options));
  auto result =
      sources.queries.instant(asker_of(call), *expr, call.request.param("query").value_or(""), time_ms, options, waits);
  if (!result) return base::fail(execution_error(result.error()));
  return answer(call.request, *result, limit, waits.queue_ns);
}

Result<Response> range(const Call& call, const Sources& sources, const QueryOptions& options, Waits waits) {
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
  QD_ASSIGN(const auto expr, timed_parse(call, sources, options, waits.parse_ns));
  if (const auto fits = query::promql::check_range_type(*expr); !fits)
    return base::fail(fits.error().within("invalid parameter \"query\""));
  QD_TRY(has_time(options));
  auto result = sources.queries.range(asker_of(call),
                                      {.expr = *expr,
                                       .text = call.request.param("query").value_or(""),
                                       .start_ms = start_ms,
                                       .end_ms = end_ms,
                                       .step_ms = step_ms},
                                      options, waits);
  if (!result) return base::fail(execution_error(result.error()));
  return answer(call.request, *result, limit, waits.queue_ns);
}

using Handle = Result<Response> (*)(const Call&, const Sources&, const QueryOptions&, Waits);

void send(Call& call, Result<Response> response) {
  call.reply.send(response ? std::move(*response) : api_error(response.error()));
}

// On a loop thread: the query waits for its turn, which counts towards its time-out, and runs on the pool.
void take_turn(Call call, const Sources& sources, Handle handle) {
  auto options = options_of(call, sources);
  if (!options) return send(call, base::fail(options.error()));
  const auto arrived_ns = sources.clock.monotonic_ns();
  const auto timeout_ms = options->timeout_ms;
  // One whose parameter leaves it no time is told so where its other parameters are judged.
  const auto deadline_ns = arrived_ns + std::max<std::int64_t>(timeout_ms, 1) * kNsPerMs;
  auto shared = std::make_shared<Call>(std::move(call));
  sources.gate.enter(
      shared->principal.to_string(), shared->reply.cancel_token(), deadline_ns,
      [shared, &sources, handle, options = std::move(*options)](Result<query::running::Gate::Pass> pass) mutable {
        if (!pass) return send(*shared, base::fail(pass.error()));
        const auto queue_ns = pass->waited_ns();
        if (options.timeout_ms > 0)
          options.timeout_ms = std::max<std::int64_t>(1, options.timeout_ms - queue_ns / kNsPerMs);
        // Budgets refuse work before memory ends; should one have a hole, the request fails and not the process.
        try {
          send(*shared, handle(*shared, sources, options, {.queue_ns = queue_ns, .parse_ns = 0}));
        } catch (const std::bad_alloc&) {
          send(*shared, base::fail(ErrorCode::kLimit, "the answer needs more memory than there is: ask for less"));
        }
      });
}

Result<Response> format_query(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto expr, parsed(call, sources.query_options()));
  const auto text = query::promql::to_string(*expr);
  return success([&](std::string& out) { JsonWriter(out).text(text); });
}

Result<Response> parse_query(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto expr, parsed(call, sources.query_options()));
  return success([&](std::string& out) {
    JsonWriter json(out);
    write_tree(json, *expr);
  });
}

// What this release evaluates, by the names that Prometheus gives to its features.
Result<Response> features(const Call&, const Sources& sources) {
  const QueryOptions options = sources.query_options();
  return success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("promql").begin_object();
    for (const std::string_view name :
         {"at_modifier", "bool", "by", "group_left", "group_right", "ignoring", "negative_offset", "offset", "on",
          "per_query_lookback_delta", "subqueries", "utf8_names", "without"})
      json.field(name, true);
    for (const std::string_view name : {"anchored", "duration_expr", "smoothed"})
      json.field(name, options.experimental);
    json.field("delayed_name_removal", options.delayed_name_removal).end_object();
    json.key("promql_functions").begin_object();
    for (const auto& function : query::promql::all_functions())
      json.field(function.name, !function.experimental || options.experimental);
    json.end_object().key("promql_operators").begin_object();
    for (auto op = query::promql::BinaryOp::kAdd; op <= query::promql::BinaryOp::kUnless;
         op = static_cast<query::promql::BinaryOp>(static_cast<int>(op) + 1))
      json.field(to_string(op), true);
    for (auto op = query::promql::AggregateOp::kSum; op <= query::promql::AggregateOp::kLimitRatio;
         op = static_cast<query::promql::AggregateOp>(static_cast<int>(op) + 1))
      json.field(to_string(op), op < query::promql::AggregateOp::kLimitk || options.experimental);
    json.end_object().end_object();
  });
}

}  // namespace

void add_query_routes(Router& router, const Sources& sources) {
  const auto add_query = [&](std::string path, Handle handle) {
    router.add({.methods = {"GET", "POST"}, .path = std::move(path), .handler = [&sources, handle](Call call) {
                  take_turn(std::move(call), sources, handle);
                }});
  };
  add_query("/api/v1/query", instant);
  add_query("/api/v1/query_range", range);
  const auto add_text = [&](std::string path, Result<Response> (*handle)(const Call&, const Sources&)) {
    router.add({.methods = {"GET", "POST"},
                .path = std::move(path),
                .computes = true,
                .handler = [&sources, handle](Call call) { send(call, handle(call, sources)); }});
  };
  add_text("/api/v1/format_query", format_query);
  add_text("/api/v1/parse_query", parse_query);
  router.add({.methods = {"GET"}, .path = "/api/v1/features", .handler = [&sources](Call call) {
                send(call, features(call, sources));
              }});
}

}  // namespace qd::serve::prometheus
