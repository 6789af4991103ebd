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

struct AlertmanagerSettings {
  std::string url;  // http://127.0.0.1:9093, also with a path before the API's
  std::string bearer_token;
  std::string user;
  std::string password;
  std::int64_t timeout_ms = 10'000;
  bool operator==(const AlertmanagerSettings&) const = default;
};

struct NotifySettings {
  std::vector<WebhookSettings> webhooks;
  std::int64_t group_wait_ms = 5'000;
  std::int64_t repeat_interval_ms = 4LL * 60 * 60 * 1000;
  std::int64_t timeout_ms = 10'000;
  std::vector<AlertmanagerSettings> alertmanagers;
  std::int64_t alertmanager_queue_capacity = 10'000;
  std::int64_t resend_delay_ms = 60'000;
};

void declare(model::config::Schema& schema, NotifySettings& settings);

}  // namespace qd::act::notify
