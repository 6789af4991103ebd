#include "ship/remote_write/shipper.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/faulty_files.h"
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

// Receivers by the name of their destination, which may be away.
class Receivers {
 public:
  explicit Receivers(base::Scheduler& scheduler) : scheduler_(scheduler) {}

  void post(const std::string& name, std::string body, std::function<void(base::Result<Answer>)> then) {
    scheduler_.post([this, name, body = std::move(body), then = std::move(then)] {
      {
        base::MutexLock lock(mutex_);
        if (silent_.contains(name)) return;
        if (away_.contains(name)) return then(base::fail(base::ErrorCode::kUnavailable, "away"));
      }
      take(name, body);
      then(Answer{.status = 204, .retry_after = "", .text = "", .written = {}});
    });
  }
  void set_away(const std::string& name, bool on) {
    base::MutexLock lock(mutex_);
    if (on) {
      away_.insert(name);
    } else {
      away_.erase(name);
    }
  }
  // Requests to it are never answered.
  void silence(const std::string& name) {
    base::MutexLock lock(mutex_);
    silent_.insert(name);
  }
  std::map<std::string, std::vector<model::TimestampMs>> taken(const std::string& name) {
    base::MutexLock lock(mutex_);
    return taken_[name];
  }
  std::size_t count(const std::string& name) {
    std::size_t sum = 0;
    for (const auto& [series, times] : taken(name)) sum += times.size();
    return sum;
  }

 private:
  void take(const std::string& to, const std::string& body) {
    class Read final : public wire::WriteSink {
     public:
      void series(base::Result<LabelSet> labels) override { name = labels->to_string(); }
      void sample(const model::Sample& sample) override { found[name].push_back(sample.time_ms); }
      void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
      void exemplar(base::Result<LabelSet>, const model::Sample&) override {}
      void metadata(std::string_view, model::MetricType, std::string_view, std::string_view) override {}
      std::string name;
      std::map<std::string, std::vector<model::TimestampMs>> found;
    } read;
    const auto message = wire::unpack(body, 64 << 20);
    EXPECT_TRUE(message && wire::read_write_request(*message, read));
    base::MutexLock lock(mutex_);
    for (auto& [name, times] : read.found) taken_[to][name].insert(taken_[to][name].end(), times.begin(), times.end());
  }

  base::Scheduler& scheduler_;
  base::Mutex mutex_;
  std::set<std::string> away_ QD_GUARDED_BY(mutex_);
  std::set<std::string> silent_ QD_GUARDED_BY(mutex_);
  std::map<std::string, std::map<std::string, std::vector<model::TimestampMs>>> taken_ QD_GUARDED_BY(mutex_);
};

class ShipperTest : public testing::Test {
 protected:
  ShipperTest() {
    store_ = *store::metrics::Store::open(store_files_, dir_ / "metrics", {}, base::Log::silent(), registry_);
    EXPECT_TRUE(loop_.start(2));
    open();
  }
  ~ShipperTest() override {
    shipper_.reset();
    loop_.stop();
    loop_.join();
  }

  void open() {
    shipper_.reset();
    shipper_ = std::make_unique<Shipper>(
        Shipper::Surroundings{.scheduler = loop_,
                              .submit = [this](std::function<void()> task) { return pool_.submit(std::move(task)); },
                              .post =
                                  [this](const Destination& destination, bool, std::string body,
                                         std::function<void(base::Result<Answer>)> then) {
                                    receivers_.post(destination.name, std::move(body), std::move(then));
                                  },
                              .files = files_,
                              .families = [this] { return store_->metadata(); },
                              .log = base::Log::silent(),
                              .registry = registry_},
        *store_, dir_ / "ship", 1);
  }
  static Destination destination(const std::string& name) {
    return {.url = "http://127.0.0.1:1/" + name,
            .name = name,
            .queue = {.batch_send_deadline_ms = 20, .min_backoff_ms = 5, .max_backoff_ms = 20},
            .metadata = {.send = false}};
  }
  void apply(std::vector<Destination> destinations, const LabelSet& external = {}) {
    ASSERT_TRUE(shipper_->apply(std::move(destinations), external, false));
  }
  // As a collector: references are kept from pass to pass.
  void write(int from, int to, int series = 5) {
    for (int pass = from; pass < to; ++pass) {
      const auto appender = shipper_->store().appender();
      for (int i = 0; i < series; ++i) {
        auto& ref = refs_[i];
        for (int attempt = 0; attempt < 2; ++attempt) {
          if (ref == 0) ref = *appender->series(LabelSet{{"__name__", "m"}, {"i", std::to_string(i)}});
          if (appender->append(ref, kStart + pass, pass) != store::metrics::AppendOutcome::kUnknownSeries) break;
          ref = 0;
        }
      }
      ASSERT_TRUE(appender->commit());
    }
  }
  void wait_for(const std::string& name, std::size_t samples) {
    for (int i = 0; i < 2'000 && receivers_.count(name) < samples; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(receivers_.count(name), samples) << name;
  }
  double value(std::string_view name, std::string_view with) {
    double sum = 0;
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples) {
        if (sample.name != name) continue;
        for (const auto& [label, text] : sample.labels)
          if (text == with) sum += sample.value;
      }
    return sum;
  }

  base::TempDirectory dir_;
  base::PosixFiles posix_;
  base::FaultyFiles files_{posix_};
  base::FaultyFiles store_files_{posix_};
  base::Registry registry_;
  connect::EventLoop loop_;
  base::ThreadPool pool_{2, 100};
  Receivers receivers_{loop_};
  std::unique_ptr<store::metrics::Store> store_;
  std::unique_ptr<Shipper> shipper_;
  std::map<int, store::metrics::SeriesRef> refs_;
};

TEST_F(ShipperTest, without_destinations_it_is_the_store) {
  apply({});
  shipper_->start();
  write(0, 3);
  EXPECT_EQ(store_->stats().head_samples, 15U);
}

TEST_F(ShipperTest, one_destination_that_is_away_holds_up_no_other_and_loses_nothing) {
  apply({destination("a"), destination("b")}, LabelSet{{"site", "x"}});
  receivers_.set_away("b", true);
  shipper_->start();
  write(0, 50);
  wait_for("a", 250);
  EXPECT_EQ(receivers_.count("b"), 0U);
  receivers_.set_away("b", false);
  wait_for("b", 250);
  EXPECT_EQ(receivers_.taken("a"), receivers_.taken("b"));
  const auto times = receivers_.taken("a").at("m{i=\"0\", site=\"x\"}");
  EXPECT_TRUE(std::ranges::is_sorted(times));
  EXPECT_EQ(times.size(), 50U);
}

TEST_F(ShipperTest, what_waits_outlives_the_process) {
  apply({destination("a")});
  receivers_.set_away("a", true);
  shipper_->start();
  write(0, 10);
  open();
  refs_.clear();
  receivers_.set_away("a", false);
  apply({destination("a")});
  shipper_->start();
  write(10, 12);
  wait_for("a", 60);
}

TEST_F(ShipperTest, destinations_come_and_go_while_it_runs) {
  apply({destination("a")});
  shipper_->start();
  write(0, 5);
  wait_for("a", 25);
  apply({destination("a"), destination("b")});
  write(5, 10);
  wait_for("a", 50);
  wait_for("b", 25);
  apply({destination("b")});
  write(10, 15);
  wait_for("b", 50);
  EXPECT_EQ(receivers_.count("a"), 50U);
  apply({});
  write(15, 20);
  EXPECT_EQ(receivers_.count("b"), 50U);
}

TEST_F(ShipperTest, each_destination_has_its_own_relabelling_and_a_change_of_it_holds_from_then_on) {
  auto picky = destination("picky");
  const std::vector<model::RelabelConfig> rules = {
      {.source_labels = {"i"}, .regex = "1", .action = model::RelabelAction::kKeep},
      {.target_label = "by", .replacement = "picky"}};
  picky.relabel = *model::Relabeller::compile(rules, model::NameScheme::kUtf8);
  apply({picky, destination("all")});
  shipper_->start();
  write(0, 4);
  wait_for("all", 20);
  wait_for("picky", 4);
  EXPECT_EQ(receivers_.taken("picky").begin()->first, "m{by=\"picky\", i=\"1\"}");
  EXPECT_EQ(value("prometheus_remote_storage_samples_dropped_total", "dropped_series"), 16);
  apply({destination("picky"), destination("all")});
  write(4, 5);
  wait_for("picky", 9);
}

TEST_F(ShipperTest, what_a_full_queue_sheds_is_counted_and_stored_all_the_same) {
  auto small = destination("small");
  small.queue_bytes = 4'000;
  apply({small});
  receivers_.set_away("small", true);
  shipper_->start();
  write(0, 200);
  EXPECT_EQ(store_->stats().head_samples, 1'000U);
  const double shed = value("prometheus_remote_storage_samples_dropped_total", "queue_full");
  EXPECT_GT(shed, 0);
  receivers_.set_away("small", false);
  wait_for("small", 1'000 - static_cast<std::size_t>(shed));
}

TEST_F(ShipperTest, what_the_store_refuses_is_not_sent_and_costs_no_room) {
  auto with_exemplars = destination("a");
  with_exemplars.send_exemplars = true;
  apply({with_exemplars});
  receivers_.set_away("a", true);
  shipper_->start();
  write(0, 2);
  const double before = value("quarterdeck_ship_queue_bytes", "a");
  // A sender that tries again as long as the log cannot be written.
  store_files_.fail_after_bytes(0, ENOSPC);
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto appender = shipper_->store().appender();
    EXPECT_EQ(appender->append(refs_[0], kStart + 2, 1), store::metrics::AppendOutcome::kOk);
    EXPECT_EQ(appender->exemplar(refs_[0], {.labels = LabelSet{{"trace_id", "x"}}, .value = 1, .time_ms = kStart + 2}),
              store::metrics::AppendOutcome::kOk);
    EXPECT_FALSE(appender->commit());
  }
  store_files_.heal();
  EXPECT_EQ(value("quarterdeck_ship_queue_bytes", "a"), before);
  EXPECT_EQ(value("prometheus_remote_storage_samples_pending", "a"), 10);
  const auto appender = shipper_->store().appender();
  EXPECT_EQ(appender->append(refs_[0], kStart + 2, 1), store::metrics::AppendOutcome::kOk);
  EXPECT_EQ(appender->exemplar(refs_[0], {.labels = LabelSet{{"trace_id", "x"}}, .value = 1, .time_ms = kStart + 2}),
            store::metrics::AppendOutcome::kOk);
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(value("prometheus_remote_storage_samples_pending", "a"), 12) << "the exemplar is still news";
  receivers_.set_away("a", false);
  wait_for("a", 11);
  EXPECT_EQ(receivers_.taken("a").at("m{i=\"0\"}"), (std::vector<model::TimestampMs>{kStart, kStart + 1, kStart + 2}));
}

TEST_F(ShipperTest, a_batch_that_another_overtook_is_sent_once) {
  apply({destination("a")});
  receivers_.set_away("a", true);
  shipper_->start();
  write(0, 1);
  const auto slow = shipper_->store().appender();
  slow->take_late();
  EXPECT_EQ(slow->append(refs_[0], kStart + 1, 1), store::metrics::AppendOutcome::kOk);
  write(2, 3);
  EXPECT_EQ(slow->commit().error().code(), base::ErrorCode::kConflict);
  EXPECT_EQ(slow->append(refs_[0], kStart + 1, 1), store::metrics::AppendOutcome::kOk);
  ASSERT_TRUE(slow->commit());
  EXPECT_EQ(value("prometheus_remote_storage_samples_pending", "a"), 11);
  receivers_.set_away("a", false);
  wait_for("a", 11);
  EXPECT_EQ(receivers_.taken("a").at("m{i=\"0\"}").size(), 3U);
}

TEST_F(ShipperTest, a_disk_that_fails_costs_no_stored_sample_and_is_counted) {
  apply({destination("a")});
  shipper_->start();
  files_.fail_after_bytes(0, ENOSPC);
  write(0, 5);
  EXPECT_EQ(store_->stats().head_samples, 25U);
  EXPECT_EQ(value("prometheus_remote_storage_samples_dropped_total", "queue_unwritable"), 25);
  files_.heal();
  write(5, 7);
  wait_for("a", 10);
}

TEST_F(ShipperTest, a_receiver_that_says_nothing_leaves_the_others_their_time_at_the_end) {
  receivers_.silence("a");
  std::vector<Destination> two = {destination("a"), destination("b")};
  for (Destination& one : two) one.queue.batch_send_deadline_ms = 60'000;
  apply(two);
  shipper_->start();
  write(0, 3);
  EXPECT_EQ(receivers_.count("b"), 0U) << "it gathers";
  shipper_->stop(300);
  EXPECT_EQ(receivers_.count("b"), 15U);
}

}  // namespace
}  // namespace qd::ship::remote_write
