#include "judge/rules/alert_states.h"

#include <algorithm>

namespace qd::judge::rules {

using model::LabelSet;
using model::TimestampMs;

std::string_view to_string(AlertState state) {
  switch (state) {
    case AlertState::kInactive:
      return "inactive";
    case AlertState::kPending:
      return "pending";
    case AlertState::kFiring:
      return "firing";
  }
  return {};
}

namespace {

// The condition of an alert that is not over has gone. False when there is nothing left to remember.
bool let_go(Alert& alert, const Rule& rule, TimestampMs now_ms) {
  if (alert.state == AlertState::kPending) return false;
  if (alert.state == AlertState::kInactive) return now_ms - alert.resolved_at_ms <= kResolvedKeptMs;
  if (rule.keep_firing_for_ms > 0) {
    if (alert.keep_firing_since_ms == 0) alert.keep_firing_since_ms = now_ms;
    if (now_ms - alert.keep_firing_since_ms < rule.keep_firing_for_ms) return true;
  }
  alert.state = AlertState::kInactive;
  alert.resolved_at_ms = now_ms;
  return true;
}

}  // namespace

void AlertStates::update(const Rule& rule, Fresh fresh, TimestampMs now_ms) {
  for (auto at = alerts_.begin(); at != alerts_.end();) {
    auto& alert = at->second;
    alert.evaluated_at_ms = now_ms;
    const bool kept = fresh.contains(at->first) || let_go(alert, rule, now_ms);
    at = kept ? std::next(at) : alerts_.erase(at);
  }
  for (auto& [labels, found] : fresh) {
    auto [at, is_new] = alerts_.try_emplace(labels, found);
    auto& alert = at->second;
    if (!is_new && alert.state != AlertState::kInactive) {
      alert.value = found.value;
      alert.annotations = std::move(found.annotations);
      alert.keep_firing_since_ms = 0;
    } else if (!is_new) {
      alert = std::move(found);
    }
    alert.evaluated_at_ms = now_ms;
    if (alert.state == AlertState::kPending && now_ms - alert.active_at_ms >= rule.for_ms) {
      alert.state = AlertState::kFiring;
      alert.fired_at_ms = now_ms;
    }
  }
}

void AlertStates::restore(const Rule& rule, const LabelSet& labels, TimestampMs marked_ms, TimestampMs began_ms,
                          TimestampMs now_ms, const RestoreOptions& options) {
  const auto at = alerts_.find(labels);
  if (at == alerts_.end() || at->second.state == AlertState::kInactive) return;
  if (marked_ms < began_ms || now_ms < marked_ms || now_ms - marked_ms > options.outage_tolerance_ms) return;
  const auto left_ms = rule.for_ms - (marked_ms - began_ms);
  if (left_ms <= 0) {
    // It fired before, and fires again with the next evaluation.
    at->second.active_at_ms = began_ms;
  } else if (left_ms < options.grace_period_ms) {
    at->second.active_at_ms = now_ms + options.grace_period_ms - rule.for_ms;
  } else {
    // Nobody watched while the program was away: that time does not count.
    at->second.active_at_ms = began_ms + (now_ms - marked_ms);
  }
}

std::vector<Alert> AlertStates::list(bool with_resolved) const {
  std::vector<Alert> out;
  for (const auto& [labels, alert] : alerts_)
    if (with_resolved || alert.state != AlertState::kInactive) out.push_back(alert);
  std::sort(out.begin(), out.end(), [](const Alert& a, const Alert& b) { return a.labels < b.labels; });
  return out;
}

std::size_t AlertStates::active() const {
  return static_cast<std::size_t>(std::count_if(
      alerts_.begin(), alerts_.end(), [](const auto& item) { return item.second.state != AlertState::kInactive; }));
}

}  // namespace qd::judge::rules
