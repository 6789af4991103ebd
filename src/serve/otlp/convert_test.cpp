#include "serve/otlp/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace qd::serve::otlp {
namespace {

using model::otlp::Kind;
using model::otlp::Metric;
using model::otlp::Point;
using model::otlp::Temporality;

constexpr std::uint64_t kTime = 1'700'000'000'000'000'000;

class ConvertTest : public testing::Test {
 protected:
  // What comes of one metric, as `labels value@time`.
  std::vector<std::string> convert(const Metric& metric, const model::otlp::Attributes& resource = {}) {
    converter_.emplace(options_, deltas_);
    converter_->resource(resource);
    converter_->metric(metric);
    converter_->resource_ends();
    std::vector<std::string> lines;
    for (const auto& one : converter_->batch().samples()) {
      EXPECT_EQ(one.sample.time_ms, static_cast<model::TimestampMs>(kTime / 1'000'000));
      const double value = one.sample.value;
      lines.push_back(one.labels.to_string() + " " +
                      (model::is_stale_nan(value) ? "stale" : std::to_string(value)).substr(0, 5));
    }
    std::ranges::sort(lines);
    return lines;
  }
  using Lines = std::vector<std::string>;

  ConvertOptions options_{.now_ns = kTime};
  DeltaSums deltas_;
  std::optional<Converter> converter_;
};

Metric sum_of(double value, Temporality temporality = Temporality::kCumulative) {
  return {.name = "http.requests",
          .description = "What it counts.",
          .kind = Kind::kSum,
          .temporality = temporality,
          .monotonic = true,
          .points = {{.attributes = {{"http.code", "200"}}, .time_ns = kTime, .value = value}}};
}

TEST_F(ConvertTest, a_resource_is_job_instance_and_target_info) {
  EXPECT_EQ(convert(sum_of(5), {{"service.name", "api"},
                                {"service.namespace", "shop"},
                                {"service.instance.id", "i-1"},
                                {"host.name", "web-1"}}),
            (Lines{R"(http_requests_total{http_code="200", instance="i-1", job="shop/api"} 5.000)",
                   R"(target_info{host_name="web-1", instance="i-1", job="shop/api"} 1.000)"}));
  EXPECT_EQ(converter_->batch().families.at("http_requests_total").type, model::MetricType::kCounter);
  EXPECT_EQ(converter_->batch().families.at("http_requests_total").help, "What it counts.");
  EXPECT_EQ(convert(sum_of(5), {{"service.name", "api"}}).size(), 1U) << "nothing more is known of it";
  EXPECT_EQ(convert(sum_of(5), {{"host.name", "web-1"}}).size(), 1U) << "nothing to join it by";
}

TEST_F(ConvertTest, promoted_attributes_stand_on_every_series) {
  options_.promote_resource_attributes = {"deployment.environment", "absent"};
  EXPECT_EQ(convert(sum_of(5), {{"deployment.environment", "prod"}}),
            Lines{R"(http_requests_total{deployment_environment="prod", http_code="200"} 5.000)"});
}

TEST_F(ConvertTest, attributes_that_become_one_label_are_joined) {
  Metric metric = sum_of(1);
  metric.points[0].attributes = {{"a-b", "2"}, {"a.b", "3"}, {"a+b", "1"}};
  EXPECT_EQ(convert(metric), Lines{R"(http_requests_total{a_b="1;2;3"} 1.000)"});
}

TEST_F(ConvertTest, histograms_become_buckets_that_add_up) {
  const Metric metric{
      .name = "h",
      .kind = Kind::kHistogram,
      .temporality = Temporality::kCumulative,
      .points = {{.time_ns = kTime, .count = 6, .sum = 9, .bucket_counts = {1, 2, 3}, .bounds = {0.5, 2}}}};
  EXPECT_EQ(convert(metric), (Lines{R"(h_bucket{le="+Inf"} 6.000)", R"(h_bucket{le="0.5"} 1.000)",
                                    R"(h_bucket{le="2"} 3.000)", "h_count 6.000", "h_sum 9.000"}));
  Metric broken = metric;
  broken.points[0].bounds = {2, 0.5};
  EXPECT_EQ(convert(broken), Lines{});
  broken.points[0].bounds = {2};
  EXPECT_EQ(convert(broken), Lines{});
  EXPECT_EQ(converter_->rejected_points(), 1U);
}

TEST_F(ConvertTest, exponential_histograms_become_native_ones) {
  Metric metric{.name = "e",
                .kind = Kind::kExponential,
                .temporality = Temporality::kCumulative,
                .points = {{.time_ns = kTime,
                            .count = 9,
                            .sum = 12,
                            .scale = 1,
                            .zero_count = 1,
                            .positive = {.offset = -1, .counts = {1, 0, 2}},
                            .negative = {.offset = 4, .counts = {5}}}}};
  convert(metric);
  ASSERT_EQ(converter_->batch().histograms().size(), 1U);
  const model::Histogram& h = converter_->batch().histograms()[0].histogram;
  EXPECT_TRUE(model::validate(h));
  EXPECT_EQ(h.schema, 1);
  // Above base^-1 and up to base^0 is bucket 0 there, which ends at 1.
  EXPECT_EQ(h.positive_spans, (std::vector<model::BucketSpan>{{0, 1}, {1, 1}}));
  EXPECT_EQ(h.positive, (std::vector<double>{1, 2}));
  EXPECT_EQ(h.negative_spans, (std::vector<model::BucketSpan>{{5, 1}}));
  EXPECT_EQ(h.zero_threshold, 1e-128);
  metric.points[0].scale = 20;
  convert(metric);
  ASSERT_EQ(converter_->batch().histograms().size(), 1U);
  EXPECT_EQ(converter_->batch().histograms()[0].histogram.schema, model::kSchemaMax);
  for (const int scale : {-5, 60}) {
    metric.points[0].scale = scale;
    convert(metric);
    EXPECT_EQ(converter_->rejected_points(), 1U) << scale;
  }
  metric.points[0].scale = 0;
  metric.points[0].count = 3;
  convert(metric);
  EXPECT_EQ(converter_->rejected_points(), 1U) << "more in buckets than counted";
}

TEST_F(ConvertTest, summaries_have_quantiles) {
  const Metric metric{.name = "s",
                      .kind = Kind::kSummary,
                      .points = {{.time_ns = kTime, .count = 2, .sum = 3, .quantiles = {{0.5, 1}, {0.9, 2}}}}};
  EXPECT_EQ(convert(metric),
            (Lines{"s_count 2.000", "s_sum 3.000", R"(s{quantile="0.5"} 1.000)", R"(s{quantile="0.9"} 2.000)"}));
}

TEST_F(ConvertTest, differences_are_refused_and_counted_unless_they_are_to_be_added_up) {
  EXPECT_EQ(convert(sum_of(5, Temporality::kDelta)), Lines{});
  EXPECT_EQ(converter_->rejected_points(), 1U);
  EXPECT_NE(converter_->first_reason().find("serve.otlp.convert_delta"), std::string::npos);
  options_.convert_delta = true;
  Metric metric = sum_of(5, Temporality::kDelta);
  metric.points.push_back(metric.points[0]);
  convert(metric);
  EXPECT_EQ(converter_->rejected_points(), 1U) << "the same one twice";
  metric.points = {metric.points[0]};
  metric.points[0].time_ns = kTime + 3'600'000'000'000;
  convert(metric);
  EXPECT_EQ(converter_->rejected_points(), 1U) << "an hour ahead";
}

TEST(DeltaSums, go_on_by_what_is_stored_alone) {
  DeltaSums sums;
  const model::LabelSet x{{"__name__", "x"}};
  const model::LabelSet y{{"__name__", "y"}};
  {
    DeltaSums::Turn turn(sums);
    EXPECT_EQ(turn.add(x, 10, 2, 1, 0), 2);
    EXPECT_EQ(turn.add(x, 20, 3, 1, 1), 5);
    EXPECT_EQ(turn.add(x, 20, 3, 1, 2), std::nullopt) << "it is no newer";
  }
  DeltaSums::Turn again(sums);
  EXPECT_EQ(again.add(x, 10, 2, 1, 0), 2) << "nothing was stored of that";
  EXPECT_EQ(again.add(y, 10, 7, 1, 1), 7);
  EXPECT_EQ(again.add(x, 20, 3, 1, 2), 5);
  EXPECT_EQ(again.add(x, 30, 1, 1, 3), 6);
  again.drop_from(3);
  EXPECT_EQ(again.add(x, 25, 4, 1, 3), 9) << "as if the one at 30 had never come";
  const std::size_t refused[] = {1, 3};
  again.commit(refused);
  EXPECT_EQ(again.add(x, 30, 1, 1, 4), 6);
  EXPECT_EQ(again.add(y, 10, 2, 1, 5), 2);
}

TEST(DeltaSums, requests_take_turns) {
  DeltaSums sums;
  const model::LabelSet x{{"__name__", "x"}};
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> time_ns = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n) {
        DeltaSums::Turn turn(sums);
        EXPECT_TRUE(turn.add(x, ++time_ns, 1, 1, 0));
        if (n % 2 == 0) turn.commit({});
      }
    });
  for (auto& thread : threads) thread.join();
  DeltaSums::Turn turn(sums);
  EXPECT_EQ(turn.add(x, ++time_ns, 1, 1, 0), 201);
}

TEST_F(ConvertTest, a_point_that_is_rejected_in_part_is_rejected_whole_and_once) {
  options_.convert_delta = true;
  Metric metric{.name = "h",
                .kind = Kind::kHistogram,
                .temporality = Temporality::kDelta,
                .points = {{.time_ns = kTime, .count = 3, .sum = 9, .bucket_counts = {1, 2}, .bounds = {1}}}};
  const Lines first = convert(metric);
  EXPECT_EQ(first.size(), 4U);
  converter_->stored({});
  // _sum is new and would go on; _count comes twice.
  Metric mixed = metric;
  mixed.points[0].attributes = {{"a", "b"}};
  mixed.points.push_back(mixed.points[0]);
  mixed.points[0].sum.reset();
  EXPECT_EQ(convert(mixed).size(), 3U);
  EXPECT_EQ(converter_->rejected_points(), 1U);
  converter_->stored({});
  mixed.points.erase(mixed.points.begin());
  mixed.points[0].time_ns = kTime + 1;
  EXPECT_EQ(convert(mixed), (Lines{R"(h_bucket{a="b", le="+Inf"} 6.000)", R"(h_bucket{a="b", le="1"} 2.000)",
                                   R"(h_count{a="b"} 6.000)", R"(h_sum{a="b"} 9.000)"}));
}

TEST_F(ConvertTest, exemplars_stand_behind_what_they_fell_into) {
  const auto exemplar = [](double value, std::uint64_t after_ms, std::string trace = "") {
    return model::otlp::Exemplar{.time_ns = kTime + after_ms * 1'000'000, .value = value, .trace_id = std::move(trace)};
  };
  Metric metric{
      .name = "h",
      .kind = Kind::kHistogram,
      .temporality = Temporality::kCumulative,
      .points = {{.time_ns = kTime,
                  .count = 6,
                  .bucket_counts = {1, 2, 3},
                  .bounds = {0.5, 2},
                  .exemplars = {exemplar(0.5, 2, "a"), exemplar(7, 1, "d"), exemplar(0.1, 1, "b"), exemplar(1, 3, "c"),
                                exemplar(std::numeric_limits<double>::quiet_NaN(), 1)}}}};
  convert(metric);
  Lines found;
  for (const auto& one : converter_->batch().samples())
    for (const auto& behind : one.exemplars)
      found.push_back(std::string(one.labels.get("le")) + behind.labels.to_string() +
                      std::to_string(behind.time_ms % 10));
  EXPECT_EQ(found,
            (Lines{R"(0.5{trace_id="b"}1)", R"(0.5{trace_id="a"}2)", R"(2{trace_id="c"}3)", R"(+Inf{trace_id="d"}1)"}));
  Metric sum = sum_of(5);
  sum.points[0].exemplars = {{.attributes = {{"user.name", "me"}, {"trace_id", "x"}},
                              .value = 2,
                              .trace_id = std::string(32, 'a'),
                              .span_id = std::string(16, 'b')}};
  convert(sum);
  const model::Exemplar behind = converter_->batch().samples().at(0).exemplars.at(0);
  EXPECT_EQ(
      behind.labels,
      (model::LabelSet{{"span_id", std::string(16, 'b')}, {"trace_id", std::string(32, 'a')}, {"user.name", "me"}}));
  EXPECT_EQ(behind.value, 2);
  EXPECT_EQ(behind.time_ms, static_cast<model::TimestampMs>(kTime / 1'000'000)) << "that of its point";
  sum.points[0].exemplars[0].attributes = {{"a", "b"}, {"long", std::string(200, 'x')}};
  convert(sum);
  EXPECT_FALSE(converter_->batch().samples().at(0).exemplars.at(0).labels.has("a")) << "the ids alone";
  Metric native{.name = "e",
                .kind = Kind::kExponential,
                .temporality = Temporality::kCumulative,
                .points = {{.time_ns = kTime, .count = 0, .sum = 0, .exemplars = {exemplar(2, 2), exemplar(1, 1)}}}};
  convert(native);
  ASSERT_EQ(converter_->batch().histograms().size(), 1U);
  EXPECT_EQ(converter_->batch().histograms()[0].exemplars.at(0).value, 1) << "in order of time";
  EXPECT_EQ(converter_->batch().histograms()[0].exemplars.at(1).value, 2);
}

TEST_F(ConvertTest, long_labels_spelled_out_many_times_meet_a_bound) {
  Metric metric{.name = "h",
                .kind = Kind::kHistogram,
                .temporality = Temporality::kCumulative,
                .points = {{.attributes = {{"a", std::string(10 << 20, 'x')}},
                            .time_ns = kTime,
                            .bucket_counts = std::vector<std::uint64_t>(21),
                            .bounds = {}}}};
  for (int i = 0; i < 20; ++i) metric.points[0].bounds.push_back(i);
  metric.points.push_back(metric.points[0]);
  metric.points.push_back(metric.points[0]);
  converter_.emplace(options_, deltas_);
  converter_->resource({});
  converter_->metric(metric);
  EXPECT_EQ(converter_->batch().samples().size(), 22U) << "a point is whole or not there";
  EXPECT_EQ(converter_->rejected_points(), 2U);
}

TEST_F(ConvertTest, a_point_without_a_value_ends_its_series) {
  Metric metric = sum_of(5);
  metric.points[0].no_value = true;
  EXPECT_EQ(convert(metric), Lines{R"(http_requests_total{http_code="200"} stale)"});
}

TEST_F(ConvertTest, what_is_no_text_or_has_no_time_is_refused_alone) {
  Metric metric = sum_of(5);
  metric.points.push_back({.attributes = {{"a", "\xff"}}, .time_ns = kTime, .value = 1});
  metric.points.push_back({.value = 1});
  EXPECT_EQ(convert(metric).size(), 1U);
  EXPECT_EQ(converter_->rejected_points(), 2U);
  metric.name = "...";
  EXPECT_EQ(convert(metric).size(), 0U);
  EXPECT_EQ(converter_->rejected_points(), 3U);
}

}  // namespace
}  // namespace qd::serve::otlp
