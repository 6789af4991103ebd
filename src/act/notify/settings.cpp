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
  schema.list("act.notify.alertmanagers", settings.alertmanagers,
              "Alertmanagers that are told of alerts by their API v2, beside those of the Prometheus file.",
              [](model::config::Schema& item, AlertmanagerSettings& one) {
                item.text("url", one.url, "Where it serves, as http://127.0.0.1:9093.").required();
                item.secret("bearer_token", one.bearer_token, "Sent as `Authorization: Bearer …`.");
                item.text("user", one.user, "For basic authentication.");
                item.secret("password", one.password, "For basic authentication.");
                item.duration_ms("timeout", one.timeout_ms, "How long it may take to answer.", 1);
                item.check("url", [&one]() -> base::Status {
                  if (one.url.starts_with("http://") || one.url.starts_with("https://")) return {};
                  return base::fail(base::ErrorCode::kInvalid, "it begins neither with http:// nor with https://");
                });
              });
  schema.integer("act.notify.alertmanager_queue_capacity", settings.alertmanager_queue_capacity,
                 "Alerts that wait for each Alertmanager; a full queue loses its oldest.", 1, 1'000'000);
  schema.duration_ms("act.notify.resend_delay", settings.resend_delay_ms,
                     "How soon an Alertmanager is told again of an alert that fires.", 1);
}

}  // namespace qd::act::notify
