#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/strings.h"
#include "observe/runner.h"
#include "observe/scrape/manager.h"
#include "serve/prometheus/api.h"
#include "serve/prometheus/values.h"

namespace qd::serve::prometheus {

namespace {

using observe::scrape::TargetStatus;

// A built-in collector, as if it were scraped: it gives the same series and belongs in the same list.
TargetStatus status_of(const observe::CollectorReport& report, const Sources& sources) {
  const auto path = report.name == "quarterdeck" ? "/metrics" : fmt::format("/exporters/{}/metrics", report.name);
  const auto& fault = report.error ? report.error : report.trouble;
  model::LabelBuilder builder(model::LabelSet{{"instance", report.instance}, {"job", report.name}});
  if (!report.module.empty()) builder.set("module", report.module);
  const auto labels = builder.build();
  TargetStatus status{.discovered_labels = labels, .labels = labels};
  status.scrape_pool = report.name;
  status.scrape_url = status.global_url = sources.address + path;
  status.last_error = fault ? fault->message() : "";
  status.last_scrape_ms = report.last_pass_ms;
  status.last_scrape_duration_s = report.seconds;
  status.health = report.last_pass_ms == 0 ? observe::scrape::Health::kUnknown
                  : fault                  ? observe::scrape::Health::kDown
                                           : observe::scrape::Health::kUp;
  status.interval_ms = report.interval_ms;
  status.timeout_ms = report.timeout_ms;
  return status;
}

void write_target(JsonWriter& json, const TargetStatus& target) {
  json.begin_object().key("discoveredLabels");
  write_labels(json, target.discovered_labels);
  json.key("labels");
  write_labels(json, target.labels);
  json.field("scrapePool", target.scrape_pool).field("scrapeUrl", target.scrape_url);
  json.field("globalUrl", target.global_url).field("lastError", target.last_error);
  json.field("lastScrape", rfc3339(target.last_scrape_ms));
  json.key("lastScrapeDuration").number(target.last_scrape_duration_s);
  json.field("health", observe::scrape::to_string(target.health));
  json.field("scrapeInterval", base::format_duration_ms(target.interval_ms));
  json.field("scrapeTimeout", base::format_duration_ms(target.timeout_ms)).end_object();
}

void targets(Call call, const Sources& sources) {
  const auto state = call.request.param("state").value_or("any");
  const auto pool = call.request.param("scrapePool").value_or("");
  std::vector<TargetStatus> active;
  if (state == "any" || state == "active" || state.empty()) {
    for (const auto& report : sources.collectors.reports()) active.push_back(status_of(report, sources));
    for (auto& target : sources.scrapes.targets()) active.push_back(std::move(target));
    if (!pool.empty()) std::erase_if(active, [&](const TargetStatus& t) { return t.scrape_pool != pool; });
  }
  auto dropped = sources.scrapes.dropped();
  if (!pool.empty())
    std::erase_if(dropped, [&](const observe::scrape::DroppedTargets& one) { return one.scrape_pool != pool; });
  const bool wants_dropped = state == "any" || state == "dropped" || state.empty();
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("activeTargets").begin_array();
    for (const auto& target : active) write_target(json, target);
    json.end_array().key("droppedTargets").begin_array();
    for (const auto& one : dropped) {
      if (!wants_dropped) break;
      for (const auto& labels : one.discovered_labels) {
        json.begin_object().key("discoveredLabels");
        write_labels(json, labels);
        json.field("scrapePool", one.scrape_pool).end_object();
      }
    }
    json.end_array().key("droppedTargetCounts").begin_object();
    for (const auto& one : dropped) json.key(one.scrape_pool).unsigned_integer(one.count);
    json.end_object().end_object();
  }));
}

void scrape_pools(Call call, const Sources& sources) {
  auto pools = sources.scrapes.pools();
  for (const auto& report : sources.collectors.reports()) pools.push_back(report.name);
  std::ranges::sort(pools);
  const auto repeated = std::ranges::unique(pools);
  pools.erase(repeated.begin(), repeated.end());
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("scrapePools").begin_array();
    for (const auto& pool : pools) json.text(pool);
    json.end_array().end_object();
  }));
}

// The labels that a client asks about: a JSON object of texts.
base::Result<model::LabelSet> labels_parameter(std::string_view text) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(text, error);
  if (error || !json.is_object())
    return base::fail(base::ErrorCode::kInvalid, "invalid parameter \"labels\": it is no JSON object");
  model::LabelBuilder builder;
  for (const auto& [name, value] : json.as_object()) {
    if (!value.is_string())
      return base::fail(base::ErrorCode::kInvalid, "invalid parameter \"labels\": a value is no text");
    builder.set(std::string_view(name), std::string_view(value.as_string()));
  }
  return builder.build();
}

void write_rule(JsonWriter& json, const model::RelabelConfig& rule) {
  json.begin_object();
  if (!rule.source_labels.empty()) {
    json.key("source_labels").begin_array();
    for (const auto& label : rule.source_labels) json.text(label);
    json.end_array();
  }
  json.field("separator", rule.separator).field("regex", rule.regex);
  if (rule.modulus > 0) json.key("modulus").unsigned_integer(rule.modulus);
  if (!rule.target_label.empty()) json.field("target_label", rule.target_label);
  json.field("replacement", rule.replacement).field("action", model::to_string(rule.action)).end_object();
}

// What each rule of a job makes of labels, the rules before it applied.
void relabel_steps(Call call, const Sources& sources) {
  const auto job = sources.scrapes.job(call.request.param("scrapePool").value_or(""));
  if (!job) return call.reply.send(api_error(job.error()));
  const auto labels = labels_parameter(call.request.param("labels").value_or(""));
  if (!labels) return call.reply.send(api_error(labels.error()));
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("steps").begin_array();
    model::LabelBuilder builder(*labels);
    bool keep = true;
    for (std::size_t i = 0; i < job->target_rules.size(); ++i) {
      keep = keep && job->target_rules.apply_one(i, builder);
      json.begin_object().key("rule");
      write_rule(json, job->config->relabel_configs[i]);
      json.key("output");
      write_labels(json, keep ? builder.build() : model::LabelSet());
      json.field("keep", keep).end_object();
    }
    json.end_array().end_object();
  }));
}

}  // namespace

void add_target_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/api/v1/targets", .handler = [&sources](Call call) {
                targets(std::move(call), sources);
              }});
  router.add({.methods = {"GET"}, .path = "/api/v1/scrape_pools", .handler = [&sources](Call call) {
                scrape_pools(std::move(call), sources);
              }});
  router.add({.methods = {"GET"}, .path = "/api/v1/targets/relabel_steps", .handler = [&sources](Call call) {
                relabel_steps(std::move(call), sources);
              }});
}

}  // namespace qd::serve::prometheus
