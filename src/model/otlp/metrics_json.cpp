#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/json_text.h"
#include "base/strings.h"
#include "model/otlp/any_value.h"
#include "model/otlp/metrics.h"
#include "model/otlp/point_list.h"

namespace qd::model::otlp {
namespace {

namespace json = boost::json;
using base::ErrorCode;

constexpr std::size_t kDepthMax = 64;
constexpr std::uint64_t kNoRecordedValue = 1;  // in flags

// What breaks the form, thrown as far as read_metrics_json.
class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

const json::value* find(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

const json::object& object_of(const json::value& value, std::string_view what) {
  if (!value.is_object()) throw Broken(fmt::format("{} is no object", what));
  return value.get_object();
}

template <typename Each>
void each(const json::object& object, std::string_view key, const Each& take) {
  const json::value* const value = find(object, key);
  if (value == nullptr) return;
  if (!value->is_array()) throw Broken(fmt::format("{} is no list", key));
  for (const json::value& item : value->get_array()) take(item);
}

std::string text(const json::object& object, std::string_view key) {
  const json::value* const value = find(object, key);
  if (value == nullptr) return {};
  if (!value->is_string()) throw Broken(fmt::format("{} is no text", key));
  return std::string(std::string_view(value->get_string()));
}

// Integers of 64 bits are texts in JSON; numbers are taken as well.
template <typename Integer>
Integer integer(const json::value& value, std::string_view what) {
  Integer number = 0;
  if (value.is_string()) {
    const std::string_view digits = value.get_string();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc() && end == digits.data() + digits.size()) return number;
    throw Broken(fmt::format("{} is no integer that fits", what));
  }
  boost::system::error_code failed;
  number = value.to_number<Integer>(failed);
  if (failed) throw Broken(fmt::format("{} is no integer that fits", what));
  return number;
}

template <typename Integer>
Integer integer(const json::object& object, std::string_view key) {
  const json::value* const value = find(object, key);
  return value == nullptr ? Integer{0} : integer<Integer>(*value, key);
}

// "NaN", "Infinity" and "-Infinity" stand for what JSON has no number for.
double real(const json::value& value, std::string_view what) {
  if (value.is_string()) {
    const auto number = base::parse_float(std::string_view(value.get_string()));
    if (number) return *number;
    throw Broken(fmt::format("{} is no number", what));
  }
  if (!value.is_number()) throw Broken(fmt::format("{} is no number", what));
  return value.to_number<double>();
}

double real(const json::object& object, std::string_view key) {
  const json::value* const value = find(object, key);
  return value == nullptr ? 0 : real(*value, key);
}

void write_any(const json::value& value, int depth, AnyText& out) {
  const json::object& any = object_of(value, "value");
  if (const auto* v = find(any, "stringValue")) {
    if (!v->is_string()) throw Broken("stringValue is no text");
    out.text(std::string_view(v->get_string()));
  } else if (const auto* flag = find(any, "boolValue")) {
    if (!flag->is_bool()) throw Broken("boolValue is no flag");
    out.plain(flag->get_bool() ? "true" : "false");
  } else if (const auto* number = find(any, "intValue")) {
    out.plain(fmt::to_string(integer<std::int64_t>(*number, "intValue")));
  } else if (const auto* fraction = find(any, "doubleValue")) {
    out.plain(base::format_float(real(*fraction, "doubleValue")));
  } else if (const auto* bytes = find(any, "bytesValue")) {
    // In base64 here already.
    if (!bytes->is_string()) throw Broken("bytesValue is no text");
    out.text(std::string_view(bytes->get_string()));
  } else if (const auto* list = find(any, "arrayValue")) {
    out.open('[');
    if (depth < kValueDepthMax)
      each(object_of(*list, "arrayValue"), "values", [&](const json::value& v2) { write_any(v2, depth + 1, out); });
    out.close(']');
  } else if (const auto* pairs = find(any, "kvlistValue")) {
    out.open('{');
    if (depth < kValueDepthMax) {
      each(object_of(*pairs, "kvlistValue"), "values", [&](const json::value& pair) {
        const json::object& one = object_of(pair, "values");
        out.key(text(one, "key"));
        const json::value* const of = find(one, "value");
        if (of == nullptr) return out.nothing();
        write_any(*of, depth + 1, out);
      });
    }
    out.close('}');
  } else {
    out.nothing();
  }
}

Attributes attributes(const json::object& object, std::string_view key = "attributes") {
  Attributes all;
  each(object, key, [&](const json::value& item) {
    const json::object& pair = object_of(item, key);
    AnyText value;
    if (const json::value* const any = find(pair, "value")) write_any(*any, 0, value);
    if (all.size() < kAttributesMax) all.push_back({.key = text(pair, "key"), .value = value.take()});
  });
  return all;
}

std::vector<std::uint64_t> counts(const json::object& object) {
  std::vector<std::uint64_t> all;
  each(object, "bucketCounts",
       [&](const json::value& count) { all.push_back(integer<std::uint64_t>(count, "bucketCounts")); });
  return all;
}

Buckets buckets(const json::object& point, std::string_view side) {
  const json::value* const value = find(point, side);
  if (value == nullptr) return {};
  const json::object& object = object_of(*value, side);
  return {.offset = integer<std::int32_t>(object, "offset"), .counts = counts(object)};
}

// As `asDouble`, or `asInt` where that is there.
double number(const json::object& object) {
  return find(object, "asInt") == nullptr ? real(object, "asDouble")
                                          : static_cast<double>(integer<std::int64_t>(object, "asInt"));
}

Exemplar exemplar(const json::value& value) {
  const json::object& object = object_of(value, "exemplars");
  return {.attributes = attributes(object, "filteredAttributes"),
          .time_ns = integer<std::uint64_t>(object, "timeUnixNano"),
          .value = number(object),
          .trace_id = id_text(text(object, "traceId"), kTraceIdBytes),
          .span_id = id_text(text(object, "spanId"), kSpanIdBytes)};
}

// A name that only one kind of point has is not there in others.
Point point(const json::value& value) {
  const json::object& object = object_of(value, "dataPoints");
  Point one{.attributes = attributes(object),
            .start_ns = integer<std::uint64_t>(object, "startTimeUnixNano"),
            .time_ns = integer<std::uint64_t>(object, "timeUnixNano"),
            .no_value = (integer<std::uint64_t>(object, "flags") & kNoRecordedValue) != 0,
            .value = number(object),
            .count = integer<std::uint64_t>(object, "count"),
            .bucket_counts = counts(object),
            .scale = integer<std::int32_t>(object, "scale"),
            .zero_count = integer<std::uint64_t>(object, "zeroCount"),
            .zero_threshold = real(object, "zeroThreshold"),
            .positive = buckets(object, "positive"),
            .negative = buckets(object, "negative")};
  if (const json::value* const sum = find(object, "sum")) one.sum = real(*sum, "sum");
  each(object, "explicitBounds",
       [&](const json::value& bound) { one.bounds.push_back(real(bound, "explicitBounds")); });
  each(object, "quantileValues", [&](const json::value& item) {
    const json::object& quantile = object_of(item, "quantileValues");
    one.quantiles.emplace_back(real(quantile, "quantile"), real(quantile, "value"));
  });
  each(object, "exemplars", [&](const json::value& item) {
    if (one.exemplars.size() < kExemplarsMax) one.exemplars.push_back(exemplar(item));
  });
  return one;
}

Temporality temporality(const json::object& data) {
  const json::value* const value = find(data, "aggregationTemporality");
  if (value == nullptr) return Temporality::kUnspecified;
  if (value->is_string()) {
    const std::string_view name = value->get_string();
    if (name == "AGGREGATION_TEMPORALITY_DELTA") return Temporality::kDelta;
    if (name == "AGGREGATION_TEMPORALITY_CUMULATIVE") return Temporality::kCumulative;
    return Temporality::kUnspecified;
  }
  const auto number = integer<std::int64_t>(*value, "aggregationTemporality");
  return number == 1 ? Temporality::kDelta : number == 2 ? Temporality::kCumulative : Temporality::kUnspecified;
}

Metric metric(const json::value& value) {
  const json::object& object = object_of(value, "metrics");
  Metric one{.name = text(object, "name"), .description = text(object, "description"), .unit = text(object, "unit")};
  constexpr std::pair<std::string_view, Kind> kKinds[] = {{"gauge", Kind::kGauge},
                                                          {"sum", Kind::kSum},
                                                          {"histogram", Kind::kHistogram},
                                                          {"exponentialHistogram", Kind::kExponential},
                                                          {"summary", Kind::kSummary}};
  for (const auto& [name, kind] : kKinds) {
    const json::value* const found = find(object, name);
    if (found == nullptr) continue;
    const json::object& data = object_of(*found, name);
    one.kind = kind;
    one.temporality = temporality(data);
    if (const json::value* const monotonic = find(data, "isMonotonic"))
      one.monotonic = monotonic->is_bool() && monotonic->get_bool();
    PointList points(one.points);
    each(data, "dataPoints", [&](const json::value& item) { points.add(point(item)); });
  }
  return one;
}

}  // namespace

base::Status read_metrics_json(std::string_view document, MetricsSink& sink) {
  try {
    json::parse_options options;
    options.max_depth = kDepthMax;
    boost::system::error_code failed;
    const json::value root = json::parse(document, failed, {}, options);
    if (failed) return base::fail(ErrorCode::kInvalid, fmt::format("the body is no JSON: {}", failed.message()));
    each(object_of(root, "the body"), "resourceMetrics", [&](const json::value& item) {
      const json::object& of_resource = object_of(item, "resourceMetrics");
      const json::value* const resource = find(of_resource, "resource");
      sink.resource(resource == nullptr ? Attributes{} : attributes(object_of(*resource, "resource")));
      each(of_resource, "scopeMetrics", [&](const json::value& scope) {
        each(object_of(scope, "scopeMetrics"), "metrics", [&](const json::value& one) { sink.metric(metric(one)); });
      });
      sink.resource_ends();
    });
    return {};
  } catch (const std::length_error& e) {
    return base::fail(ErrorCode::kLimit, e.what());
  } catch (const std::exception& e) {
    return base::fail(ErrorCode::kInvalid, fmt::format("the body is no message of OTLP metrics: {}", e.what()));
  }
}

std::string write_response_json(std::uint64_t rejected_points, std::string_view reason) {
  if (rejected_points == 0 && reason.empty()) return "{}";
  std::string out = fmt::format(R"({{"partialSuccess":{{"rejectedDataPoints":"{}","errorMessage":)", rejected_points);
  base::append_json_text(out, reason);
  return out + "}}";
}

}  // namespace qd::model::otlp
