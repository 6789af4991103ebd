#include "ship/remote_write/forwarding_store.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/temp_directory.h"
#include "model/remote_write/snappy_block.h"
#include "model/remote_write/write_request.h"
#include "store/metrics/store.h"

namespace qd::ship::remote_write {
namespace {

using model::LabelSet;
using store::metrics::AppendOutcome;

constexpr model::TimestampMs kStart = 1'700'000'000'000;

TEST(SentLabels, name_the_host_where_nothing_else_does) {
  const Origin origin{.host = "web-1", .external_labels = LabelSet{{"region", "eu"}}};
  const auto sent = [&](const LabelSet& labels, Source source) {
    return sent_labels(labels, origin, source).to_string();
  };
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}}, Source::kObserved), R"(up{host="web-1", region="eu"})");
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}, {"region", "us"}}, Source::kObserved),
            R"(up{host="web-1", region="us"})");
  // Two hosts must not be one, whatever their series call a host.
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}, {"host", "shop.example.org"}}, Source::kObserved),
            R"(up{exported_host="shop.example.org", host="web-1", region="eu"})");
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}, {"host", "a"}, {"exported_host", "b"}}, Source::kObserved),
            R"(up{exported_exported_host="a", exported_host="b", host="web-1", region="eu"})");
  // What another host sent keeps that host.
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}, {"host", "db-1"}}, Source::kReceived), R"(up{host="db-1", region="eu"})");
  EXPECT_EQ(sent(LabelSet{{"__name__", "up"}}, Source::kReceived), R"(up{host="web-1", region="eu"})");
}

TEST(SentLabels, an_external_label_host_is_the_host) {
  const Origin origin{.host = "web-1", .external_labels = LabelSet{{"host", "edge"}}};
  EXPECT_EQ(sent_labels(LabelSet{{"__name__", "up"}}, origin, Source::kObserved).to_string(), R"(up{host="edge"})");
  EXPECT_EQ(sent_labels(LabelSet{{"__name__", "up"}, {"host", "edge"}}, origin, Source::kObserved).to_string(),
            R"(up{host="edge"})");
}

class ForwardingStoreTest : public testing::Test {
 protected:
  ForwardingStoreTest() {
    store_ = *store::metrics::Store::open(files_, dir_.path(), {}, base::Log::silent(), registry_);
  }

  void note(std::span<const LabelledSample> samples) {
    for (const auto& one : samples) {
      class Read final : public model::remote_write::WriteSink {
       public:
        void series(base::Result<LabelSet> labels) override { text = labels ? labels->to_string() : "bad"; }
        void sample(const model::Sample&) override {}
        void histogram(model::TimestampMs, base::Result<model::Histogram>) override {}
        void exemplar(base::Result<model::LabelSet>, const model::Sample&) override {}
        void metadata(std::string_view, model::MetricType, std::string_view, std::string_view) override {}
        std::string text;
      } read;
      std::string message;
      model::remote_write::append_series(message, *one.labels, {&one.sample, 1});
      ASSERT_TRUE(model::remote_write::read_write_request(message, read));
      out_.emplace_back(read.text, one.sample.time_ms);
    }
    ++commits_;
  }

  ForwardingStore::Outbox outbox() {
    return [this](auto samples, const auto& commit) {
      note(samples);
      return commit();
    };
  }

  base::TempDirectory dir_;
  base::PosixFiles files_;
  base::Registry registry_;
  std::unique_ptr<store::metrics::Store> store_;
  std::vector<std::pair<std::string, model::TimestampMs>> out_;
  int commits_ = 0;
  using Out = std::vector<std::pair<std::string, model::TimestampMs>>;
};

TEST_F(ForwardingStoreTest, queues_what_a_commit_stores_and_nothing_else) {
  ForwardingStore store(*store_, outbox(), {.host = "h"}, Source::kObserved);
  const auto appender = store.appender();
  const auto a = *appender->series(LabelSet{{"__name__", "a"}});
  const auto b = *appender->series(LabelSet{{"__name__", "b"}});
  EXPECT_EQ(appender->append(a, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(b, kStart + 1, 2), AppendOutcome::kOk);
  EXPECT_EQ(out_, Out{}) << "nothing before the commit";
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(out_, (Out{{R"(a{host="h"})", kStart}, {R"(b{host="h"})", kStart + 1}}));
  // Repeated, late, another value: the store behind takes none of them.
  EXPECT_EQ(appender->append(a, kStart, 1), AppendOutcome::kOk);
  EXPECT_EQ(appender->append(a, kStart, 5), AppendOutcome::kDuplicate);
  EXPECT_EQ(appender->append(a, kStart - 1, 5), AppendOutcome::kOutOfOrder);
  ASSERT_TRUE(appender->commit());
  EXPECT_EQ(commits_, 1);
  // Left without a commit: gone, here as there.
  {
    const auto dropped = store.appender();
    EXPECT_EQ(dropped->append(a, kStart + 5, 1), AppendOutcome::kOk);
  }
  EXPECT_EQ(commits_, 1);
}

TEST_F(ForwardingStoreTest, queues_before_it_stores) {
  std::vector<std::uint64_t> stored;
  ForwardingStore store(
      *store_,
      [&](auto, const auto& commit) {
        stored.push_back(store_->stats().samples_appended);
        return commit();
      },
      {.host = "h"}, Source::kObserved);
  const auto appender = store.appender();
  const auto a = *appender->series(LabelSet{{"__name__", "a"}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(appender->append(a, kStart + i, 1), AppendOutcome::kOk);
    ASSERT_TRUE(appender->commit());
  }
  EXPECT_EQ(stored, (std::vector<std::uint64_t>{0, 1}));
}

TEST_F(ForwardingStoreTest, tells_what_the_store_behind_it_says) {
  ForwardingStore store(*store_, outbox(), {.host = "h"}, Source::kObserved);
  const auto slow = store.appender();
  const auto a = *slow->series(LabelSet{{"__name__", "a"}});
  EXPECT_EQ(slow->append(a, kStart, 1), AppendOutcome::kOk);
  const auto quick = store.appender();
  EXPECT_EQ(quick->append(a, kStart + 1, 1), AppendOutcome::kOk);
  ASSERT_TRUE(quick->commit());
  const auto refused = slow->commit();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kConflict);
}

TEST_F(ForwardingStoreTest, asks_again_for_series_that_it_forgot) {
  ForwardingStore store(*store_, outbox(), {.host = "h"}, Source::kObserved);
  const auto appender = store.appender();
  const auto a = *appender->series(LabelSet{{"__name__", "a"}});
  const auto b = *appender->series(LabelSet{{"__name__", "b"}});
  store.forget_unused();  // both are new: kept
  EXPECT_EQ(appender->append(a, kStart, 1), AppendOutcome::kOk);
  store.forget_unused();  // b had nothing since
  EXPECT_EQ(appender->append(b, kStart, 1), AppendOutcome::kUnknownSeries);
  const auto again = *appender->series(LabelSet{{"__name__", "b"}});
  EXPECT_EQ(again, b);
  EXPECT_EQ(appender->append(again, kStart, 1), AppendOutcome::kOk);
  store.forget_unused();
  store.forget_unused();
  ASSERT_TRUE(appender->commit()) << "what is in a batch keeps its labels";
  EXPECT_EQ(out_.size(), 2U);
}

TEST_F(ForwardingStoreTest, a_reference_of_another_store_is_unknown) {
  ForwardingStore store(*store_, outbox(), {.host = "h"}, Source::kObserved);
  EXPECT_EQ(store.appender()->append(12345, kStart, 1), AppendOutcome::kUnknownSeries);
}

}  // namespace
}  // namespace qd::ship::remote_write
