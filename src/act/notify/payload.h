// What receivers of alerts get: webhooks Alertmanager's webhook format, version 4; Alertmanagers their API's v2.
//
// Source: Alertmanager documentation, "Configuration", <webhook_config>.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "judge/rules/alert.h"

namespace qd::act::notify {

// What alerts say of the Quarterdeck that they come from.
struct Origin {
  std::string external_url;         // how others reach it: where links lead
  model::LabelSet external_labels;  // on every alert that has no label of that name
};

// The JSON for alerts that share the name `alertname`: those firing and those just resolved.
std::string webhook_payload(std::string_view receiver, std::string_view alertname,
                            std::span<const judge::rules::Alert* const> alerts, const Origin& origin);

// One alert as Alertmanager's API v2 takes it (postableAlert), with these labels in place of its own.
std::string alert_json(const judge::rules::Alert& alert, const model::LabelSet& labels, model::TimestampMs ends_at_ms,
                       const Origin& origin);

// Sixteen hexadecimal digits: FNV-1a over names and values, as Prometheus fingerprints label sets.
std::string fingerprint(const model::LabelSet& labels);

}  // namespace qd::act::notify
