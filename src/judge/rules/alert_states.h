// The alerts of one alerting rule: pending, firing, and those that are over but still told of.
//
// One thread at a time. Source: Prometheus documentation, "Alerting rules", and what its server does with `for`,
// `keep_firing_for` and ALERTS_FOR_STATE.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "judge/rules/alert.h"
#include "judge/rules/rule.h"
#include "model/labels.h"

namespace qd::judge::rules {

// How long a resolved alert is still told of, so that a receiver that was down learns of it.
inline constexpr std::int64_t kResolvedKeptMs = 15 * 60 * 1000;

struct RestoreOptions {
  // A mark older than this says nothing about now.
  std::int64_t outage_tolerance_ms = 60 * 60 * 1000;
  // An alert that is restored fires no sooner than this after it. One whose `for` is shorter just waits again.
  std::int64_t grace_period_ms = 10 * 60 * 1000;
};

class AlertStates {
 public:
  using Fresh = std::unordered_map<model::LabelSet, Alert>;

  // Takes over what an evaluation at `now_ms` found, alerts that are not in `fresh` being over.
  void update(const Rule& rule, Fresh fresh, model::TimestampMs now_ms);
  // The newest sample of an alert's ALERTS_FOR_STATE from before the restart: it was pending or firing at `marked_ms`,
  // since `began_ms`. Alerts that are not there now are passed over.
  void restore(const Rule& rule, const model::LabelSet& labels, model::TimestampMs marked_ms,
               model::TimestampMs began_ms, model::TimestampMs now_ms, const RestoreOptions& options);
  void clear() { alerts_.clear(); }

  // In order of labels; with_resolved gives those too that are over.
  std::vector<Alert> list(bool with_resolved) const;
  std::size_t active() const;

 private:
  std::unordered_map<model::LabelSet, Alert> alerts_;
};

}  // namespace qd::judge::rules
