#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/strings.h"
#include "judge/rules/manager.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"

namespace qd::serve::prometheus {

namespace {

using connect::http::Request;
using judge::rules::Alert;
using judge::rules::AlertState;
using judge::rules::GroupStatus;
using judge::rules::Rule;
using judge::rules::RuleStatus;

void write_alert(JsonWriter& json, const Alert& alert) {
  json.begin_object().key("labels");
  write_labels(json, alert.labels);
  json.key("annotations");
  write_labels(json, alert.annotations);
  json.field("state", judge::rules::to_string(alert.state)).field("activeAt", rfc3339(alert.active_at_ms));
  if (alert.keep_firing_since_ms != 0) json.field("keepFiringSince", rfc3339(alert.keep_firing_since_ms));
  // Go's strconv with format 'e' and shortest digits: "1e+00".
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, alert.value, std::chars_format::scientific).ptr;
  json.field("value", std::isfinite(alert.value) ? std::string(buffer, end) : base::format_float(alert.value))
      .end_object();
}

AlertState worst(const std::vector<Alert>& alerts) {
  AlertState state = AlertState::kInactive;
  for (const auto& alert : alerts) state = std::max(state, alert.state);
  return state;
}

void write_texts(JsonWriter& json, const std::map<std::string, std::string>& texts) {
  json.begin_object();
  for (const auto& [name, text] : texts) json.field(name, text);
  json.end_object();
}

void write_rule(JsonWriter& json, const RuleStatus& status, bool with_alerts) {
  const Rule& rule = status.rule;
  const bool alerting = rule.kind == Rule::Kind::kAlerting;
  json.begin_object();
  if (alerting) json.field("state", judge::rules::to_string(worst(status.alerts)));
  json.field("name", rule.name).field("query", rule.expr);
  if (alerting) {
    json.key("duration").number(static_cast<double>(rule.for_ms) / 1000);
    json.key("keepFiringFor").number(static_cast<double>(rule.keep_firing_for_ms) / 1000);
  }
  json.key("labels");
  write_texts(json, rule.labels);
  if (alerting) {
    json.key("annotations");
    write_texts(json, rule.annotations);
    json.key("alerts").begin_array();
    if (with_alerts)
      for (const auto& alert : status.alerts) write_alert(json, alert);
    json.end_array();
  }
  json.field("health", judge::rules::to_string(status.health));
  if (!status.last_error.empty()) json.field("lastError", status.last_error);
  json.key("evaluationTime").number(status.evaluation_seconds);
  json.field("lastEvaluation", rfc3339(status.last_evaluation_ms));
  json.field("type", alerting ? "alerting" : "recording").end_object();
}

bool wanted(const std::vector<std::string_view>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

// Which groups a page of the answer holds. Source: Prometheus documentation, "HTTP API", rules.
struct Page {
  std::size_t limit = 0;  // groups; 0 is no bound
  std::string from;       // the token of the first one; empty for the very first
};

base::Result<Page> page_of(const Request& request) {
  Page page;
  const auto wrong = [](std::string_view name, std::string_view what) {
    return base::fail(base::ErrorCode::kInvalid, fmt::format("invalid parameter \"{}\": {}", name, what));
  };
  const auto limit = request.param("group_limit").value_or("");
  if (!limit.empty()) {
    const auto parsed = std::from_chars(limit.data(), limit.data() + limit.size(), page.limit);
    if (parsed.ec != std::errc() || parsed.ptr != limit.data() + limit.size() || page.limit == 0)
      return wrong("group_limit", "it is to be a whole number greater than 0");
  }
  page.from = request.param("group_next_token").value_or("");
  if (!page.from.empty() && page.limit == 0)
    return wrong("group_limit", "it needs to be there along with group_next_token");
  return page;
}

// Names a group for the next page.
std::string token_of(const GroupStatus& group) {
  return fmt::format("{:016x}", model::LabelSet{{"file", group.file}, {"group", group.name}}.hash());
}

// The rules of a group that the request is about.
class Filter {
 public:
  Filter(const Request& request, std::vector<std::vector<model::Matcher>> matchers)
      : type_(request.param("type").value_or("")),
        rule_names_(request.params("rule_name[]")),
        group_names_(request.params("rule_group[]")),
        files_(request.params("file[]")),
        matchers_(std::move(matchers)) {}

  bool takes(const GroupStatus& group) const { return wanted(group_names_, group.name) && wanted(files_, group.file); }
  // A group of which no rule is left is not shown.
  bool looks_at_rules() const { return !rule_names_.empty() || !type_.empty() || !matchers_.empty(); }

  std::vector<const RuleStatus*> of(const GroupStatus& group) const {
    std::vector<const RuleStatus*> shown;
    for (const auto& status : group.rules) {
      const bool alerting = status.rule.kind == Rule::Kind::kAlerting;
      if (!wanted(rule_names_, status.rule.name) || (type_ == "alert" && !alerting) || (type_ == "record" && alerting))
        continue;
      model::LabelBuilder labels;
      for (const auto& [name, text] : status.rule.labels) labels.set(name, text);
      const auto set = labels.build();
      const bool matched = matchers_.empty() || std::any_of(matchers_.begin(), matchers_.end(), [&](const auto& list) {
                             return model::matches_all(list, set);
                           });
      if (matched) shown.push_back(&status);
    }
    return shown;
  }

 private:
  const std::string_view type_;
  const std::vector<std::string_view> rule_names_;
  const std::vector<std::string_view> group_names_;
  const std::vector<std::string_view> files_;
  const std::vector<std::vector<model::Matcher>> matchers_;
};

void rules(Call call, const Sources& sources) {
  const Request& request = call.request;
  const auto type = request.param("type").value_or("");
  if (!type.empty() && type != "alert" && type != "record")
    return call.reply.send(
        api_error(400, "bad_data", fmt::format("invalid parameter \"type\": not supported value \"{}\"", type)));
  const auto exclude = request.param("exclude_alerts").value_or("");
  const bool with_alerts = exclude != "true" && exclude != "1";
  auto matchers = match_parameters(request);
  if (!matchers) return call.reply.send(api_error(matchers.error()));
  const auto page = page_of(request);
  if (!page) return call.reply.send(api_error(page.error()));
  const Filter filter(request, std::move(*matchers));
  const auto groups = sources.rules.groups();
  const auto first =
      page->from.empty() ? groups.begin() : std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
        return token_of(group) == page->from;
      });
  if (!page->from.empty() && first == groups.end())
    return call.reply.send(
        api_error(400, "bad_data",
                  fmt::format("invalid group_next_token '{}': the group may have been taken away since", page->from)));
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    std::size_t written = 0;
    std::string next;
    json.begin_object().key("groups").begin_array();
    for (auto group = first; group != groups.end(); ++group) {
      if (!filter.takes(*group)) continue;
      const auto shown = filter.of(*group);
      if (filter.looks_at_rules() && shown.empty()) continue;
      if (page->limit != 0 && written == page->limit) {
        next = token_of(*group);
        break;
      }
      ++written;
      json.begin_object().field("name", group->name).field("file", group->file).key("rules").begin_array();
      for (const auto* status : shown) write_rule(json, *status, with_alerts);
      json.end_array().key("interval").number(static_cast<double>(group->interval_ms) / 1000);
      json.key("limit").unsigned_integer(group->limit);
      json.key("evaluationTime").number(group->evaluation_seconds);
      json.field("lastEvaluation", rfc3339(group->last_evaluation_ms)).end_object();
    }
    json.end_array();
    if (!next.empty()) json.field("groupNextToken", next);
    json.end_object();
  }));
}

void alertmanagers(Call call, const Sources& sources) {
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    const auto urls = [&json](std::string_view key, const std::vector<std::string>& list) {
      json.key(key).begin_array();
      for (const auto& url : list) json.begin_object().field("url", url).end_object();
      json.end_array();
    };
    json.begin_object();
    urls("activeAlertmanagers", sources.alertmanagers());
    urls("droppedAlertmanagers", sources.dropped_alertmanagers());
    json.end_object();
  }));
}

void alerts(Call call, const Sources& sources) {
  const auto groups = sources.rules.groups();
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("alerts").begin_array();
    for (const auto& group : groups)
      for (const auto& status : group.rules)
        for (const auto& alert : status.alerts) write_alert(json, alert);
    json.end_array().end_object();
  }));
}

}  // namespace

void add_rule_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/api/v1/rules", .handler = [&sources](Call call) {
                rules(std::move(call), sources);
              }});
  router.add({.methods = {"GET"}, .path = "/api/v1/alerts", .handler = [&sources](Call call) {
                alerts(std::move(call), sources);
              }});
  router.add({.methods = {"GET"}, .path = "/api/v1/alertmanagers", .handler = [&sources](Call call) {
                alertmanagers(std::move(call), sources);
              }});
}

}  // namespace qd::serve::prometheus
