#include "act/notify/alertmanagers.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>

#include "base/mutex.h"

namespace qd::act::notify {

using judge::rules::Alert;
using judge::rules::AlertState;
using model::LabelSet;
using model::TimestampMs;

namespace {

// An Alertmanager forgets an alert that it was not told of for so many evaluations or resends.
constexpr std::int64_t kMissesUntilOver = 4;

// Prometheus's rule: what is over and was not told so, and whatever was last told long enough ago.
bool due(const Alert& alert, TimestampMs last_sent_ms, TimestampMs now_ms, std::int64_t resend_delay_ms) {
  if (alert.state == AlertState::kPending) return false;
  if (last_sent_ms == 0 || alert.resolved_at_ms > last_sent_ms) return true;
  return last_sent_ms + resend_delay_ms <= now_ms;
}

}  // namespace

struct Alertmanagers::State : std::enable_shared_from_this<Alertmanagers::State> {
  State(base::Scheduler& s, base::Log& l, base::Registry& r)
      : scheduler(s),
        log(l),
        registry(r),
        dropped(r.counter("prometheus_notifications_dropped_total",
                          "Total number of alerts dropped due to errors when sending to Alertmanager.")),
        queue_length(
            r.gauge("prometheus_notifications_queue_length", "The number of alert notifications in the queue.")),
        queue_capacity(
            r.gauge("prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.")),
        discovered(r.gauge("prometheus_notifications_alertmanagers_discovered",
                           "The number of alertmanagers discovered and active.")) {}

  using Text = std::shared_ptr<const std::string>;  // an alert as JSON

  // One Alertmanager.
  struct Channel {
    Channel(base::Registry& r, const base::Clock& clock, const std::string& url)
        : sent(r.counter("prometheus_notifications_sent_total", "Total number of alerts sent.",
                         {{"alertmanager", url}})),
          errors(r.counter("prometheus_notifications_errors_total", "Total number of sent alerts affected by errors.",
                           {{"alertmanager", url}})),
          latency(r.summary("prometheus_notifications_latency_seconds", "Latency of sending alert notifications.",
                            clock, base::Registry::Quantiles::kUpper, {{"alertmanager", url}})) {}
    base::Counter& sent;
    base::Counter& errors;
    base::DurationSummary& latency;
    std::size_t set = 0;
    std::deque<Text> queue;
    bool posting = false;
    bool failing = false;  // told once
  };
  using ChannelPtr = std::shared_ptr<Channel>;

  void enqueue(Channel& channel, const Text& text) QD_REQUIRES(mutex) {
    if (channel.queue.size() >= options.queue_capacity) {
      channel.queue.pop_front();
      dropped.add();
    }
    channel.queue.push_back(text);
  }

  void tell_length() QD_REQUIRES(mutex) {
    std::size_t length = 0;
    for (const auto& [url, channel] : channels) length += channel->queue.size();
    queue_length.set(static_cast<double>(length));
  }

  // The next request to one Alertmanager, if there is none under way.
  void pump(const std::string& url, const ChannelPtr& channel) QD_EXCLUDES(mutex) {
    std::string body;
    AlertmanagerSet::Post post;
    std::size_t count = 0;
    {
      base::MutexLock lock(mutex);
      if (stopped || channel->posting || channel->queue.empty()) return;
      // It may have gone, and another one of its URL have come.
      if (const auto now = channels.find(url); now == channels.end() || now->second != channel) return;
      for (; count < kAlertsPerRequestMax && !channel->queue.empty(); ++count) {
        body += body.empty() ? "[" : ",";
        body += *channel->queue.front();
        channel->queue.pop_front();
      }
      body += "]";
      post = sets[channel->set].post;
      channel->posting = true;
      tell_length();
    }
    const auto start_ns = scheduler.clock().monotonic_ns();
    post(url, std::move(body), [weak = weak_from_this(), url, channel, count, start_ns](const base::Status& done) {
      if (const auto self = weak.lock()) self->told(url, channel, count, start_ns, done);
    });
  }

  void told(const std::string& url, const ChannelPtr& channel, std::size_t count, std::int64_t start_ns,
            const base::Status& done) QD_EXCLUDES(mutex) {
    channel->latency.observe(scheduler.clock().monotonic_ns() - start_ns);
    channel->sent.add(count);
    bool was_failing = false;
    {
      base::MutexLock lock(mutex);
      channel->posting = false;
      was_failing = std::exchange(channel->failing, !done);
    }
    if (!done) {
      channel->errors.add(count);
      dropped.add(count);
      if (!was_failing)
        log.warn("an Alertmanager does not take alerts, it is told again after the resend delay",
                 {{"alertmanager", url}, {"error", done.error()}});
    } else if (was_failing) {
      log.info("an Alertmanager takes alerts again", {{"alertmanager", url}});
    }
    scheduler.post([weak = weak_from_this(), url, channel] {
      if (const auto self = weak.lock()) self->pump(url, channel);
    });
  }

  // The alert as each set is told of it; null where a set drops it.
  std::vector<Text> texts_of(const Alert& alert, TimestampMs ends_at_ms) QD_REQUIRES(mutex) {
    std::vector<Text> out;
    for (const auto& set : sets) {
      model::LabelBuilder labels(alert.labels);
      for (const auto& label : origin.external_labels)
        if (!alert.labels.has(label.name)) labels.set(label.name, label.value);
      if (set.relabel && !set.relabel(labels)) {
        out.push_back(nullptr);
        continue;
      }
      out.push_back(std::make_shared<const std::string>(alert_json(alert, labels.build(), ends_at_ms, origin)));
    }
    return out;
  }

  void update(const std::string& source, std::int64_t interval_ms, const std::vector<Alert>& alerts, TimestampMs now_ms)
      QD_EXCLUDES(mutex) {
    std::vector<std::pair<std::string, ChannelPtr>> fed;
    {
      base::MutexLock lock(mutex);
      if (stopped || channels.empty()) return;
      auto& before = last_sent[source];
      std::unordered_map<LabelSet, TimestampMs> after;
      for (const auto& alert : alerts) {
        const auto known = before.find(alert.labels);
        const TimestampMs last_ms = known == before.end() ? 0 : known->second;
        const bool now_due = due(alert, last_ms, now_ms, options.resend_delay_ms);
        if (last_ms != 0 || now_due) after.emplace(alert.labels, now_due ? now_ms : last_ms);
        if (!now_due) continue;
        const auto ends_at_ms =
            alert.state == AlertState::kInactive
                ? alert.resolved_at_ms
                : alert.evaluated_at_ms + kMissesUntilOver * std::max(interval_ms, options.resend_delay_ms);
        const auto texts = texts_of(alert, ends_at_ms);
        for (const auto& [url, channel] : channels)
          if (texts[channel->set]) enqueue(*channel, texts[channel->set]);
      }
      before = std::move(after);
      if (before.empty()) last_sent.erase(source);
      tell_length();
      for (const auto& [url, channel] : channels)
        if (!channel->queue.empty()) fed.emplace_back(url, channel);
    }
    for (const auto& [url, channel] : fed) pump(url, channel);
  }

  void set_alertmanagers(std::vector<AlertmanagerSet> next) QD_EXCLUDES(mutex) {
    base::MutexLock lock(mutex);
    std::map<std::string, ChannelPtr> kept;
    for (std::size_t i = 0; i < next.size(); ++i) {
      for (const auto& url : next[i].urls) {
        if (kept.contains(url)) continue;
        const auto known = channels.find(url);
        const auto channel =
            known != channels.end() ? known->second : std::make_shared<Channel>(registry, scheduler.clock(), url);
        channel->set = i;
        kept.emplace(url, channel);
      }
    }
    channels = std::move(kept);
    sets = std::move(next);
    discovered.set(static_cast<double>(channels.size()));
    tell_length();
  }

  base::Scheduler& scheduler;
  base::Log& log;
  base::Registry& registry;
  base::Counter& dropped;
  base::Gauge& queue_length;
  base::Gauge& queue_capacity;
  base::Gauge& discovered;

  mutable base::Mutex mutex;
  bool stopped QD_GUARDED_BY(mutex) = false;
  AlertmanagerOptions options QD_GUARDED_BY(mutex);
  Origin origin QD_GUARDED_BY(mutex);
  std::vector<AlertmanagerSet> sets QD_GUARDED_BY(mutex);
  std::map<std::string, ChannelPtr> channels QD_GUARDED_BY(mutex);                                  // by URL
  std::map<std::string, std::unordered_map<LabelSet, TimestampMs>> last_sent QD_GUARDED_BY(mutex);  // by source
};

Alertmanagers::Alertmanagers(base::Scheduler& scheduler, base::Log& log, base::Registry& registry)
    : state_(std::make_shared<State>(scheduler, log, registry)) {
  apply({});
}

Alertmanagers::~Alertmanagers() {
  stop();
}

void Alertmanagers::apply(const AlertmanagerOptions& options) {
  base::MutexLock lock(state_->mutex);
  state_->options = options;
  state_->queue_capacity.set(static_cast<double>(options.queue_capacity));
}

void Alertmanagers::set_alertmanagers(std::vector<AlertmanagerSet> sets) {
  state_->set_alertmanagers(std::move(sets));
}

void Alertmanagers::set_origin(Origin origin) {
  base::MutexLock lock(state_->mutex);
  state_->origin = std::move(origin);
}

void Alertmanagers::update(const std::string& source, std::int64_t interval_ms, const std::vector<Alert>& alerts,
                           TimestampMs now_ms) {
  state_->update(source, interval_ms, alerts, now_ms);
}

void Alertmanagers::stop() {
  base::MutexLock lock(state_->mutex);
  state_->stopped = true;
}

std::vector<std::string> Alertmanagers::urls() const {
  base::MutexLock lock(state_->mutex);
  std::vector<std::string> out;
  for (const auto& [url, channel] : state_->channels) out.push_back(url);
  return out;
}

std::string alerts_url(std::string_view base) {
  while (base.ends_with('/')) base.remove_suffix(1);
  return std::string(base) + "/api/v2/alerts";
}

}  // namespace qd::act::notify
