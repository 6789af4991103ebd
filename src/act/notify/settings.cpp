#include "act/notify/settings.h"

namespace qd::act::notify {

void declare(model::config::Schema& schema, NotifySettings& settings) {
  schema.section("act.notify", "Who is told of alerts.");
  schema.list("act.notify.webhooks", settings.webhooks,
              "URLs that get firing and resolved alerts, as Alertmanager's webhook receivers do.",
              [](model::config::Schema& item, WebhookSettings& webhook) {
                item.text("name", webhook.name, "The receiver's name, in what it gets and in the log.");
                item.text("url", webhook.url, "Where alerts are posted to.").required();
                item.secret("bearer_token", webhook.bearer_token, "Sent as `Authorization: Bearer …`.");
                item.flag("send_resolved", webhook.send_resolved, "Also tell when an alert is over.");
              });
  schema.duration_ms("act.notify.group_wait", settings.group_wait_ms,
                     "How long alerts of one name are gathered before they are told.");
  schema.duration_ms("act.notify.repeat_interval", settings.repeat_interval_ms,
                     "How soon an alert that still fires is told again.");
  schema.duration_ms("act.notify.timeout", settings.timeout_ms, "How long a receiver may take to answer.");
}

}  // namespace qd::act::notify
