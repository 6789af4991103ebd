#include "act/notify/payload.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <vector>

#include "base/strings.h"
#include "judge/rules/expansion.h"

namespace qd::act::notify {

namespace {

using judge::rules::Alert;
using judge::rules::AlertState;
namespace json = boost::json;

// What Alertmanager writes for "not yet".
constexpr std::string_view kNoTime = "0001-01-01T00:00:00Z";

json::object object_of(const model::LabelSet& labels) {
  json::object out;
  for (const auto& label : labels) out[label.name] = label.value;
  return out;
}

// The labels (or annotations) on which all sets agree.
json::object common(const std::vector<model::LabelSet>& sets) {
  json::object out;
  for (const auto& label : sets.front()) {
    bool everywhere = true;
    for (const auto& set : sets) everywhere = everywhere && set.get(label.name) == label.value;
    if (everywhere) out[label.name] = label.value;
  }
  return out;
}

model::LabelSet with_origin(const model::LabelSet& labels, const Origin& origin) {
  model::LabelBuilder builder(labels);
  for (const auto& label : origin.external_labels)
    if (!labels.has(label.name)) builder.set(label.name, label.value);
  return builder.build();
}

std::string generator_url(const Alert& alert, const Origin& origin) {
  return origin.external_url + judge::rules::graph_path(alert.expr, 1);
}

}  // namespace

std::string alert_json(const Alert& alert, const model::LabelSet& labels, model::TimestampMs ends_at_ms,
                       const Origin& origin) {
  return json::serialize(json::object{{"labels", object_of(labels)},
                                      {"annotations", object_of(alert.annotations)},
                                      {"startsAt", base::format_time(alert.fired_at_ms)},
                                      {"endsAt", base::format_time(ends_at_ms)},
                                      {"generatorURL", generator_url(alert, origin)}});
}

std::string fingerprint(const model::LabelSet& labels) {
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    hash = (hash ^ 0xff) * 1099511628211ULL;
  };
  for (const auto& label : labels) {
    mix(label.name);
    mix(label.value);
  }
  return fmt::format("{:016x}", hash);
}

std::string webhook_payload(std::string_view receiver, std::string_view alertname, std::span<const Alert* const> alerts,
                            const Origin& origin) {
  json::array list;
  std::vector<model::LabelSet> labels;
  std::vector<model::LabelSet> annotations;
  bool firing = false;
  for (const auto* alert : alerts) {
    const bool fires = alert->state == AlertState::kFiring;
    labels.push_back(with_origin(alert->labels, origin));
    annotations.push_back(alert->annotations);
    firing = firing || fires;
    list.push_back({{"status", fires ? "firing" : "resolved"},
                    {"labels", object_of(labels.back())},
                    {"annotations", object_of(alert->annotations)},
                    {"startsAt", base::format_time(alert->fired_at_ms)},
                    {"endsAt", fires ? std::string(kNoTime) : base::format_time(alert->resolved_at_ms)},
                    {"generatorURL", generator_url(*alert, origin)},
                    {"fingerprint", fingerprint(labels.back())}});
  }
  const json::object payload = {
      {"version", "4"},
      {"groupKey", fmt::format("{{}}:{{alertname=\"{}\"}}", alertname)},
      {"truncatedAlerts", 0},
      {"status", firing ? "firing" : "resolved"},
      {"receiver", receiver},
      {"groupLabels", json::object{{"alertname", alertname}}},
      {"commonLabels", common(labels)},
      {"commonAnnotations", common(annotations)},
      {"externalURL", origin.external_url},
      {"alerts", std::move(list)},
  };
  return json::serialize(payload);
}

}  // namespace qd::act::notify
