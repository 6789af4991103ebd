#include <fmt/format.h>

#include "base/strings.h"
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
  call.reply.send(success([&](std::string& out) {
    JsonWriter json(out);
    json.begin_object().key("activeTargets").begin_array();
    for (const auto& target : active) write_target(json, target);
    // Without relabelling nothing is dropped.
    json.end_array().key("droppedTargets").begin_array().end_array();
    json.key("droppedTargetCounts").begin_object().end_object().end_object();
  }));
}

}  // namespace

void add_target_routes(Router& router, const Sources& sources) {
  router.add({.methods = {"GET"}, .path = "/api/v1/targets", .handler = [&sources](Call call) {
                targets(std::move(call), sources);
              }});
}

}  // namespace qd::serve::prometheus
