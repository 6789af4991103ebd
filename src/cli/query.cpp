#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/command.h"
#include "cli/remote.h"

namespace qd::cli {

namespace {

using base::ErrorCode;
namespace json = boost::json;

struct QueryFlags {
  std::string expr;
  Remote remote;
  std::string time;
  std::string range;
  std::string step = "15s";
  Output output;
};

// up{job="node"}
std::string series_name(const json::object& metric) {
  std::string name;
  std::string labels;
  for (const auto& [key, value] : metric) {
    if (key == "__name__")
      name = text_of(value);
    else
      labels += fmt::format("{}{}={}", labels.empty() ? "" : ", ", std::string_view(key), json::serialize(value));
  }
  return labels.empty() && !name.empty() ? name : fmt::format("{}{{{}}}", name, labels);
}

std::string time_text(const json::value& seconds) {
  return base::format_time(static_cast<std::int64_t>(seconds.to_number<double>() * 1000));
}

// count 12, sum 18.4, (1, 2]: 12
std::string histogram_text(const json::value& value) {
  const auto& histogram = value.as_object();
  std::string out = fmt::format("count {}, sum {}", text_of(histogram.at("count")), text_of(histogram.at("sum")));
  const auto* buckets = histogram.if_contains("buckets");
  if (buckets == nullptr) return out;
  for (const auto& item : buckets->as_array()) {
    const auto& bucket = item.as_array();
    const auto rule = bucket.at(0).to_number<int>();
    out += fmt::format(", {}{}, {}{}: {}", rule == 1 || rule == 3 ? '[' : '(', text_of(bucket.at(1)),
                       text_of(bucket.at(2)), rule == 0 || rule == 3 ? ']' : ')', text_of(bucket.at(3)));
  }
  return out;
}

// The numbers and histograms of a series, in order of time.
void print_points(const json::object& series) {
  std::vector<std::pair<double, std::string>> lines;
  for (const auto* kind : {"values", "histograms"}) {
    const auto* points = series.if_contains(kind);
    if (points == nullptr) continue;
    for (const auto& item : points->as_array()) {
      const auto& point = item.as_array();
      lines.emplace_back(point.at(0).to_number<double>(),
                         fmt::format("  {}  {}", time_text(point.at(0)),
                                     point.at(1).is_object() ? histogram_text(point.at(1)) : text_of(point.at(1))));
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& line : lines) fmt::print("{}\n", line.second);
}

void print_table(const json::object& data) {
  const auto type = text_of(data.at("resultType"));
  const auto& result = data.at("result").as_array();
  if (type == "scalar" || type == "string") {
    fmt::print("{}\n", text_of(result.at(1)));
    return;
  }
  if (result.empty()) fmt::print("(nothing)\n");
  for (const auto& item : result) {
    const auto& series = item.as_object();
    const auto name = series_name(series.at("metric").as_object());
    if (type == "vector") {
      const auto* histogram = series.if_contains("histogram");
      fmt::print("{}  {}\n", name,
                 histogram != nullptr ? histogram_text(histogram->as_array().at(1))
                                      : text_of(series.at("value").as_array().at(1)));
      continue;
    }
    fmt::print("{}\n", name);
    print_points(series);
  }
}

base::Result<std::string> form_of(const QueryFlags& flags, std::string& path) {
  using connect::http::percent_encode;
  path = "/api/v1/query";
  std::string form = "query=" + percent_encode(flags.expr);
  if (flags.range.empty()) {
    if (!flags.time.empty()) form += "&time=" + percent_encode(flags.time);
    return form;
  }
  QD_ASSIGN(const auto range_ms, base::parse_duration_ms(flags.range));
  std::int64_t end_ms = base::SystemClock().wall_ms();
  if (!flags.time.empty()) {
    QD_ASSIGN(end_ms, base::parse_time_ms(flags.time));
  }
  path = "/api/v1/query_range";
  return form + fmt::format("&start={:.3f}&end={:.3f}&step={}", static_cast<double>(end_ms - range_ms) / 1000,
                            static_cast<double>(end_ms) / 1000, percent_encode(flags.step));
}

int query(const QueryFlags& flags) {
  std::string path;
  const auto form = form_of(flags, path);
  if (!form) return failed(form.error());
  const auto response = ask(flags.remote, path, *form);
  if (!response) return failed(response.error());
  boost::system::error_code broken;
  const auto parsed = json::parse(response->body, broken);
  const auto* answer = broken ? nullptr : parsed.if_object();
  const auto* status = answer ? answer->if_contains("status") : nullptr;
  if (!status)
    return failed({ErrorCode::kUnavailable,
                   fmt::format("{} answered {} with something that is no answer to a query: is it a Quarterdeck or a "
                               "Prometheus?",
                               flags.remote.url, response->status)});
  if (flags.output.json()) {
    fmt::print("{}\n", response->body);
    return *status == "success" ? kExitYes : kExitNo;
  }
  if (*status != "success") {
    const auto* error = answer->if_contains("error");
    fmt::print(stderr, "quarterdeck: {}\n", error ? text_of(*error) : "the query failed");
    return kExitNo;
  }
  try {
    print_table(answer->at("data").as_object());
  } catch (const std::exception& error) {
    return failed(
        {ErrorCode::kUnavailable, fmt::format("{} answered what no query gives: {}", flags.remote.url, error.what())});
  }
  for (const auto* kind : {"warnings", "infos"})
    if (const auto* list = answer->if_contains(kind))
      for (const auto& text : list->as_array()) fmt::print(stderr, "{}\n", text_of(text));
  return kExitYes;
}

}  // namespace

void add_query(CommandLine& root) {
  auto command =
      root.add_command("query", "Ask a running Quarterdeck (or Prometheus) a PromQL query",
                       "Examples:\n"
                       "  quarterdeck query 'node_load1'\n"
                       "  quarterdeck query 'rate(node_cpu_seconds_total[1m])' --range 10m --step 30s --output json");
  auto flags = std::make_shared<QueryFlags>();
  command.option("EXPR", flags->expr, "the expression", {.required = true});
  flags->remote.add_to(command);
  command.option("--time", flags->time, "as of when: RFC 3339 or seconds; now by default");
  command.option("--range", flags->range, "a range query over this long before --time");
  command.option("--step", flags->step, "the range query's resolution", {.shows_default = true});
  flags->output.add_to(command);
  command.action([flags] { return query(*flags); });
}

}  // namespace qd::cli
