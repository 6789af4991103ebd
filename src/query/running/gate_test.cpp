#include "query/running/gate.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace qd::query::running {
namespace {

using base::ErrorCode;

// A pool with one thread for each that may run; the tests wait for what they have let in.
class GateTest : public ::testing::Test {
 protected:
  void make(Gate::Limits limits) { gate_.emplace(pool_, scheduler_, registry_, limits); }
  void TearDown() override {
    if (gate_) gate_->close();
    base::MutexLock lock(mutex_);
    passes_.clear();
  }

  // What runs keeps its pass until end(name) is called.
  base::CancelToken enter(const std::string& principal, const std::string& name, std::int64_t timeout_ms = 60'000) {
    const base::CancelToken cancel;
    gate_->enter(principal, cancel, clock_.monotonic_ns() + timeout_ms * 1'000'000,
                 [this, name](base::Result<Gate::Pass> pass) {
                   base::MutexLock lock(mutex_);
                   if (pass) {
                     passes_.emplace_back(name, std::move(*pass));
                   } else {
                     refused_.emplace_back(name, pass.error().code());
                   }
                   started_.push_back(name);
                   changed_.notify_all();
                 });
    return cancel;
  }

  // The names of the first `n` that were told, in their order.
  std::vector<std::string> started(std::size_t n) {
    base::MutexLock lock(mutex_);
    while (started_.size() < n) changed_.wait(mutex_);
    return started_;
  }

  void end(const std::string& name) {
    std::optional<Gate::Pass> pass;
    {
      base::MutexLock lock(mutex_);
      const auto it = std::find_if(passes_.begin(), passes_.end(), [&](const auto& p) { return p.first == name; });
      ASSERT_NE(it, passes_.end()) << name;
      pass.emplace(std::move(it->second));
      std::vector<std::pair<std::string, Gate::Pass>> rest;
      for (auto& one : passes_)
        if (&one != &*it) rest.emplace_back(one.first, std::move(one.second));
      passes_.swap(rest);
    }
  }

  std::vector<std::pair<std::string, ErrorCode>> refused() {
    base::MutexLock lock(mutex_);
    return refused_;
  }

  base::ManualClock clock_;
  base::ManualScheduler scheduler_{clock_};
  base::Registry registry_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> started_ QD_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, ErrorCode>> refused_ QD_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, Gate::Pass>> passes_ QD_GUARDED_BY(mutex_);
  base::ThreadPool pool_{8, 100};
  std::optional<Gate> gate_;
};

using Names = std::vector<std::string>;

TEST_F(GateTest, one_principal_starts_in_order) {
  make({.total = 1, .per_principal = 0});
  for (const char* name : {"1", "2", "3"}) enter("a", name);
  EXPECT_EQ(started(1), Names({"1"}));
  end("1");
  EXPECT_EQ(started(2), Names({"1", "2"}));
  end("2");
  EXPECT_EQ(started(3), Names({"1", "2", "3"}));
}

TEST_F(GateTest, principals_take_turns) {
  make({.total = 1, .per_principal = 0});
  for (const char* name : {"a1", "a2", "a3", "a4"}) enter("a", name);
  for (const char* name : {"b1", "b2"}) enter("b", name);
  enter("c", "c1");
  Names order;
  for (std::size_t n = 1; n <= 7; ++n) {
    order = started(n);
    ASSERT_EQ(order.size(), n);
    end(order.back());
  }
  EXPECT_EQ(order, Names({"a1", "a2", "b1", "c1", "a3", "b2", "a4"}));
}

TEST_F(GateTest, a_principal_at_its_own_limit_lets_others_by) {
  make({.total = 3, .per_principal = 1});
  for (const char* name : {"a1", "a2"}) enter("a", name);
  enter("b", "b1");
  auto names = started(2);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, Names({"a1", "b1"}));
  end("b1");
  end("a1");
  EXPECT_EQ(started(3).back(), "a2");
}

TEST_F(GateTest, waiting_counts_towards_the_time_out) {
  make({.total = 1, .per_principal = 0});
  enter("a", "runs");
  started(1);
  enter("a", "short", 500);
  enter("b", "long", 5'000);
  scheduler_.advance_ms(700);
  EXPECT_EQ(started(2), Names({"runs", "short"}));
  EXPECT_EQ(refused(), (std::vector<std::pair<std::string, ErrorCode>>{{"short", ErrorCode::kTimeout}}));
  end("runs");
  EXPECT_EQ(started(3).back(), "long");
  {
    base::MutexLock lock(mutex_);
    EXPECT_EQ(passes_.front().second.waited_ns(), 700'000'000);
  }
}

TEST_F(GateTest, whoever_hangs_up_waits_no_longer) {
  make({.total = 1, .per_principal = 0});
  enter("a", "runs");
  started(1);
  const auto gone = enter("a", "gone");
  enter("a", "stays");
  gone.cancel();
  scheduler_.advance_ms(200);
  EXPECT_EQ(refused(), (std::vector<std::pair<std::string, ErrorCode>>{{"gone", ErrorCode::kCancelled}}));
  end("runs");
  EXPECT_EQ(started(3).back(), "stays");
}

TEST_F(GateTest, a_higher_limit_lets_more_in_at_once) {
  make({.total = 1, .per_principal = 0});
  for (const char* name : {"1", "2", "3"}) enter("a", name);
  EXPECT_EQ(started(1).size(), 1U);
  gate_->set_limits({.total = 3, .per_principal = 0});
  EXPECT_EQ(started(3).size(), 3U);
}

TEST_F(GateTest, too_many_that_wait_are_refused_and_closing_refuses_all) {
  make({.total = 1, .per_principal = 0});
  enter("a", "runs");
  started(1);
  for (std::size_t i = 0; i < kWaitingMax; ++i) enter("a", "waits");
  EXPECT_TRUE(refused().empty());
  enter("b", "too many");
  ASSERT_EQ(refused().size(), 1U);
  EXPECT_EQ(refused()[0].second, ErrorCode::kUnavailable);
  gate_->close();
  EXPECT_EQ(refused().size(), 1 + kWaitingMax);
  enter("a", "late");
  EXPECT_EQ(refused().size(), 2 + kWaitingMax);
}

TEST_F(GateTest, counts_who_is_there) {
  make({.total = 2, .per_principal = 0});
  for (const char* name : {"1", "2", "3"}) enter("a", name);
  started(2);
  double there = -1;
  double most = -1;
  for (const auto& family : registry_.collect()) {
    if (family.name == "prometheus_engine_queries") there = family.samples[0].value;
    if (family.name == "prometheus_engine_queries_concurrent_max") most = family.samples[0].value;
  }
  EXPECT_EQ(there, 3);
  EXPECT_EQ(most, 2);
}

}  // namespace
}  // namespace qd::query::running
