#include "base/counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

namespace qd::base {
namespace {

using ::testing::ElementsAre;

TEST(Registry, the_same_name_and_labels_are_the_same_counter) {
  Registry registry;
  Counter& first = registry.counter("q_total", "Help.", {{"a", "1"}, {"b", "2"}});
  Counter& same = registry.counter("q_total", "Help.", {{"b", "2"}, {"a", "1"}});
  Counter& other = registry.counter("q_total", "Help.", {{"a", "2"}});
  EXPECT_EQ(&first, &same);
  EXPECT_NE(&first, &other);
}

TEST(Registry, collect_is_sorted_by_name_and_labels) {
  Registry registry;
  registry.counter("b_total", "B.", {{"x", "2"}}).add(2);
  registry.gauge("a", "A.").set(1.5);
  registry.counter("b_total", "B.", {{"x", "1"}}).add();
  registry.gauge_function("c", "C.", [] { return 7.0; });
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 3U);
  EXPECT_EQ(families[0].name, "a");
  EXPECT_EQ(families[0].samples[0].value, 1.5);
  EXPECT_EQ(families[1].help, "B.");
  EXPECT_EQ(families[1].kind, Registry::Kind::kCounter);
  ASSERT_EQ(families[1].samples.size(), 2U);
  EXPECT_EQ(families[1].samples[0].labels[0].second, "1");
  EXPECT_EQ(families[1].samples[1].value, 2);
  EXPECT_EQ(families[2].samples[0].value, 7);
}

TEST(Registry, histograms_show_cumulative_buckets_and_a_count_that_agrees) {
  Registry registry;
  Histogram& histogram = registry.histogram("h_seconds", "H.", {{"z", "1"}});
  for (const double seconds : {0.0005, 0.0006, 0.3, 9.0}) histogram.observe(seconds);
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 1U);
  const auto& samples = families[0].samples;
  ASSERT_EQ(samples.size(), Histogram::kBounds.size() + 3);
  EXPECT_EQ(samples[0].name, "h_seconds_bucket");
  EXPECT_THAT(samples[0].labels, ElementsAre(std::pair<std::string, std::string>("le", "0.0005"),
                                             std::pair<std::string, std::string>("z", "1")));
  EXPECT_EQ(samples[0].value, 1);  // a bound belongs to its bucket
  EXPECT_EQ(samples[1].value, 2);
  EXPECT_EQ(samples[8].value, 2);   // le="0.25"
  EXPECT_EQ(samples[9].value, 3);   // le="0.5"
  EXPECT_EQ(samples[12].value, 4);  // le="+Inf"
  EXPECT_EQ(samples[12].labels[0].second, "+Inf");
  EXPECT_EQ(samples[13].name, "h_seconds_sum");
  EXPECT_DOUBLE_EQ(samples[13].value, 9.3011);
  EXPECT_EQ(samples[14].name, "h_seconds_count");
  EXPECT_EQ(samples[14].value, 4);
}

TEST(Registry, summaries_show_their_quantiles_a_sum_and_a_count) {
  const ManualClock clock;
  Registry registry;
  DurationSummary& upper = registry.summary("s_seconds", "S.", clock, Registry::Quantiles::kUpper, {{"z", "1"}});
  EXPECT_EQ(&registry.summary("s_seconds", "S.", clock, Registry::Quantiles::kUpper, {{"z", "1"}}), &upper);
  registry.summary("s_seconds", "S.", clock, Registry::Quantiles::kBothEnds, {{"z", "2"}});
  for (int i = 0; i < 10; ++i) upper.observe(2'000'000);
  const auto families = registry.collect();
  ASSERT_EQ(families.size(), 1U);
  EXPECT_EQ(families[0].kind, Registry::Kind::kSummary);
  const auto& samples = families[0].samples;
  ASSERT_EQ(samples.size(), 3U + 2 + 5 + 2);
  EXPECT_THAT(samples[0].labels, ElementsAre(std::pair<std::string, std::string>("quantile", "0.5"),
                                             std::pair<std::string, std::string>("z", "1")));
  EXPECT_NEAR(samples[2].value, 0.002, 0.0001);
  EXPECT_EQ(samples[3].name, "s_seconds_sum");
  EXPECT_DOUBLE_EQ(samples[3].value, 0.02);
  EXPECT_EQ(samples[4].name, "s_seconds_count");
  EXPECT_EQ(samples[4].value, 10);
  EXPECT_EQ(samples[5].labels[0].second, "0.01");
  EXPECT_TRUE(std::isnan(samples[5].value)) << "nothing was observed";
}

TEST(Registry, a_function_may_register_while_it_is_read) {
  Registry registry;
  registry.counter_function("f_total", "F.", [&] {
    registry.counter("made_total", "M.").add();
    return 1.0;
  });
  EXPECT_EQ(registry.collect().size(), 1U);
  EXPECT_EQ(registry.collect().size(), 2U);
}

TEST(Registry, counting_and_registering_from_many_threads_loses_nothing) {
  Registry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        registry.counter("n_total", "N.").add();
        registry.gauge("g", "G.").add(0.5);
        if (i % 100 == 0) (void)registry.collect();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(registry.counter("n_total", "N.").value(), 4000U);
  EXPECT_EQ(registry.gauge("g", "G.").value(), 2000);
}

}  // namespace
}  // namespace qd::base
