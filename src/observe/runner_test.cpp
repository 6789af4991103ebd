#include "observe/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <stdexcept>

#include "base/mutex.h"
#include "observe/memory_store.h"
#include "observe/pass_clock.h"

namespace qd::observe {
namespace {

using model::exposition::Format;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr std::int64_t kStartMs = 1'700'000'000'000;
constexpr const char* kUp = R"(up{instance="vm", job="fake"})";
constexpr const char* kPasses = R"(passes{instance="vm", job="fake"})";

// Shared by a test and the collector that the runner owns.
struct Control {
  base::Mutex mutex;
  base::CondVar changed;
  int passes QD_GUARDED_BY(mutex) = 0;
  int running QD_GUARDED_BY(mutex) = 0;
  int running_max QD_GUARDED_BY(mutex) = 0;
  bool held QD_GUARDED_BY(mutex) = false;
  bool failing QD_GUARDED_BY(mutex) = false;
  bool timing_out QD_GUARDED_BY(mutex) = false;
  bool throwing QD_GUARDED_BY(mutex) = false;
  std::int64_t deadline_ns QD_GUARDED_BY(mutex) = 0;

  void set(bool Control::* flag, bool value) {
    base::MutexLock lock(mutex);
    this->*flag = value;
    changed.notify_all();
  }
  void wait_until_running() {
    base::MutexLock lock(mutex);
    while (running == 0) changed.wait(mutex);
  }
  template <typename T>
  T get(T Control::* member) {
    base::MutexLock lock(mutex);
    return this->*member;
  }
};

// Tells how many passes there were; waits in a pass while it is held.
class FakeCollector final : public Collector {
 public:
  FakeCollector(Control& control, std::string name) : control_(control), name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  base::Status collect(std::int64_t deadline_ns, Sink& sink) override {
    base::MutexLock lock(control_.mutex);
    control_.deadline_ns = deadline_ns;
    control_.running_max = std::max(control_.running_max, ++control_.running);
    control_.changed.notify_all();
    while (control_.held) control_.changed.wait(control_.mutex);
    --control_.running;
    if (control_.throwing) throw std::runtime_error("broken library");
    if (control_.failing) return base::fail(base::ErrorCode::kUnavailable, "no device");
    trouble_.reset();
    if (control_.timing_out) trouble_.emplace(base::ErrorCode::kTimeout, "it says nothing");
    sink.family("passes", model::MetricType::kGauge, "Passes so far.");
    sink.sample(++control_.passes);
    return {};
  }

  const base::Error* trouble() const override { return trouble_ ? &*trouble_ : nullptr; }

 private:
  Control& control_;
  std::string name_;
  std::optional<base::Error> trouble_;
};

class RunnerTest : public testing::Test {
 protected:
  RunnerTest() { runner->add(std::make_unique<FakeCollector>(control, "fake")); }

  // Until the pools, which have one thread each, have done all that was submitted.
  void settle() {
    for (auto* each : {&pool, &probing}) settle(*each);
  }
  static void settle(base::ThreadPool& pool) {
    std::promise<void> done;
    ASSERT_TRUE(pool.submit([&] { done.set_value(); }));
    done.get_future().wait();
  }
  // Second by second, so that no pass waits for the test.
  void run_for_s(int seconds) {
    for (int i = 0; i < seconds * 2; ++i) {
      scheduler.advance_ms(500);
      settle();
    }
  }
  std::vector<std::int64_t> pass_times_s() {
    std::vector<std::int64_t> times;
    for (const auto& [time_ms, value] : store.samples(kUp)) times.push_back((time_ms - kStartMs) / 1000);
    return times;
  }
  struct Answer {
    std::promise<base::Result<CollectorRunner::Text>> promise;
    std::future<base::Result<CollectorRunner::Text>> future = promise.get_future();
  };
  std::unique_ptr<Answer> render(std::string_view name, Format format = Format::kPrometheusText,
                                 std::string_view target = {}) {
    auto answer = std::make_unique<Answer>();
    runner->render(name, target, format,
                   [&promise = answer->promise](auto result) { promise.set_value(std::move(result)); });
    return answer;
  }
  double count(std::string_view name, std::string_view reason = {}) {
    for (const auto& family : registry.collect()) {
      if (family.name != name) continue;
      for (const auto& sample : family.samples) {
        if (reason.empty()) return sample.value;
        for (const auto& [key, value] : sample.labels) {
          if (key == "reason" && value == reason) return sample.value;
        }
      }
    }
    return -1;
  }

  Control control;
  MemoryStore store;
  base::Registry registry;
  base::ManualClock clock{kStartMs};
  base::ManualScheduler scheduler{clock};
  base::ThreadPool pool{1, 4};
  base::ThreadPool waiting{1, 4};
  base::ThreadPool probing{1, 4};
  std::unique_ptr<CollectorRunner> runner =
      std::make_unique<CollectorRunner>(scheduler, RunnerPools{pool, waiting, probing}, store, registry,
                                        base::Log::silent(), RunnerOptions{5000, "vm", {}});
};

TEST_F(RunnerTest, passes_come_at_once_and_then_on_the_interval) {
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(16);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 5, 10, 15));
  ASSERT_FALSE(store.samples(kPasses).empty());
  EXPECT_THAT(store.samples(kPasses).front(), Pair(kStartMs, 1));
  const auto report = runner->reports().at(0);
  EXPECT_EQ(report.name, "fake");
  EXPECT_EQ(report.last_pass_ms, kStartMs + 15'000);
  EXPECT_EQ(report.samples, 1u);
  EXPECT_FALSE(report.error);
}

TEST_F(RunnerTest, a_long_interval_still_has_three_passes_in_two_seconds) {
  runner->set_interval_ms(60'000);
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(61);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 60));
}

TEST_F(RunnerTest, the_interval_changes_while_it_runs) {
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(6);
  runner->set_interval_ms(2000);
  run_for_s(5);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 5, 8, 10));
}

TEST_F(RunnerTest, a_pass_has_the_interval_as_deadline) {
  runner->start();
  scheduler.run_posted();
  settle();
  EXPECT_EQ(control.get(&Control::deadline_ns), 5'000'000'000);
}

TEST_F(RunnerTest, ticks_during_a_pass_are_left_out_and_counted) {
  runner->start();
  control.set(&Control::held, true);
  scheduler.run_posted();
  control.wait_until_running();
  scheduler.advance_ms(1000);
  scheduler.advance_ms(1000);
  control.set(&Control::held, false);
  settle();
  run_for_s(4);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 5));
  EXPECT_EQ(control.get(&Control::running_max), 1);
  EXPECT_EQ(count("quarterdeck_collector_passes_skipped_total", "overrun"), 2);
}

TEST_F(RunnerTest, after_a_sleep_of_the_machine_there_is_one_pass) {
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(3);
  clock.advance_ms(60'000);
  run_for_s(3);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 63, 65));
}

TEST_F(RunnerTest, all_who_ask_while_a_pass_runs_share_the_next_one) {
  control.set(&Control::held, true);
  const auto first = render("fake");
  control.wait_until_running();
  const auto second = render("fake");
  const auto third = render("fake");
  const auto openmetrics = render("fake", Format::kOpenMetrics);
  control.set(&Control::held, false);
  EXPECT_THAT(*first->future.get().value(), HasSubstr("passes 1\n"));
  const auto text = second->future.get().value();
  EXPECT_THAT(*text, HasSubstr("# TYPE passes gauge\npasses 2\n"));
  EXPECT_EQ(third->future.get().value(), text);
  EXPECT_THAT(*openmetrics->future.get().value(), HasSubstr("passes 2\n# EOF\n"));
  EXPECT_EQ(control.get(&Control::passes), 2);
  EXPECT_EQ(control.get(&Control::running_max), 1);
  EXPECT_THAT(store.samples(kPasses), ElementsAre()) << "only the clock's passes are stored";
}

TEST_F(RunnerTest, a_tick_during_a_rendering_runs_after_it) {
  runner->start();
  scheduler.run_posted();
  settle();
  control.set(&Control::held, true);
  const auto answer = render("fake");
  control.wait_until_running();
  scheduler.advance_ms(1000);
  control.set(&Control::held, false);
  EXPECT_THAT(*answer->future.get().value(), HasSubstr("passes 2\n"));
  settle();
  settle();
  EXPECT_THAT(store.samples(kPasses), ElementsAre(Pair(kStartMs, 1), Pair(kStartMs + 1000, 3)));
}

TEST_F(RunnerTest, a_failing_collector_is_down_and_comes_back) {
  runner->start();
  scheduler.run_posted();
  settle();
  control.set(&Control::failing, true);
  run_for_s(1);
  EXPECT_THAT(runner->reports().at(0).error->message(), HasSubstr("no device"));
  const auto answer = render("fake")->future.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), base::ErrorCode::kUnavailable);
  control.set(&Control::failing, false);
  run_for_s(1);
  EXPECT_THAT(store.samples(kUp), ElementsAre(Pair(kStartMs, 1), Pair(kStartMs + 1000, 0), Pair(kStartMs + 2000, 1)));
  EXPECT_THAT(store.samples(kPasses),
              ElementsAre(Pair(kStartMs, 1), Pair(kStartMs + 1000, MemoryStore::kStale), Pair(kStartMs + 2000, 2)));
  EXPECT_EQ(count("quarterdeck_collector_passes_failed_total"), 2);
}

TEST_F(RunnerTest, an_exception_in_a_collector_is_its_failure) {
  control.set(&Control::throwing, true);
  runner->start();
  scheduler.run_posted();
  settle();
  EXPECT_THAT(store.samples(kUp), ElementsAre(Pair(kStartMs, 0)));
  EXPECT_THAT(runner->reports().at(0).error->message(), HasSubstr("broken library"));
}

TEST_F(RunnerTest, a_store_that_cannot_write_is_reported) {
  runner->start();
  store.failing = true;
  scheduler.run_posted();
  settle();
  EXPECT_THAT(runner->reports().at(0).error->message(), HasSubstr("disk full"));
  store.failing = false;
  run_for_s(1);
  EXPECT_FALSE(runner->reports().at(0).error);
  EXPECT_THAT(store.samples(kPasses), ElementsAre(Pair(kStartMs + 1000, 2)));
}

TEST_F(RunnerTest, nothing_is_stored_while_the_wall_clock_is_behind) {
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(10);
  clock.jump_wall_ms(-12'000);
  run_for_s(30);
  // 15 and 20 are 3 and 8 by the new clock, 25 is 13.
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 5, 10, 13, 18, 23, 28));
  EXPECT_EQ(count("quarterdeck_collector_passes_skipped_total", "clock"), 2);
  EXPECT_EQ(count("quarterdeck_wall_clock_jumps_total"), 1);
  clock.jump_wall_ms(300'000);
  run_for_s(6);
  EXPECT_EQ(count("quarterdeck_wall_clock_jumps_total"), 2) << "soon after another it is told as well";
  EXPECT_THAT(*render("fake")->future.get().value(), HasSubstr("passes "));
}

TEST_F(RunnerTest, an_unknown_collector_is_not_found) {
  const auto answer = render("nodes")->future.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(answer.error().message(), HasSubstr("fake"));
  EXPECT_THAT(runner->names(), ElementsAre("fake"));
}

TEST_F(RunnerTest, several_instances_are_one_page_or_chosen_by_target) {
  Control others[2];
  runner->add(std::make_unique<FakeCollector>(others[0], "db"), {.instance = "b:1", .labels = {{"service", "shop"}}});
  runner->add(std::make_unique<FakeCollector>(others[1], "db"), {.instance = "a:1"});
  EXPECT_EQ(
      *render("db")->future.get().value(),
      "# HELP passes Passes so far.\n# TYPE passes gauge\npasses{instance=\"a:1\"} 1\npasses{instance=\"b:1\"} 1\n");
  EXPECT_EQ(*render("db", Format::kPrometheusText, "b:1")->future.get().value(),
            "# HELP passes Passes so far.\n# TYPE passes gauge\npasses 2\n");
  const auto wrong = render("db", Format::kPrometheusText, "c:1")->future.get();
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), HasSubstr("it watches b:1, a:1"));
  others[0].set(&Control::failing, true);
  EXPECT_THAT(*render("db")->future.get().value(), testing::Not(HasSubstr("b:1")));
  others[1].set(&Control::failing, true);
  EXPECT_FALSE(render("db")->future.get());
  EXPECT_THAT(runner->names(), ElementsAre("fake", "db"));
  runner->start();
  scheduler.run_posted();
  // A second time for the passes that waited for the end of a rendering.
  settle();
  settle();
  EXPECT_THAT(store.samples(R"(up{instance="b:1", job="db", service="shop"})"), ElementsAre(Pair(kStartMs, 0)));
}

TEST_F(RunnerTest, a_collector_comes_and_goes_while_others_run) {
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(10);
  Control other;
  const auto id = runner->add(std::make_unique<FakeCollector>(other, "db"), {.instance = "a:1", .interval_ms = 2000});
  scheduler.run_posted();
  settle();
  run_for_s(4);
  EXPECT_EQ(runner->report(id)->interval_ms, 2000);
  runner->remove(id);
  settle();
  run_for_s(4);
  EXPECT_FALSE(runner->report(id));
  EXPECT_THAT(store.samples(R"(up{instance="a:1", job="db"})"),
              ElementsAre(Pair(kStartMs + 10'000, 1), Pair(kStartMs + 11'000, 1), Pair(kStartMs + 12'000, 1),
                          Pair(kStartMs + 14'000, 1), Pair(kStartMs + 14'001, MemoryStore::kStale)));
  EXPECT_EQ(store.samples(kUp).size(), 6u) << "the others go on";
}

TEST_F(RunnerTest, a_collector_that_goes_in_the_middle_of_a_pass_ends_after_it) {
  runner->start();
  scheduler.run_posted();
  settle();
  Control other;
  const auto id = runner->add(std::make_unique<FakeCollector>(other, "db"), {.instance = "a:1"});
  other.set(&Control::held, true);
  scheduler.run_posted();
  other.wait_until_running();
  runner->remove(id);
  other.set(&Control::held, false);
  settle();
  EXPECT_THAT(store.samples(R"(passes{instance="a:1", job="db"})"),
              ElementsAre(Pair(kStartMs, 1), Pair(kStartMs + 1, MemoryStore::kStale)));
}

TEST_F(RunnerTest, an_instance_that_times_out_again_and_again_is_asked_less_often) {
  control.set(&Control::timing_out, true);
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(100);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 15, 35, 75));
  EXPECT_THAT(runner->reports().at(0).trouble->message(), HasSubstr("says nothing"));
  EXPECT_FALSE(runner->reports().at(0).error);
  control.set(&Control::timing_out, false);
  run_for_s(60);
  EXPECT_THAT(pass_times_s(), ElementsAre(0, 1, 2, 15, 35, 75, 135, 140, 145, 150, 155, 160));
}

TEST_F(RunnerTest, a_probe_that_times_out_is_made_as_often_as_before) {
  Control silent;
  silent.set(&Control::timing_out, true);
  runner->add(std::make_unique<FakeCollector>(silent, "blackbox"),
              {.instance = "a:1", .interval_ms = 15'000, .work = Work::kProbes});
  runner->start();
  scheduler.run_posted();
  settle();
  run_for_s(150);
  std::vector<std::int64_t> times;
  for (const auto& [time_ms, value] : store.samples(R"(up{instance="a:1", job="blackbox"})"))
    times.push_back((time_ms - kStartMs) / 1000);
  EXPECT_THAT(times, ElementsAre(0, 1, 2, 15, 30, 45, 60, 75, 90, 105, 120, 135, 150));
}

TEST_F(RunnerTest, a_page_without_a_target_waits_for_no_probe) {
  Control probe;
  runner->add(std::make_unique<FakeCollector>(probe, "blackbox"), {.instance = "a:1", .work = Work::kProbes});
  const auto none = render("blackbox")->future.get();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), base::ErrorCode::kNotFound);
  EXPECT_THAT(none.error().message(), HasSubstr("?target= for one of a:1"));
  Control own;
  runner->add(std::make_unique<FakeCollector>(own, "blackbox"));
  EXPECT_EQ(*render("blackbox")->future.get().value(), "# HELP passes Passes so far.\n# TYPE passes gauge\npasses 1\n");
  EXPECT_EQ(probe.get(&Control::passes), 0);
  EXPECT_THAT(*render("blackbox", Format::kPrometheusText, "a:1")->future.get().value(), HasSubstr("passes 1\n"));
  EXPECT_EQ(probe.get(&Control::passes), 1);
}

TEST_F(RunnerTest, modules_of_one_target_have_series_of_their_own) {
  Control slow;
  Control quick;
  const auto id = runner->add(std::make_unique<FakeCollector>(slow, "blackbox"),
                              {.instance = "a:1", .module = "icmp", .work = Work::kProbes});
  runner->add(std::make_unique<FakeCollector>(quick, "blackbox"),
              {.instance = "a:1", .module = "tcp", .work = Work::kProbes});
  runner->start();
  scheduler.run_posted();
  settle();
  runner->remove(id);
  settle();
  const std::string labels = R"({instance="a:1", job="blackbox", module=)";
  for (const std::string name : {"up", "passes"}) {
    EXPECT_THAT(store.samples(name + labels + R"("tcp"})"), ElementsAre(Pair(kStartMs, 1))) << "the other's end";
    EXPECT_THAT(store.samples(name + labels + R"("icmp"})"),
                ElementsAre(Pair(kStartMs, 1), Pair(kStartMs + 1, MemoryStore::kStale)));
  }
}

TEST_F(RunnerTest, modules_of_one_target_are_told_apart_on_its_page) {
  Control probes[2];
  runner->add(std::make_unique<FakeCollector>(probes[0], "blackbox"),
              {.instance = "a:1", .module = "tcp", .work = Work::kProbes});
  runner->add(std::make_unique<FakeCollector>(probes[1], "blackbox"),
              {.instance = "a:1", .module = "icmp", .work = Work::kProbes});
  EXPECT_EQ(*render("blackbox", Format::kPrometheusText, "a:1")->future.get().value(),
            "# HELP passes Passes so far.\n# TYPE passes gauge\npasses{instance=\"a:1\",module=\"icmp\"} 1\n"
            "passes{instance=\"a:1\",module=\"tcp\"} 1\n");
}

TEST_F(RunnerTest, probes_that_hang_hold_up_no_server) {
  Control hanging[3];
  for (int i = 0; i < 3; ++i) {
    runner->add(std::make_unique<FakeCollector>(hanging[i], "blackbox"),
                {.instance = "a:" + std::to_string(i), .work = Work::kProbes});
    hanging[i].set(&Control::held, true);
  }
  Control server;
  runner->add(std::make_unique<FakeCollector>(server, "db"), {.instance = "b:1", .work = Work::kWaits});
  runner->start();
  scheduler.run_posted();
  hanging[0].wait_until_running();
  std::promise<void> done;
  ASSERT_TRUE(waiting.submit([&] { done.set_value(); }));
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_THAT(store.samples(R"(up{instance="b:1", job="db"})"), ElementsAre(Pair(kStartMs, 1)));
  for (auto& each : hanging) each.set(&Control::held, false);
  runner->stop();
}

TEST_F(RunnerTest, a_full_pool_refuses_texts_and_skips_ticks) {
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> taken;
  ASSERT_TRUE(pool.submit([&] {
    taken.set_value();
    released.wait();
  }));
  taken.get_future().wait();
  while (pool.submit([] {})) {
  }
  const auto answer = render("fake")->future.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), base::ErrorCode::kLimit);
  runner->start();
  scheduler.run_posted();
  EXPECT_EQ(count("quarterdeck_collector_passes_skipped_total", "busy"), 1);
  release.set_value();
  while (pool.queued() > 0) std::this_thread::yield();
  settle();
  run_for_s(1);
  EXPECT_THAT(pass_times_s(), ElementsAre(1));
}

TEST_F(RunnerTest, stop_lets_the_running_pass_end_and_cancels_those_who_wait) {
  runner->start();
  control.set(&Control::held, true);
  scheduler.run_posted();
  control.wait_until_running();
  const auto answer = render("fake");
  std::thread stopping([&] { runner->stop(); });
  std::this_thread::yield();
  control.set(&Control::held, false);
  stopping.join();
  EXPECT_THAT(store.samples(kPasses), ElementsAre(Pair(kStartMs, 1)));
  // Whether stop or the end of the pass came first, the answer is there.
  (void)answer->future.get();
  run_for_s(10);
  EXPECT_EQ(store.samples(kPasses).size(), 1u);
  const auto late = render("fake")->future.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), base::ErrorCode::kCancelled);
  runner.reset();
  scheduler.advance_ms(10'000);
}

TEST(PassClock, stamps_near_the_grid_are_put_on_it) {
  PassClock clock;
  const auto ns = [](std::int64_t ms) { return ms * 1'000'000; };
  EXPECT_EQ(clock.stamp(ns(0), ns(1), 10'001).time_ms, 10'001);
  EXPECT_EQ(clock.stamp(ns(1000), ns(1003), 11'003).time_ms, 11'001);
  EXPECT_EQ(clock.stamp(ns(2000), ns(2050), 12'050).time_ms, 12'050) << "too late to be called regular";
  EXPECT_EQ(clock.stamp(ns(3000), ns(3049), 13'049).time_ms, 13'050);
}

TEST(PassClock, a_wall_clock_that_is_set_is_noticed_and_slewing_is_not) {
  PassClock clock;
  const auto ns = [](std::int64_t ms) { return ms * 1'000'000; };
  EXPECT_EQ(clock.stamp(ns(0), ns(0), 10'000).jumped_ms, 0);
  EXPECT_EQ(clock.stamp(ns(5000), ns(5000), 15'200).jumped_ms, 0);
  const auto back = clock.stamp(ns(10'000), ns(10'000), 5'200);
  EXPECT_EQ(back.jumped_ms, -15'000);
  EXPECT_EQ(back.time_ms, 5'200);
  EXPECT_EQ(clock.stamp(ns(15'000), ns(15'000), 10'200).jumped_ms, 0);
}

}  // namespace
}  // namespace qd::observe
