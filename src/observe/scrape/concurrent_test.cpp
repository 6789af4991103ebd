// The scraper on real threads, into a real store.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/files.h"
#include "base/thread_pool.h"
#include "model/matcher.h"
#include "observe/scrape/manager.h"
#include "store/metrics/store.h"

namespace qd::observe::scrape {
namespace {

constexpr std::int64_t kStartMs = 1'700'000'000'000;

PrometheusFile targets(int first, int count) {
  PrometheusFile file;
  ScrapeConfig& job = file.scrape_configs.emplace_back();
  job.job_name = "j";
  job.interval_ms = 1'000;
  job.timeout_ms = 1'000;
  StaticGroup& group = job.static_configs.emplace_back();
  for (int i = first; i < first + count; ++i) group.targets.push_back("h" + std::to_string(i) + ":1");
  return file;
}

TEST(Scraper, on_many_threads_stores_every_target_and_ends_those_that_go) {
  const auto dir = std::filesystem::path(testing::TempDir()) / ("qd_scrape_" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  base::PosixFiles files;
  base::Registry registry;
  auto store = store::metrics::Store::open(files, dir, {}, base::Log::silent(), registry);
  ASSERT_TRUE(store) << store.error().message();

  base::ManualClock clock(kStartMs);
  base::ManualScheduler scheduler(clock);
  std::atomic<int> fetched = 0;
  std::atomic<int> in_flight = 0;
  const auto counted = [&](base::ThreadPool& pool, std::function<void()> task) -> base::Status {
    ++in_flight;
    return pool.submit([&in_flight, task = std::move(task)] {
      task();
      --in_flight;
    });
  };
  const auto wait_until_idle = [&] {
    while (in_flight > 0) std::this_thread::yield();
  };
  {
    std::optional<base::ThreadPool> pool(std::in_place, 4, 1000);
    std::optional<base::ThreadPool> network(std::in_place, 2, 1000);
    Manager manager(
        scheduler, [&](std::function<void()> task) { return counted(*pool, std::move(task)); },
        [&](const HttpConfig&, const connect::http::ClientRequest&, Then then) -> std::function<void()> {
          const int n = ++fetched;
          const auto answer = [then, n] {
            connect::http::ClientResponse response;
            response.status = n % 13 == 0 ? 500 : 200;
            response.body = "a{n=\"" + std::to_string(n % 3) + "\"} 1\nb 2\n";
            then(std::move(response));
          };
          EXPECT_TRUE(counted(*network, answer));
          return [] {};
        },
        **store, base::Log::silent(), registry, {});
    for (int round = 0; round < 40; ++round) {
      ASSERT_TRUE(manager.apply(targets(round % 10, 20)));
      for (int step = 0; step < 20; ++step) {
        scheduler.advance_ms(100);
        for (const TargetStatus& status : manager.targets()) EXPECT_EQ(status.scrape_pool, "j");
        // Each target has been asked once by now; the rest of the round runs into the next change.
        if (step == 10) wait_until_idle();
      }
    }
    ASSERT_TRUE(manager.apply(targets(100, 1)));
    wait_until_idle();
    manager.stop();
    network.reset();
    pool.reset();
  }
  EXPECT_GT(fetched, 40 * 20 - 1);

  const auto up = model::Matcher::equal("__name__", "up");
  const auto set = (*store)->select({&up, 1}, kStartMs, clock.wall_ms() + 1, 1000);
  ASSERT_TRUE(set);
  EXPECT_EQ((*set)->size(), 29U);
  store::metrics::Columns columns;
  for (std::size_t i = 0; i < (*set)->size(); ++i) {
    ASSERT_TRUE((*set)->read(i, kStartMs, clock.wall_ms() + 1, columns));
    ASSERT_GT(columns.size(), 1U);
    EXPECT_TRUE(model::is_stale_nan(columns.values.back())) << (*set)->labels(i).to_string();
  }
  store->reset();
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace qd::observe::scrape
