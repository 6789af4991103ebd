#include "judge/rules/group_state.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "query/promql/memory_querier.h"

namespace qd::judge::rules {
namespace {

using model::LabelSet;
using query::promql::QueryResult;
using query::promql::Vector;

// Remembers what was written, and never says no.
class RecordingStore final : public store::metrics::Appendable {
 public:
  std::map<std::string, std::vector<model::Sample>> samples;
  std::map<std::string, std::vector<std::pair<model::TimestampMs, model::Histogram>>> histograms;

  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(*this); }

 private:
  class Batch final : public store::metrics::Appender {
   public:
    explicit Batch(RecordingStore& store) : store_(store) {}
    base::Result<store::metrics::SeriesRef> series(const LabelSet& labels) override {
      names_.push_back(labels.to_string());
      return names_.size();
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                                         double value) override {
      store_.samples[names_[ref - 1]].push_back({time_ms, value});
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef ref, model::TimestampMs time_ms,
                                         const model::Histogram& histogram) override {
      store_.histograms[names_[ref - 1]].emplace_back(time_ms, histogram);
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef, const model::Exemplar&) override {
      return store::metrics::AppendOutcome::kInvalid;
    }
    void metadata(std::string_view, const model::Metadata&) override {}
    base::Status commit() override { return {}; }
    std::size_t pending() const override { return 0; }

   private:
    RecordingStore& store_;
    std::vector<std::string> names_;
  };
};

class GroupTest : public testing::Test {
 protected:
  GroupTest()
      : workplace_{.query = [this](std::string_view expr, model::TimestampMs time_ms) -> base::Result<QueryResult> {
                     asked_.emplace_back(expr);
                     asked_at_.push_back(time_ms);
                     clock_.advance_ms(query_takes_ms_);
                     const auto found = answers_.find(std::string(expr.substr(0, expr.find('('))));
                     if (found == answers_.end())
                       return base::fail(base::ErrorCode::kTimeout, "the query took too long");
                     return QueryResult{.value = found->second};
                   },
                   .store = store_,
                   .clock = clock_,
                   .log = base::Log::silent(),
                   .registry = registry_,
                   .external_labels = LabelSet{{"region", "x"}},
                   .external_url = "http://q"} {}

  static Rule alert_rule() {
    return {.kind = Rule::Kind::kAlerting,
            .name = "Down",
            .expr = "up",
            .for_ms = 60'000,
            .labels = {{"severity", "page"}},
            .annotations = {{"summary", "{{ $labels.job }} is {{ $value }} in {{ $externalLabels.region }}"}}};
  }
  static Group group_of(Rule rule) {
    return {.file = "f", .name = "g", .interval_ms = 1000, .rules = {std::move(rule)}};
  }
  static Vector one(double value) { return {{.labels = LabelSet{{"__name__", "up"}, {"job", "a"}}, .value = value}}; }

  base::ManualClock clock_;
  base::Registry registry_;
  RecordingStore store_;
  std::map<std::string, Vector> answers_;
  std::vector<std::string> asked_;
  std::vector<model::TimestampMs> asked_at_;
  std::int64_t query_takes_ms_ = 0;
  Workplace workplace_;
};

TEST_F(GroupTest, an_alert_is_pending_then_fires_then_resolves) {
  answers_["up"] = one(0);
  GroupState group(group_of(alert_rule()), workplace_, false);
  auto alerts = group.evaluate(0);
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].state, AlertState::kPending);
  EXPECT_EQ(alerts[0].labels, (LabelSet{{"alertname", "Down"}, {"job", "a"}, {"severity", "page"}}));
  EXPECT_EQ(alerts[0].annotations.get("summary"), "a is 0 in x");
  EXPECT_EQ(group.evaluate(59'000).at(0).state, AlertState::kPending);
  alerts = group.evaluate(60'000);
  EXPECT_EQ(alerts.at(0).state, AlertState::kFiring);
  EXPECT_EQ(alerts.at(0).active_at_ms, 0);
  EXPECT_EQ(alerts.at(0).fired_at_ms, 60'000);
  answers_["up"] = {};
  alerts = group.evaluate(70'000);
  EXPECT_EQ(alerts.at(0).state, AlertState::kInactive);
  EXPECT_EQ(alerts.at(0).resolved_at_ms, 70'000);
  EXPECT_TRUE(group.snapshot().rules[0].alerts.empty());
  EXPECT_TRUE(group.evaluate(70'000 + 15 * 60'000 + 1).empty());
}

TEST_F(GroupTest, alerts_series_follow_the_state_and_end) {
  answers_["up"] = one(0);
  GroupState group(group_of(alert_rule()), workplace_, false);
  group.evaluate(0);
  group.evaluate(60'000);
  answers_["up"] = {};
  group.evaluate(61'000);
  const auto& pending = store_.samples[R"(ALERTS{alertname="Down", alertstate="pending", job="a", severity="page"})"];
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0].value, 1);
  EXPECT_TRUE(model::is_stale_nan(pending[1].value));
  const auto& firing = store_.samples[R"(ALERTS{alertname="Down", alertstate="firing", job="a", severity="page"})"];
  ASSERT_EQ(firing.size(), 2u);
  EXPECT_TRUE(model::is_stale_nan(firing[1].value));
}

TEST_F(GroupTest, a_pending_alert_that_recovers_is_forgotten) {
  answers_["up"] = one(0);
  GroupState group(group_of(alert_rule()), workplace_, false);
  group.evaluate(0);
  answers_["up"] = {};
  EXPECT_TRUE(group.evaluate(1000).empty());
}

TEST_F(GroupTest, keep_firing_for_bridges_a_gap) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.keep_firing_for_ms = 10'000;
  answers_["up"] = one(0);
  GroupState group(group_of(rule), workplace_, false);
  EXPECT_EQ(group.evaluate(0).at(0).state, AlertState::kFiring);
  answers_["up"] = {};
  EXPECT_EQ(group.evaluate(1000).at(0).state, AlertState::kFiring);
  EXPECT_EQ(group.evaluate(10'000).at(0).state, AlertState::kFiring);
  EXPECT_EQ(group.evaluate(11'000).at(0).state, AlertState::kInactive);
}

class RestartTest : public GroupTest {
 protected:
  static constexpr std::int64_t kNow = 1'000'000'000;
  static constexpr std::int64_t kMinute = 60'000;

  RestartTest() {
    workplace_.history = &history_;
    answers_["up"] = one(0);
    rule_.for_ms = 30 * kMinute;
  }
  // The alert was told of at `marked_ms`, active since `began_ms`.
  void mark(std::int64_t marked_ms, std::int64_t began_ms) {
    history_.add(mark_of("a"), marked_ms, static_cast<double>(began_ms) / 1000);
  }
  static LabelSet mark_of(std::string_view job) {
    return {{"__name__", "ALERTS_FOR_STATE"}, {"alertname", "Down"}, {"job", job}, {"severity", "page"}};
  }
  // When it has been active since, once two evaluations are over.
  std::int64_t active_since() {
    GroupState group(group_of(rule_), workplace_, true);
    group.evaluate(kNow - 1000);
    EXPECT_TRUE(store_.samples.empty()) << "what is not restored yet is not written";
    group.evaluate(kNow);
    const auto since = group.snapshot().rules[0].alerts.at(0).active_at_ms;
    EXPECT_EQ(group.evaluate(kNow + 1000).at(0).active_at_ms, since);
    EXPECT_FALSE(store_.samples.empty());
    return since;
  }

  query::promql::MemoryQuerier history_;
  Rule rule_ = alert_rule();
};

TEST_F(RestartTest, time_that_nobody_watched_does_not_count) {
  mark(kNow - 10 * kMinute, kNow - 15 * kMinute);
  EXPECT_EQ(active_since(), kNow - 5 * kMinute);
}

TEST_F(RestartTest, an_alert_that_fired_fires_again) {
  mark(kNow - 10 * kMinute, kNow - 45 * kMinute);
  GroupState group(group_of(rule_), workplace_, true);
  group.evaluate(kNow - 1000);
  group.evaluate(kNow);
  const auto alerts = group.evaluate(kNow + 1000);
  EXPECT_EQ(alerts.at(0).state, AlertState::kFiring);
  EXPECT_EQ(alerts.at(0).active_at_ms, kNow - 45 * kMinute);
}

TEST_F(RestartTest, the_grace_period_is_waited_at_least) {
  mark(kNow - 2 * kMinute, kNow - 30 * kMinute);
  EXPECT_EQ(active_since(), kNow + 10 * kMinute - 30 * kMinute) << "2 minutes were left, it gets 10";
}

TEST_F(RestartTest, what_is_too_old_or_was_over_says_nothing) {
  mark(kNow - 61 * kMinute, kNow - 80 * kMinute);
  EXPECT_EQ(active_since(), kNow - 1000);
  mark(kNow - 20 * kMinute, kNow - 25 * kMinute);
  history_.add(mark_of("a"), kNow - 19 * kMinute, model::stale_nan());
  store_.samples.clear();
  EXPECT_EQ(active_since(), kNow - 1000);
}

TEST_F(RestartTest, a_short_wait_just_begins_again) {
  rule_.for_ms = 5 * kMinute;
  mark(kNow - 2 * kMinute, kNow - 4 * kMinute);
  GroupState group(group_of(rule_), workplace_, true);
  EXPECT_EQ(group.evaluate(kNow).at(0).active_at_ms, kNow);
  EXPECT_FALSE(store_.samples.empty()) << "nothing is waited for";
}

TEST_F(GroupTest, a_reload_keeps_the_alerts_of_rules_that_stay) {
  answers_["up"] = one(0);
  Group before = group_of(alert_rule());
  before.rules.push_back({.name = "gone", .expr = "up"});
  GroupState old(before, workplace_, false);
  old.evaluate(0);
  auto changed = alert_rule();
  changed.for_ms = 30'000;
  Group after = group_of({.name = "fresh", .expr = "up"});
  after.rules.push_back(changed);
  GroupState group(after, workplace_, false);
  group.adopt(old);
  EXPECT_EQ(group.snapshot().rules[1].alerts.at(0).state, AlertState::kPending);
  const auto alerts = group.evaluate(30'000);
  EXPECT_EQ(alerts.at(0).state, AlertState::kFiring);
  EXPECT_EQ(alerts.at(0).active_at_ms, 0);
  EXPECT_TRUE(model::is_stale_nan(store_.samples[R"(gone{job="a"})"].back().value));
}

TEST_F(GroupTest, the_offset_moves_the_query_and_what_is_written_but_not_the_alert) {
  answers_["up"] = one(0);
  auto spec = group_of(alert_rule());
  spec.query_offset_ms = 10'000;
  GroupState group(spec, workplace_, false);
  EXPECT_EQ(group.evaluate(60'000).at(0).active_at_ms, 60'000);
  EXPECT_EQ(asked_at_.back(), 50'000);
  const auto& pending = store_.samples[R"(ALERTS{alertname="Down", alertstate="pending", job="a", severity="page"})"];
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].time_ms, 50'000);
}

TEST_F(GroupTest, rules_that_share_nothing_run_beside_each_other) {
  base::ThreadPool pool(4, 100);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  workplace_.query = [&](std::string_view, model::TimestampMs) -> base::Result<QueryResult> {
    const int now = ++running;
    for (int before = most; before < now && !most.compare_exchange_weak(before, now);) {
    }
    // All three get here only if all three are let in.
    for (int i = 0; i < 2000 && most < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --running;
    return QueryResult{.value = Vector{}};
  };
  workplace_.pool = &pool;
  workplace_.permits = std::make_shared<Permits>(2);
  Group spec = group_of({.name = "a", .expr = "x"});
  for (const char* name : {"b", "c", "d", "e"}) spec.rules.push_back({.name = name, .expr = "x"});
  GroupState group(spec, workplace_, false);
  group.evaluate(0);
  EXPECT_EQ(most, 3) << "two permits beside the one that runs anyway";
  EXPECT_EQ(workplace_.permits->take(10), 2u) << "they are given back";
}

TEST_F(GroupTest, a_recording_rule_writes_its_series_and_ends_those_that_vanish) {
  answers_["up"] = one(5);
  Rule rule{.kind = Rule::Kind::kRecording, .name = "job:up", .expr = "up", .labels = {{"job", ""}, {"k", "v"}}};
  GroupState group(group_of(rule), workplace_, false);
  group.evaluate(1000);
  answers_["up"] = {};
  group.evaluate(2000);
  const auto& written = store_.samples[R"(job:up{k="v"})"];
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[0].value, 5);
  EXPECT_TRUE(model::is_stale_nan(written[1].value));
}

TEST_F(GroupTest, series_that_collapse_into_one_are_an_error) {
  answers_["up"] = {{.labels = LabelSet{{"job", "a"}}, .value = 1}, {.labels = LabelSet{{"job", "b"}}, .value = 2}};
  GroupState group(group_of({.name = "x", .expr = "up", .labels = {{"job", "same"}}}), workplace_, false);
  group.evaluate(0);
  const auto status = group.snapshot().rules[0];
  EXPECT_EQ(status.health, Health::kError);
  EXPECT_NE(status.last_error.find("same labelset"), std::string::npos);
}

TEST_F(GroupTest, a_rule_that_fails_does_not_stop_the_next) {
  answers_["up"] = one(1);
  Group group = group_of({.name = "broken", .expr = "slow"});
  group.rules.push_back({.name = "fine", .expr = "up"});
  GroupState state(group, workplace_, false);
  state.evaluate(0);
  EXPECT_EQ(state.snapshot().rules[0].last_error, "the query took too long");
  EXPECT_EQ(state.snapshot().rules[1].health, Health::kOk);
}

TEST_F(GroupTest, the_limit_of_a_group_holds) {
  answers_["up"] = {{.labels = LabelSet{{"job", "a"}}, .value = 1}, {.labels = LabelSet{{"job", "b"}}, .value = 2}};
  auto group = group_of({.name = "x", .expr = "up"});
  group.limit = 1;
  GroupState state(group, workplace_, false);
  state.evaluate(0);
  EXPECT_EQ(state.snapshot().rules[0].last_error, "exceeded limit of 1 with 2 series (`limit` of the group)");
}

TEST_F(GroupTest, alerts_past_the_limit_are_dropped_and_begin_again) {
  answers_["up"] = one(0);
  auto spec = group_of(alert_rule());
  spec.limit = 1;
  GroupState state(spec, workplace_, false);
  state.evaluate(0);
  answers_["up"].push_back({.labels = LabelSet{{"job", "b"}}, .value = 2});
  EXPECT_TRUE(state.evaluate(1000).empty());
  EXPECT_EQ(state.snapshot().rules[0].health, Health::kError);
  EXPECT_EQ(state.snapshot().rules[0].last_error, "exceeded limit of 1 with 2 alerts (`limit` of the group)");
  answers_["up"].pop_back();
  EXPECT_EQ(state.evaluate(2000).at(0).active_at_ms, 2000);
}

TEST_F(GroupTest, what_it_does_is_told_as_metrics) {
  answers_["up"] = one(0);
  auto spec = group_of(alert_rule());
  spec.rules.push_back({.name = "broken", .expr = "slow"});
  GroupState state(spec, workplace_, false);
  state.evaluate(5000);
  const auto value = [this](const std::string& name) {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && sample.labels == base::CounterLabels{{"rule_group", "f;g"}}) return sample.value;
    return -1.0;
  };
  EXPECT_EQ(value("prometheus_rule_evaluations_total"), 2);
  EXPECT_EQ(value("prometheus_rule_evaluation_failures_total"), 1);
  EXPECT_EQ(value("prometheus_rule_group_rules"), 2);
  EXPECT_EQ(value("prometheus_rule_group_interval_seconds"), 1);
  EXPECT_EQ(value("prometheus_rule_group_last_evaluation_samples"), 2);
  EXPECT_EQ(value("prometheus_rule_group_last_evaluation_timestamp_seconds"), 5);
  state.retire(6000);
  EXPECT_EQ(value("prometheus_rule_group_rules"), 0);
}

TEST_F(GroupTest, a_broken_template_shows_in_the_alert) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.annotations = {{"summary", "{{ index .Labels 1 }}"}};
  answers_["up"] = one(0);
  GroupState group(group_of(rule), workplace_, false);
  EXPECT_TRUE(group.evaluate(0).at(0).annotations.get("summary").starts_with("<error expanding template: "));
}

TEST_F(GroupTest, texts_that_take_too_long_do_not_hide_the_alert) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.annotations = {{"a", "{{ range query \"up\" }}x{{ end }}"}, {"b", "{{ $value }}"}};
  answers_["up"] = one(0);
  query_takes_ms_ = 1001;
  GroupState group(group_of(rule), workplace_, false);
  const auto alerts = group.evaluate(0);
  ASSERT_EQ(alerts.size(), 1u);
  EXPECT_EQ(alerts[0].state, AlertState::kFiring);
  EXPECT_EQ(alerts[0].annotations.get("b"), "<error expanding template: no time left>");
}

TEST_F(GroupTest, a_text_that_never_ends_is_ended_by_the_deadline) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.annotations = {{"a", "{{ range 100000 }}{{ with query \"up\" }}{{ end }}{{ end }}"}};
  answers_["up"] = one(0);
  query_takes_ms_ = 10;
  GroupState group(group_of(rule), workplace_, false);
  EXPECT_NE(group.evaluate(0).at(0).annotations.get("a").find("longer than the group's interval of 1s"),
            std::string::npos);
  EXPECT_LT(asked_.size(), 300u);
}

TEST_F(GroupTest, labels_that_take_too_long_fail_the_rule) {
  auto rule = alert_rule();
  rule.labels = {{"severity", "{{ range query \"up\" }}page{{ end }}"}};
  answers_["up"] = one(0);
  query_takes_ms_ = 1001;
  GroupState group(group_of(rule), workplace_, false);
  EXPECT_TRUE(group.evaluate(0).empty());
  EXPECT_NE(group.snapshot().rules[0].last_error.find("templates take longer"), std::string::npos);
}

TEST_F(GroupTest, a_cancelled_evaluation_writes_nothing) {
  answers_["up"] = one(0);
  GroupState group(group_of(alert_rule()), workplace_, false);
  workplace_.cancel.cancel();
  group.evaluate(0);
  EXPECT_TRUE(store_.samples.empty());
  EXPECT_EQ(group.snapshot().rules[0].health, Health::kUnknown);
}

}  // namespace
}  // namespace qd::judge::rules
