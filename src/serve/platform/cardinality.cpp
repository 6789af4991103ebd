#include "serve/platform/cardinality.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_map>
#include <utility>

#include "serve/json.h"

namespace qd::serve::platform {

namespace {

using connect::http::Response;
using store::metrics::CardinalityRow;

constexpr std::size_t kRowsDefault = 10;
constexpr std::size_t kRowsMax = 10'000;

void write_rows(JsonWriter& json, std::string_view name, const std::vector<CardinalityRow>& rows) {
  json.key(name).begin_array();
  for (const CardinalityRow& row : rows)
    json.begin_object().field("name", row.name).key("series").unsigned_integer(row.value).end_object();
  json.end_array();
}

Response answer(const connect::http::Request& request, const store::metrics::Store& store) {
  std::size_t rows = kRowsDefault;
  if (const auto given = request.param("limit")) {
    const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), rows);
    if (error != std::errc{} || end != given->data() + given->size() || rows == 0)
      return api_error(400, "bad_data", "limit must be a positive number");
  }
  const auto found = store.cardinality(std::min(rows, kRowsMax));
  std::unordered_map<std::string_view, std::uint64_t> bytes;
  for (const CardinalityRow& row : found.bytes_by_label) bytes.emplace(row.name, row.value);
  std::string body;
  JsonWriter json(body);
  json.begin_object().field("status", "success").key("data").begin_object();
  json.key("series").unsigned_integer(found.series).key("seriesLimit").unsigned_integer(found.series_limit);
  json.key("labelPairs").unsigned_integer(found.label_pairs).key("labelNames").unsigned_integer(found.label_names);
  json.key("jobs").unsigned_integer(found.jobs).key("targets").unsigned_integer(found.targets);
  write_rows(json, "byMetric", found.series_by_metric);
  write_rows(json, "byJob", found.series_by_job);
  write_rows(json, "byPair", found.series_by_pair);
  json.key("byTarget").begin_array();
  for (const auto& row : found.series_by_target) {
    json.begin_object().field("job", row.job).field("instance", row.instance);
    json.key("series").unsigned_integer(row.series).end_object();
  }
  json.end_array().key("byLabel").begin_array();
  for (const CardinalityRow& row : found.values_by_label) {
    json.begin_object().field("name", row.name).key("values").unsigned_integer(row.value);
    // Of a label with many short values the bytes may not be among the most.
    json.key("bytes");
    if (const auto at = bytes.find(row.name); at != bytes.end()) {
      json.unsigned_integer(at->second);
    } else {
      json.null();
    }
    json.end_object();
  }
  json.end_array().end_object().end_object();
  return Response::json(200, std::move(body));
}

}  // namespace

void add_cardinality_route(Router& router, const store::metrics::Store& store) {
  router.add(
      {.methods = {"GET"}, .path = "/api/platform/v1/cardinality", .computes = true, .handler = [&store](Call call) {
         auto response = answer(call.request, store);
         call.reply.send(std::move(response));
       }});
}

}  // namespace qd::serve::platform
