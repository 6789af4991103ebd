#include <filesystem>
#include <system_error>
#include <thread>

#include "base/build.h"
#include "judge/rules/manager.h"
#include "observe/runner.h"
#include "observe/scrape/manager.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"
#include "store/metrics/store.h"

namespace qd::serve::prometheus {

namespace {

// The release of Prometheus whose API this is: what clients that switch features by version are to take us for.
constexpr std::string_view kApiVersion = "3.0.0";
constexpr std::size_t kRowsDefault = 10;
constexpr std::size_t kRowsMax = 10'000;

// Where relative paths begin; empty where nobody can say.
std::string working_directory() {
  std::error_code error;
  const auto path = std::filesystem::current_path(error);
  return error ? std::string() : path.string();
}

void config(Call call, const Sources& sources) {
  const auto yaml = sources.config_yaml();
  call.reply.send(success([&](std::string& out) { JsonWriter(out).begin_object().field("yaml", yaml).end_object(); }));
}

void flags(Call call, const Sources& sources) {
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object();
    for (const auto& [name, value] : sources.flags) json.field(name, value);
    json.end_object();
  }));
}

void runtime_info(Call call, const Sources& sources) {
  const std::size_t threads = std::thread::hardware_concurrency();
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().field("startTime", rfc3339(sources.started_ms)).field("CWD", working_directory());
    json.field("hostname", observe::host_name()).field("serverTime", rfc3339(sources.clock.wall_ms()));
    json.field("reloadConfigSuccess", sources.reload_succeeded());
    json.field("lastConfigTime", rfc3339(sources.last_reload_ms()));
    json.key("corruptionCount").unsigned_integer(sources.damaged_parts()).key("goroutineCount").integer(0);
    json.key("GOMAXPROCS").unsigned_integer(threads).key("GOMEMLIMIT").integer(0);
    json.field("GOGC", "").field("GODEBUG", "").field("storageRetention", sources.retention()).end_object();
  }));
}

void build_info(Call call, const Sources&) {
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    // Clients read `version` as that of a Prometheus; which Quarterdeck runs is told at /api/platform/v1/about, for the
    // description of this API allows no other fields.
    json.begin_object().field("version", kApiVersion).field("revision", base::build_revision()).field("branch", "HEAD");
    json.field("buildUser", "").field("buildDate", "").field("goVersion", "").end_object();
  }));
}

void write_rows(JsonWriter& json, std::string_view name, const std::vector<store::metrics::CardinalityRow>& rows) {
  json.key(name).begin_array();
  for (const auto& row : rows) {
    json.begin_object().field("name", row.name).key("value").unsigned_integer(row.value);
    json.end_object();
  }
  json.end_array();
}

void tsdb(Call call, const Sources& sources) {
  const auto limit = limit_parameter(call.request);
  if (!limit || (*limit == 0 && call.request.param("limit").has_value()))
    return call.reply.send(api_error(400, "bad_data", "limit must be a positive number"));
  const auto rows = *limit == 0 ? kRowsDefault : std::min(*limit, kRowsMax);
  const auto stats = sources.store.stats();
  const auto cardinality = sources.store.cardinality(rows);
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("headStats").begin_object();
    json.key("numSeries").unsigned_integer(stats.head_series);
    json.key("numLabelPairs").unsigned_integer(cardinality.label_pairs);
    json.key("chunkCount").unsigned_integer(stats.head_chunks);
    json.key("minTime").integer(stats.head_min_ms).key("maxTime").integer(stats.head_max_ms).end_object();
    write_rows(json, "seriesCountByMetricName", cardinality.series_by_metric);
    write_rows(json, "labelValueCountByLabelName", cardinality.values_by_label);
    write_rows(json, "memoryInBytesByLabelName", cardinality.bytes_by_label);
    write_rows(json, "seriesCountByLabelValuePair", cardinality.series_by_pair);
    json.end_object();
  }));
}

}  // namespace

void add_status_routes(Router& router, const Sources& sources) {
  const auto add = [&](std::string path, bool computes, void (*handle)(Call, const Sources&)) {
    router.add(
        {.methods = {"GET"}, .path = std::move(path), .computes = computes, .handler = [&sources, handle](Call call) {
           handle(std::move(call), sources);
         }});
  };
  add("/api/v1/status/config", false, config);
  add("/api/v1/status/flags", false, flags);
  add("/api/v1/status/runtimeinfo", false, runtime_info);
  add("/api/v1/status/buildinfo", false, build_info);
  add("/api/v1/status/tsdb", true, tsdb);
}

}  // namespace qd::serve::prometheus
