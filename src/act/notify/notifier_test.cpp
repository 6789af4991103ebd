#include "act/notify/notifier.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace qd::act::notify {
namespace {

using judge::rules::Alert;
using judge::rules::AlertState;
using model::LabelSet;
namespace json = boost::json;

Alert alert(AlertState state, std::string_view job, model::TimestampMs at_ms = 1000) {
  Alert a{
      .state = state, .labels = LabelSet{{"alertname", "Down"}, {"job", job}, {"severity", "page"}}, .expr = "up == 0"};
  a.annotations = LabelSet{{"summary", "it is down"}};
  a.fired_at_ms = at_ms;
  if (state == AlertState::kInactive) a.resolved_at_ms = at_ms + 5000;
  return a;
}

class NotifierTest : public testing::Test {
 protected:
  NotifierTest() : scheduler_(clock_) {
    settings_.webhooks = {{.name = "ops", .url = "http://hook"}};
    notifier_.apply(settings_);
    notifier_.set_origin(
        {.external_url = "http://q", .external_labels = LabelSet{{"site", "lab"}, {"severity", "low"}}});
  }
  json::object sent(std::size_t i) const { return json::parse(bodies_.at(i)).as_object(); }

  base::ManualClock clock_;
  base::ManualScheduler scheduler_;
  base::Registry registry_;
  NotifySettings settings_;
  std::vector<std::string> bodies_;
  bool receiver_up_ = true;
  Notifier notifier_{
      scheduler_,
      [this](const WebhookSettings&, std::string body, std::int64_t, std::function<void(base::Status)> then) {
        bodies_.push_back(std::move(body));
        if (receiver_up_)
          then({});
        else
          then(base::fail(base::ErrorCode::kUnavailable, "connection refused"));
      },
      base::Log::silent(), registry_};
};

TEST_F(NotifierTest, tells_once_when_it_fires_and_once_when_it_is_over) {
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  EXPECT_TRUE(bodies_.empty());
  scheduler_.advance_ms(5000);
  ASSERT_EQ(bodies_.size(), 1u);
  EXPECT_EQ(sent(0)["status"].as_string(), "firing");
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  scheduler_.advance_ms(60'000);
  EXPECT_EQ(bodies_.size(), 1u);
  notifier_.update("g", {alert(AlertState::kInactive, "a")});
  scheduler_.advance_ms(5000);
  ASSERT_EQ(bodies_.size(), 2u);
  EXPECT_EQ(sent(1)["status"].as_string(), "resolved");
  notifier_.update("g", {alert(AlertState::kInactive, "a")});
  scheduler_.advance_ms(24 * 3600 * 1000);
  EXPECT_EQ(bodies_.size(), 2u);
}

TEST_F(NotifierTest, gathers_alerts_of_one_name) {
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  scheduler_.advance_ms(2000);
  notifier_.update("g", {alert(AlertState::kFiring, "a"), alert(AlertState::kFiring, "b")});
  scheduler_.advance_ms(3000);
  ASSERT_EQ(bodies_.size(), 1u);
  const auto body = sent(0);
  EXPECT_EQ(body.at("alerts").as_array().size(), 2u);
  EXPECT_EQ(body.at("version").as_string(), "4");
  EXPECT_EQ(body.at("receiver").as_string(), "ops");
  EXPECT_EQ(body.at("groupKey").as_string(), "{}:{alertname=\"Down\"}");
  EXPECT_EQ(body.at("commonLabels"), json::parse(R"({"alertname":"Down","severity":"page","site":"lab"})"));
  EXPECT_EQ(body.at("commonAnnotations"), json::parse(R"({"summary":"it is down"})"));
  const auto& first = body.at("alerts").as_array()[0].as_object();
  EXPECT_EQ(first.at("startsAt").as_string(), "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(first.at("endsAt").as_string(), "0001-01-01T00:00:00Z");
  EXPECT_EQ(first.at("generatorURL").as_string(), "http://q/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
}

TEST_F(NotifierTest, a_receiver_that_was_down_learns_what_still_matters) {
  receiver_up_ = false;
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  scheduler_.advance_ms(5000);
  EXPECT_EQ(bodies_.size(), 1u);
  scheduler_.advance_ms(10'000);
  EXPECT_GE(bodies_.size(), 3u);
  EXPECT_LE(bodies_.size(), 5u);
  receiver_up_ = true;
  scheduler_.advance_ms(60'000);
  const auto after = bodies_.size();
  EXPECT_EQ(sent(after - 1)["status"].as_string(), "firing");
  scheduler_.advance_ms(600'000);
  EXPECT_EQ(bodies_.size(), after);
}

TEST_F(NotifierTest, an_alert_that_nobody_was_told_of_is_not_told_as_resolved) {
  receiver_up_ = false;
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  notifier_.update("g", {alert(AlertState::kInactive, "a")});
  scheduler_.advance_ms(3600'000);
  EXPECT_TRUE(bodies_.empty());
}

TEST_F(NotifierTest, repeats_what_goes_on_firing) {
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  scheduler_.advance_ms(5000);
  scheduler_.advance_ms(settings_.repeat_interval_ms);
  EXPECT_EQ(bodies_.size(), 2u);
}

TEST_F(NotifierTest, pending_alerts_are_not_told) {
  notifier_.update("g", {alert(AlertState::kPending, "a")});
  scheduler_.advance_ms(60'000);
  EXPECT_TRUE(bodies_.empty());
}

TEST_F(NotifierTest, resolved_is_kept_back_where_it_is_not_wanted) {
  settings_.webhooks[0].send_resolved = false;
  notifier_.apply(settings_);
  notifier_.update("g", {alert(AlertState::kFiring, "a")});
  scheduler_.advance_ms(5000);
  notifier_.update("g", {alert(AlertState::kInactive, "a")});
  scheduler_.advance_ms(3600'000);
  EXPECT_EQ(bodies_.size(), 1u);
}

TEST(payload, fingerprints_are_those_of_prometheus) {
  // The empty label set has FNV-1a's offset basis; others mix names and values with 0xff behind each.
  EXPECT_EQ(fingerprint(LabelSet{}), "cbf29ce484222325");
  EXPECT_NE(fingerprint(LabelSet{{"a", "bc"}}), fingerprint(LabelSet{{"ab", "c"}}));
}

}  // namespace
}  // namespace qd::act::notify
