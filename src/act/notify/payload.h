// What a webhook receiver gets: Alertmanager's webhook format, version 4.
//
// Source: Alertmanager documentation, "Configuration", <webhook_config>.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "judge/rules/alert.h"

namespace qd::act::notify {

// The JSON for alerts that share the name `alertname`: those firing and those just resolved.
std::string webhook_payload(std::string_view receiver, std::string_view alertname,
                            std::span<const judge::rules::Alert* const> alerts, std::string_view external_url);

// Sixteen hexadecimal digits: FNV-1a over names and values, as Prometheus fingerprints label sets.
std::string fingerprint(const model::LabelSet& labels);

}  // namespace qd::act::notify
