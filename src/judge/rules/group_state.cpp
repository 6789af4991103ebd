#include "judge/rules/group_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using base::Result;
using model::LabelSet;
using model::TimestampMs;

// How long a resolved alert is still told of, so that a receiver that was down learns of it.
constexpr std::int64_t kResolvedKeptMs = 15 * 60 * 1000;
// A pending alert goes on after a restart when its last mark is no older than this.
constexpr std::int64_t kOutageToleranceMs = 60 * 60 * 1000;

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

}  // namespace

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

std::string_view to_string(Health health) {
  switch (health) {
    case Health::kUnknown:
      return "unknown";
    case Health::kOk:
      return "ok";
    case Health::kError:
      return "err";
  }
  return {};
}

GroupState::GroupState(Group group, const Workplace& workplace)
    : group_(std::move(group)),
      workplace_(workplace),
      failures_(
          workplace.registry.counter("quarterdeck_rule_evaluation_failures_total", "Rule evaluations that failed.")),
      evaluations_(workplace.registry.counter("quarterdeck_rule_evaluations_total", "Rule evaluations.")),
      refused_samples_(workplace.registry.counter("quarterdeck_rule_samples_refused_total",
                                                  "Samples of rules that the store refused as out of order.")),
      working_(group_.rules.size()) {
  status_.file = group_.file;
  status_.name = group_.name;
  status_.interval_ms = group_.interval_ms;
  status_.limit = group_.limit;
  for (const auto& rule : group_.rules) status_.rules.push_back({.rule = rule});
}

std::vector<Alert> GroupState::evaluate(TimestampMs now_ms) {
  const auto group_start = workplace_.clock.monotonic_ns();
  const TimestampMs as_of_ms = now_ms - group_.query_offset_ms;
  std::vector<Alert> alerts;
  for (std::size_t i = 0; i < group_.rules.size(); ++i) {
    const auto start = workplace_.clock.monotonic_ns();
    RuleStatus status{.rule = group_.rules[i]};
    evaluations_.add();
    auto outputs = run(i, as_of_ms, status);
    if (workplace_.cancel.cancelled()) break;
    base::Status done = outputs ? write(i, *outputs, as_of_ms) : base::Status(base::fail(outputs.error()));
    status.health = done ? Health::kOk : Health::kError;
    if (!done) {
      failures_.add();
      status.last_error = done.error().message();
    }
    tell(i, done);
    status.alerts = alerts_of(i, false);
    status.last_evaluation_ms = now_ms;
    status.evaluation_seconds = seconds(workplace_.clock.monotonic_ns() - start);
    for (auto& alert : alerts_of(i, true)) alerts.push_back(std::move(alert));
    base::MutexLock lock(mutex_);
    status_.rules[i] = std::move(status);
  }
  restored_ = true;
  base::MutexLock lock(mutex_);
  status_.last_evaluation_ms = now_ms;
  status_.evaluation_seconds = seconds(workplace_.clock.monotonic_ns() - group_start);
  return alerts;
}

Result<std::vector<GroupState::Output>> GroupState::run(std::size_t i, TimestampMs now_ms, RuleStatus& status) {
  const Rule& rule = group_.rules[i];
  auto result =
      workplace_.rule_query ? workplace_.rule_query(group_, rule.expr, now_ms) : workplace_.query(rule.expr, now_ms);
  if (!result) return base::fail(result.error());
  status.warnings = std::move(result->warnings);
  query::promql::Vector found;
  if (auto* vector = std::get_if<query::promql::Vector>(&result->value)) {
    found = std::move(*vector);
  } else if (const auto* scalar = std::get_if<query::promql::ScalarValue>(&result->value)) {
    found.push_back({.labels = {}, .time_ms = now_ms, .value = scalar->value});
  } else {
    return base::fail(ErrorCode::kInvalid, "the expression of a rule must give a vector or a scalar");
  }
  if (group_.limit != 0 && found.size() > group_.limit)
    return base::fail(ErrorCode::kLimit,
                      fmt::format("the rule gives {} {}, the group's limit is {}", found.size(),
                                  rule.kind == Rule::Kind::kAlerting ? "alerts" : "series", group_.limit));
  return rule.kind == Rule::Kind::kRecording ? record(rule, found) : judge(i, found, now_ms);
}

Result<std::vector<GroupState::Output>> GroupState::record(const Rule& rule, const query::promql::Vector& found) const {
  std::vector<Output> outputs;
  std::unordered_set<LabelSet> seen;
  for (const auto& sample : found) {
    model::LabelBuilder builder(sample.labels);
    builder.set(model::kMetricName, rule.name);
    for (const auto& [name, value] : rule.labels) builder.set(name, value);
    auto labels = builder.build();
    if (!seen.insert(labels).second)
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("the rule gives {} twice: vector contains metrics with the same labelset after "
                                    "applying rule labels",
                                    labels.to_string()));
    outputs.push_back({std::move(labels), sample.value});
  }
  return outputs;
}

Result<std::vector<GroupState::Output>> GroupState::judge(std::size_t i, const query::promql::Vector& found,
                                                          TimestampMs now_ms) {
  const Rule& rule = group_.rules[i];
  auto& alerts = working_[i].alerts;
  deadline_ns_ = workplace_.clock.monotonic_ns() + group_.interval_ms * 1'000'000;
  const model::tmpl::Limits limits{.go_on = [this] { return within_deadline(); }};
  const auto expanded = [&](std::string_view what, std::string_view text, const query::promql::VectorSample& sample) {
    const auto out = expand(what, text, sample.labels, sample.value, workplace_.external_labels,
                            workplace_.external_url, workplace_.query, now_ms, limits);
    // A broken template must not hide the alert: it says so itself.
    return out ? *out : fmt::format("<error expanding template: {}>", out.error().message());
  };
  std::unordered_map<LabelSet, Alert> current;
  for (const auto& sample : found) {
    model::LabelBuilder labels(sample.labels);
    labels.remove(model::kMetricName);
    for (const auto& [name, text] : rule.labels) labels.set(name, expanded(rule.name + " label " + name, text, sample));
    labels.set("alertname", rule.name);
    // What an alert is must not depend on time: without its labels the rule fails, without its texts it goes on.
    QD_TRY(within_deadline());
    model::LabelBuilder annotations;
    for (const auto& [name, text] : rule.annotations)
      annotations.set(name, within_deadline() ? expanded(rule.name + " annotation " + name, text, sample)
                                              : std::string("<error expanding template: no time left>"));
    Alert alert{.labels = labels.build(),
                .annotations = annotations.build(),
                .value = sample.value,
                .active_at_ms = now_ms,
                .expr = rule.expr};
    if (!current.try_emplace(alert.labels, alert).second)
      return base::fail(ErrorCode::kInvalid,
                        fmt::format("the rule gives the alert {} twice: vector contains metrics with the same labelset "
                                    "after applying alert labels",
                                    alert.labels.to_string()));
  }
  if (workplace_.cancel.cancelled()) return base::fail(within_deadline().error());
  for (auto& [labels, fresh] : current) {
    auto [at, is_new] = alerts.try_emplace(labels, fresh);
    auto& alert = at->second;
    if (!is_new && alert.state != AlertState::kInactive) {
      alert.value = fresh.value;
      alert.annotations = fresh.annotations;
      alert.keep_firing_since_ms = 0;
    } else {
      alert = fresh;
    }
  }
  if (!restored_ && rule.for_ms > 0) restore(i, now_ms);
  std::vector<Output> outputs;
  for (auto at = alerts.begin(); at != alerts.end();) {
    auto& alert = at->second;
    if (!current.contains(at->first)) {
      // The condition has gone.
      if (alert.state == AlertState::kFiring && rule.keep_firing_for_ms > 0) {
        if (alert.keep_firing_since_ms == 0) alert.keep_firing_since_ms = now_ms;
        if (now_ms - alert.keep_firing_since_ms >= rule.keep_firing_for_ms) {
          alert.state = AlertState::kInactive;
          alert.resolved_at_ms = now_ms;
        }
      } else if (alert.state == AlertState::kFiring) {
        alert.state = AlertState::kInactive;
        alert.resolved_at_ms = now_ms;
      }
      const bool forgotten = alert.state == AlertState::kPending ||
                             (alert.state == AlertState::kInactive && now_ms - alert.resolved_at_ms > kResolvedKeptMs);
      if (forgotten) {
        at = alerts.erase(at);
        continue;
      }
    } else if (alert.state == AlertState::kPending && now_ms - alert.active_at_ms >= rule.for_ms) {
      alert.state = AlertState::kFiring;
      alert.fired_at_ms = now_ms;
    }
    if (alert.state != AlertState::kInactive) {
      model::LabelBuilder series(alert.labels);
      series.set(model::kMetricName, "ALERTS_FOR_STATE");
      outputs.push_back({series.build(), static_cast<double>(alert.active_at_ms) / 1000});
      series.set(model::kMetricName, "ALERTS");
      series.set("alertstate", to_string(alert.state));
      outputs.push_back({series.build(), 1});
    }
    ++at;
  }
  return outputs;
}

base::Status GroupState::within_deadline() const {
  if (workplace_.cancel.cancelled()) return base::fail(ErrorCode::kCancelled, "Quarterdeck is stopping");
  if (workplace_.clock.monotonic_ns() <= deadline_ns_) return {};
  return base::fail(ErrorCode::kTimeout,
                    fmt::format("the rule's templates take longer than the group's interval of {}: make them lighter, "
                                "or the interval longer",
                                base::format_duration_ms(group_.interval_ms)));
}

// After a restart: an alert that was pending or firing before goes on from when it began.
void GroupState::restore(std::size_t i, TimestampMs now_ms) {
  const Rule& rule = group_.rules[i];
  const auto result = workplace_.query(
      fmt::format("last_over_time(ALERTS_FOR_STATE{{alertname={}}}[{}ms])", base::quote(rule.name), kOutageToleranceMs),
      now_ms);
  if (!result) return;
  const auto* vector = std::get_if<query::promql::Vector>(&result->value);
  if (!vector) return;
  for (const auto& sample : *vector) {
    model::LabelBuilder builder(sample.labels);
    builder.remove(model::kMetricName);
    const auto at = working_[i].alerts.find(builder.build());
    if (at == working_[i].alerts.end()) continue;
    const auto began_ms = static_cast<TimestampMs>(sample.value * 1000);
    if (began_ms > 0 && began_ms < at->second.active_at_ms) at->second.active_at_ms = began_ms;
  }
}

base::Status GroupState::write(std::size_t i, const std::vector<Output>& outputs, TimestampMs now_ms) {
  auto appender = workplace_.store.appender();
  auto& written = working_[i].written;
  std::unordered_set<LabelSet> now_written;
  const auto append = [&](const LabelSet& labels, double value) -> base::Status {
    QD_ASSIGN(const auto ref, appender->series(labels));
    if (appender->append(ref, now_ms, value) != store::metrics::AppendOutcome::kOk) refused_samples_.add();
    return {};
  };
  for (const auto& output : outputs) {
    QD_TRY(append(output.labels, output.value));
    now_written.insert(output.labels);
  }
  for (const auto& labels : written) {
    if (!now_written.contains(labels)) QD_TRY(append(labels, model::stale_nan()));
  }
  QD_TRY(appender->commit());
  written = std::move(now_written);
  return {};
}

std::vector<Alert> GroupState::alerts_of(std::size_t i, bool with_resolved) const {
  std::vector<Alert> alerts;
  for (const auto& [labels, alert] : working_[i].alerts)
    if (with_resolved || alert.state != AlertState::kInactive) alerts.push_back(alert);
  std::sort(alerts.begin(), alerts.end(), [](const Alert& a, const Alert& b) { return a.labels < b.labels; });
  return alerts;
}

// A rule that goes on failing is told once.
void GroupState::tell(std::size_t i, const base::Status& done) {
  const bool before = std::exchange(working_[i].failure_told, !done);
  const auto& rule = group_.rules[i].name;
  if (!done && !before)
    workplace_.log.warn("rule failed", {{"group", group_.name}, {"rule", rule}, {"error", done.error()}});
  if (done && before) workplace_.log.info("a rule works again", {{"group", group_.name}, {"rule", rule}});
}

GroupStatus GroupState::snapshot() const {
  base::MutexLock lock(mutex_);
  return status_;
}

void GroupState::retire(TimestampMs now_ms) {
  for (std::size_t i = 0; i < working_.size(); ++i) {
    if (const auto done = write(i, {}, now_ms); !done)
      workplace_.log.warn("ending the series of a rule failed", {{"group", group_.name}, {"error", done.error()}});
  }
}

}  // namespace qd::judge::rules
