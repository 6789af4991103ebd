#include "judge/rules/manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "query/promql/memory_querier.h"

namespace qd::judge::rules {
namespace {

using query::promql::QueryResult;
using query::promql::Vector;

// Takes what rules write, and forgets it.
class Sink final : public store::metrics::Appendable {
 public:
  std::unique_ptr<store::metrics::Appender> appender() override { return std::make_unique<Batch>(); }

 private:
  class Batch final : public store::metrics::Appender {
   public:
    base::Result<store::metrics::SeriesRef> series(const model::LabelSet&) override { return 1; }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs, double) override {
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome append(store::metrics::SeriesRef, model::TimestampMs,
                                         const model::Histogram&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    store::metrics::AppendOutcome exemplar(store::metrics::SeriesRef, const model::Exemplar&) override {
      return store::metrics::AppendOutcome::kOk;
    }
    void metadata(std::string_view, const model::Metadata&) override {}
    base::Status commit() override { return {}; }
    std::size_t pending() const override { return 0; }
  };
};

class ManagerTest : public testing::Test {
 protected:
  static constexpr std::int64_t kInterval = 1000;

  ManagerTest() : scheduler_(clock_), pool_(2, 100) {
    manager_ = std::make_unique<Manager>(
        Workplace{.query = [this](std::string_view, model::TimestampMs) -> base::Result<QueryResult> {
                    while (held_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                    return QueryResult{.value = Vector{{.labels = model::LabelSet{{"job", "a"}}, .value = 1}}};
                  },
                  .store = sink_,
                  .clock = clock_,
                  .log = base::Log::silent(),
                  .registry = registry_},
        scheduler_, pool_, [this](const GroupStatus& group, const std::vector<Alert>&) {
          base::MutexLock lock(mutex_);
          stamps_.push_back(group.last_evaluation_ms);
          told_.notify_all();
        });
  }
  ~ManagerTest() override { held_ = false; }

  static Group group(std::string name, std::int64_t for_ms = 60'000) {
    return {.file = "f",
            .name = std::move(name),
            .rules = {{.kind = Rule::Kind::kAlerting, .name = "A", .expr = "up", .for_ms = for_ms}}};
  }
  // Goes on to the next evaluation, which ends before this does; gives its stamp.
  model::TimestampMs next() {
    base::MutexLock lock(mutex_);
    const auto before = stamps_.size();
    while (stamps_.size() == before) {
      mutex_.unlock();
      scheduler_.advance_ms(100);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      mutex_.lock();
    }
    return stamps_.back();
  }
  double metric(const std::string& name) const {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name) return sample.value;
    return -1;
  }

  base::ManualClock clock_;
  base::ManualScheduler scheduler_;
  base::Registry registry_;
  Sink sink_;
  std::atomic<bool> held_ = false;
  base::Mutex mutex_;
  base::CondVar told_;
  std::vector<model::TimestampMs> stamps_ QD_GUARDED_BY(mutex_);
  base::ThreadPool pool_;
  std::unique_ptr<Manager> manager_;
};

TEST_F(ManagerTest, evaluations_are_stamped_whole_intervals_apart) {
  manager_->apply({group("g")}, {.interval_ms = kInterval});
  const auto first = next();
  EXPECT_EQ((next() - first) % kInterval, 0);
  EXPECT_EQ((next() - first) % kInterval, 0);
}

TEST_F(ManagerTest, a_wall_clock_that_was_set_is_followed) {
  manager_->apply({group("g")}, {.interval_ms = kInterval});
  const auto first = next();
  clock_.jump_wall_ms(3'600'123);
  EXPECT_GE(next(), first + 3'600'123);
}

TEST_F(ManagerTest, what_is_slower_than_its_interval_misses_turns) {
  manager_->apply({group("g")}, {.interval_ms = kInterval});
  held_ = true;
  scheduler_.advance_ms(5 * kInterval);
  EXPECT_GE(metric("prometheus_rule_group_iterations_missed_total"), 3);
  EXPECT_GE(metric("prometheus_rule_group_iterations_total"), 4);
  held_ = false;
}

TEST_F(ManagerTest, a_group_that_changes_keeps_its_alerts) {
  manager_->apply({group("g")}, {.interval_ms = kInterval});
  next();
  const auto before = manager_->groups().at(0).rules[0].alerts.at(0).active_at_ms;
  manager_->apply({group("g", 30'000)}, {.interval_ms = kInterval});
  EXPECT_EQ(manager_->groups().at(0).rules[0].rule.for_ms, 30'000);
  EXPECT_EQ(manager_->groups().at(0).rules[0].alerts.at(0).active_at_ms, before);
  next();
  EXPECT_EQ(manager_->groups().at(0).rules[0].alerts.at(0).active_at_ms, before);
}

TEST_F(ManagerTest, a_group_that_changes_twice_while_it_is_evaluated_keeps_its_alerts) {
  manager_->apply({group("g")}, {.interval_ms = kInterval});
  next();
  const auto before = manager_->groups().at(0).rules[0].alerts.at(0).active_at_ms;
  held_ = true;
  scheduler_.advance_ms(kInterval);
  manager_->apply({group("g", 30'000)}, {.interval_ms = kInterval});
  manager_->apply({group("g", 20'000), group("h")}, {.interval_ms = kInterval});
  held_ = false;
  while (manager_->groups().at(0).last_evaluation_ms == 0) next();
  EXPECT_EQ(manager_->groups().at(0).rules[0].rule.for_ms, 20'000);
  EXPECT_EQ(manager_->groups().at(0).rules[0].alerts.at(0).active_at_ms, before);
}

TEST_F(ManagerTest, defaults_are_for_groups_that_say_nothing) {
  auto own = group("own");
  own.interval_ms = 5000;
  manager_->apply({own, group("plain")}, {.interval_ms = kInterval, .query_offset_ms = 7});
  EXPECT_EQ(manager_->groups().at(0).interval_ms, 5000);
  EXPECT_EQ(manager_->groups().at(1).interval_ms, kInterval);
}

}  // namespace
}  // namespace qd::judge::rules
