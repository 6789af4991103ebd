#include "judge/rules/group_state.h"

#include <gtest/gtest.h>

#include <map>

namespace qd::judge::rules {
namespace {

using model::LabelSet;
using query::promql::QueryResult;
using query::promql::Vector;

// Remembers what was written, and never says no.
class RecordingStore final : public store::metrics::Appendable {
 public:
  std::map<std::string, std::vector<model::Sample>> samples;

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
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs,
                                         const model::Histogram&) override {
      return store::metrics::AppendOutcome::kInvalid;
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
      : workplace_{.query = [this](std::string_view expr, model::TimestampMs) -> base::Result<QueryResult> {
                     asked_.emplace_back(expr);
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
  std::int64_t query_takes_ms_ = 0;
  Workplace workplace_;
};

TEST_F(GroupTest, an_alert_is_pending_then_fires_then_resolves) {
  answers_["up"] = one(0);
  answers_["last_over_time"] = {};
  GroupState group(group_of(alert_rule()), workplace_);
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
  answers_["last_over_time"] = {};
  GroupState group(group_of(alert_rule()), workplace_);
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
  answers_["last_over_time"] = {};
  GroupState group(group_of(alert_rule()), workplace_);
  group.evaluate(0);
  answers_["up"] = {};
  EXPECT_TRUE(group.evaluate(1000).empty());
}

TEST_F(GroupTest, keep_firing_for_bridges_a_gap) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.keep_firing_for_ms = 10'000;
  answers_["up"] = one(0);
  GroupState group(group_of(rule), workplace_);
  EXPECT_EQ(group.evaluate(0).at(0).state, AlertState::kFiring);
  answers_["up"] = {};
  EXPECT_EQ(group.evaluate(1000).at(0).state, AlertState::kFiring);
  EXPECT_EQ(group.evaluate(10'000).at(0).state, AlertState::kFiring);
  EXPECT_EQ(group.evaluate(11'000).at(0).state, AlertState::kInactive);
}

TEST_F(GroupTest, a_restart_does_not_begin_the_wait_again) {
  answers_["up"] = one(0);
  answers_["last_over_time"] = {
      {.labels = LabelSet{{"alertname", "Down"}, {"job", "a"}, {"severity", "page"}}, .value = 1'000'000}};
  GroupState group(group_of(alert_rule()), workplace_);
  const auto alerts = group.evaluate(1'000'000'000 + 61'000);
  EXPECT_EQ(alerts.at(0).state, AlertState::kFiring);
  EXPECT_EQ(alerts.at(0).active_at_ms, 1'000'000'000);
}

TEST_F(GroupTest, a_name_with_quotes_is_asked_for_as_it_is) {
  auto rule = alert_rule();
  rule.name = "say \"down\"";
  answers_["up"] = one(0);
  answers_["last_over_time"] = {};
  GroupState(group_of(rule), workplace_).evaluate(0);
  EXPECT_EQ(asked_.back(), R"(last_over_time(ALERTS_FOR_STATE{alertname="say \"down\""}[3600000ms]))");
}

TEST_F(GroupTest, a_recording_rule_writes_its_series_and_ends_those_that_vanish) {
  answers_["up"] = one(5);
  Rule rule{.kind = Rule::Kind::kRecording, .name = "job:up", .expr = "up", .labels = {{"job", ""}, {"k", "v"}}};
  GroupState group(group_of(rule), workplace_);
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
  GroupState group(group_of({.name = "x", .expr = "up", .labels = {{"job", "same"}}}), workplace_);
  group.evaluate(0);
  const auto status = group.snapshot().rules[0];
  EXPECT_EQ(status.health, Health::kError);
  EXPECT_NE(status.last_error.find("same labelset"), std::string::npos);
}

TEST_F(GroupTest, a_rule_that_fails_does_not_stop_the_next) {
  answers_["up"] = one(1);
  Group group = group_of({.name = "broken", .expr = "slow"});
  group.rules.push_back({.name = "fine", .expr = "up"});
  GroupState state(group, workplace_);
  state.evaluate(0);
  EXPECT_EQ(state.snapshot().rules[0].last_error, "the query took too long");
  EXPECT_EQ(state.snapshot().rules[1].health, Health::kOk);
}

TEST_F(GroupTest, the_limit_of_a_group_holds) {
  answers_["up"] = {{.labels = LabelSet{{"job", "a"}}, .value = 1}, {.labels = LabelSet{{"job", "b"}}, .value = 2}};
  auto group = group_of({.name = "x", .expr = "up"});
  group.limit = 1;
  GroupState state(group, workplace_);
  state.evaluate(0);
  EXPECT_EQ(state.snapshot().rules[0].last_error, "the rule gives 2 series, the group's limit is 1");
}

TEST_F(GroupTest, a_broken_template_shows_in_the_alert) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.annotations = {{"summary", "{{ index .Labels 1 }}"}};
  answers_["up"] = one(0);
  GroupState group(group_of(rule), workplace_);
  EXPECT_TRUE(group.evaluate(0).at(0).annotations.get("summary").starts_with("<error expanding template: "));
}

TEST_F(GroupTest, texts_that_take_too_long_do_not_hide_the_alert) {
  auto rule = alert_rule();
  rule.for_ms = 0;
  rule.annotations = {{"a", "{{ range query \"up\" }}x{{ end }}"}, {"b", "{{ $value }}"}};
  answers_["up"] = one(0);
  query_takes_ms_ = 1001;
  GroupState group(group_of(rule), workplace_);
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
  GroupState group(group_of(rule), workplace_);
  EXPECT_NE(group.evaluate(0).at(0).annotations.get("a").find("longer than the group's interval of 1s"),
            std::string::npos);
  EXPECT_LT(asked_.size(), 300u);
}

TEST_F(GroupTest, labels_that_take_too_long_fail_the_rule) {
  auto rule = alert_rule();
  rule.labels = {{"severity", "{{ range query \"up\" }}page{{ end }}"}};
  answers_["up"] = one(0);
  query_takes_ms_ = 1001;
  GroupState group(group_of(rule), workplace_);
  EXPECT_TRUE(group.evaluate(0).empty());
  EXPECT_NE(group.snapshot().rules[0].last_error.find("templates take longer"), std::string::npos);
}

TEST_F(GroupTest, a_cancelled_evaluation_writes_nothing) {
  answers_["up"] = one(0);
  GroupState group(group_of(alert_rule()), workplace_);
  workplace_.cancel.cancel();
  group.evaluate(0);
  EXPECT_TRUE(store_.samples.empty());
  EXPECT_EQ(group.snapshot().rules[0].health, Health::kUnknown);
}

}  // namespace
}  // namespace qd::judge::rules
