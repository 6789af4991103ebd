// The section act.notify: who is told of alerts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config/schema.h"

namespace qd::act::notify {

struct WebhookSettings {
  std::string name;  // the `receiver` in what it gets
  std::string url;
  std::string bearer_token;
  bool send_resolved = true;
  bool operator==(const WebhookSettings&) const = default;
};

struct NotifySettings {
  std::vector<WebhookSettings> webhooks;
  std::int64_t group_wait_ms = 5'000;
  std::int64_t repeat_interval_ms = 4LL * 60 * 60 * 1000;
  std::int64_t timeout_ms = 10'000;
};

void declare(model::config::Schema& schema, NotifySettings& settings);

}  // namespace qd::act::notify
