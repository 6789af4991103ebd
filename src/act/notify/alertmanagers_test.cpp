#include "act/notify/alertmanagers.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/strings.h"

namespace qd::act::notify {
namespace {

using judge::rules::Alert;
using judge::rules::AlertState;
using model::LabelSet;
namespace json = boost::json;

constexpr std::int64_t kInterval = 15'000;

class AlertmanagersTest : public testing::Test {
 protected:
  AlertmanagersTest() : scheduler_(clock_) {
    all_.set_origin({.external_url = "http://q", .external_labels = LabelSet{{"site", "lab"}, {"severity", "low"}}});
    all_.set_alertmanagers({set({"http://a"})});
  }

  AlertmanagerSet set(std::vector<std::string> urls) {
    return {.urls = std::move(urls),
            .post = [this](const std::string& url, std::string body, std::function<void(base::Status)> then) {
              requests_.push_back({url, json::parse(body).as_array()});
              if (hangs_) {
                waiting_.push_back(std::move(then));
              } else {
                then(up_ ? base::Status() : base::fail(base::ErrorCode::kUnavailable, "it answered 500"));
              }
            }};
  }
  Alert alert(AlertState state, std::string_view job) const {
    Alert a{.state = state,
            .labels = LabelSet{{"alertname", "Down"}, {"job", job}, {"severity", "page"}},
            .annotations = LabelSet{{"summary", "it is down"}},
            .fired_at_ms = clock_.wall_ms() - 1000,
            .evaluated_at_ms = clock_.wall_ms(),
            .expr = "up == 0"};
    if (state == AlertState::kInactive) a.resolved_at_ms = clock_.wall_ms();
    return a;
  }
  // Gives the requests that an evaluation made.
  std::size_t evaluate(const std::vector<Alert>& alerts) {
    const auto before = requests_.size();
    all_.update("f;g", kInterval, alerts, clock_.wall_ms());
    scheduler_.run_posted();
    return requests_.size() - before;
  }
  double metric(const std::string& name, const base::CounterLabels& labels = {}) const {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && sample.labels == labels) return sample.value;
    return -1;
  }

  struct Request {
    std::string url;
    json::array alerts;
  };
  base::ManualClock clock_;
  base::ManualScheduler scheduler_;
  base::Registry registry_;
  bool up_ = true;
  bool hangs_ = false;
  std::vector<Request> requests_;
  std::vector<std::function<void(base::Status)>> waiting_;
  Alertmanagers all_{scheduler_, base::Log::silent(), registry_};
};

TEST_F(AlertmanagersTest, tells_what_fires_in_the_form_of_the_api) {
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "a"), alert(AlertState::kPending, "b")}), 1u);
  ASSERT_EQ(requests_[0].alerts.size(), 1u);
  const auto now = clock_.wall_ms();
  const json::object expected = {
      {"labels", {{"alertname", "Down"}, {"job", "a"}, {"severity", "page"}, {"site", "lab"}}},
      {"annotations", {{"summary", "it is down"}}},
      {"startsAt", base::format_time(now - 1000)},
      {"endsAt", base::format_time(now + 4 * 60'000)},
      {"generatorURL", "http://q/graph?g0.expr=up+%3D%3D+0&g0.tab=1"}};
  EXPECT_EQ(requests_[0].alerts[0].as_object(), expected);
}

TEST_F(AlertmanagersTest, tells_again_after_the_resend_delay_and_of_the_end_at_once) {
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "a")}), 1u);
  clock_.advance_ms(45'000);
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "a")}), 0u);
  clock_.advance_ms(15'000);
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "a")}), 1u);
  clock_.advance_ms(15'000);
  auto over = alert(AlertState::kInactive, "a");
  EXPECT_EQ(evaluate({over}), 1u);
  EXPECT_EQ(requests_.back().alerts[0].at("endsAt").as_string(), base::format_time(over.resolved_at_ms));
  clock_.advance_ms(15'000);
  EXPECT_EQ(evaluate({over}), 0u);
  clock_.advance_ms(45'000);
  EXPECT_EQ(evaluate({over}), 1u) << "as long as it is told of, one that lost its memory learns of it";
}

TEST_F(AlertmanagersTest, an_alert_whose_rule_fails_runs_out) {
  auto stuck = alert(AlertState::kFiring, "a");
  evaluate({stuck});
  clock_.advance_ms(60'000);
  EXPECT_EQ(evaluate({stuck}), 1u);
  EXPECT_EQ(requests_[0].alerts[0].at("endsAt"), requests_[1].alerts[0].at("endsAt"));
}

TEST_F(AlertmanagersTest, sends_no_more_than_64_at_once_and_one_request_at_a_time) {
  std::vector<Alert> many;
  for (int i = 0; i < 130; ++i) many.push_back(alert(AlertState::kFiring, std::to_string(i)));
  hangs_ = true;
  EXPECT_EQ(evaluate(many), 1u);
  EXPECT_EQ(metric("prometheus_notifications_queue_length"), 130 - 64);
  hangs_ = false;
  waiting_[0]({});
  scheduler_.run_posted();
  ASSERT_EQ(requests_.size(), 3u);
  EXPECT_EQ(requests_[1].alerts.size(), 64u);
  EXPECT_EQ(requests_[2].alerts.size(), 2u);
  EXPECT_EQ(metric("prometheus_notifications_sent_total", {{"alertmanager", "http://a"}}), 130);
}

TEST_F(AlertmanagersTest, a_full_queue_loses_its_oldest) {
  all_.apply({.queue_capacity = 2});
  hangs_ = true;
  evaluate({alert(AlertState::kFiring, "first")});
  evaluate({alert(AlertState::kFiring, "first"), alert(AlertState::kFiring, "b"), alert(AlertState::kFiring, "c"),
            alert(AlertState::kFiring, "d")});
  EXPECT_EQ(metric("prometheus_notifications_dropped_total"), 1);
  hangs_ = false;
  waiting_[0]({});
  scheduler_.run_posted();
  ASSERT_EQ(requests_.at(1).alerts.size(), 2u);
  EXPECT_EQ(requests_[1].alerts[0].at("labels").at("job").as_string(), "c");
}

TEST_F(AlertmanagersTest, one_that_fails_is_counted_and_keeps_nothing_from_the_others) {
  all_.set_alertmanagers({set({"http://a", "http://b"})});
  hangs_ = true;
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "a")}), 2u);
  waiting_[0](base::fail(base::ErrorCode::kUnavailable, "it answered 500"));
  hangs_ = false;
  evaluate({alert(AlertState::kFiring, "a"), alert(AlertState::kFiring, "b")});
  EXPECT_EQ(metric("prometheus_notifications_errors_total", {{"alertmanager", "http://a"}}), 1);
  EXPECT_EQ(requests_.back().url, "http://a") << "while http://b still hangs";
}

TEST_F(AlertmanagersTest, each_set_has_its_relabelling) {
  auto renamed = set({"http://a"});
  renamed.relabel = [](model::LabelBuilder& labels) {
    labels.set("team", "x");
    return labels.get("job") != "b";
  };
  all_.set_alertmanagers({renamed, set({"http://b"})});
  evaluate({alert(AlertState::kFiring, "a"), alert(AlertState::kFiring, "b")});
  ASSERT_EQ(requests_.size(), 2u);
  ASSERT_EQ(requests_[0].alerts.size(), 1u);
  EXPECT_EQ(requests_[0].alerts[0].at("labels").at("team").as_string(), "x");
  EXPECT_EQ(requests_[1].alerts.size(), 2u);
}

TEST_F(AlertmanagersTest, one_that_is_taken_away_is_told_nothing_more) {
  hangs_ = true;
  evaluate({alert(AlertState::kFiring, "a")});
  all_.set_alertmanagers({});
  waiting_[0]({});
  EXPECT_EQ(evaluate({alert(AlertState::kFiring, "b")}), 0u);
  EXPECT_EQ(metric("prometheus_notifications_alertmanagers_discovered"), 0);
  EXPECT_EQ(alerts_url("http://a:9093/prefix/"), "http://a:9093/prefix/api/v2/alerts");
}

}  // namespace
}  // namespace qd::act::notify
