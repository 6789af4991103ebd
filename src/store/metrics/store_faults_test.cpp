// Crashes and failing disks at any moment: no acknowledged sample is lost, none is altered, and the store always opens.
//
// QD_SOAK=1 runs nearly every fault in place of a choice of them, and ten times as many crashes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "store/metrics/store_fixture.h"

namespace qd::store::metrics {
namespace {

bool soak() {
  return std::getenv("QD_SOAK") != nullptr;
}

// What must be there, and what may be: of a commit or a deletion that was not answered.
class Expected {
 public:
  using Key = std::pair<int, TimestampMs>;

  void add(const std::map<Key, double>& samples) {
    for (const auto& [key, value] : samples) {
      certain_[key] = value;
      possible_.erase(key);
    }
  }
  void perhaps(const std::map<Key, double>& samples) {
    for (const auto& [key, value] : samples) {
      if (!certain_.contains(key)) possible_[key] = value;
    }
  }
  void remove(int series, TimestampMs from, TimestampMs to, bool surely) {
    for (auto* const map : {&certain_, &possible_}) {
      for (auto it = map->lower_bound({series, from}); it != map->end() && it->first <= Key{series, to};) {
        if (!surely) possible_[it->first] = it->second;
        if (!surely && map == &possible_) {
          ++it;
        } else {
          it = map->erase(it);
        }
      }
    }
  }
  // What is older may have been forgotten.
  void expire(TimestampMs before) {
    std::erase_if(certain_, [&](const auto& one) {
      if (one.first.second >= before) return false;
      possible_[one.first] = one.second;
      return true;
    });
  }
  bool knows(int series, TimestampMs time) const {
    return certain_.contains({series, time}) || possible_.contains({series, time});
  }
  std::size_t size() const { return certain_.size(); }

  ::testing::AssertionResult agrees(const Content& found) const {
    std::map<Key, double> there;
    for (const auto& [labels, samples] : found) {
      const int series = std::atoi(labels.c_str() + labels.find("instance=\"") + 10);
      for (const auto& [time, value] : samples) there[{series, time}] = value;
    }
    for (const auto& [key, value] : certain_) {
      const auto at = there.find(key);
      if (at == there.end())
        return ::testing::AssertionFailure() << "lost: series " << key.first << " at " << key.second;
      if (at->second != value)
        return ::testing::AssertionFailure() << "altered: series " << key.first << " at " << key.second;
    }
    for (const auto& [key, value] : there) {
      if (certain_.contains(key)) continue;
      const auto at = possible_.find(key);
      if (at == possible_.end() || at->second != value)
        return ::testing::AssertionFailure() << "never appended: series " << key.first << " at " << key.second;
    }
    return ::testing::AssertionSuccess();
  }

 private:
  std::map<Key, double> certain_;
  std::map<Key, double> possible_;
};

class StoreFaultsTest : public StoreTest {
 protected:
  static constexpr int kSeries = 4;

  StoreFaultsTest() {
    options_.seal_interval_ms = 10'000;
    options_.retention_ms = 200'000;
    options_.wal_segment_bytes = 2'000;
  }

  static TimestampMs time_of(int step) { return kStart + step * 1'000; }
  // A late time that no other step uses.
  static TimestampMs late_time_of(int step) {
    return time_of(step) - (step * 7'919 % 100 + 2) * 1'000 + step % 999 + 1;
  }

  // The batch of a step: a sample in order of each series, and a late one of each second.
  static std::map<Expected::Key, double> batch_of(int step) {
    std::map<Expected::Key, double> batch;
    for (int i = 0; i < kSeries; ++i) {
      batch[{i, time_of(step)}] = step + i / 8.0;
      if (i % 2 == 0) batch[{i, late_time_of(step)}] = -step - i / 8.0;
    }
    return batch;
  }
  base::Status append(const std::map<Expected::Key, double>& batch) {
    auto appender = store_->appender();
    appender->take_late();
    for (const auto& [key, value] : batch) {
      QD_ASSIGN(const SeriesRef ref, appender->series(series_labels(key.first)));
      if (const auto outcome = appender->append(ref, key.second, value); outcome != AppendOutcome::kOk)
        return base::fail(ErrorCode::kInternal, fmt::format("outcome {}", static_cast<int>(outcome)));
    }
    return appender->commit();
  }
  base::Status remove(int series, TimestampMs from, TimestampMs to) {
    const std::vector<std::vector<Matcher>> selectors = {{Matcher::equal("instance", fmt::format("{:05}", series))}};
    return store_->delete_series(selectors, from, to);
  }

  // One step of everything that the store does; told to `expected`. False where something failed.
  bool run_step(int step, Expected& expected) {
    bool fine = true;
    const auto batch = batch_of(step);
    const auto appended = append(batch);
    if (appended) {
      expected.add(batch);
    } else {
      EXPECT_NE(appended.error().code(), ErrorCode::kInternal) << appended.error().message();
      expected.perhaps(batch);
      fine = false;
    }
    if (step % 11 == 10) {
      const int series = step % kSeries;
      const bool removed = remove(series, time_of(step) - 30'000, time_of(step) - 20'000).has_value();
      expected.remove(series, time_of(step) - 30'000, time_of(step) - 20'000, removed);
      fine = fine && removed;
    }
    expected.expire(time_of(step) - options_.retention_ms);
    if (step % 3 == 0) fine = store_->maintain(time_of(step)).has_value() && fine;
    if (step % 29 == 28) fine = store_->clean_tombstones().has_value() && fine;
    return fine;
  }

  // The whole story with faults that `arm` sets before the first step, and that are mended some steps after the first
  // failure. Returns whether there was one.
  bool run_story(const std::function<void()>& arm, bool crash_there) {
    constexpr int kSteps = 90;
    store_.reset();
    std::filesystem::remove_all(dir_.path());
    open();
    Expected expected;
    arm();
    int failed_at = -1;
    for (int step = 0; step < kSteps; ++step) {
      const bool fine = run_step(step, expected);
      if (!fine && failed_at < 0) failed_at = step;
      if (failed_at == step && crash_there) {
        // As the process would be gone: whatever it still tries reaches nothing.
        files_.heal();
        files_.crash();
        store_.reset();
        files_.heal();
        open();
        if (HasFatalFailure()) return true;
        EXPECT_TRUE(expected.agrees(content())) << "after the crash";
      } else if (failed_at >= 0 && step == failed_at + 4) {
        EXPECT_TRUE(expected.agrees(content())) << "while it fails";
        files_.heal();
      }
      if (HasFailure()) return true;
    }
    files_.heal();
    EXPECT_TRUE(store_->maintain(time_of(kSteps)));
    EXPECT_TRUE(expected.agrees(content()));
    open();
    if (HasFatalFailure()) return true;
    EXPECT_TRUE(expected.agrees(content())) << "opened anew";
    EXPECT_GT(expected.size(), 200U);
    EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
    return failed_at >= 0;
  }
};

TEST_F(StoreFaultsTest, a_call_that_fails_costs_nothing_that_was_acknowledged) {
  options_.sync = StoreOptions::Sync::kCommit;
  for (const auto call :
       {FaultyFiles::Call::kAppend, FaultyFiles::Call::kSync, FaultyFiles::Call::kTruncate, FaultyFiles::Call::kCreate,
        FaultyFiles::Call::kOpen, FaultyFiles::Call::kRename, FaultyFiles::Call::kRemove,
        FaultyFiles::Call::kSyncDirectory, FaultyFiles::Call::kMap, FaultyFiles::Call::kRead}) {
    const int error = call == FaultyFiles::Call::kSync || call == FaultyFiles::Call::kMap ? EIO : ENOSPC;
    std::uint64_t nth = 1;
    for (int run = 0;; ++run) {
      SCOPED_TRACE(fmt::format("call {} fails from time {} on", static_cast<int>(call), nth));
      if (!run_story([&] { files_.fail_call(call, nth, error); }, run % 2 == 1)) break;
      if (HasFailure()) return;
      nth += 1 + nth / (soak() ? 200 : 4);
    }
  }
}

TEST_F(StoreFaultsTest, a_write_that_is_cut_short_costs_nothing_that_was_acknowledged) {
  std::uint64_t bytes = 0;
  for (int run = 0;; ++run) {
    SCOPED_TRACE(fmt::format("the disk is full after {} bytes", bytes));
    if (!run_story([&] { files_.fail_after_bytes(bytes, run % 3 == 0 ? EIO : ENOSPC); }, run % 2 == 1)) break;
    if (HasFailure()) return;
    bytes += 37 + bytes / (soak() ? 200 : 8);
  }
}

// What a child process does until it is killed: steps, each told to the parent once it is acknowledged.
TEST_F(StoreFaultsTest, a_process_killed_at_any_moment_loses_and_alters_nothing) {
  const int crashes = soak() ? 500 : 50;
  std::mt19937 random(7);
  Expected expected;
  int step = 0;
  for (int crash = 0; crash < crashes; ++crash) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      open();
      Expected own;
      for (int at = step; store_ != nullptr; ++at) {
        if (!run_step(at, own) || ::write(pipe_ends[1], &at, sizeof at) != sizeof at) break;
      }
      ::_exit(1);
    }
    ::close(pipe_ends[1]);
    std::thread killer([&, after = std::chrono::microseconds(20'000 + random() % 60'000)] {
      std::this_thread::sleep_for(after);
      ::kill(child, SIGKILL);
    });
    int acknowledged = step - 1;
    for (int told = 0; ::read(pipe_ends[0], &told, sizeof told) == sizeof told;) acknowledged = told;
    killer.join();
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "crash " << crash << ": the child ended by itself";
    const auto deletion = [&](int at, bool surely) {
      if (at % 11 == 10) expected.remove(at % kSeries, time_of(at) - 30'000, time_of(at) - 20'000, surely);
    };
    for (; step <= acknowledged; ++step) {
      expected.add(batch_of(step));
      deletion(step, true);
    }
    // The step that it was at when it was killed.
    expected.perhaps(batch_of(step));
    deletion(step, false);
    ++step;
    expected.expire(time_of(step) - options_.retention_ms);
    open();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(expected.agrees(content())) << "crash " << crash << " at step " << step;
    store_.reset();
  }
  EXPECT_GT(step, 4 * crashes);
  EXPECT_EQ(registry_.counter("quarterdeck_store_damaged_parts_total", "").value(), 0U);
}

}  // namespace
}  // namespace qd::store::metrics
