#include "observe/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "observe/memory_store.h"

namespace qd::observe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FakeCollector final : public Collector {
 public:
  FakeCollector(std::string kind, std::optional<base::Error> trouble)
      : kind_(std::move(kind)), trouble_(std::move(trouble)) {}
  std::string_view name() const override { return kind_; }
  base::Status collect(std::int64_t, Sink& sink) override {
    sink.family("x_up", model::MetricType::kGauge, "");
    sink.sample(1);
    return {};
  }
  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  const std::string kind_;
  const std::optional<base::Error> trouble_;
};

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() {
    services.add_kind("redis", [this](const Service& service) {
      made.push_back(service.address + " " + service.password);
      return std::make_unique<FakeCollector>("redis", trouble);
    });
    runner.start();
  }
  static Service redis(std::string address, std::string name = "cache", std::string password = "") {
    return {.kind = "redis",
            .name = std::move(name),
            .address = std::move(address),
            .metrics_path = {},
            .scheme = {},
            .user = {},
            .password = std::move(password),
            .database = {},
            .origin = Origin::kContainer};
  }
  void find(std::vector<Service> list) {
    services.found(std::make_shared<const std::vector<Service>>(std::move(list)));
    pass();
  }
  void pass() {
    scheduler.advance_ms(0);
    for (auto* each : {&pool, &pool, &probing}) {
      std::promise<void> done;
      ASSERT_TRUE(each->submit([&] { done.set_value(); }));
      done.get_future().wait();
    }
  }
  std::vector<std::string> states() {
    std::vector<std::string> all;
    for (const auto& status : services.statuses()) {
      all.push_back(status.service.address + " " + std::string(to_string(status.state)));
    }
    return all;
  }
  DeclaredService declared(std::string address, int options) {
    return {.service = redis(std::move(address), "declared"),
            .options = options,
            .same_options =
                [options](const std::any& other) {
                  const auto* there = std::any_cast<int>(&other);
                  return there != nullptr && *there == options;
                },
            .make =
                [this, options] {
                  made.push_back("declared " + std::to_string(options));
                  return std::make_unique<FakeCollector>("redis", std::nullopt);
                }};
  }

  std::vector<std::string> made;
  std::optional<base::Error> trouble;
  MemoryStore store;
  base::Registry registry;
  base::ManualClock clock{1'700'000'000'000};
  base::ManualScheduler scheduler{clock};
  base::ThreadPool pool{1, 100};
  base::ThreadPool probing{1, 100};
  CollectorRunner runner{scheduler,           RunnerPools{pool, pool, probing}, store, registry,
                         base::Log::silent(), RunnerOptions{5000, "vm", {}}};
  Services services{runner, base::Log::silent()};
};

TEST_F(ServicesTest, what_is_found_is_watched_until_it_is_gone) {
  find({redis("a:1"), redis("b:1")});
  EXPECT_THAT(states(), ElementsAre("a:1 up", "b:1 up"));
  find({redis("a:1")});
  EXPECT_THAT(states(), ElementsAre("a:1 up"));
  EXPECT_THAT(made, ElementsAre("a:1 ", "b:1 ")) << "what stays keeps its collector";
  EXPECT_EQ(store.samples(R"(up{instance="b:1", job="redis"})").back().second, MemoryStore::kStale);
  find({redis("a:1", "cache", "new")});
  EXPECT_THAT(made, ElementsAre("a:1 ", "b:1 ", "a:1 new"));
  EXPECT_EQ(services.statuses().front().service.password, "") << "nobody is shown a password";
}

TEST_F(ServicesTest, what_is_declared_is_not_discovered_twice) {
  services.declare({declared("a:1", 7)}, {});
  find({redis("a:1"), redis("b:1")});
  EXPECT_THAT(made, ElementsAre("declared 7", "b:1 "));
  services.declare({declared("a:1", 7)}, {});
  EXPECT_EQ(made.size(), 2U) << "a reload without a change changes nothing";
  services.declare({declared("a:1", 8)}, {});
  EXPECT_THAT(made, ElementsAre("declared 7", "b:1 ", "declared 8"));
  services.declare({}, {});
  EXPECT_THAT(made, ElementsAre("declared 7", "b:1 ", "declared 8", "a:1 ")) << "found again";
}

TEST_F(ServicesTest, variants_of_one_address_are_watched_each_at_its_own_pace) {
  auto slow = declared("a:1", 1);
  slow.service.variant = "slow";
  slow.tuning = {.interval_ms = 60'000, .timeout_ms = 2'000};
  auto quick = declared("a:1", 2);
  quick.service.variant = "quick";
  services.declare({slow, quick, quick}, {});
  ASSERT_THAT(made, ElementsAre("declared 1", "declared 2"));
  pass();
  for (const char* module : {"quick", "slow"})
    EXPECT_EQ(store.samples(std::string(R"(up{instance="a:1", job="redis", module=")") + module + R"("})").size(), 1U);
  const auto statuses = services.statuses();
  ASSERT_EQ(statuses.size(), 2U);
  for (const auto& status : statuses) {
    const bool is_slow = status.service.variant == "slow";
    EXPECT_EQ(status.report->interval_ms, is_slow ? 60'000 : 5'000);
    EXPECT_EQ(status.report->timeout_ms, is_slow ? 2'000 : 5'000);
  }
  services.declare({slow}, {{"a:1", {.interval_ms = 30'000}}});
  EXPECT_EQ(services.statuses().at(0).report->interval_ms, 30'000) << "what is said by name counts for more";
}

TEST_F(ServicesTest, declared_probes_run_beside_the_servers) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  ASSERT_TRUE(probing.submit([released] { released.wait(); }));
  auto probe = declared("a:1", 1);
  probe.work = Work::kProbes;
  services.declare({probe, declared("b:1", 2)}, {});
  scheduler.advance_ms(0);
  std::promise<void> done;
  ASSERT_TRUE(pool.submit([&] { done.set_value(); }));
  done.get_future().wait();
  EXPECT_THAT(states(), ElementsAre("a:1 unknown", "b:1 up"));
  release.set_value();
  pass();
  EXPECT_THAT(states(), ElementsAre("a:1 up", "b:1 up"));
}

TEST_F(ServicesTest, labels_and_settings_tune_and_switch_off) {
  auto labelled = redis("a:1");
  labelled.tuning = {{"quarterdeck.interval", "30s"}, {"quarterdeck.timeout", "nonsense"}};
  auto off = redis("b:1");
  off.tuning = {{"quarterdeck.enabled", "false"}};
  find({labelled, off});
  EXPECT_THAT(states(), ElementsAre("a:1 up", "b:1 off"));
  EXPECT_EQ(services.statuses().front().report->interval_ms, 30'000);
  services.declare({}, {{"cache", {.interval_ms = 15'000, .timeout_ms = 3000}}});
  pass();
  EXPECT_EQ(services.statuses().front().report->interval_ms, 15'000);
  EXPECT_EQ(services.statuses().front().report->timeout_ms, 3000);
  EXPECT_THAT(states(), ElementsAre("a:1 up", "b:1 up")) << "the configuration counts for more";
  services.declare({}, {{"a:1", {.off = true}}});
  EXPECT_THAT(states(), ElementsAre("a:1 off", "b:1 off"));
}

TEST_F(ServicesTest, trouble_says_whether_it_is_down_or_unreadable) {
  trouble.emplace(base::ErrorCode::kPermission, "GRANT it");
  find({redis("a:1")});
  EXPECT_THAT(states(), ElementsAre("a:1 unreadable"));
  EXPECT_THAT(services.statuses().front().why, HasSubstr("GRANT it"));
  trouble.emplace(base::ErrorCode::kTimeout, "silence");
  find({redis("b:1")});
  EXPECT_THAT(states(), ElementsAre("b:1 down"));
}

TEST_F(ServicesTest, pages_are_handed_to_the_scraper_when_they_change) {
  std::vector<std::size_t> told;
  services.on_pages([&](const std::vector<Page>& pages) { told.push_back(pages.size()); });
  auto page = redis("a:1");
  page.kind = "openmetrics";
  find({page, redis("b:1")});
  find({page});
  find({});
  EXPECT_THAT(told, ElementsAre(1, 0));
  EXPECT_THAT(states(), IsEmpty());
}

TEST_F(ServicesTest, pages_are_scraped_as_their_labels_tune_them) {
  std::vector<Page> told;
  services.on_pages([&](const std::vector<Page>& pages) { told = pages; });
  auto page = redis("a:1");
  page.kind = kPageKind;
  page.tuning["quarterdeck.interval"] = "2s";
  find({page});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tuning.interval_ms, 2000);
  page.tuning["quarterdeck.interval"] = "3s";
  find({page});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].tuning.interval_ms, 3000);
}

}  // namespace
}  // namespace qd::observe
