#include "serve/prometheus/values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <functional>

#include "base/format.h"
#include "base/strings.h"
#include "model/histogram_estimates.h"
#include "query/promql/parser.h"

namespace qd::serve::prometheus {

using base::ErrorCode;
using base::Result;
using connect::http::Request;
using connect::http::Response;

void write_time(std::string& out, model::TimestampMs time_ms) {
  char buffer[32];
  char* at = buffer;
  if (time_ms < 0) {
    *at++ = '-';
    time_ms = -time_ms;
  }
  at = std::to_chars(at, std::end(buffer), time_ms / 1000).ptr;
  if (int ms = static_cast<int>(time_ms % 1000); ms != 0) {
    *at++ = '.';
    for (int unit = 100; ms != 0; ms %= unit, unit /= 10) *at++ = static_cast<char>('0' + ms / unit);
  }
  out.append(buffer, at);
}

void write_value(std::string& out, double value) {
  const double magnitude = std::fabs(value);
  if (std::isfinite(value) && magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
    char buffer[40];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr);
  } else {
    base::append_float(out, value);
  }
}

std::string rfc3339(model::TimestampMs time_ms) {
  return time_ms == 0 ? "0001-01-01T00:00:00Z" : base::format_time(time_ms);
}

void write_histogram(std::string& out, const model::Histogram& histogram) {
  const auto text = [&](double value) {
    out += '"';
    write_value(out, value);
    out += '"';
  };
  out += "{\"count\":";
  text(histogram.count);
  out += ",\"sum\":";
  text(histogram.sum);
  bool any = false;
  for (const model::HistogramBucket& bucket : model::populated_buckets(histogram)) {
    out += any ? "," : ",\"buckets\":[";
    any = true;
    const int rule = bucket.lower_inclusive ? (bucket.upper_inclusive ? 3 : 1) : (bucket.upper_inclusive ? 0 : 2);
    base::append_format(out, "[{},", rule);
    text(bucket.lower);
    out += ',';
    text(bucket.upper);
    out += ',';
    text(bucket.count);
    out += ']';
  }
  out += any ? "]}" : "}";
}

void write_labels(JsonWriter& json, const model::LabelSet& labels) {
  json.begin_object();
  for (const auto& label : labels) json.field(label.name, label.value);
  json.end_object();
}

namespace {

// [1435781430.781,"1"]
void write_point(std::string& out, model::TimestampMs time_ms, double value) {
  out += '[';
  write_time(out, time_ms);
  out += ",\"";
  write_value(out, value);
  out += "\"]";
}

void write_point(std::string& out, model::TimestampMs time_ms, const model::Histogram& histogram) {
  out += '[';
  write_time(out, time_ms);
  out += ',';
  write_histogram(out, histogram);
  out += ']';
}

void write_metric(std::string& out, const model::LabelSet& labels) {
  out += "{\"metric\":";
  JsonWriter json(out);
  write_labels(json, labels);
}

bool write_vector(std::string& out, const query::promql::Vector& vector, std::size_t limit) {
  out += "\"vector\",\"result\":[";
  const std::size_t count = limit == 0 ? vector.size() : std::min(limit, vector.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    write_metric(out, vector[i].labels);
    if (vector[i].histogram != nullptr) {
      out += ",\"histogram\":";
      write_point(out, vector[i].time_ms, *vector[i].histogram);
    } else {
      out += ",\"value\":";
      write_point(out, vector[i].time_ms, vector[i].value);
    }
    out += '}';
  }
  out += ']';
  return count < vector.size();
}

bool write_matrix(std::string& out, const query::promql::Matrix& matrix, std::size_t limit) {
  out += "\"matrix\",\"result\":[";
  const std::size_t count = limit == 0 ? matrix.size() : std::min(limit, matrix.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    write_metric(out, matrix[i].labels);
    // Which of the two are there tells what a series has; one that has neither is still told as numbers.
    if (!matrix[i].samples.empty() || matrix[i].histograms.empty()) {
      out += ",\"values\":[";
      bool first = true;
      for (const auto& sample : matrix[i].samples) {
        if (!first) out += ',';
        first = false;
        write_point(out, sample.time_ms, sample.value);
      }
      out += ']';
    }
    if (!matrix[i].histograms.empty()) {
      out += ",\"histograms\":[";
      bool first = true;
      for (const auto& sample : matrix[i].histograms) {
        if (!first) out += ',';
        first = false;
        write_point(out, sample.time_ms, *sample.histogram);
      }
      out += ']';
    }
    out += '}';
  }
  out += ']';
  return count < matrix.size();
}

std::unexpected<base::Error> bad_parameter(std::string_view name, std::string_view what) {
  return base::fail(ErrorCode::kInvalid, fmt::format("invalid parameter \"{}\": {}", name, what));
}

}  // namespace

bool write_result(std::string& out, const query::promql::QueryResult& result, std::size_t limit) {
  bool cut = false;
  out += "{\"resultType\":";
  if (const auto* vector = std::get_if<query::promql::Vector>(&result.value)) {
    cut = write_vector(out, *vector, limit);
  } else if (const auto* matrix = std::get_if<query::promql::Matrix>(&result.value)) {
    cut = write_matrix(out, *matrix, limit);
  } else if (const auto* scalar = std::get_if<query::promql::ScalarValue>(&result.value)) {
    out += "\"scalar\",\"result\":";
    write_point(out, scalar->time_ms, scalar->value);
  } else {
    const auto& text = std::get<query::promql::StringValue>(result.value);
    out += "\"string\",\"result\":[";
    write_time(out, text.time_ms);
    out += ',';
    JsonWriter(out).text(text.value);
    out += ']';
  }
  out += '}';
  return cut;
}

Response success(const std::function<void(std::string&)>& data, std::span<const std::string> warnings,
                 std::span<const std::string> infos) {
  std::string body = "{\"status\":\"success\",\"data\":";
  data(body);
  for (const auto& [name, texts] : {std::pair{"warnings", warnings}, {"infos", infos}}) {
    if (texts.empty()) continue;
    base::append_format(body, ",\"{}\":", name);
    JsonWriter json(body);
    json.begin_array();
    for (const auto& text : texts) json.text(text);
    json.end_array();
  }
  body += '}';
  return Response::json(200, std::move(body));
}

Result<model::TimestampMs> time_parameter(const Request& request, std::string_view name,
                                          std::optional<model::TimestampMs> otherwise) {
  const auto text = request.param(name);
  if (!text || text->empty()) {
    if (otherwise) return *otherwise;
    return bad_parameter(name, "cannot parse \"\" to a valid timestamp");
  }
  auto time = base::parse_time_ms(*text);
  if (!time) return bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid timestamp", text->substr(0, 100)));
  return *time;
}

Result<std::int64_t> duration_parameter(const Request& request, std::string_view name) {
  const auto text = request.param(name).value_or("");
  if (const auto seconds = base::parse_float(text)) {
    const double ms = *seconds * 1000;
    if (std::isnan(ms) || std::fabs(ms) > 9.2e15)
      return bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid duration. It overflows int64", text));
    return static_cast<std::int64_t>(ms);
  }
  if (auto ms = base::parse_duration_ms(text)) return *ms;
  return bad_parameter(name, fmt::format("cannot parse \"{}\" to a valid duration", text.substr(0, 100)));
}

Result<std::size_t> limit_parameter(const Request& request) {
  const auto text = request.param("limit");
  if (!text || text->empty()) return std::size_t{0};
  std::size_t limit = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size())
    return bad_parameter("limit", fmt::format("cannot parse \"{}\" to a non-negative integer", text->substr(0, 100)));
  return limit;
}

Result<std::vector<std::vector<model::Matcher>>> match_parameters(const Request& request) {
  std::vector<std::vector<model::Matcher>> out;
  for (const auto text : request.params("match[]")) {
    auto matchers = query::promql::parse_matchers(text);
    if (!matchers) return bad_parameter("match[]", matchers.error().message());
    bool selects = false;
    for (const auto& matcher : *matchers) selects = selects || !matcher.matches_empty();
    if (!selects) return bad_parameter("match[]", "match[] must contain at least one non-empty matcher");
    out.push_back(std::move(*matchers));
  }
  return out;
}

}  // namespace qd::serve::prometheus
