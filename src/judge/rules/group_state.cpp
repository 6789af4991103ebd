#include "judge/rules/group_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/strings.h"
#include "judge/rules/dependencies.h"

namespace qd::judge::rules {

namespace {

using base::ErrorCode;
using base::Result;
using model::LabelSet;
using model::TimestampMs;

// The first evaluation after a start may find nothing yet: targets are scraped and rules recorded meanwhile.
constexpr std::size_t kEvaluationsBeforeRestoring = 2;
constexpr std::size_t kRestoredSeriesMax = 1'000'000;

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / 1e9;
}

}  // namespace

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

GroupState::GroupState(Group group, const Workplace& workplace, bool restores)
    : group_(std::move(group)),
      workplace_(workplace),
      steps_(evaluation_steps(group_.rules)),
      metrics_(workplace.registry, workplace.clock, group_.file, group_.name),
      working_(group_.rules.size()) {
  status_.file = group_.file;
  status_.name = group_.name;
  status_.interval_ms = group_.interval_ms;
  status_.limit = group_.limit;
  for (std::size_t i = 0; i < group_.rules.size(); ++i) {
    const auto& rule = group_.rules[i];
    status_.rules.push_back({.rule = rule});
    // One that waits less than the grace period anyway just begins to wait again.
    working_[i].waits = restores && workplace.history != nullptr && rule.kind == Rule::Kind::kAlerting &&
                        rule.for_ms > 0 && rule.for_ms >= workplace.restore.grace_period_ms;
    if (working_[i].waits) evaluations_until_restored_ = kEvaluationsBeforeRestoring;
  }
  metrics_.rules.set(static_cast<double>(group_.rules.size()));
  metrics_.interval_seconds.set(static_cast<double>(group_.interval_ms) / 1000);
}

std::vector<Alert> GroupState::evaluate(TimestampMs now_ms) {
  const auto start_ns = workplace_.clock.monotonic_ns();
  for (const auto& step : steps_) {
    if (workplace_.cancel.cancelled()) return {};
    evaluate_step(step, now_ms);
  }
  if (evaluations_until_restored_ > 0) {
    --evaluations_until_restored_;
    if (evaluations_until_restored_ == 0) restore(now_ms);
  }
  end_left_behind(now_ms);
  std::vector<Alert> alerts;
  std::size_t samples = 0;
  double sum_seconds = 0;
  for (const auto& working : working_) {
    for (auto& alert : working.alerts.list(true)) alerts.push_back(std::move(alert));
    samples += working.samples;
    sum_seconds += working.seconds;
  }
  const std::int64_t took_ns = workplace_.clock.monotonic_ns() - start_ns;
  const double took = seconds(took_ns);
  metrics_.last_samples.set(static_cast<double>(samples));
  metrics_.last_rule_duration_sum_seconds.set(sum_seconds);
  metrics_.last_duration_seconds.set(took);
  metrics_.group_durations.observe(took_ns);
  metrics_.last_evaluation_time_seconds.set(static_cast<double>(now_ms) / 1000);
  base::MutexLock lock(mutex_);
  status_.last_evaluation_ms = now_ms;
  status_.evaluation_seconds = took;
  return alerts;
}

void GroupState::end_left_behind(TimestampMs now_ms) {
  if (left_behind_.empty()) return;
  for (const auto& working : working_)
    for (const auto& labels : working.written) left_behind_.erase(labels);
  // Should it fail they end by themselves, after the lookback.
  if (!write(left_behind_, {}, as_of(now_ms))) left_behind_.clear();
}

void GroupState::evaluate_step(const std::vector<std::size_t>& step, TimestampMs now_ms) {
  std::size_t beside = 0;
  if (step.size() > 1 && workplace_.pool && workplace_.permits) beside = workplace_.permits->take(step.size() - 1);
  std::atomic<std::size_t> next = 0;
  const auto work = [&](std::size_t) {
    for (auto k = next++; k < step.size(); k = next++)
      if (!workplace_.cancel.cancelled()) evaluate_rule(step[k], now_ms);
  };
  if (beside == 0) return work(0);
  workplace_.pool->parallel_for(beside + 1, work);
  workplace_.permits->give(beside);
}

void GroupState::evaluate_rule(std::size_t i, TimestampMs now_ms) {
  const auto start_ns = workplace_.clock.monotonic_ns();
  auto& working = working_[i];
  RuleStatus status{.rule = group_.rules[i]};
  metrics_.evaluations.add();
  auto outputs = run(i, now_ms, status);
  if (workplace_.cancel.cancelled()) return;
  const base::Status done =
      outputs ? write(working.written, *outputs, as_of(now_ms)) : base::Status(base::fail(outputs.error()));
  working.samples = outputs ? outputs->size() : 0;
  status.health = done ? Health::kOk : Health::kError;
  if (!done) {
    metrics_.failures.add();
    status.last_error = done.error().message();
  }
  tell(i, done);
  status.alerts = working.alerts.list(false);
  status.last_evaluation_ms = now_ms;
  const std::int64_t took_ns = workplace_.clock.monotonic_ns() - start_ns;
  working.seconds = seconds(took_ns);
  status.evaluation_seconds = working.seconds;
  metrics_.rule_durations.observe(took_ns);
  base::MutexLock lock(mutex_);
  status_.rules[i] = std::move(status);
}

Result<std::vector<GroupState::Output>> GroupState::run(std::size_t i, TimestampMs now_ms, RuleStatus& status) {
  const Rule& rule = group_.rules[i];
  auto result = workplace_.rule_query ? workplace_.rule_query(group_, rule.expr, as_of(now_ms))
                                      : workplace_.query(rule.expr, as_of(now_ms));
  if (!result) return base::fail(result.error());
  status.warnings = std::move(result->warnings);
  query::promql::Vector found;
  if (auto* vector = std::get_if<query::promql::Vector>(&result->value)) {
    found = std::move(*vector);
  } else if (const auto* scalar = std::get_if<query::promql::ScalarValue>(&result->value)) {
    found.push_back({.labels = {}, .time_ms = as_of(now_ms), .value = scalar->value});
  } else {
    return base::fail(ErrorCode::kInvalid, "the expression of a rule must give a vector or a scalar");
  }
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
    outputs.push_back({std::move(labels), sample.value, sample.histogram});
  }
  if (group_.limit != 0 && outputs.size() > group_.limit)
    return base::fail(ErrorCode::kLimit, fmt::format("exceeded limit of {} with {} series (`limit` of the group)",
                                                     group_.limit, outputs.size()));
  return outputs;
}

Result<AlertStates::Fresh> GroupState::fresh_alerts(const Rule& rule, const query::promql::Vector& found,
                                                    TimestampMs now_ms) const {
  const auto deadline_ns = workplace_.clock.monotonic_ns() + group_.interval_ms * 1'000'000;
  const model::tmpl::Limits limits{.go_on = [this, deadline_ns] { return within(deadline_ns); }};
  const auto expanded = [&](std::string_view what, std::string_view text, const query::promql::VectorSample& sample) {
    const auto out = expand(what, text, sample.labels, sample.value, workplace_.external_labels,
                            workplace_.external_url, workplace_.query, now_ms, limits);
    // A broken template must not hide the alert: it says so itself.
    return out ? *out : fmt::format("<error expanding template: {}>", out.error().message());
  };
  AlertStates::Fresh current;
  for (const auto& sample : found) {
    model::LabelBuilder labels(sample.labels);
    labels.remove(model::kMetricName);
    for (const auto& [name, text] : rule.labels) labels.set(name, expanded(rule.name + " label " + name, text, sample));
    labels.set("alertname", rule.name);
    // What an alert is must not depend on time: without its labels the rule fails, without its texts it goes on.
    QD_TRY(within(deadline_ns));
    model::LabelBuilder annotations;
    for (const auto& [name, text] : rule.annotations)
      annotations.set(name, within(deadline_ns) ? expanded(rule.name + " annotation " + name, text, sample)
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
  if (workplace_.cancel.cancelled()) return base::fail(within(deadline_ns).error());
  return current;
}

Result<std::vector<GroupState::Output>> GroupState::judge(std::size_t i, const query::promql::Vector& found,
                                                          TimestampMs now_ms) {
  const Rule& rule = group_.rules[i];
  auto& working = working_[i];
  QD_ASSIGN(auto fresh, fresh_alerts(rule, found, now_ms));
  working.alerts.update(rule, std::move(fresh), now_ms);
  const auto active = working.alerts.active();
  if (group_.limit != 0 && active > group_.limit) {
    working.alerts.clear();
    return base::fail(ErrorCode::kLimit,
                      fmt::format("exceeded limit of {} with {} alerts (`limit` of the group)", group_.limit, active));
  }
  std::vector<Output> outputs;
  if (working.waits) return outputs;
  for (const auto& alert : working.alerts.list(false)) {
    model::LabelBuilder series(alert.labels);
    series.set(model::kMetricName, "ALERTS_FOR_STATE");
    outputs.push_back({series.build(), static_cast<double>(alert.active_at_ms) / 1000});
    series.set(model::kMetricName, "ALERTS");
    series.set("alertstate", to_string(alert.state));
    outputs.push_back({series.build(), 1});
  }
  return outputs;
}

base::Status GroupState::within(std::int64_t deadline_ns) const {
  if (workplace_.cancel.cancelled()) return base::fail(ErrorCode::kCancelled, "Quarterdeck is stopping");
  if (workplace_.clock.monotonic_ns() <= deadline_ns) return {};
  return base::fail(ErrorCode::kTimeout,
                    fmt::format("the rule's templates take longer than the group's interval of {}: make them lighter, "
                                "or the interval longer",
                                base::format_duration_ms(group_.interval_ms)));
}

void GroupState::restore(TimestampMs now_ms) {
  const auto start_ns = workplace_.clock.monotonic_ns();
  for (std::size_t i = 0; i < working_.size(); ++i) {
    if (!std::exchange(working_[i].waits, false) || !workplace_.history) continue;
    restore_rule(i, now_ms);
  }
  metrics_.last_restore_duration_seconds.set(seconds(workplace_.clock.monotonic_ns() - start_ns));
}

void GroupState::restore_rule(std::size_t i, TimestampMs now_ms) {
  const auto& rule = group_.rules[i];
  const auto failed = [&](const base::Error& error) {
    workplace_.log.warn("the state of alerts before the restart cannot be read: they begin to wait again",
                        {{"group", group_.name}, {"rule", rule.name}, {"error", error}});
  };
  const model::Matcher matchers[] = {model::Matcher::equal(std::string(model::kMetricName), "ALERTS_FOR_STATE"),
                                     model::Matcher::equal("alertname", rule.name)};
  const auto from_ms = now_ms - workplace_.restore.outage_tolerance_ms;
  const auto series = workplace_.history->select(matchers, from_ms, now_ms, kRestoredSeriesMax);
  if (!series) return failed(series.error());
  store::metrics::Columns columns;
  for (std::size_t k = 0; k < (*series)->size(); ++k) {
    if (const auto read = (*series)->read(k, from_ms, now_ms, columns); !read) return failed(read.error());
    // A stale marker is the end of an alert that was over before.
    if (columns.size() == 0 || model::is_stale_nan(columns.values.back())) continue;
    model::LabelBuilder builder((*series)->labels(k));
    builder.remove(model::kMetricName);
    const double began_ms = columns.values.back() * 1000;
    if (!(began_ms > 0 && began_ms <= static_cast<double>(columns.times.back()))) continue;
    working_[i].alerts.restore(rule, builder.build(), columns.times.back(), static_cast<TimestampMs>(began_ms), now_ms,
                               workplace_.restore);
  }
  const auto alerts = working_[i].alerts.list(false);
  base::MutexLock lock(mutex_);
  status_.rules[i].alerts = alerts;
}

base::Status GroupState::write(Series& written, const std::vector<Output>& outputs, TimestampMs at_ms) {
  auto appender = workplace_.store.appender();
  Series now_written;
  const auto append = [&](const LabelSet& labels, const auto& value) -> base::Status {
    QD_ASSIGN(const auto ref, appender->series(labels));
    if (appender->append(ref, at_ms, value) != store::metrics::AppendOutcome::kOk) metrics_.refused_samples.add();
    return {};
  };
  for (const auto& output : outputs) {
    QD_TRY(output.histogram ? append(output.labels, *output.histogram) : append(output.labels, output.value));
    now_written.insert(output.labels);
  }
  for (const auto& labels : written) {
    if (!now_written.contains(labels)) QD_TRY(append(labels, model::stale_nan()));
  }
  QD_TRY(appender->commit());
  written = std::move(now_written);
  return {};
}

// A rule that goes on failing is told once.
void GroupState::tell(std::size_t i, const base::Status& done) {
  const bool before = std::exchange(working_[i].failure_told, !done);
  const auto& rule = group_.rules[i].name;
  if (!done && !before)
    workplace_.log.warn("rule failed", {{"group", group_.name}, {"rule", rule}, {"error", done.error()}});
  if (done && before) workplace_.log.info("a rule works again", {{"group", group_.name}, {"rule", rule}});
}

void GroupState::adopt(GroupState& old) {
  auto before_shown = old.snapshot();
  auto shown = snapshot().rules;
  std::vector<bool> taken(old.working_.size(), false);
  for (std::size_t i = 0; i < working_.size(); ++i) {
    const auto& rule = group_.rules[i];
    for (std::size_t k = 0; k < old.working_.size(); ++k) {
      const auto& before = old.group_.rules[k];
      if (taken[k] || before.kind != rule.kind || before.name != rule.name || before.labels != rule.labels) continue;
      taken[k] = true;
      working_[i] = std::move(old.working_[k]);
      shown[i] = std::move(before_shown.rules[k]);
      shown[i].rule = rule;
      break;
    }
  }
  left_behind_ = std::move(old.left_behind_);
  for (std::size_t k = 0; k < old.working_.size(); ++k)
    if (!taken[k]) left_behind_.merge(old.working_[k].written);
  evaluations_until_restored_ = old.evaluations_until_restored_;
  base::MutexLock lock(mutex_);
  status_.rules = std::move(shown);
  status_.last_evaluation_ms = before_shown.last_evaluation_ms;
  status_.evaluation_seconds = before_shown.evaluation_seconds;
}

GroupStatus GroupState::snapshot() const {
  base::MutexLock lock(mutex_);
  return status_;
}

void GroupState::retire(TimestampMs now_ms) {
  for (auto& working : working_) left_behind_.merge(working.written);
  if (const auto done = write(left_behind_, {}, as_of(now_ms)); !done)
    workplace_.log.warn("ending the series of rules failed", {{"group", group_.name}, {"error", done.error()}});
  metrics_.retire();
}

}  // namespace qd::judge::rules
