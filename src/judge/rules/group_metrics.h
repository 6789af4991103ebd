// What /metrics tells of one rule group, under Prometheus's names. The label rule_group is "file;name".
//
// Source: /metrics of a Prometheus server, prometheus_rule_*.
#pragma once

#include <string>

#include "base/counters.h"

namespace qd::judge::rules {

struct GroupMetrics {
  GroupMetrics(base::Registry& registry, const base::Clock& clock, const std::string& file, const std::string& name);
  // The group is no more: what is a state is 0 from now on, what counts stays.
  void retire();

  base::Counter& evaluations;
  base::Counter& failures;
  base::Counter& iterations;
  base::Counter& missed;
  base::Gauge& interval_seconds;
  base::Gauge& last_duration_seconds;
  base::Gauge& last_rule_duration_sum_seconds;
  base::Gauge& last_restore_duration_seconds;
  base::Gauge& last_evaluation_time_seconds;
  base::Gauge& last_samples;
  base::Gauge& rules;
  // Of all groups together.
  base::DurationSummary& rule_durations;
  base::DurationSummary& group_durations;
  base::Counter& refused_samples;
};

}  // namespace qd::judge::rules
