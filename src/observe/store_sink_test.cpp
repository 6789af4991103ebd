#include "observe/store_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "observe/memory_store.h"

namespace qd::observe {
namespace {

using model::MetricType;
using store::metrics::AppendOutcome;
using testing::ElementsAre;
using testing::Pair;

const model::LabelSet kCommon = {{"job", "node"}, {"instance", "vm"}, {"region", "north"}};

class StoreSinkTest : public testing::Test {
 protected:
  // A pass that gives each of `cpus` one sample of 1.
  void tell(std::initializer_list<const char*> cpus) {
    sink.family("cpu_seconds_total", MetricType::kCounter, "CPU time.");
    for (const char* cpu : cpus) sink.sample({{"cpu", cpu}}, 1);
  }
  StoreSink::Pass pass(std::int64_t time_ms, std::initializer_list<const char*> cpus) {
    sink.begin(time_ms);
    tell(cpus);
    return sink.commit().value();
  }
  static std::string series(std::string_view cpu) {
    return "cpu_seconds_total{cpu=\"" + std::string(cpu) + R"(", instance="vm", job="node", region="north"})";
  }
  static constexpr const char* kUp = R"(up{instance="vm", job="node", region="north"})";

  MemoryStore store;
  StoreSink sink{store, kCommon};
};

TEST_F(StoreSinkTest, samples_get_the_common_labels_and_up_is_one) {
  const auto told = pass(1000, {"0", "1"});
  EXPECT_EQ(told.samples, 2u);
  EXPECT_EQ(told.rejected, 0u);
  EXPECT_THAT(store.samples(series("0")), ElementsAre(Pair(1000, 1)));
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(1000, 1)));
  EXPECT_THAT(store.samples(kUp), ElementsAre(Pair(1000, 1)));
  EXPECT_EQ(store.metadata_told["cpu_seconds_total"].type, MetricType::kCounter);
}

TEST_F(StoreSinkTest, an_unchanged_pass_looks_up_no_series) {
  pass(1000, {"0", "1", "2"});
  const int asked = store.series_asked;
  pass(2000, {"0", "1", "2"});
  pass(3000, {"2", "0", "1"});
  EXPECT_EQ(store.series_asked, asked);
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(1000, 1), Pair(2000, 1), Pair(3000, 1)));
}

TEST_F(StoreSinkTest, a_series_that_is_gone_ends_once_and_may_come_back) {
  pass(1000, {"0", "1", "2"});
  pass(2000, {"0", "2"});
  pass(3000, {"0", "2", "3"});
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(1000, 1), Pair(2000, MemoryStore::kStale)));
  EXPECT_THAT(store.samples(series("2")), ElementsAre(Pair(1000, 1), Pair(2000, 1), Pair(3000, 1)));
  EXPECT_THAT(store.samples(series("3")), ElementsAre(Pair(3000, 1)));
  pass(4000, {"0", "1", "2", "3"});
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(1000, 1), Pair(2000, MemoryStore::kStale), Pair(4000, 1)));
}

TEST_F(StoreSinkTest, a_label_of_the_collector_yields_to_a_common_one) {
  sink.begin(1000);
  sink.family("passes_total", MetricType::kCounter, "Passes.");
  sink.sample({{"job", "other"}}, 7);
  ASSERT_TRUE(sink.commit());
  EXPECT_THAT(store.samples(R"(passes_total{exported_job="other", instance="vm", job="node", region="north"})"),
              ElementsAre(Pair(1000, 7)));
}

TEST_F(StoreSinkTest, samples_of_a_histogram_keep_their_endings) {
  sink.begin(1000);
  sink.family("took_seconds", MetricType::kHistogram, "Time.");
  const std::vector<model::Label> le = {{"le", "+Inf"}};
  sink.sample("_bucket", le, 3);
  sink.sample("_sum", {}, 0.5);
  sink.sample("_count", {}, 3);
  ASSERT_TRUE(sink.commit());
  EXPECT_THAT(store.samples(R"(took_seconds_bucket{instance="vm", job="node", le="+Inf", region="north"})"),
              ElementsAre(Pair(1000, 3)));
  EXPECT_THAT(store.samples(R"(took_seconds_sum{instance="vm", job="node", region="north"})"),
              ElementsAre(Pair(1000, 0.5)));
}

TEST_F(StoreSinkTest, a_failed_pass_keeps_nothing_and_ends_all) {
  pass(1000, {"0"});
  sink.begin(2000);
  tell({"0", "1"});
  ASSERT_TRUE(sink.abandon());
  EXPECT_THAT(store.samples(series("0")), ElementsAre(Pair(1000, 1), Pair(2000, MemoryStore::kStale)));
  EXPECT_THAT(store.samples(series("1")), ElementsAre());
  EXPECT_THAT(store.samples(kUp), ElementsAre(Pair(1000, 1), Pair(2000, 0)));
  pass(3000, {"0", "1"});
  EXPECT_THAT(store.samples(series("0")), ElementsAre(Pair(1000, 1), Pair(2000, MemoryStore::kStale), Pair(3000, 1)));
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(3000, 1)));
  EXPECT_THAT(store.samples(kUp), ElementsAre(Pair(1000, 1), Pair(2000, 0), Pair(3000, 1)));
}

TEST_F(StoreSinkTest, an_end_that_could_not_be_stored_is_stored_later) {
  pass(1000, {"0", "1"});
  store.failing = true;
  sink.begin(2000);
  tell({"0", "2"});
  EXPECT_FALSE(sink.commit());
  sink.begin(3000);
  tell({"0"});
  EXPECT_FALSE(sink.abandon());
  store.failing = false;
  pass(4000, {"0"});
  EXPECT_THAT(store.samples(series("0")), ElementsAre(Pair(1000, 1), Pair(4000, 1)));
  EXPECT_THAT(store.samples(series("1")), ElementsAre(Pair(1000, 1), Pair(4000, MemoryStore::kStale)));
  EXPECT_THAT(store.samples(series("2")), ElementsAre());
}

TEST_F(StoreSinkTest, a_second_sample_of_a_series_in_one_pass_is_rejected_by_name) {
  const auto told = pass(1000, {"0", "0"});
  EXPECT_EQ(told.samples, 1u);
  EXPECT_EQ(told.rejected, 1u);
  EXPECT_THAT(told.why_rejected->message(), testing::HasSubstr("cpu_seconds_total"));
}

TEST_F(StoreSinkTest, a_series_that_the_store_dropped_is_asked_for_again) {
  pass(1000, {"0"});
  store.forget_references();
  const auto told = pass(2000, {"0"});
  EXPECT_EQ(told.rejected, 0u);
  EXPECT_THAT(store.samples(series("0")), ElementsAre(Pair(1000, 1), Pair(2000, 1)));
}

TEST_F(StoreSinkTest, a_full_store_rejects_new_series_and_keeps_the_others) {
  pass(1000, {"0"});
  store.series_limit = store.count();
  const auto told = pass(2000, {"0", "1", "2"});
  EXPECT_EQ(told.samples, 1u);
  EXPECT_EQ(told.rejected, 2u);
  EXPECT_EQ(told.why_rejected->code(), base::ErrorCode::kLimit);
  store.series_limit = 100;
  EXPECT_EQ(pass(3000, {"0", "1", "2"}).samples, 3u);
}

TEST_F(StoreSinkTest, places_are_reused_when_series_come_and_go) {
  for (int i = 0; i < 1000; ++i) {
    const std::string name = std::to_string(i);
    sink.begin(1000 + i);
    sink.family("seen", MetricType::kGauge, "Seen.");
    sink.sample({{"id", name}}, i);
    ASSERT_EQ(sink.commit()->samples, 1u);
  }
  EXPECT_THAT(store.samples(R"(seen{id="500", instance="vm", job="node", region="north"})"),
              ElementsAre(Pair(1500, 500), Pair(1501, MemoryStore::kStale)));
}

}  // namespace
}  // namespace qd::observe
