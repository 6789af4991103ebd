#include "act/notify/notifier.h"

#include <algorithm>
#include <set>

namespace qd::act::notify {

using judge::rules::Alert;
using judge::rules::AlertState;
using model::LabelSet;

namespace {
constexpr std::int64_t kRetryMs = 1'000;
constexpr std::int64_t kRetryMsMax = 5 * 60 * 1000;
}  // namespace

struct Notifier::State : std::enable_shared_from_this<Notifier::State> {
  State(base::Scheduler& s, Post p, base::Log& l, base::Registry& r)
      : scheduler(s),
        post(std::move(p)),
        log(l),
        sent(r.counter("quarterdeck_notifications_total", "Notifications that a receiver took.")),
        failed(r.counter("quarterdeck_notifications_failed_total", "Attempts to notify that failed.")),
        dropped(r.counter("quarterdeck_notifications_alerts_dropped_total", "Alerts past the limit, never told.")) {}

  // The alerts of one name from one source.
  using Key = std::pair<std::string, std::string>;
  struct Group {
    std::map<LabelSet, Alert> alerts;  // firing, and resolved ones that somebody must still be told of
  };
  // What one receiver knows of one group.
  struct Channel {
    std::map<LabelSet, model::TimestampMs> told_firing;  // with fired_at
    std::int64_t told_at_ns = 0;
    std::int64_t retry_ms = 0;  // 0 while the last attempt was good
    base::Scheduler::TimerId timer = 0;
    std::int64_t due_ns = 0;
    bool posting = false;
  };

  // One line about a group for one receiver: what it would be told now.
  std::vector<const Alert*> news(const WebhookSettings& webhook, const Group& group, const Channel& channel,
                                 bool& changed) const QD_REQUIRES(mutex) {
    std::vector<const Alert*> tell;
    changed = false;
    for (const auto& [labels, alert] : group.alerts) {
      const auto told = channel.told_firing.find(labels);
      const bool known = told != channel.told_firing.end();
      if (alert.state == AlertState::kFiring) {
        changed = changed || !known || told->second != alert.fired_at_ms;
        tell.push_back(&alert);
      } else if (known && webhook.send_resolved) {
        changed = true;
        tell.push_back(&alert);
      }
    }
    return tell;
  }

  void plan(std::size_t i, const Key& key, std::int64_t wait_ms) QD_REQUIRES(mutex) {
    auto& channel = channels[{i, key}];
    const auto due_ns = scheduler.clock().monotonic_ns() + wait_ms * 1'000'000;
    if (channel.posting || (channel.timer != 0 && channel.due_ns <= due_ns)) return;
    if (channel.timer != 0) scheduler.cancel(channel.timer);
    channel.due_ns = due_ns;
    channel.timer = scheduler.at(due_ns, [weak = weak_from_this(), i, key, epoch = epoch] {
      if (const auto self = weak.lock()) self->tell(i, key, epoch);
    });
  }

  // Is there something to tell, or to tell again? Then a time for it is set.
  void consider(std::size_t i, const Key& key) QD_REQUIRES(mutex) {
    auto& channel = channels[{i, key}];
    const auto group = groups.find(key);
    bool changed = false;
    const auto tell = group == groups.end() ? std::vector<const Alert*>()
                                            : news(settings.webhooks[i], group->second, channel, changed);
    if (changed) {
      plan(i, key, channel.retry_ms != 0 ? channel.retry_ms : settings.group_wait_ms);
    } else if (!tell.empty()) {
      const auto since_ms = (scheduler.clock().monotonic_ns() - channel.told_at_ns) / 1'000'000;
      plan(i, key, std::max<std::int64_t>(0, settings.repeat_interval_ms - since_ms));
    }
  }

  void tell(std::size_t i, const Key& key, std::uint64_t of_epoch) {
    std::string body;
    WebhookSettings webhook;
    std::int64_t timeout_ms = 0;
    std::vector<std::pair<LabelSet, model::TimestampMs>> firing;
    {
      base::MutexLock lock(mutex);
      if (stopped || of_epoch != epoch) return;
      auto& channel = channels[{i, key}];
      channel.timer = 0;
      const auto group = groups.find(key);
      if (group == groups.end() || channel.posting) return;
      bool changed = false;
      const auto alerts = news(settings.webhooks[i], group->second, channel, changed);
      if (alerts.empty()) return;
      for (const auto* alert : alerts)
        if (alert->state == AlertState::kFiring) firing.emplace_back(alert->labels, alert->fired_at_ms);
      webhook = settings.webhooks[i];
      timeout_ms = settings.timeout_ms;
      body = webhook_payload(webhook.name, key.second, alerts, origin);
      channel.posting = true;
    }
    post(webhook, std::move(body), timeout_ms,
         [weak = weak_from_this(), i, key, of_epoch, firing = std::move(firing), webhook](const base::Status& done) {
           if (const auto self = weak.lock()) self->told(i, key, of_epoch, firing, webhook, done);
         });
  }

  void told(std::size_t i, const Key& key, std::uint64_t of_epoch,
            const std::vector<std::pair<LabelSet, model::TimestampMs>>& firing, const WebhookSettings& webhook,
            const base::Status& done) {
    (done ? sent : failed).add();
    if (!done) log.warn("notifying failed, will try again", {{"receiver", webhook.name}, {"error", done.error()}});
    base::MutexLock lock(mutex);
    if (stopped || of_epoch != epoch) return;
    auto& channel = channels[{i, key}];
    channel.posting = false;
    if (done) {
      channel.retry_ms = 0;
      channel.told_at_ns = scheduler.clock().monotonic_ns();
      channel.told_firing.clear();
      for (const auto& [labels, fired_at_ms] : firing) channel.told_firing.emplace(labels, fired_at_ms);
      forget(key);
    } else {
      channel.retry_ms = std::min(kRetryMsMax, std::max(kRetryMs, channel.retry_ms * 2));
    }
    consider(i, key);
  }

  // Resolved alerts that every receiver knows of, or never heard of, are done with.
  void forget(const Key& key) QD_REQUIRES(mutex) {
    const auto group = groups.find(key);
    if (group == groups.end()) return;
    for (auto at = group->second.alerts.begin(); at != group->second.alerts.end();) {
      bool needed = at->second.state == AlertState::kFiring;
      for (std::size_t i = 0; i < settings.webhooks.size() && !needed; ++i) {
        const auto channel = channels.find({i, key});
        needed = settings.webhooks[i].send_resolved && channel != channels.end() &&
                 (channel->second.told_firing.contains(at->first) || channel->second.posting);
      }
      at = needed ? std::next(at) : group->second.alerts.erase(at);
    }
    if (group->second.alerts.empty()) groups.erase(group);
  }

  void update(const std::string& source, const std::vector<Alert>& alerts) {
    base::MutexLock lock(mutex);
    if (stopped) return;
    std::set<Key> touched;
    for (auto& [key, group] : groups) {
      if (key.first != source) continue;
      touched.insert(key);
      std::set<LabelSet> present;
      for (const auto& alert : alerts) present.insert(alert.labels);
      // A rule that was taken away resolves nothing by itself: nobody watches any more.
      std::erase_if(group.alerts, [&](const auto& item) {
        return item.second.state == AlertState::kFiring && !present.contains(item.first);
      });
    }
    std::size_t total = 0;
    for (const auto& [key, group] : groups) total += group.alerts.size();
    for (const auto& alert : alerts) {
      if (alert.state == AlertState::kPending) continue;
      const Key key(source, std::string(alert.labels.get("alertname")));
      const auto group = groups.find(key);
      const bool known = group != groups.end() && group->second.alerts.contains(alert.labels);
      // A resolved alert that we know nothing of was told long ago, or never fired for anybody.
      if (!known && alert.state == AlertState::kInactive) continue;
      if (!known && total >= kAlertsMax) {
        dropped.add();
        continue;
      }
      total += known ? 0 : 1;
      groups[key].alerts.insert_or_assign(alert.labels, alert);
      touched.insert(key);
    }
    for (const auto& key : touched) {
      forget(key);
      for (std::size_t i = 0; i < settings.webhooks.size(); ++i) consider(i, key);
    }
  }

  base::Scheduler& scheduler;
  const Post post;
  base::Log& log;
  base::Counter& sent;
  base::Counter& failed;
  base::Counter& dropped;

  base::Mutex mutex;
  bool stopped QD_GUARDED_BY(mutex) = false;
  std::uint64_t epoch QD_GUARDED_BY(mutex) = 0;  // of the settings: older timers and answers count no more
  NotifySettings settings QD_GUARDED_BY(mutex);
  Origin origin QD_GUARDED_BY(mutex);
  std::map<Key, Group> groups QD_GUARDED_BY(mutex);
  std::map<std::pair<std::size_t, Key>, Channel> channels QD_GUARDED_BY(mutex);
};

Notifier::Notifier(base::Scheduler& scheduler, Post post, base::Log& log, base::Registry& registry)
    : state_(std::make_shared<State>(scheduler, std::move(post), log, registry)) {}

Notifier::~Notifier() {
  stop();
}

void Notifier::apply(const NotifySettings& settings) {
  auto& s = *state_;
  base::MutexLock lock(s.mutex);
  if (s.settings.webhooks != settings.webhooks) {
    // Receivers changed: each is told afresh what fires.
    ++s.epoch;
    for (const auto& [key, channel] : s.channels) s.scheduler.cancel(channel.timer);
    s.channels.clear();
  }
  s.settings = settings;
  for (const auto& [key, group] : s.groups)
    for (std::size_t i = 0; i < s.settings.webhooks.size(); ++i) s.consider(i, key);
}

void Notifier::set_origin(Origin origin) {
  base::MutexLock lock(state_->mutex);
  state_->origin = std::move(origin);
}

void Notifier::update(const std::string& source, const std::vector<Alert>& alerts) {
  state_->update(source, alerts);
}

void Notifier::stop() {
  base::MutexLock lock(state_->mutex);
  state_->stopped = true;
  for (const auto& [key, channel] : state_->channels) state_->scheduler.cancel(channel.timer);
}

}  // namespace qd::act::notify
