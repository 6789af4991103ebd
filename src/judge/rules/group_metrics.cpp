#include "judge/rules/group_metrics.h"

namespace qd::judge::rules {

namespace {

base::CounterLabels of(const std::string& file, const std::string& name) {
  return {{"rule_group", file + ";" + name}};
}

}  // namespace

GroupMetrics::GroupMetrics(base::Registry& registry, const base::Clock& clock, const std::string& file,
                           const std::string& name)
    : evaluations(registry.counter("prometheus_rule_evaluations_total", "The total number of rule evaluations.",
                                   of(file, name))),
      failures(registry.counter("prometheus_rule_evaluation_failures_total",
                                "The total number of rule evaluation failures.", of(file, name))),
      iterations(registry.counter("prometheus_rule_group_iterations_total",
                                  "The total number of scheduled rule group evaluations, whether executed or missed.",
                                  of(file, name))),
      missed(registry.counter("prometheus_rule_group_iterations_missed_total",
                              "The total number of rule group evaluations missed due to slow rule group evaluation.",
                              of(file, name))),
      interval_seconds(
          registry.gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.", of(file, name))),
      last_duration_seconds(registry.gauge("prometheus_rule_group_last_duration_seconds",
                                           "The duration of the last rule group evaluation.", of(file, name))),
      last_rule_duration_sum_seconds(registry.gauge(
          "prometheus_rule_group_last_rule_duration_sum_seconds",
          "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency.",
          of(file, name))),
      last_restore_duration_seconds(
          registry.gauge("prometheus_rule_group_last_restore_duration_seconds",
                         "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
                         of(file, name))),
      last_evaluation_time_seconds(registry.gauge("prometheus_rule_group_last_evaluation_timestamp_seconds",
                                                  "The timestamp of the last rule group evaluation in seconds.",
                                                  of(file, name))),
      last_samples(registry.gauge("prometheus_rule_group_last_evaluation_samples",
                                  "The number of samples returned during the last rule group evaluation.",
                                  of(file, name))),
      rules(registry.gauge("prometheus_rule_group_rules", "The number of rules.", of(file, name))),
      rule_durations(registry.summary("prometheus_rule_evaluation_duration_seconds",
                                      "The duration for a rule to execute.", clock, base::Registry::Quantiles::kUpper)),
      group_durations(registry.summary("prometheus_rule_group_duration_seconds",
                                       "The duration of rule group evaluations.", clock,
                                       base::Registry::Quantiles::kBothEnds)),
      refused_samples(registry.counter("quarterdeck_rule_samples_refused_total",
                                       "Samples of rules that the store refused as out of order.")) {}

void GroupMetrics::retire() {
  for (auto* gauge : {&interval_seconds, &last_duration_seconds, &last_rule_duration_sum_seconds,
                      &last_restore_duration_seconds, &last_evaluation_time_seconds, &last_samples, &rules})
    gauge->set(0);
}

}  // namespace qd::judge::rules
