#include "ship/remote_write/forwarder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/faulty_files.h"
#include "base/mutex.h"
#include "base/temp_directory.h"
#include "base/thread_pool.h"
#include "connect/event_loop.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "store/metrics/store.h"

namespace qd::ship::remote_write {
namespace {

using model::LabelSet;
namespace wire = model::remote_write;

constexpr model::TimestampMs kStart = 1'700'000'000'000;

// A receiver that answers on a thread of the loop, and fails now and then, also after it took what it got.
class Receiver {
 public:
  explicit Receiver(base::Scheduler& scheduler) : scheduler_(scheduler) {}

  void post(std::string body, std::function<void(base::Result<Answer>)> then) {
    scheduler_.post([this, body = std::move(body), then = std::move(then)] {
      const int n = ++requests_;
      if (away || n % 5 == 0) return then(base::fail(base::ErrorCode::kUnavailable, "away"));
      take(body);
      if (n % 7 == 0) return then(base::fail(base::ErrorCode::kTimeout, "the answer was lost"));
      then(Answer{.status = 204, .retry_after = "", .text = "", .written = {}});
    });
  }

  std::map<std::string, std::set<model::TimestampMs>> taken() {
    base::MutexLock lock(mutex_);
    return taken_;
  }
  std::atomic<bool> away = false;

 private:
  void take(const std::string& body) {
    class Read final : public wire::WriteSink {
     public:
      void series(base::Result<LabelSet> labels) override { name = labels->to_string(); }
      void sample(const model::Sample& sample) override { found[name].insert(sample.time_ms); }
      void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
      void exemplar(base::Result<model::LabelSet>, const model::Sample&) override {}
      void metadata(std::string_view, model::MetricType, std::string_view, std::string_view) override {}
      std::string name;
      std::map<std::string, std::set<model::TimestampMs>> found;
    } read;
    const auto message = wire::unpack(body, 64 << 20);
    EXPECT_TRUE(message && wire::read_write_request(*message, read));
    base::MutexLock lock(mutex_);
    for (auto& [name, times] : read.found) taken_[name].merge(times);
  }

  base::Scheduler& scheduler_;
  std::atomic<int> requests_ = 0;
  base::Mutex mutex_;
  std::map<std::string, std::set<model::TimestampMs>> taken_ QD_GUARDED_BY(mutex_);
};

class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() {
    store_ = *store::metrics::Store::open(posix_, dir_ / "metrics", {}, base::Log::silent(), registry_);
    EXPECT_TRUE(loop_.start(2));
  }
  ~ForwarderTest() override {
    if (forwarder_) forwarder_->stop(0);
    loop_.stop();
    loop_.join();
  }

  void open(QueueOptions options = {}) {
    forwarder_.reset();
    forwarder_ =
        *Forwarder::open({loop_, [this](std::function<void()> task) { return pool_.submit(std::move(task)); },
                          [this](std::string body, std::function<void(base::Result<Answer>)> then) {
                            receiver_.post(std::move(body), std::move(then));
                          },
                          files_, *store_, [this] { return store_->metadata(); }, base::Log::silent(), registry_},
                         dir_ / "forward", options, {.host = "h"}, 1);
  }

  static LabelSet labels(int thread, int i) {
    return LabelSet{{"__name__", "m"}, {"thread", std::to_string(thread)}, {"i", std::to_string(i)}};
  }
  // As a collector: references are kept from pass to pass.
  void write(int thread, int from, int to) {
    std::vector<store::metrics::SeriesRef> refs(20);
    for (int pass = from; pass < to; ++pass) {
      const auto appender = forwarder_->observed().appender();
      for (int i = 0; i < 20; ++i) {
        const auto index = static_cast<std::size_t>(i);
        for (int attempt = 0; attempt < 2; ++attempt) {
          if (refs[index] == 0) refs[index] = *appender->series(labels(thread, i));
          if (appender->append(refs[index], kStart + pass, 1.0) == store::metrics::AppendOutcome::kOk) break;
          refs[index] = 0;
        }
      }
      ASSERT_TRUE(appender->commit());
    }
  }
  double value(std::string_view name, std::string_view label = "") {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && (label.empty() || sample.labels.front().second == label)) return sample.value;
    return -1;
  }

  base::TempDirectory dir_;
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::Registry registry_;
  std::unique_ptr<store::metrics::Store> store_;
  connect::EventLoop loop_;
  base::ThreadPool pool_{2, 100};
  Receiver receiver_{loop_};
  std::unique_ptr<Forwarder> forwarder_;
};

TEST_F(ForwarderTest, what_many_threads_write_arrives_whole_over_failures_and_restarts) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 3; ++round) {
    open();
    forwarder_->start();
    receiver_.away = round == 1;
    std::atomic<bool> writing = true;
    std::thread maintainer([&] {
      while (writing) forwarder_->maintain();
    });
    std::vector<std::thread> writers;
    for (int thread = 0; thread < kThreads; ++thread)
      writers.emplace_back([this, thread, round] { write(thread, round * 50, (round + 1) * 50); });
    for (auto& writer : writers) writer.join();
    writing = false;
    maintainer.join();
    if (round == 2) {
      for (int i = 0; i < 3000 && value("quarterdeck_forward_queue_samples") > 0; ++i) ::usleep(10'000);
    }
    forwarder_->stop(50);
  }
  const auto taken = receiver_.taken();
  EXPECT_EQ(taken.size(), static_cast<std::size_t>(kThreads * 20));
  for (const auto& [name, times] : taken) {
    EXPECT_NE(name.find("host=\"h\""), std::string::npos);
    EXPECT_EQ(times.size(), 150U) << name;
  }
}

TEST_F(ForwarderTest, storing_goes_on_where_the_queue_cannot_be_written) {
  open();
  files_.fail_after_bytes(0, ENOSPC);
  write(0, 0, 2);
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "queue_unwritable"), 40);
  EXPECT_EQ(value("quarterdeck_store_samples_appended_total"), 40);
  files_.heal();
  write(0, 2, 3);
  EXPECT_EQ(value("quarterdeck_forward_queue_samples"), 20);
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "queue_unwritable"), 40);
}

TEST_F(ForwarderTest, a_full_queue_sheds_counts_and_storing_goes_on) {
  open({.bytes_max = 8'000});
  write(0, 0, 100);
  EXPECT_EQ(value("quarterdeck_store_samples_appended_total"), 2000);
  const double shed = value("quarterdeck_forward_samples_dropped_total", "queue_full");
  EXPECT_GT(shed, 1000);
  EXPECT_EQ(value("quarterdeck_forward_queue_samples"), 2000 - shed);
  EXPECT_LE(value("quarterdeck_forward_queue_bytes"), 8'000);
}

TEST_F(ForwarderTest, says_how_long_the_first_of_what_waits_has_waited) {
  open();
  EXPECT_EQ(value("quarterdeck_forward_queue_oldest_seconds"), 0);
  write(0, 0, 1);
  ::usleep(5'000);
  EXPECT_GT(value("quarterdeck_forward_queue_oldest_seconds"), 0.004);
}

}  // namespace
}  // namespace qd::ship::remote_write
