#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "base/strings.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"
#include "store/metrics/store.h"

namespace qd::serve::prometheus {

namespace {

using base::ErrorCode;
using base::Result;
using connect::http::Response;

struct Window {
  model::TimestampMs start_ms;
  model::TimestampMs end_ms;
};

// Without times everything that the store holds counts.
Result<Window> window_of(const connect::http::Request& request) {
  QD_ASSIGN(const auto start_ms, time_parameter(request, "start", model::kMinTimestampMs));
  QD_ASSIGN(const auto end_ms, time_parameter(request, "end", model::kMaxTimestampMs));
  if (end_ms < start_ms)
    return base::fail(ErrorCode::kInvalid, "invalid parameter \"end\": end timestamp must not be before start time");
  return Window{start_ms, end_ms};
}

Response texts(const std::set<std::string>& found, std::size_t limit) {
  const bool cut = limit != 0 && found.size() > limit;
  const std::vector<std::string> warnings =
      cut ? std::vector<std::string>{"results truncated due to limit"} : std::vector<std::string>();
  return success(
      [&](std::string& out) {
        JsonWriter json(out);
        json.begin_array();
        std::size_t written = 0;
        for (const auto& text : found) {
          if (cut && written++ == limit) break;
          json.text(text);
        }
        json.end_array();
      },
      warnings);
}

Result<Response> series(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto limit, limit_parameter(call.request));
  QD_ASSIGN(const auto window, window_of(call.request));
  QD_ASSIGN(const auto selectors, match_parameters(call.request));
  if (selectors.empty()) return base::fail(ErrorCode::kInvalid, "no match[] parameter provided");
  std::set<model::LabelSet> found;
  for (const auto& matchers : selectors) {
    QD_ASSIGN(const auto set,
              sources.querier.select(matchers, window.start_ms, window.end_ms, sources.query_options().series_limit));
    for (std::size_t i = 0; i < set->size(); ++i) {
      if (limit != 0 && found.size() > limit) break;
      found.insert(set->labels(i));
    }
  }
  const bool cut = limit != 0 && found.size() > limit;
  const std::vector<std::string> warnings =
      cut ? std::vector<std::string>{"results truncated due to limit"} : std::vector<std::string>();
  return success(
      [&](std::string& out) {
        JsonWriter json(out);
        json.begin_array();
        std::size_t written = 0;
        for (const auto& labels : found) {
          if (cut && written++ == limit) break;
          write_labels(json, labels);
        }
        json.end_array();
      },
      warnings);
}

// Names or values over every match[], or over everything when there is none.
template <typename Ask>
Result<Response> gather(const Call& call, const Ask& ask) {
  QD_ASSIGN(const auto limit, limit_parameter(call.request));
  QD_ASSIGN(const auto window, window_of(call.request));
  QD_ASSIGN(auto selectors, match_parameters(call.request));
  if (selectors.empty()) selectors.emplace_back();
  std::set<std::string> found;
  for (const auto& matchers : selectors) {
    QD_ASSIGN(auto some, ask(matchers, window));
    found.insert(std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return texts(found, limit);
}

Result<Response> label_names(const Call& call, const Sources& sources) {
  return gather(call, [&](const std::vector<model::Matcher>& matchers, const Window& window) {
    return sources.querier.label_names(matchers, window.start_ms, window.end_ms);
  });
}

Result<Response> label_values(const Call& call, const Sources& sources) {
  const auto& name = call.path_parameter;
  if (name.empty() || !base::valid_utf8(name))
    return base::fail(ErrorCode::kInvalid, fmt::format("invalid label name: \"{}\"", name));
  return gather(call, [&](const std::vector<model::Matcher>& matchers, const Window& window) {
    return sources.querier.label_values(name, matchers, window.start_ms, window.end_ms);
  });
}

// Here Prometheus takes limit=0 at its word, and a negative one for no limit.
Result<std::size_t> metadata_limit(const connect::http::Request& request) {
  const auto text = request.param("limit").value_or("");
  std::int64_t limit = -1;
  if (!text.empty()) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size())
      return base::fail(
          ErrorCode::kInvalid,
          fmt::format("invalid parameter \"limit\": cannot parse \"{}\" to an integer", text.substr(0, 100)));
  }
  return limit < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(limit);
}

Result<Response> metadata(const Call& call, const Sources& sources) {
  QD_ASSIGN(const auto limit, metadata_limit(call.request));
  const auto wanted = call.request.param("metric").value_or("");
  const auto known = sources.store.metadata();
  return success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object();
    std::size_t written = 0;
    for (const auto& [family, data] : known) {
      if (!wanted.empty() && family != wanted) continue;
      if (written++ == limit) break;
      json.key(family).begin_array().begin_object();
      json.field("type", model::to_string(data.type)).field("help", data.help).field("unit", data.unit);
      json.end_object().end_array();
    }
    json.end_object();
  });
}

}  // namespace

void add_series_routes(Router& router, const Sources& sources) {
  const auto add = [&](std::vector<std::string> methods, std::string path,
                       Result<Response> (*handle)(const Call&, const Sources&)) {
    router.add({.methods = std::move(methods),
                .path = std::move(path),
                .computes = true,
                .handler = [&sources, handle](Call call) {
                  auto response = handle(call, sources);
                  call.reply.send(response ? std::move(*response) : api_error(response.error()));
                }});
  };
  add({"GET", "POST"}, "/api/v1/series", series);
  add({"GET", "POST"}, "/api/v1/labels", label_names);
  add({"GET"}, "/api/v1/label/{name}/values", label_values);
  add({"GET"}, "/api/v1/metadata", metadata);
}

}  // namespace qd::serve::prometheus
