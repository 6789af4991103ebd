#include "ship/remote_write/sender.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/temp_directory.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "ship/remote_write/batch.h"

namespace qd::ship::remote_write {
namespace {

using base::ErrorCode;
namespace wire = model::remote_write;

class SenderTest : public testing::Test {
 protected:
  struct Posted {
    std::string body;
    std::function<void(base::Result<Answer>)> then;
  };

  SenderTest() {
    queue_ = *Queue::open(files_, dir_.path(), {}, base::Log::silent(), registry_);
    make();
  }
  ~SenderTest() override {
    sender_.reset();
    ::close(log_fd_);
  }

  void make(Sender::Options options = {.seed = 1}) {
    sender_ = std::make_unique<Sender>(
        scheduler_,
        [this](const std::function<void()>& task) -> base::Status {
          if (pool_full_) return base::fail(ErrorCode::kLimit, "full");
          run_(task);
          return {};
        },
        *queue_,
        [this](std::string body, std::function<void(base::Result<Answer>)> then) {
          posted_.push_back({std::move(body), std::move(then)});
        },
        log_, registry_, std::move(options));
  }
  // How often a line is in the log.
  int logged(std::string_view line) {
    const auto text = base::read_file(files_, log_dir_ / "log", 1 << 20).value();
    int count = 0;
    for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++count;
    return count;
  }

  // One commit with a sample of each of `series` series.
  void put(model::TimestampMs time_ms, int series = 3) {
    std::vector<LabelledSample> samples;
    samples.reserve(static_cast<std::size_t>(series));
    for (int i = 0; i < series; ++i)
      samples.push_back({std::make_shared<const std::string>(
                             wire::encode_labels(model::LabelSet{{"__name__", "m"}, {"i", std::to_string(i)}})),
                         {time_ms, 1.0}});
    ASSERT_TRUE(pack_samples(samples, [&](std::uint32_t count, std::string_view request) {
      return queue_->append(time_ms, count, request);
    }));
    sender_->wake();
  }

  // The times that a body holds.
  static std::set<model::TimestampMs> times(const std::string& body) {
    class Read final : public wire::EncodedSink {
     public:
      void sample(std::string_view, const model::Sample& sample) override { found.insert(sample.time_ms); }
      std::set<model::TimestampMs> found;
    } read;
    const auto message = wire::unpack(body, 64 << 20);
    EXPECT_TRUE(message && wire::read_encoded(*message, read));
    return read.found;
  }
  using Times = std::set<model::TimestampMs>;

  void answer(int status, std::string retry_after = "", std::string text = "") {
    ASSERT_FALSE(posted_.empty());
    auto then = std::move(posted_.front().then);
    posted_.pop_front();
    then(Answer{.status = status, .retry_after = std::move(retry_after), .text = std::move(text), .written = {}});
    scheduler_.run_posted();
  }
  void fail(ErrorCode code) {
    ASSERT_FALSE(posted_.empty());
    auto then = std::move(posted_.front().then);
    posted_.pop_front();
    then(base::fail(code, "the line is dead"));
    scheduler_.run_posted();
  }
  // How long until the next request, in steps.
  std::int64_t wait_for_post(std::int64_t at_most_ms) {
    for (std::int64_t ms = 0; ms <= at_most_ms; ms += 10) {
      if (!posted_.empty()) return ms;
      scheduler_.advance_ms(10);
    }
    return -1;
  }
  double value(std::string_view name, std::string_view label = "") {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name && (label.empty() || sample.labels.front().second == label)) return sample.value;
    return -1;
  }

  base::TempDirectory dir_;
  base::TempDirectory log_dir_;
  base::PosixFiles files_;
  base::ManualClock clock_;
  int log_fd_ = ::open((log_dir_ / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  base::Log log_{clock_, log_fd_, base::LogFormat::kText, base::LogLevel::kInfo};
  base::ManualScheduler scheduler_{clock_};
  base::Registry registry_;
  std::unique_ptr<Queue> queue_;
  bool pool_full_ = false;
  std::function<void(const std::function<void()>&)> run_ = [](const auto& task) { task(); };
  std::deque<Posted> posted_;
  std::unique_ptr<Sender> sender_;
};

TEST_F(SenderTest, gathers_sends_acknowledges_and_rests) {
  sender_->start();
  scheduler_.run_posted();
  EXPECT_TRUE(posted_.empty());
  put(1);
  scheduler_.advance_ms(500);
  put(2);
  EXPECT_TRUE(posted_.empty());
  scheduler_.advance_ms(500);
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(times(posted_.front().body), (Times{1, 2}));
  EXPECT_EQ(queue_->stats().samples, 6U) << "not acknowledged before it is taken";
  answer(204);
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(value("quarterdeck_forward_samples_total"), 6);
  EXPECT_EQ(value("quarterdeck_forward_up"), 1);
  scheduler_.advance_ms(60'000);
  EXPECT_TRUE(posted_.empty());
  put(3);
  scheduler_.advance_ms(Sender::kGatherMs);
  EXPECT_EQ(times(posted_.front().body), Times{3});
}

TEST_F(SenderTest, begins_with_what_waits_from_before) {
  put(1);
  scheduler_.advance_ms(10'000);
  EXPECT_TRUE(posted_.empty()) << "not started";
  sender_->start();
  scheduler_.run_posted();
  EXPECT_EQ(times(posted_.front().body), Times{1});
}

TEST_F(SenderTest, what_comes_while_a_request_is_out_goes_next_and_never_two_at_once) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  put(2);
  put(3);
  scheduler_.advance_ms(20'000);
  EXPECT_EQ(posted_.size(), 1U);
  answer(200);
  ASSERT_EQ(posted_.size(), 1U) << "at once: there is a backlog";
  EXPECT_EQ(times(posted_.front().body), (Times{2, 3}));
}

TEST_F(SenderTest, sends_the_same_bytes_again_later_and_later_until_they_are_taken) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  const std::string body = posted_.front().body;
  std::int64_t longest = 0;
  for (int i = 0; i < 12; ++i) {
    if (i % 3 == 0) {
      fail(ErrorCode::kUnavailable);
    } else {
      answer(i % 3 == 1 ? 500 : 503);
    }
    put(10 + i);
    EXPECT_EQ(value("quarterdeck_forward_up"), 0);
    const auto waited = wait_for_post(Sender::kBackOffMsMax + 10);
    ASSERT_GE(waited, i < 5 ? Sender::kBackOffMsMin << i >> 1 : Sender::kBackOffMsMax / 2);
    ASSERT_LE(waited, std::min(Sender::kBackOffMsMin << i, Sender::kBackOffMsMax) + 10);
    longest = std::max(longest, waited);
    ASSERT_EQ(posted_.size(), 1U);
    EXPECT_EQ(posted_.front().body, body);
  }
  EXPECT_GT(longest, Sender::kBackOffMsMax / 2);
  EXPECT_EQ(value("quarterdeck_forward_requests_failed_total"), 12);
  answer(204);
  EXPECT_EQ(times(posted_.front().body).size(), 12U) << "then everything else in one";
  EXPECT_EQ(value("quarterdeck_forward_up"), 1);
  answer(204);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(SenderTest, a_backlog_goes_in_few_requests) {
  for (int i = 0; i < 120; ++i) put(i * 5000, 1000);
  sender_->start();
  scheduler_.run_posted();
  int requests = 0;
  model::TimestampMs last = -1;
  while (!posted_.empty()) {
    const auto found = times(posted_.front().body);
    EXPECT_GT(*found.begin(), last) << "in order";
    last = *found.rbegin();
    ++requests;
    answer(204);
  }
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(value("quarterdeck_forward_samples_total"), 120'000);
  EXPECT_LE(requests, 7);
}

TEST_F(SenderTest, honours_retry_after) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  answer(429, "30");
  EXPECT_GE(wait_for_post(40'000), 29'900);
  answer(503, "1000000000");
  const auto waited = wait_for_post(kRetryAfterMsMax + 100);
  EXPECT_GE(waited, kRetryAfterMsMax - 100) << "but no longer than that";
  answer(503, "Wed, 21 Oct 2015 07:28:00 GMT");
  EXPECT_GE(wait_for_post(Sender::kBackOffMsMax + 100), 0) << "a date counts as none";
}

TEST_F(SenderTest, what_is_refused_alone_is_dropped_and_counted) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  answer(400, "", "out of order");
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "refused"), 3);
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_TRUE(posted_.empty());
  put(2);
  EXPECT_GE(wait_for_post(2000), 0);
  answer(204);
  EXPECT_EQ(value("quarterdeck_forward_samples_total"), 3);
}

TEST_F(SenderTest, words_that_always_differ_are_told_once_a_minute) {
  sender_->start();
  for (int i = 0; i < 150; ++i) {
    put(i);
    ASSERT_GE(wait_for_post(2000), 0);
    answer(400, "", fmt::format("{} of 99 samples were not stored", i));
  }
  EXPECT_EQ(logged("the receiver refused samples"), 3) << "in two and a half minutes";
  put(500);
  ASSERT_GE(wait_for_post(2000), 0);
  for (int i = 0; i < 60; ++i) {
    answer(503, "", fmt::format("request {} failed", i));
    ASSERT_GE(wait_for_post(Sender::kBackOffMsMax + 10), 0);
  }
  EXPECT_GE(logged("forwarding fails"), 5);
  EXPECT_LE(logged("forwarding fails"), 10) << "in less than ten minutes";
  answer(204);
  EXPECT_EQ(logged("forwarding works again"), 1);
}

TEST_F(SenderTest, the_same_words_are_told_once) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  for (int i = 0; i < 60; ++i) {
    answer(503, "", "no room");
    ASSERT_GE(wait_for_post(Sender::kBackOffMsMax + 10), 0);
  }
  EXPECT_EQ(logged("forwarding fails"), 1);
}

TEST_F(SenderTest, of_joined_requests_only_the_one_at_fault_is_dropped) {
  for (int i = 1; i <= 5; ++i) put(i);
  sender_->start();
  scheduler_.run_posted();
  EXPECT_EQ(times(posted_.front().body), (Times{1, 2, 3, 4, 5}));
  answer(413);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(posted_.size(), 1U);
    EXPECT_EQ(times(posted_.front().body), Times{i});
    if (i == 2) put(6);
    answer(i == 3 ? 400 : 204);
  }
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "refused"), 3);
  EXPECT_EQ(value("quarterdeck_forward_samples_total"), 12);
  put(7);
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(times(posted_.front().body), Times{6});
  answer(204);
  EXPECT_EQ(times(posted_.front().body), Times{7}) << "joined again where it may";
}

TEST_F(SenderTest, a_receiver_that_says_how_much_it_stored_is_not_asked_again) {
  for (int i = 1; i <= 5; ++i) put(i);
  sender_->start();
  scheduler_.run_posted();
  auto then = std::move(posted_.front().then);
  posted_.pop_front();
  then(Answer{.status = 400,
              .retry_after = "",
              .text = "2 of 15 samples were not stored",
              .written = Amounts{.samples = 10, .histograms = 3}});
  scheduler_.run_posted();
  EXPECT_TRUE(posted_.empty());
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(value("quarterdeck_forward_samples_total"), 13);
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "refused"), 2);
}

TEST_F(SenderTest, nothing_is_dropped_where_the_way_is_set_up_wrong) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  for (const int status : {301, 302, 401, 403, 404, 405, 407, 408, 415, 425, 429, 500, 502, 599}) {
    answer(status);
    ASSERT_GE(wait_for_post(Sender::kBackOffMsMax + 10), 0) << status;
  }
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "refused"), 0);
  answer(200);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(SenderTest, a_full_pool_only_delays) {
  sender_->start();
  pool_full_ = true;
  put(1);
  scheduler_.advance_ms(5000);
  EXPECT_TRUE(posted_.empty());
  pool_full_ = false;
  EXPECT_GE(wait_for_post(2000), 0);
}

TEST_F(SenderTest, a_request_that_is_not_ours_is_dropped_and_the_next_goes) {
  ASSERT_TRUE(queue_->append(1, 7, "nonsense"));
  put(2);
  sender_->start();
  scheduler_.run_posted();
  EXPECT_EQ(times(posted_.front().body), Times{2});
  EXPECT_EQ(value("quarterdeck_forward_samples_dropped_total", "damaged"), 7);
}

TEST_F(SenderTest, tells_families_once_a_minute_and_only_where_samples_get_through) {
  sender_.reset();
  int asked = 0;
  make({.seed = 1, .families = [&] {
          ++asked;
          return Sender::Families{{"up", {model::MetricType::kGauge, "Is it up?", ""}}};
        }});
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  fail(ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 0);
  ASSERT_GE(wait_for_post(2000), 0);
  answer(204);
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(asked, 1);
  class Read final : public wire::WriteSink {
   public:
    void series(base::Result<model::LabelSet>) override { ADD_FAILURE(); }
    void sample(const model::Sample&) override {}
    void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
    void exemplar(base::Result<model::LabelSet>, const model::Sample&) override {}
    void metadata(std::string_view family, model::MetricType, std::string_view help, std::string_view) override {
      text = fmt::format("{}: {}", family, help);
    }
    std::string text;
  } read;
  ASSERT_TRUE(wire::read_write_request(*wire::unpack(posted_.front().body, 1000), read));
  EXPECT_EQ(read.text, "up: Is it up?");
  answer(204);
  put(2);
  scheduler_.advance_ms(Sender::kGatherMs);
  answer(204);
  EXPECT_EQ(asked, 1);
  scheduler_.advance_ms(Sender::kMetadataEveryMs);
  put(3);
  scheduler_.advance_ms(Sender::kGatherMs);
  answer(204);
  EXPECT_EQ(asked, 2);
}

TEST_F(SenderTest, stop_sends_what_waits_and_nothing_begins_after_it) {
  sender_->start();
  scheduler_.run_posted();
  put(1);
  std::thread stopper([&] { sender_->stop(60'000); });
  // Without waiting for the gathering to end: the manual clock stands still.
  while (posted_.empty()) scheduler_.run_posted();
  EXPECT_EQ(times(posted_.front().body), Times{1});
  answer(204);
  stopper.join();
  EXPECT_EQ(queue_->stats().samples, 0U);
  put(2);
  scheduler_.advance_ms(60'000);
  EXPECT_TRUE(posted_.empty());
  EXPECT_EQ(queue_->stats().samples, 3U) << "kept for the next start";
}

TEST_F(SenderTest, stop_does_not_wait_for_a_receiver_that_is_away) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  fail(ErrorCode::kUnavailable);
  sender_->stop(60'000);
  EXPECT_EQ(queue_->stats().samples, 3U);
}

TEST_F(SenderTest, stop_waits_for_what_is_at_work_on_the_pool) {
  sender_.reset();
  std::atomic<bool> begun = false;
  std::atomic<bool> done = false;
  make({.seed = 1, .families = [&] {
          begun = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          done = true;
          return Sender::Families{};
        }});
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  auto then = std::move(posted_.front().then);
  posted_.pop_front();
  then(Answer{.status = 204, .retry_after = "", .text = "", .written = {}});
  std::thread pool;
  run_ = [&](const std::function<void()>& task) { pool = std::thread(task); };
  scheduler_.run_posted();
  ASSERT_TRUE(pool.joinable());
  while (!begun) std::this_thread::yield();
  sender_->stop(0);
  EXPECT_TRUE(done);
  pool.join();
}

TEST_F(SenderTest, an_answer_after_the_stop_changes_nothing) {
  sender_->start();
  put(1);
  scheduler_.advance_ms(Sender::kGatherMs);
  sender_->stop(0);
  answer(204);
  EXPECT_EQ(queue_->stats().samples, 3U);
  sender_.reset();
}

}  // namespace
}  // namespace qd::ship::remote_write
