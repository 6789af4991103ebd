#include "observe/scrape/created.h"

#include <gtest/gtest.h>

namespace qd::observe::scrape {
namespace {

using model::Label;
using model::MetricType;

std::optional<model::TimestampMs> find(const CreatedTimes& times, std::string_view family, MetricType type,
                                       std::vector<Label> labels) {
  return times.find(labels, family, type);
}

TEST(Created, is_found_for_what_counts_whatever_the_order_of_labels) {
  CreatedTimes times;
  times.read(R"(# TYPE a counter
a_total{x="1",y="2"} 5
a_created{x="1",y="2"} 1520430000.123
# TYPE h histogram
h_bucket{x="1",le="+Inf"} 1
h_count{x="1"} 1
h_sum{x="1"} 1
h_created{x="1"} 1.5e9
# EOF
)");
  EXPECT_EQ(find(times, "a", MetricType::kCounter, {{"__name__", "a_total"}, {"y", "2"}, {"x", "1"}}),
            1'520'430'000'123);
  EXPECT_EQ(find(times, "a", MetricType::kCounter, {{"__name__", "a_total"}, {"y", "1"}, {"x", "2"}}), std::nullopt);
  EXPECT_EQ(find(times, "a", MetricType::kGauge, {{"__name__", "a_total"}, {"x", "1"}, {"y", "2"}}), std::nullopt);
  for (const std::string_view name : {"h_bucket", "h_sum", "h_count"})
    EXPECT_EQ(find(times, "h", MetricType::kHistogram, {{"__name__", name}, {"le", "+Inf"}, {"x", "1"}}),
              1'500'000'000'000);
  EXPECT_EQ(find(times, "h", MetricType::kHistogram, {{"__name__", "h"}, {"x", "1"}}), std::nullopt);
  EXPECT_EQ(find(times, "h", MetricType::kHistogram, {{"__name__", "other_sum"}, {"x", "1"}}), std::nullopt);
}

TEST(Created, quantiles_do_not_count) {
  CreatedTimes times;
  times.read("s_created 5\n");
  EXPECT_EQ(find(times, "s", MetricType::kSummary, {{"__name__", "s_sum"}}), 5000);
  EXPECT_EQ(find(times, "s", MetricType::kSummary, {{"__name__", "s"}, {"quantile", "0.5"}}), std::nullopt);
}

TEST(Created, the_digest_changes_with_any_of_them_and_not_with_their_order) {
  const auto digest = [](std::string_view page) {
    CreatedTimes times;
    times.read(page);
    return times.digest();
  };
  const std::uint64_t both = digest("a_created 5\nb_created{x=\"y\"} 6\n");
  EXPECT_EQ(digest("b_created{x=\"y\"} 6\na_created 5\n"), both);
  EXPECT_NE(digest("b_created{x=\"y\"} 5\na_created 6\n"), both);
  EXPECT_NE(digest("b_created{x=\"y\"} 6\n"), both);
}

TEST(Created, what_is_no_time_or_no_line_is_passed_over) {
  CreatedTimes times;
  times.read(
      "# HELP a_created it\na_created NaN\nb_created +Inf\nc_created 1e300\nd_created{\ne_total{x=\"f_created\"} "
      "5\n_created");
  EXPECT_TRUE(times.empty());
  times.read("");
  EXPECT_TRUE(times.empty());
}

TEST(Created, a_line_is_known_by_its_name_and_family) {
  EXPECT_TRUE(is_created_line("a_created", "a", MetricType::kCounter));
  EXPECT_TRUE(is_created_line("a_created{x=\"y\"}", "a", MetricType::kSummary));
  EXPECT_TRUE(is_created_line("{\"a.b_created\",x=\"y\"}", "a.b", MetricType::kHistogram));
  EXPECT_FALSE(is_created_line("a_created", "a", MetricType::kGauge));
  EXPECT_FALSE(is_created_line("a_created_total", "a", MetricType::kCounter));
  EXPECT_FALSE(is_created_line("a_total{x=\"a_created\"}", "a", MetricType::kCounter));
  EXPECT_FALSE(is_created_line("ab_created", "a", MetricType::kCounter));
}

}  // namespace
}  // namespace qd::observe::scrape
