// Tells webhooks of alerts: when one begins to fire, when it is over, and again while it lasts.
//
// It keeps what is so (every alert) apart from what each receiver has been told; a receiver is told until the two
// agree. So a receiver that was down learns everything that still matters once it is back, and there is no queue to
// overflow. Alerts of one name go together. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "act/notify/payload.h"
#include "act/notify/settings.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/scheduler.h"
#include "judge/rules/alert.h"

namespace qd::act::notify {

class Notifier {
 public:
  // Posts `body` to the webhook and calls back, once, on any thread: success is a 2xx answer.
  using Post = std::function<void(const WebhookSettings& webhook, std::string body, std::int64_t timeout_ms,
                                  std::function<void(base::Status)> then)>;

  // `scheduler`, `log` and `registry` outlive the notifier; `post` must have called back, or never will, when it ends.
  Notifier(base::Scheduler& scheduler, Post post, base::Log& log, base::Registry& registry);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  void apply(const NotifySettings& settings);
  void set_origin(Origin origin);
  // Every alert of one source (a rule group), as judge/rules tells them; what an earlier call had and this one lacks is
  // over without a word. Pending ones are passed over.
  void update(const std::string& source, const std::vector<judge::rules::Alert>& alerts);
  // No post begins any more.
  void stop();

  // Alerts kept at once; more are dropped and counted (a rule that fires for every series of a large target).
  static constexpr std::size_t kAlertsMax = 10'000;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace qd::act::notify
