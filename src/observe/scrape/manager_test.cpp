#include "observe/scrape/manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/temp_directory.h"
#include "observe/scrape/fakes_for_test.h"
#include "observe/scrape/protocols.h"

namespace qd::observe::scrape {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// 1,700,000,000 s is a multiple of 10 s.
constexpr std::int64_t kStartMs = 1'700'000'000'000;

class ManagerTest : public testing::Test {
 protected:
  static PrometheusFile file(std::vector<std::string> targets, std::int64_t interval_ms = 10'000) {
    PrometheusFile out;
    ScrapeConfig& job = out.scrape_configs.emplace_back();
    job.job_name = "j";
    job.interval_ms = interval_ms;
    job.timeout_ms = 5'000;
    job.static_configs.push_back({.targets = std::move(targets), .labels = {}});
    return out;
  }
  void apply(const PrometheusFile& config) { ASSERT_TRUE(manager->apply(config)); }
  void run_tasks() {
    while (!tasks.empty()) {
      const auto task = std::move(tasks.front());
      tasks.pop_front();
      task();
    }
  }
  std::unique_ptr<Manager> make(const ScrapeOptions& options = {}) {
    return std::make_unique<Manager>(
        scheduler,
        [this](std::function<void()> task) -> base::Status {
          if (pool_full) return base::fail(base::ErrorCode::kLimit, "the pool is full");
          if (hold_tasks) {
            tasks.push_back(std::move(task));
          } else {
            task();
          }
          return {};
        },
        network.fetch(), store, base::Log::silent(), registry, options);
  }

  double value(std::string_view name, std::string_view label = "") {
    for (const auto& family : registry.collect())
      for (const auto& sample : family.samples) {
        if (sample.name != name) continue;
        if (label.empty()) return sample.value;
        for (const auto& [key, text] : sample.labels)
          if (text == label) return sample.value;
      }
    return -1;
  }

  base::ManualClock clock{kStartMs};
  base::ManualScheduler scheduler{clock};
  base::Registry registry;
  FakeStore store;
  FakeNetwork network;
  bool hold_tasks = false;
  bool pool_full = false;
  std::deque<std::function<void()>> tasks;
  std::unique_ptr<Manager> manager = make();
};

TEST_F(ManagerTest, scrapes_each_interval_and_reports) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  EXPECT_EQ(manager->targets().front().health, Health::kUnknown);
  scheduler.advance_ms(10'000);
  const auto status = manager->targets().front();
  const std::string at = " @" + std::to_string(status.last_scrape_ms) + "\n";
  const std::string labels = "{instance=\"h:1\", job=\"j\"} ";
  EXPECT_EQ(store.take(), "a" + labels + "1" + at + "up" + labels + "1" + at + "scrape_duration_seconds" + labels +
                              "0" + at + "scrape_samples_scraped" + labels + "1" + at +
                              "scrape_samples_post_metric_relabeling" + labels + "1" + at + "scrape_series_added" +
                              labels + "1" + at);
  EXPECT_EQ(status.health, Health::kUp);
  EXPECT_EQ(status.scrape_url, "http://h:1/metrics");
  EXPECT_EQ(status.scrape_pool, "j");
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(),
              HasSubstr("scrape_series_added" + labels + "0 @" + std::to_string(status.last_scrape_ms + 10'000)));
  ASSERT_EQ(network.requests.size(), 2U);
  EXPECT_EQ(network.requests[0].deadline_ms, 5'000);
  EXPECT_THAT(std::string(*network.requests[0].headers.get("accept")), HasSubstr("application/openmetrics-text"));
  EXPECT_EQ(network.requests[0].headers.get("x-prometheus-scrape-timeout-seconds"), "5");
}

TEST_F(ManagerTest, spreads_targets_over_the_interval_and_keeps_their_times_over_a_restart) {
  network.body = "a 1\n";
  std::vector<std::string> targets;
  for (int i = 0; i < 100; ++i) targets.push_back("h" + std::to_string(i) + ":1");
  apply(file(targets));
  std::size_t most_at_once = 0;
  for (int tenth = 0; tenth < 10; ++tenth) {
    const std::size_t before = network.requests.size();
    scheduler.advance_ms(1'000);
    most_at_once = std::max(most_at_once, network.requests.size() - before);
  }
  EXPECT_EQ(network.requests.size(), 100U);
  EXPECT_LT(most_at_once, 30U);
  std::map<std::string, std::int64_t> times;
  for (const auto& status : manager->targets()) times[status.scrape_url] = status.last_scrape_ms;

  manager = make();
  scheduler.advance_ms(1'234);
  apply(file(targets));
  scheduler.advance_ms(10'000);
  for (const auto& status : manager->targets()) {
    EXPECT_EQ((status.last_scrape_ms - times[status.scrape_url]) % 10'000, 0) << status.scrape_url;
  }
}

TEST_F(ManagerTest, marks_a_target_down_and_its_series_stale_when_it_fails) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(10'000);
  store.take();
  network.error = base::Error(base::ErrorCode::kTimeout, "no answer in 5s");
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(),
              AllOf(HasSubstr("a{instance=\"h:1\", job=\"j\"} stale"), HasSubstr("up{instance=\"h:1\", job=\"j\"} 0")));
  EXPECT_EQ(manager->targets().front().health, Health::kDown);
  EXPECT_EQ(manager->targets().front().last_error,
            "no answer in 5s; a target that needs longer needs a longer scrape_timeout");

  network.error.reset();
  network.status = 503;
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), AllOf(Not(HasSubstr("stale")), HasSubstr("up{instance=\"h:1\", job=\"j\"} 0")));
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("HTTP status 503"));

  network.status = 200;
  network.body = "a 1\nb{ 2\n";
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(),
              AllOf(Not(HasSubstr("a{")), HasSubstr("scrape_samples_scraped{instance=\"h:1\", job=\"j\"} 1")));
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("line 2"));

  network.body = "a 1\n";
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), HasSubstr("up{instance=\"h:1\", job=\"j\"} 1"));
  EXPECT_EQ(manager->targets().front().last_error, "");
}

TEST_F(ManagerTest, says_which_limit_a_body_met) {
  PrometheusFile config = file({"h:1"});
  config.scrape_configs[0].limits.body_size_limit_bytes = 1024;
  network.error = base::Error(base::ErrorCode::kLimit, "more than 1024 bytes");
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.front().body_bytes_max, 1024U);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("body_size_limit"));
}

TEST_F(ManagerTest, tells_what_alerts_for_a_prometheus_server_read) {
  PrometheusFile config = file({"h:1", "i:1"});
  config.scrape_configs[0].limits.sample_limit = 1;
  config.scrape_configs[0].limits.label_limit = 3;
  config.scrape_configs[0].limits.target_limit = 5;
  network.body = "a 1\n";
  apply(config);
  EXPECT_EQ(value("prometheus_target_scrape_pool_targets", "j"), 2);
  EXPECT_EQ(value("prometheus_target_scrape_pool_target_limit", "j"), 5);
  EXPECT_EQ(value("prometheus_target_scrape_pool_sync_total", "j"), 1);
  EXPECT_EQ(value("prometheus_target_sync_length_seconds_count", "j"), 1);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(value("prometheus_target_interval_length_seconds_count", "10s"), -1) << "one scrape has no distance";
  EXPECT_EQ(value("prometheus_target_scrapes_exceeded_sample_limit_total"), 0);
  network.body = "a 1\nb 1\n";
  scheduler.advance_ms(10'000);
  EXPECT_EQ(value("prometheus_target_interval_length_seconds_count", "10s"), 2);
  EXPECT_EQ(value("prometheus_target_interval_length_seconds_sum", "10s"), 20);
  EXPECT_NEAR(value("prometheus_target_interval_length_seconds", "0.9"), 10, 1);
  EXPECT_EQ(value("prometheus_target_scrapes_exceeded_sample_limit_total"), 2);
  network.body = "a{b=\"1\",c=\"2\"} 1\n";
  scheduler.advance_ms(10'000);
  EXPECT_EQ(value("prometheus_target_scrape_pool_exceeded_label_limits_total"), 2);
  EXPECT_EQ(value("prometheus_target_scrapes_exceeded_sample_limit_total"), 2);
  network.body = "a 1 1600000000000\n";
  scheduler.advance_ms(10'000);
  EXPECT_EQ(value("prometheus_target_scrapes_sample_out_of_order_total"), 2);
  network.error = base::Error(base::ErrorCode::kLimit, "more than 1024 bytes");
  scheduler.advance_ms(10'000);
  EXPECT_EQ(value("prometheus_target_scrapes_exceeded_body_size_limit_total"), 2);
  config.scrape_configs[0].limits.target_limit = 1;
  apply(config);
  EXPECT_EQ(value("prometheus_target_scrape_pool_exceeded_target_limit_total"), 1);
  apply({});
  EXPECT_EQ(value("prometheus_target_scrape_pool_targets", "j"), 0) << "the job is gone";
}

TEST_F(ManagerTest, counts_targets_that_cannot_be) {
  PrometheusFile config = file({"good:1"});
  config.scrape_configs[0].sd_configs.emplace_back();
  apply(config);
  EXPECT_EQ(value("prometheus_target_sync_failed_total", "j"), 0);
  manager->set_groups("j", {{.targets = {model::LabelSet{{"__address__", "a b"}}}}});
  EXPECT_EQ(value("prometheus_target_sync_failed_total", "j"), 1);
  EXPECT_EQ(value("prometheus_target_scrape_pool_sync_total", "j"), 2);
  EXPECT_EQ(value("prometheus_target_scrape_pool_targets", "j"), 1);
}

TEST(GoDuration, is_as_go_prints_it) {
  for (const auto& [ms, text] : {std::pair<std::int64_t, std::string>{500, "500ms"},
                                 {1'000, "1s"},
                                 {1'500, "1.5s"},
                                 {60'000, "1m0s"},
                                 {90'000, "1m30s"},
                                 {3'600'000, "1h0m0s"},
                                 {5'445'000, "1h30m45s"}})
    EXPECT_EQ(go_duration(ms), text);
}

TEST_F(ManagerTest, ends_the_series_of_a_target_that_is_gone_but_not_at_a_shutdown) {
  network.body = "a 1\n";
  apply(file({"h:1", "h:2"}));
  scheduler.advance_ms(10'000);
  store.take();
  apply(file({"h:2"}));
  const std::string ended = store.take();
  EXPECT_THAT(ended, AllOf(HasSubstr("a{instance=\"h:1\", job=\"j\"} stale"),
                           HasSubstr("up{instance=\"h:1\", job=\"j\"} stale"), Not(HasSubstr("h:2"))));
  EXPECT_EQ(manager->targets().size(), 1U);
  manager->stop();
  scheduler.advance_ms(60'000);
  EXPECT_THAT(store.take(), IsEmpty());
}

TEST_F(ManagerTest, ends_series_after_their_newest_sample_whatever_the_clock_says) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(10'000);
  const std::int64_t newest_ms = manager->targets().front().last_scrape_ms;
  store.take();
  clock.jump_wall_ms(-3'600'000);
  apply(file({}));
  EXPECT_THAT(store.take(), HasSubstr("a{instance=\"h:1\", job=\"j\"} stale @" + std::to_string(newest_ms + 1)));
}

TEST_F(ManagerTest, keeps_what_it_knows_of_a_target_whose_settings_change) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(10'000);
  const std::size_t resolved = store.resolved();
  store.take();
  apply(file({"h:1"}, 20'000));
  EXPECT_THAT(store.take(), IsEmpty());
  network.requests.clear();
  scheduler.advance_ms(40'000);
  EXPECT_EQ(network.requests.size(), 2U);
  EXPECT_EQ(store.resolved(), resolved);
  EXPECT_EQ(manager->targets().front().interval_ms, 20'000);
}

TEST_F(ManagerTest, changes_nothing_when_a_plan_is_refused) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  EXPECT_FALSE(manager->apply(file({"not/a target"})));
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.size(), 1U);
}

TEST_F(ManagerTest, lets_a_scrape_pass_while_the_one_before_runs) {
  network.body = "a 1\n";
  network.hold = true;
  apply(file({"h:1"}));
  scheduler.advance_ms(30'000);
  EXPECT_EQ(network.requests.size(), 1U);
  network.answer();
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.size(), 2U);
}

TEST_F(ManagerTest, a_target_that_goes_while_it_is_scraped_is_ended_afterwards) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(10'000);
  store.take();
  network.hold = true;
  scheduler.advance_ms(10'000);
  apply(file({}));
  EXPECT_EQ(network.cancelled, 1);
  EXPECT_THAT(store.take(), IsEmpty());
  network.answer();
  EXPECT_THAT(store.take(), AllOf(HasSubstr("a{instance=\"h:1\", job=\"j\"} stale"), Not(HasSubstr("} 1 "))));
}

TEST_F(ManagerTest, goes_on_after_the_pool_was_full_and_after_the_store_failed) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  pool_full = true;
  scheduler.advance_ms(10'000);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("pool is full"));
  pool_full = false;
  store.commit_result = base::fail(base::ErrorCode::kUnavailable, "no space left");
  scheduler.advance_ms(10'000);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("no space left"));
  EXPECT_EQ(manager->targets().front().health, Health::kDown);
  store.commit_result = {};
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), HasSubstr("up{instance=\"h:1\", job=\"j\"} 1"));
  EXPECT_EQ(manager->targets().front().health, Health::kUp);
}

TEST_F(ManagerTest, keeps_its_schedule_when_the_wall_clock_jumps) {
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(20'000);
  network.requests.clear();
  clock.jump_wall_ms(3'600'000);
  scheduler.advance_ms(50'000);
  EXPECT_GE(network.requests.size(), 4U);
  EXPECT_LE(network.requests.size(), 6U);
  network.requests.clear();
  clock.jump_wall_ms(-7'200'000);
  scheduler.advance_ms(50'000);
  EXPECT_GE(network.requests.size(), 4U);
  EXPECT_LE(network.requests.size(), 6U);
}

TEST_F(ManagerTest, sends_credentials_and_reads_them_from_files_each_time) {
  const auto secret = std::filesystem::path(testing::TempDir()) / "qd_scrape_secret";
  std::ofstream(secret) << "first\n";
  PrometheusFile config = file({"h:1"});
  config.scrape_configs[0].http.authorization = AuthorizationConfig{.credentials_file = secret.string()};
  network.body = "a 1\n";
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.back().bearer_token, "first");
  std::ofstream(secret) << "second";
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.back().bearer_token, "second");
  std::filesystem::remove(secret);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.size(), 2U);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr(secret.string()));

  config.scrape_configs[0].http.authorization = AuthorizationConfig{.type = "Token", .credentials = "x"};
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.back().headers.get("authorization"), "Token x");
  config.scrape_configs[0].http.authorization.reset();
  config.scrape_configs[0].http.basic_auth = BasicAuthConfig{.username = "u", .password = "p"};
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(network.requests.back().basic_auth->password, "p");
}

TEST_F(ManagerTest, gives_the_extra_report_series_when_asked) {
  manager = make({.extra_metrics = true});
  network.body = "a 1\n";
  apply(file({"h:1"}));
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), AllOf(HasSubstr("scrape_timeout_seconds{instance=\"h:1\", job=\"j\"} 5"),
                                  HasSubstr("scrape_sample_limit{instance=\"h:1\", job=\"j\"} 0"),
                                  HasSubstr("scrape_body_size_bytes{instance=\"h:1\", job=\"j\"} 4")));
}

TEST_F(ManagerTest, a_target_that_makes_ever_more_series_is_held_to_its_limit) {
  auto config = file({"h:1"});
  config.scrape_configs[0].limits.series_limit = 2;
  network.body = "a 1\nb{id=\"1\"} 1\n";
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), AllOf(HasSubstr("scrape_series_current{instance=\"h:1\", job=\"j\"} 2"),
                                  HasSubstr("scrape_series_limit{instance=\"h:1\", job=\"j\"} 2"),
                                  HasSubstr("scrape_series_limit_samples_dropped{instance=\"h:1\", job=\"j\"} 0")));
  // The page is no longer than before; what is known goes on, also what comes back.
  for (const std::string id : {"2", "3", "1"}) {
    network.body = "a 2\nb{id=\"" + id + "\"} 1\n";
    scheduler.advance_ms(10'000);
    const std::string taken = store.take();
    const auto status = manager->targets().front();
    EXPECT_EQ(status.health, Health::kUp);
    EXPECT_THAT(taken, HasSubstr("a{instance=\"h:1\", job=\"j\"} 2"));
    EXPECT_THAT(taken, HasSubstr("up{instance=\"h:1\", job=\"j\"} 1"));
    if (id == "1") {
      EXPECT_THAT(taken, HasSubstr("b{id=\"1\", instance=\"h:1\", job=\"j\"} 1"));
      EXPECT_EQ(status.last_error, "");
    } else {
      EXPECT_THAT(taken, Not(HasSubstr("b{id=\"" + id + "\"")));
      EXPECT_THAT(taken, HasSubstr("scrape_series_limit_samples_dropped{instance=\"h:1\", job=\"j\"} 1"));
      EXPECT_THAT(status.last_error, HasSubstr("series_limit 2 is reached: 1 samples"));
    }
  }
  EXPECT_EQ(registry.counter("quarterdeck_scrape_series_limit_samples_dropped_total", "").value(), 2U);
  // Raised at a reload, it holds from the next scrape on.
  config.scrape_configs[0].limits.series_limit = 3;
  apply(config);
  network.body = "a 2\nb{id=\"4\"} 1\n";
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), HasSubstr("b{id=\"4\", instance=\"h:1\", job=\"j\"} 1"));
}

TEST_F(ManagerTest, drops_what_metric_relabel_configs_say_and_counts_it) {
  PrometheusFile config = file({"h:1"});
  ScrapeConfig& job = config.scrape_configs[0];
  job.metric_relabel_configs = {
      {.source_labels = {"__name__"}, .regex = "b.*", .action = model::RelabelAction::kDrop},
      {.source_labels = {"x"}, .regex = "(.+)", .target_label = "y", .replacement = "<$1>"},
      {.regex = "x", .action = model::RelabelAction::kLabelDrop},
  };
  job.limits.sample_limit = 2;
  network.body = "a{x=\"1\"} 1\nb 2\nbb 3\nc 4\n";
  apply(config);
  scheduler.advance_ms(10'000);
  const std::string first = store.take();
  EXPECT_THAT(first, AllOf(HasSubstr("a{instance=\"h:1\", job=\"j\", y=\"<1>\"} 1"), Not(HasSubstr("b{")),
                           HasSubstr("scrape_samples_scraped{instance=\"h:1\", job=\"j\"} 4"),
                           HasSubstr("scrape_samples_post_metric_relabeling{instance=\"h:1\", job=\"j\"} 2"),
                           HasSubstr("scrape_series_added{instance=\"h:1\", job=\"j\"} 2")));
  // The verdict is remembered.
  const std::size_t resolved = store.resolved();
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(),
              AllOf(Not(HasSubstr("b{")), HasSubstr("scrape_series_added{instance=\"h:1\", job=\"j\"} 0")));
  EXPECT_EQ(store.resolved(), resolved);
  network.body += "d 5\n";
  scheduler.advance_ms(10'000);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("the target has 3 samples"));
  // Other rules are another set of series: those of before end.
  job.metric_relabel_configs.pop_back();
  job.limits.sample_limit = 0;
  apply(config);
  EXPECT_THAT(store.take(), HasSubstr("up{instance=\"h:1\", job=\"j\"} stale"));
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), HasSubstr("a{instance=\"h:1\", job=\"j\", x=\"1\", y=\"<1>\"} 1"));
}

TEST_F(ManagerTest, holds_names_to_the_legacy_scheme_where_asked) {
  PrometheusFile config = file({"h:1"});
  config.scrape_configs[0].format.name_scheme = model::NameScheme::kLegacy;
  network.body = "a 1\n{\"b.c\"} 2\n";
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_THAT(manager->targets().front().last_error, HasSubstr("metric_name_validation_scheme"));
}

TEST_F(ManagerTest, scrapes_what_discoveries_find) {
  PrometheusFile config = file({"static:1"});
  ScrapeConfig& job = config.scrape_configs[0];
  job.sd_configs = {sd::FileSdConfig{.files = {"t.json"}}};
  job.relabel_configs = {{.source_labels = {"__meta_role"}, .regex = "no", .action = model::RelabelAction::kDrop},
                         {.source_labels = {"__meta_role"}, .regex = "(.+)", .target_label = "role"}};
  network.body = "a 1\n";
  apply(config);
  const auto group = [](const std::string& address, const std::string& role) {
    return sd::TargetGroup{
        .source = address, .targets = {model::LabelSet{{"__address__", address}}}, .labels = {{"__meta_role", role}}};
  };
  manager->set_groups("j", {group("a:1", "x"), group("b:1", "no")});
  ASSERT_EQ(manager->targets().size(), 2U);
  EXPECT_EQ(manager->dropped().at(0).count, 1U);
  EXPECT_EQ(manager->dropped().at(0).discovered_labels.at(0).get("__address__"), "b:1");
  scheduler.advance_ms(10'000);
  EXPECT_THAT(store.take(), HasSubstr("up{instance=\"a:1\", job=\"j\", role=\"x\"} 1"));
  EXPECT_EQ(network.requests.size(), 2U);

  // A reload keeps what was found, and a target that stays keeps its loop.
  const auto before = manager->targets();
  apply(config);
  EXPECT_EQ(manager->targets().size(), 2U);
  EXPECT_EQ(manager->targets().front().last_scrape_ms, before.front().last_scrape_ms);
  manager->set_groups("other", {});
  EXPECT_EQ(manager->targets().size(), 2U);
  store.take();
  manager->set_groups("j", {group("a:1", "no")});
  EXPECT_THAT(store.take(), HasSubstr("up{instance=\"a:1\", job=\"j\", role=\"x\"} stale"));
  ASSERT_EQ(manager->targets().size(), 1U);
  EXPECT_EQ(manager->targets()[0].labels.get("instance"), "static:1");
  EXPECT_EQ(manager->pools(), std::vector<std::string>{"j"});
  EXPECT_TRUE(manager->job("j"));
  EXPECT_FALSE(manager->job("k"));
}

TEST_F(ManagerTest, a_job_past_its_target_limit_is_down) {
  PrometheusFile config = file({"a:1", "b:1"});
  config.scrape_configs[0].limits.target_limit = 1;
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_TRUE(network.requests.empty());
  for (const auto& status : manager->targets()) {
    EXPECT_EQ(status.health, Health::kDown);
    EXPECT_THAT(status.last_error, HasSubstr("target_limit is exceeded"));
  }
  config.scrape_configs[0].limits.target_limit = 2;
  network.body = "a 1\n";
  apply(config);
  scheduler.advance_ms(10'000);
  EXPECT_EQ(manager->targets().front().health, Health::kUp);
}

TEST_F(ManagerTest, logs_failures_where_asked) {
  const base::TempDirectory dir;
  const auto log = dir.path() / "failures.log";
  PrometheusFile config = file({"h:1"});
  config.scrape_configs[0].failure_log_file = log.string();
  network.error = base::Error(base::ErrorCode::kUnavailable, "a \"quoted\" reason");
  apply(config);
  scheduler.advance_ms(20'000);
  std::ifstream in(log);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_THAT(line, AllOf(HasSubstr("\"scrape_pool\":\"j\""), HasSubstr("\"target\":\"http://h:1/metrics\""),
                          HasSubstr("a \\\"quoted\\\" reason")));
  EXPECT_TRUE(std::getline(in, line));
}

TEST(Protocols, asks_for_what_the_job_wants) {
  FormatConfig format;
  EXPECT_EQ(accept_header(format),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2");
  format.scrape_native_histograms = true;
  EXPECT_TRUE(accept_header(format).starts_with("application/vnd.google.protobuf;proto="));
  format.scrape_protocols = {ScrapeProtocol::kPrometheusText0_0_4};
  EXPECT_EQ(accept_header(format), "text/plain;version=0.0.4;q=0.6,*/*;q=0.5");
  using model::exposition::Format;
  EXPECT_EQ(format_of("text/html", ScrapeProtocol::kOpenMetricsText1_0_0), Format::kOpenMetrics);
  EXPECT_EQ(format_of("text/plain", ScrapeProtocol::kOpenMetricsText1_0_0), Format::kPrometheusText);
  EXPECT_EQ(format_of("text/html", std::nullopt), Format::kPrometheusText);
}

}  // namespace
}  // namespace qd::observe::scrape
