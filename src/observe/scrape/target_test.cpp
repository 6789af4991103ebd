#include "observe/scrape/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qd::observe::scrape {
namespace {

using model::LabelSet;
using testing::HasSubstr;

ScrapeConfig job(std::vector<StaticGroup> groups) {
  ScrapeConfig config;
  config.job_name = "j";
  config.interval_ms = 15'000;
  config.timeout_ms = 5'000;
  config.static_configs = std::move(groups);
  return config;
}

Targets make_all(ScrapeConfig config) {
  const auto compiled = Job::compile(std::make_shared<const ScrapeConfig>(std::move(config)));
  return make_targets(*compiled, compiled->static_groups());
}

base::Result<std::vector<Target>> make(ScrapeConfig config) {
  Targets targets = make_all(std::move(config));
  if (!targets.faults.empty()) return base::fail(targets.faults.front());
  return std::move(targets.active);
}

TEST(MakeTargets, builds_url_and_labels_as_prometheus_does) {
  ScrapeConfig config = job({{.targets = {"h:1"}, .labels = {{"env", "prod"}, {"__meta_x", "gone"}}}});
  config.params = {{"module", {"http 2xx", "b"}}, {"a", {"1&2"}}};
  config.metrics_path = "probe";
  const auto targets = make(config);
  ASSERT_TRUE(targets);
  ASSERT_EQ(targets->size(), 1U);
  const Target& target = targets->front();
  EXPECT_EQ(target.url, "http://h:1/probe?a=1%262&module=http%202xx&module=b");
  EXPECT_EQ(target.labels, (LabelSet{{"env", "prod"}, {"instance", "h:1"}, {"job", "j"}}));
  EXPECT_EQ(target.discovered.get("__address__"), "h:1");
  EXPECT_EQ(target.discovered.get("__scrape_interval__"), "15s");
  EXPECT_EQ(target.discovered.get("__param_a"), "1&2");
}

TEST(MakeTargets, lets_a_group_say_where_to_go) {
  const auto targets = make(job({{.targets = {"h:1"},
                                  .labels = {{"__scheme__", "https"},
                                             {"__metrics_path__", "/m"},
                                             {"__param_t", "x"},
                                             {"__scrape_interval__", "1m"},
                                             {"__scrape_timeout__", "20s"},
                                             {"instance", "me"},
                                             {"job", "other"}}}}));
  ASSERT_TRUE(targets);
  const Target& target = targets->front();
  EXPECT_EQ(target.url, "https://h:1/m?t=x");
  EXPECT_EQ(target.labels, (LabelSet{{"instance", "me"}, {"job", "other"}}));
  EXPECT_EQ(target.job, "j");
  EXPECT_EQ(target.interval_ms, 60'000);
  EXPECT_EQ(target.timeout_ms, 20'000);
}

TEST(MakeTargets, takes_a_target_once) {
  EXPECT_EQ(make(job({{.targets = {"a:1", "b:1", "a:1"}}, {.targets = {"b:1"}}}))->size(), 2U);
}

TEST(MakeTargets, refuses_what_is_no_target) {
  for (const std::string address : {"", "http://h:1", "h:1/metrics", "user@h:1", "h 1", "[::1", "[::1]9", "::1:9",
                                    "h:99999", "h:0", "h:abc", ":9"}) {
    const auto targets = make(job({{.targets = {address}}}));
    ASSERT_FALSE(targets) << address;
    EXPECT_THAT(targets.error().message(), HasSubstr("scrape job \"j\""));
  }
  for (const std::string address : {"h", "h:1", "[::1]", "[::1]:65535"}) EXPECT_TRUE(check_address(address)) << address;
  EXPECT_FALSE(make(job({{.targets = {"h"}, .labels = {{"__scheme__", "ftp"}}}})));
  EXPECT_FALSE(make(job({{.targets = {"h"}, .labels = {{"__scrape_timeout__", "16s"}}}})));
  ScrapeConfig limited = job({{.targets = {"a", "b"}}});
  limited.limits.target_limit = 1;
  const auto targets = make(limited);
  ASSERT_EQ(targets->size(), 2U);
  for (const Target& target : *targets) EXPECT_THAT(target.fault, HasSubstr("target_limit"));
}

TEST(Target, keeps_its_identity_when_only_the_way_to_it_changes) {
  ScrapeConfig config = job({{.targets = {"h:1"}}});
  const Target before = make(config)->front();
  config.interval_ms = 30'000;
  config.http.basic_auth = BasicAuthConfig{.username = "u"};
  const Target after = make(config)->front();
  EXPECT_EQ(before.identity(), after.identity());
  EXPECT_FALSE(before == after);
  const auto is_another = [&](auto change) {
    ScrapeConfig changed = config;
    change(changed);
    EXPECT_NE(before.identity(), make(changed)->front().identity());
  };
  is_another([](ScrapeConfig& c) { c.honor_labels = true; });
  is_another([](ScrapeConfig& c) { c.format.scrape_native_histograms = true; });
  is_another([](ScrapeConfig& c) { c.format.always_scrape_classic_histograms = true; });
  is_another([](ScrapeConfig& c) { c.format.convert_classic_histograms_to_nhcb = true; });
  is_another([](ScrapeConfig& c) { c.native_histogram_bucket_limit = 10; });
  is_another([](ScrapeConfig& c) { c.native_histogram_min_bucket_factor = 1.1; });
}

TEST(MakeTargets, relabels_as_prometheus_does) {
  ScrapeConfig config = job({{.targets = {"http://probed.example/x", "skip"}, .labels = {{"__meta_zone", "eu"}}}});
  config.metrics_path = "/probe";
  config.params = {{"module", {"http"}}};
  config.relabel_configs = {
      {.source_labels = {"__address__"}, .regex = "skip", .action = model::RelabelAction::kDrop},
      {.source_labels = {"__address__"}, .target_label = "__param_target"},
      {.source_labels = {"__param_target"}, .target_label = "instance"},
      {.regex = "__meta_(.+)", .action = model::RelabelAction::kLabelMap},
      {.target_label = "__address__", .replacement = "blackbox:9115"},
      {.target_label = "__scrape_interval__", .replacement = "30s"},
      {.target_label = "__tmp_x", .replacement = "gone"},
      {.target_label = "__scheme__", .replacement = "https"},
  };
  const Targets targets = make_all(config);
  ASSERT_TRUE(targets.faults.empty()) << targets.faults.front().message();
  ASSERT_EQ(targets.active.size(), 1U);
  const Target& target = targets.active.front();
  EXPECT_EQ(target.url, "https://blackbox:9115/probe?module=http&target=http%3A%2F%2Fprobed.example%2Fx");
  EXPECT_EQ(target.labels, (LabelSet{{"instance", "http://probed.example/x"}, {"job", "j"}, {"zone", "eu"}}));
  EXPECT_EQ(target.interval_ms, 30'000);
  EXPECT_EQ(target.discovered.get("__address__"), "http://probed.example/x");
  EXPECT_EQ(targets.dropped_count, 1U);
  EXPECT_EQ(targets.dropped.at(0).get("__address__"), "skip");
}

TEST(MakeTargets, a_target_that_cannot_be_does_not_spoil_the_others) {
  ScrapeConfig config = job({{.targets = {"good:1", "bad"}, .labels = {}}});
  config.relabel_configs = {
      {.source_labels = {"__address__"}, .regex = "bad", .target_label = "__address__", .replacement = "a/b"},
      {.source_labels = {"__address__"}, .regex = "none", .target_label = "x"}};
  const Targets targets = make_all(config);
  EXPECT_EQ(targets.active.size(), 1U);
  ASSERT_EQ(targets.faults.size(), 1U);
  EXPECT_THAT(targets.faults[0].message(), HasSubstr("scrape job \"j\""));
}

TEST(MakeTargets, remembers_no_more_dropped_targets_than_asked) {
  ScrapeConfig config = job({{.targets = {"a", "b", "c"}, .labels = {}}});
  config.relabel_configs = {{.source_labels = {"__address__"}, .action = model::RelabelAction::kDrop}};
  EXPECT_EQ(make_all(config).dropped.size(), 3U);
  config.limits.keep_dropped_targets = 2;
  EXPECT_EQ(make_all(config).dropped.size(), 2U);
  EXPECT_EQ(make_all(config).dropped_count, 3U);
}

TEST(GlobalUrl, names_the_host_where_a_target_is_on_loopback) {
  const auto url = [](const std::string& address) {
    return global_url(make(job({{.targets = {address}}}))->front(), "box");
  };
  EXPECT_EQ(url("localhost:9100"), "http://box:9100/metrics");
  EXPECT_EQ(url("127.0.0.1"), "http://box/metrics");
  EXPECT_EQ(url("[::1]:80"), "http://box:80/metrics");
  EXPECT_EQ(url("localhost.example:80"), "http://localhost.example:80/metrics");
}

}  // namespace
}  // namespace qd::observe::scrape
