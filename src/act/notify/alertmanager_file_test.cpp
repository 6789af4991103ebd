#include "act/notify/alertmanager_file.h"

#include <gtest/gtest.h>

namespace qd::act::notify {
namespace {

using model::LabelSet;
using observe::scrape::AlertingConfig;
using observe::scrape::AlertmanagerConfig;

AlertmanagerConfig config_of(std::vector<std::string> targets) {
  AlertmanagerConfig config;
  config.static_configs.push_back({.targets = std::move(targets), .labels = {{"zone", "a"}}});
  return config;
}

model::Relabeller rules_of(const std::vector<model::RelabelConfig>& configs) {
  return *model::Relabeller::compile(configs, model::NameScheme::kUtf8);
}

TEST(alertmanager_file, urls_come_from_scheme_address_and_prefix) {
  auto config = config_of({"a:9093", "[::1]:9093"});
  EXPECT_EQ(relabelled(config, {}, {}).urls,
            (std::vector<std::string>{"http://a:9093/api/v2/alerts", "http://[::1]:9093/api/v2/alerts"}));
  config.scheme = "https";
  config.path_prefix = "am/";
  const observe::sd::TargetGroups found = {{.targets = {LabelSet{{"__address__", "b"}}}}};
  EXPECT_EQ(relabelled(config, found, {}).urls.back(), "https://b/am/api/v2/alerts");
}

TEST(alertmanager_file, relabelling_changes_and_drops_them) {
  const auto rules =
      rules_of({{.source_labels = {"__address__"}, .regex = "b.*", .action = model::RelabelAction::kDrop},
                {.source_labels = {"zone"}, .target_label = "__alerts_path__", .replacement = "/zone-$1/alerts"},
                {.source_labels = {"__address__"},
                 .regex = "c",
                 .target_label = "__address__",
                 .replacement = "not an address"}});
  const auto found = relabelled(config_of({"a:1", "b:1", "c"}), {}, rules);
  EXPECT_EQ(found.urls, std::vector<std::string>{"http://a:1/zone-a/alerts"});
  EXPECT_EQ(found.dropped, (std::vector<std::string>{"http://b:1/api/v2/alerts", "http://c/api/v2/alerts"}));
}

class AlertmanagerFileTest : public testing::Test {
 protected:
  AlertmanagerFileTest() : scheduler_(clock_) {}

  struct Posted {
    std::string url;
    std::string body;
    std::string user;
  };
  base::ManualClock clock_;
  base::ManualScheduler scheduler_;
  base::Registry registry_;
  std::vector<Posted> posted_;
  Alertmanagers all_{scheduler_, base::Log::silent(), registry_};
  AlertmanagerFile file_{{.scheduler = scheduler_,
                          .submit = [](const std::function<void()>& task) -> base::Status {
                            task();
                            return {};
                          },
                          .fetch =
                              [this](const connect::http::HttpConfig& http, connect::http::ClientRequest request,
                                     connect::http::Client::Then then) {
                                posted_.push_back({request.url, std::move(request.body),
                                                   http.basic_auth ? http.basic_auth->username : ""});
                                then(connect::http::ClientResponse{.status = 200});
                                return std::function<void()>();
                              },
                          .log = base::Log::silent(),
                          .registry = registry_},
                         all_};
};

TEST_F(AlertmanagerFileTest, alerts_go_as_the_file_says_and_no_longer_when_it_says_so_no_more) {
  AlertingConfig alerting;
  alerting.alert_relabel_configs = {{.regex = "secret", .action = model::RelabelAction::kLabelDrop}};
  alerting.alertmanagers = {config_of({"a:9093"}), config_of({"b:9093"})};
  alerting.alertmanagers[0].http.basic_auth = {{.username = "deck"}};
  alerting.alertmanagers[1].alert_relabel_configs = {
      {.source_labels = {"alertname"}, .regex = "Quiet", .action = model::RelabelAction::kDrop}};
  file_.apply(alerting, model::NameScheme::kUtf8, {});
  const judge::rules::Alert alert{.state = judge::rules::AlertState::kFiring,
                                  .labels = LabelSet{{"alertname", "Quiet"}, {"secret", "x"}},
                                  .fired_at_ms = 1};
  all_.update("g", 1000, {alert}, clock_.wall_ms());
  ASSERT_EQ(posted_.size(), 1u);
  EXPECT_EQ(posted_[0].url, "http://a:9093/api/v2/alerts");
  EXPECT_EQ(posted_[0].user, "deck");
  EXPECT_EQ(posted_[0].body.find("secret"), std::string::npos);
  file_.apply({}, model::NameScheme::kUtf8, {});
  EXPECT_TRUE(all_.urls().empty());
}

}  // namespace
}  // namespace qd::act::notify
