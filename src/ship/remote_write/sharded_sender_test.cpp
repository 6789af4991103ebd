#include "ship/remote_write/sharded_sender.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/temp_directory.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "model/remote_write/write_request_v2.h"
#include "ship/remote_write/batch.h"

namespace qd::ship::remote_write {
namespace {

using base::ErrorCode;
namespace wire = model::remote_write;

// What a body holds: series by name, with the times of its samples in their order.
class Read final : public wire::WriteSink {
 public:
  void series(base::Result<model::LabelSet> labels) override { name_ = labels->get("i"); }
  void sample(const model::Sample& sample) override {
    times[name_].push_back(sample.time_ms);
    ++samples;
  }
  void histogram(model::TimestampMs, base::Result<model::Histogram> histogram) override {
    histograms += histogram ? 1 : 0;
  }
  void exemplar(base::Result<model::LabelSet> labels, const model::Sample&) override { exemplars += labels ? 1 : 0; }
  void metadata(std::string_view family, model::MetricType, std::string_view, std::string_view) override {
    families.insert(std::string(family));
  }

  std::map<std::string, std::vector<model::TimestampMs>, std::less<>> times;
  std::set<std::string> families;
  std::size_t samples = 0;
  std::size_t histograms = 0;
  std::size_t exemplars = 0;

 private:
  std::string name_;
};

class ShardedSenderTest : public testing::Test {
 protected:
  struct Posted {
    bool v2 = false;
    std::string body;
    std::function<void(base::Result<Answer>)> then;
  };

  ShardedSenderTest() {
    queue_ = *Queue::open(files_, dir_.path(), {}, base::Log::silent(), registry_);
    destination_.name = "there";
    destination_.metadata.send = false;
    make();
  }
  ~ShardedSenderTest() override { sender_.reset(); }

  void make() {
    sender_ = std::make_unique<ShardedSender>(
        scheduler_,
        [](const std::function<void()>& task) -> base::Status {
          task();
          return {};
        },
        *queue_,
        [this](const Destination&, bool v2, std::string body, std::function<void(base::Result<Answer>)> then) {
          posted_.push_back({v2, std::move(body), std::move(then)});
        },
        base::Log::silent(), registry_,
        ShardedSender::Options{.seed = 1,
                               .destination = [this] { return std::make_shared<const Destination>(destination_); },
                               .families = [this] { return families_; },
                               .labels = {}});
  }

  // One commit with a sample of each of `series` series.
  void put(model::TimestampMs time_ms, int series = 3) {
    std::vector<LabelledSample> samples;
    for (int i = 0; i < series; ++i) samples.push_back({labels(i), {time_ms, 1.0}});
    put_all(samples);
  }
  void put_all(const std::vector<LabelledSample>& samples) {
    ASSERT_TRUE(pack_samples(samples, [&](std::uint32_t count, std::string_view request) {
      return queue_->append(clock_.wall_ms(), count, request);
    }));
    sender_->wake(samples.size());
  }
  static std::shared_ptr<const std::string> labels(int i) {
    return std::make_shared<const std::string>(
        wire::encode_labels(model::LabelSet{{"__name__", "m"}, {"i", std::to_string(i)}}));
  }

  static LabelledSample histogram_at(model::TimestampMs time_ms) {
    const model::Histogram histogram{
        .schema = 1, .is_integer = true, .count = 3, .sum = 2, .positive_spans = {{0, 1}}, .positive = {3}};
    return {labels(1), {time_ms, 0}, std::make_shared<const std::string>(wire::histogram_field(time_ms, histogram))};
  }
  static LabelledSample exemplar_at(model::TimestampMs time_ms) {
    return {
        labels(1),
        {time_ms, 0},
        std::make_shared<const std::string>(wire::exemplar_field(model::LabelSet{{"trace_id", "x"}}, {time_ms, 1}))};
  }

  static Read read(const Posted& posted) {
    Read all;
    const auto message = wire::unpack(posted.body, 64 << 20);
    EXPECT_TRUE(message);
    EXPECT_TRUE(posted.v2 ? wire::read_write_request_v2(*message, all) : wire::read_write_request(*message, all));
    return all;
  }

  // The first request that waits for an answer gets it.
  void answer(int status, std::optional<Amounts> written = {}, std::string retry_after = "") {
    ASSERT_FALSE(posted_.empty());
    auto then = std::move(posted_.front().then);
    posted_.pop_front();
    then(Answer{.status = status, .retry_after = std::move(retry_after), .text = "words", .written = written});
    scheduler_.run_posted();
  }
  void fail() {
    ASSERT_FALSE(posted_.empty());
    auto then = std::move(posted_.front().then);
    posted_.pop_front();
    then(base::fail(ErrorCode::kUnavailable, "the line is dead"));
    scheduler_.run_posted();
  }
  std::int64_t wait_for_post(std::int64_t at_most_ms) {
    for (std::int64_t ms = 0; ms <= at_most_ms; ms += 5) {
      if (!posted_.empty()) return ms;
      scheduler_.advance_ms(5);
    }
    return -1;
  }
  double value(std::string_view name) {
    for (const auto& family : registry_.collect())
      for (const auto& sample : family.samples)
        if (sample.name == name) return sample.value;
    return -1;
  }

  base::TempDirectory dir_;
  base::PosixFiles files_;
  base::ManualClock clock_;
  base::ManualScheduler scheduler_{clock_};
  base::Registry registry_;
  Destination destination_;
  Families families_;
  std::unique_ptr<Queue> queue_;
  std::deque<Posted> posted_;
  std::unique_ptr<ShardedSender> sender_;
};

TEST_F(ShardedSenderTest, gathers_for_its_deadline_and_acknowledges_what_is_taken) {
  sender_->start();
  scheduler_.run_posted();
  put(1);
  scheduler_.advance_ms(4'990);
  EXPECT_TRUE(posted_.empty());
  put(2);
  scheduler_.advance_ms(10);
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(read(posted_.front()).times.at("1"), (std::vector<model::TimestampMs>{1, 2}));
  EXPECT_EQ(queue_->stats().samples, 6U) << "not before it is taken";
  answer(200);
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 6);
}

TEST_F(ShardedSenderTest, a_full_request_waits_for_nothing) {
  destination_.queue.max_samples_per_send = 6;
  sender_->start();
  scheduler_.run_posted();
  put(1);
  scheduler_.run_posted();
  EXPECT_TRUE(posted_.empty());
  put(2);
  scheduler_.run_posted();
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(read(posted_.front()).samples, 6U);
}

TEST_F(ShardedSenderTest, a_request_holds_no_more_samples_than_it_may) {
  destination_.queue.max_samples_per_send = 10;
  put(1, 25);
  sender_->start();
  scheduler_.run_posted();
  std::vector<std::size_t> sizes;
  while (!posted_.empty()) {
    sizes.push_back(read(posted_.front()).samples);
    answer(204);
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{10, 10, 5}));
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(ShardedSenderTest, shards_send_at_once_each_its_series_in_order) {
  destination_.queue.min_shards = 4;
  destination_.queue.max_samples_per_send = 8;
  for (int t = 1; t <= 4; ++t) put(t, 16);
  sender_->start();
  scheduler_.run_posted();
  EXPECT_GT(posted_.size(), 1U);
  EXPECT_LE(posted_.size(), 4U);
  std::map<std::string, std::vector<model::TimestampMs>> seen;
  // Answered in another order than sent.
  while (!posted_.empty()) {
    std::rotate(posted_.begin(), posted_.begin() + 1, posted_.end());
    for (const auto& [series, times] : read(posted_.front()).times)
      for (const auto time : times) seen[series].push_back(time);
    answer(204);
  }
  ASSERT_EQ(seen.size(), 16U);
  for (const auto& [series, times] : seen) EXPECT_EQ(times, (std::vector<model::TimestampMs>{1, 2, 3, 4})) << series;
  EXPECT_EQ(queue_->stats().samples, 0U);
  EXPECT_EQ(value("prometheus_remote_storage_shards"), 4);
}

TEST_F(ShardedSenderTest, nothing_is_acknowledged_while_one_shard_is_not_through) {
  destination_.queue.min_shards = 4;
  put(1, 16);
  sender_->start();
  scheduler_.run_posted();
  ASSERT_GT(posted_.size(), 1U);
  while (posted_.size() > 1) answer(204);
  EXPECT_EQ(queue_->stats().samples, 16U);
  answer(204);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(ShardedSenderTest, what_fails_is_sent_again_later_and_later_with_the_same_bytes) {
  put(1);
  sender_->start();
  scheduler_.run_posted();
  const std::string body = posted_.front().body;
  std::int64_t waited = 0;
  for (int i = 0; i < 12; ++i) {
    if (i % 2 == 0) {
      fail();
    } else {
      answer(503);
    }
    put(100 + i);
    waited = wait_for_post(6'000);
    ASSERT_GE(waited, 0);
    EXPECT_EQ(posted_.front().body, body);
  }
  EXPECT_GE(waited, 2'500) << "half of max_backoff at least";
  EXPECT_EQ(value("prometheus_remote_storage_samples_retried_total"), 36);
  answer(204);
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 3);
  EXPECT_GE(wait_for_post(10'000), 0) << "and then what came meanwhile";
}

TEST_F(ShardedSenderTest, retry_after_is_honoured) {
  put(1);
  sender_->start();
  scheduler_.run_posted();
  answer(429, {}, "20");
  EXPECT_GE(wait_for_post(60'000), 19'900);
  answer(503, {}, "soon");
  EXPECT_LE(wait_for_post(60'000), 6'000);
}

TEST_F(ShardedSenderTest, what_is_set_up_wrong_drops_nothing) {
  put(1);
  sender_->start();
  scheduler_.run_posted();
  for (const int status : {301, 401, 403, 404, 415, 500}) {
    answer(status);
    ASSERT_GE(wait_for_post(10'000), 0) << status;
  }
  EXPECT_EQ(queue_->stats().samples, 3U);
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 0);
}

TEST_F(ShardedSenderTest, of_a_refused_request_that_says_how_many_are_written_the_others_are_counted) {
  put(1, 10);
  sender_->start();
  scheduler_.run_posted();
  answer(400, Amounts{.samples = 7});
  EXPECT_TRUE(posted_.empty());
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 7);
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 3);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(ShardedSenderTest, each_kind_that_a_receiver_refuses_is_counted_as_what_it_is) {
  const auto put_each = [&] {
    put_all({{labels(1), {5, 1}}, {labels(2), {5, 1}}, histogram_at(6), histogram_at(7), exemplar_at(6)});
  };
  put_each();
  sender_->start();
  scheduler_.run_posted();
  answer(400, Amounts{.samples = 1, .exemplars = 1, .histograms = 1});
  EXPECT_TRUE(posted_.empty());
  for (const std::string_view kind : {"samples", "histograms"}) {
    EXPECT_EQ(value(fmt::format("prometheus_remote_storage_{}_total", kind)), 1) << kind;
    EXPECT_EQ(value(fmt::format("prometheus_remote_storage_{}_failed_total", kind)), 1) << kind;
  }
  EXPECT_EQ(value("prometheus_remote_storage_exemplars_total"), 1);
  EXPECT_EQ(value("prometheus_remote_storage_exemplars_failed_total"), 0);
  // Taken as a whole, but for an exemplar.
  put_each();
  ASSERT_GE(wait_for_post(10'000), 0);
  answer(204, Amounts{.samples = 2, .histograms = 2});
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 3);
  EXPECT_EQ(value("prometheus_remote_storage_histograms_total"), 3);
  EXPECT_EQ(value("prometheus_remote_storage_exemplars_total"), 1);
  EXPECT_EQ(value("prometheus_remote_storage_exemplars_failed_total"), 1);
  // More than was sent is no more than was sent.
  put_each();
  ASSERT_GE(wait_for_post(10'000), 0);
  answer(400, Amounts{.samples = 70, .exemplars = 70, .histograms = 70});
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 5);
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 1);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(ShardedSenderTest, a_receiver_that_takes_2_0_for_1_0_is_no_success) {
  destination_.protobuf_message = std::string(wire::kProtoV2);
  put(1);
  sender_->start();
  scheduler_.run_posted();
  answer(204);
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 0);
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 3);
  EXPECT_EQ(queue_->stats().samples, 0U) << "and it is not sent without end";
}

TEST_F(ShardedSenderTest, one_bad_sample_costs_itself_where_the_receiver_refuses_a_request_as_a_whole) {
  for (int t = 1; t <= 8; ++t) put(t, 4);
  sender_->start();
  scheduler_.run_posted();
  std::set<model::TimestampMs> taken;
  int requests = 0;
  while (!posted_.empty()) {
    const Read all = read(posted_.front());
    bool bad = false;
    for (const auto& [series, times] : all.times) bad = bad || (series == "2" && std::ranges::count(times, 5) > 0);
    ++requests;
    if (!bad)
      for (const auto& [series, times] : all.times) taken.insert(times.begin(), times.end());
    answer(bad ? 400 : 204);
  }
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 1);
  EXPECT_EQ(value("prometheus_remote_storage_samples_total"), 31);
  EXPECT_EQ(taken.size(), 8U);
  EXPECT_LE(requests, 15);
}

TEST_F(ShardedSenderTest, a_receiver_that_refuses_everything_is_not_asked_without_end) {
  put(1, 1'000);
  sender_->start();
  scheduler_.run_posted();
  int requests = 0;
  while (!posted_.empty()) {
    ++requests;
    answer(400);
  }
  EXPECT_LE(requests, 2 * ShardedSender::kSplitsMax + 1);
  EXPECT_EQ(value("prometheus_remote_storage_samples_failed_total"), 1'000);
  EXPECT_EQ(queue_->stats().samples, 0U);
}

TEST_F(ShardedSenderTest, remote_write_2_tells_what_families_are_with_their_series) {
  destination_.protobuf_message = std::string(wire::kProtoV2);
  destination_.metadata.send = true;
  families_["m"] = {.type = model::MetricType::kGauge, .help = "What m is.", .unit = ""};
  put_all({{labels(1), {5, 1}}, histogram_at(6), exemplar_at(6)});
  sender_->start();
  scheduler_.run_posted();
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_TRUE(posted_.front().v2);
  const Read all = read(posted_.front());
  EXPECT_EQ(all.samples, 1U);
  EXPECT_EQ(all.histograms, 1U);
  EXPECT_EQ(all.exemplars, 1U);
  EXPECT_EQ(all.families, std::set<std::string>{"m"});
  answer(204, Amounts{.samples = 1, .exemplars = 1, .histograms = 1});
  EXPECT_TRUE(posted_.empty()) << "and no request of its own for that";
  EXPECT_EQ(value("prometheus_remote_storage_histograms_total"), 1);
  EXPECT_EQ(value("prometheus_remote_storage_exemplars_total"), 1);
}

TEST_F(ShardedSenderTest, the_end_of_a_series_of_histograms_goes_as_a_numbers_by_remote_write_2) {
  destination_.protobuf_message = std::string(wire::kProtoV2);
  model::Histogram end;
  end.sum = model::stale_nan();
  put_all({{labels(1), {6, 0}, std::make_shared<const std::string>(wire::histogram_field(6, end))}});
  sender_->start();
  scheduler_.run_posted();
  ASSERT_EQ(posted_.size(), 1U);
  const Read all = read(posted_.front());
  EXPECT_EQ(all.histograms, 0U);
  EXPECT_EQ(all.times.at("1"), std::vector<model::TimestampMs>{6});
}

TEST_F(ShardedSenderTest, with_remote_write_1_families_are_told_once_an_interval) {
  destination_.metadata.send = true;
  families_["m"] = {.type = model::MetricType::kGauge, .help = "What m is.", .unit = ""};
  put(1);
  sender_->start();
  scheduler_.run_posted();
  answer(204);
  ASSERT_EQ(posted_.size(), 1U);
  EXPECT_EQ(read(posted_.front()).families, std::set<std::string>{"m"});
  answer(204);
  EXPECT_EQ(value("prometheus_remote_storage_metadata_total"), 1);
  put(2);
  ASSERT_GE(wait_for_post(10'000), 0);
  EXPECT_EQ(read(posted_.front()).samples, 3U);
  answer(204);
  EXPECT_TRUE(posted_.empty());
}

TEST_F(ShardedSenderTest, a_slow_receiver_is_sent_to_by_more_requests_and_an_idle_one_by_fewer) {
  destination_.queue.max_samples_per_send = 100;
  sender_->start();
  scheduler_.run_posted();
  // 100 samples take half a second, and 1,000 come each second.
  std::size_t most = 0;
  std::int64_t now_ms = 0;
  for (int second = 0; second < 60; ++second) {
    for (int i = 0; i < 10; ++i) put(++now_ms, 100);
    for (int half = 0; half < 2; ++half) {
      scheduler_.advance_ms(500);
      const std::size_t at_once = posted_.size();
      most = std::max(most, at_once);
      for (std::size_t i = 0; i < at_once; ++i) answer(204);
    }
  }
  EXPECT_GE(most, 5U);
  EXPECT_LE(most, 50U);
}

TEST_F(ShardedSenderTest, at_the_end_it_sends_what_it_can_and_nothing_begins_after_that) {
  sender_->start();
  scheduler_.run_posted();
  put(1);
  sender_->stop(0);
  EXPECT_EQ(wait_for_post(20'000), -1);
  make();
  sender_->start();
  scheduler_.run_posted();
  EXPECT_EQ(posted_.size(), 1U) << "the next start sends it";
}

}  // namespace
}  // namespace qd::ship::remote_write
