#include "cli/notifications.h"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "base/build.h"

namespace qd::cli {
namespace {

using Then = std::function<void(base::Status)>;

connect::http::ClientRequest json_post(const std::string& url, std::string body, std::int64_t timeout_ms) {
  connect::http::ClientRequest request{.url = url, .method = "POST", .body = std::move(body)};
  request.headers.add("Content-Type", "application/json");
  request.headers.add("User-Agent", fmt::format("Quarterdeck/{}", base::build_version()));
  request.deadline_ms = timeout_ms;
  request.body_bytes_max = 1 << 20;
  return request;
}

// Whoever was posted to has it if it says so.
connect::http::Client::Then taken(Then then) {
  return [then = std::move(then)](base::Result<connect::http::ClientResponse> response) {
    if (!response) return then(base::fail(response.error()));
    if (response->status / 100 == 2) return then({});
    then(base::fail(base::ErrorCode::kUnavailable,
                    fmt::format("it answered {}: {}", response->status, response->body.substr(0, 200))));
  };
}

}  // namespace

Notifications::Notifications(const Surroundings& surroundings)
    : around_(surroundings),
      notifier_(std::make_unique<act::notify::Notifier>(
          around_.loop,
          [&client = around_.client](const act::notify::WebhookSettings& webhook, std::string body,
                                     std::int64_t timeout_ms, Then then) {
            connect::http::ClientRequest request = json_post(webhook.url, std::move(body), timeout_ms);
            request.bearer_token = webhook.bearer_token;
            client.fetch(std::move(request), taken(std::move(then)));
          },
          around_.log, around_.registry)),
      alertmanagers_(std::make_unique<act::notify::Alertmanagers>(around_.loop, around_.log, around_.registry)),
      alertmanager_file_(std::make_unique<act::notify::AlertmanagerFile>(
          observe::sd::Surroundings{.scheduler = around_.loop,
                                    .submit = [&pool = around_.waiting_pool](
                                                  std::function<void()> task) { return pool.submit(std::move(task)); },
                                    .fetch = around_.outbound.as_fetch(),
                                    .log = around_.log,
                                    .registry = around_.registry,
                                    .user_agent = fmt::format("Quarterdeck/{}", base::build_version())},
          *alertmanagers_)) {}

Notifications::~Notifications() = default;

void Notifications::set_origin(const act::notify::Origin& origin) {
  notifier_->set_origin(origin);
  alertmanagers_->set_origin(origin);
}

void Notifications::apply(const Settings& settings) {
  const auto& notify = settings.notify;
  notifier_->apply(notify);
  alertmanagers_->apply({.queue_capacity = static_cast<std::size_t>(notify.alertmanager_queue_capacity),
                         .resend_delay_ms = notify.resend_delay_ms});
  std::vector<act::notify::AlertmanagerSet> sets;
  sets.reserve(notify.alertmanagers.size());
  for (const auto& one : notify.alertmanagers) {
    sets.push_back({.urls = {act::notify::alerts_url(one.url)},
                    .post = [&client = around_.client, one](const std::string& url, std::string body, Then then) {
                      connect::http::ClientRequest request = json_post(url, std::move(body), one.timeout_ms);
                      request.bearer_token = one.bearer_token;
                      if (!one.user.empty()) request.basic_auth = {.user = one.user, .password = one.password};
                      client.fetch(std::move(request), taken(std::move(then)));
                    }});
  }
  const auto& prometheus = settings.prometheus;
  alertmanager_file_->apply(prometheus.alerting, prometheus.global.format.name_scheme, std::move(sets));
}

void Notifications::update(const judge::rules::GroupStatus& group, const std::vector<judge::rules::Alert>& alerts) {
  const auto source = group.file + "\n" + group.name;
  notifier_->update(source, alerts);
  alertmanagers_->update(source, group.interval_ms, alerts, group.last_evaluation_ms);
}

void Notifications::stop() {
  notifier_->stop();
  alertmanager_file_->stop();
  alertmanagers_->stop();
}

}  // namespace qd::cli
