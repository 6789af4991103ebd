// Sends alerts to Alertmanagers, by their API v2, as a Prometheus server does: what fires again every resend delay,
// what is over for as long as it is told of, so that an Alertmanager that was away or lost its memory learns both.
//
// Each Alertmanager has a queue and one request at a time, so that one that hangs keeps nothing from the others. What
// it does not take is counted and left: the next resend tells it again. A full queue loses its oldest alerts, counted.
// Thread-safe.
//
// Source: Alertmanager's API v2 (postAlerts); Prometheus documentation, <alertmanager_config> and the metrics
// prometheus_notifications_*.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "act/notify/payload.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/scheduler.h"
#include "judge/rules/alert.h"
#include "model/labels.h"

namespace qd::act::notify {

// Alerts of one request.
inline constexpr std::size_t kAlertsPerRequestMax = 64;

struct AlertmanagerOptions {
  std::size_t queue_capacity = 10'000;  // alerts, of each Alertmanager
  std::int64_t resend_delay_ms = 60'000;
};

// Alertmanagers that are spoken to in one way.
struct AlertmanagerSet {
  // Posts `body` and calls back, once, on any thread: success is a 2xx answer.
  using Post = std::function<void(const std::string& url, std::string body, std::function<void(base::Status)> then)>;

  std::vector<std::string> urls;                           // http://127.0.0.1:9093/api/v2/alerts
  std::function<bool(model::LabelBuilder&)> relabel = {};  // what they are told: false drops an alert
  Post post;
};

class Alertmanagers {
 public:
  // `scheduler`, `log` and `registry` outlive it; a Post must have called back, or never will, when it ends.
  Alertmanagers(base::Scheduler& scheduler, base::Log& log, base::Registry& registry);
  ~Alertmanagers();
  Alertmanagers(const Alertmanagers&) = delete;
  Alertmanagers& operator=(const Alertmanagers&) = delete;

  void apply(const AlertmanagerOptions& options);
  // Who is told from now on. One that was there before keeps its queue. Of a URL in two sets the first counts.
  void set_alertmanagers(std::vector<AlertmanagerSet> sets);
  void set_origin(Origin origin);
  // Every alert of one source (a rule group), as judge/rules tells them after an evaluation at `now_ms`; those that are
  // due are queued. `interval_ms` is how often it is evaluated: an alert that is not told of for four of those, or four
  // resend delays, is over for the Alertmanager.
  void update(const std::string& source, std::int64_t interval_ms, const std::vector<judge::rules::Alert>& alerts,
              model::TimestampMs now_ms);
  // No request begins any more.
  void stop();

  std::vector<std::string> urls() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// "http://host:9093/prefix" with the path of the API behind it.
std::string alerts_url(std::string_view base);

}  // namespace qd::act::notify
