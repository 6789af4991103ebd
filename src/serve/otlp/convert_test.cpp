#include "serve/otlp/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
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
    for (const auto& [labels, sample] : converter_->batch().samples()) {
      EXPECT_EQ(sample.time_ms, static_cast<model::TimestampMs>(kTime / 1'000'000));
      lines.push_back(labels.to_string() + " " +
                      (model::is_stale_nan(sample.value) ? "stale" : std::to_string(sample.value)).substr(0, 5));
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
  DeltaSums sums;
  const model::LabelSet labels{{"__name__", "x"}};
  EXPECT_EQ(sums.add(labels, 10, 2, 1), 2);
  EXPECT_EQ(sums.add(labels, 20, 3, 1), 5);
  EXPECT_EQ(sums.add(labels, 20, 3, 1), std::nullopt);
  metric.points = {metric.points[0]};
  metric.points[0].time_ns = kTime + 3'600'000'000'000;
  convert(metric);
  EXPECT_EQ(converter_->rejected_points(), 1U) << "an hour ahead";
}

TEST_F(ConvertTest, long_labels_spelled_out_many_times_meet_a_bound) {
  Metric metric{.name = "h",
                .kind = Kind::kHistogram,
                .temporality = Temporality::kCumulative,
                .points = {{.attributes = {{"a", std::string(10 << 20, 'x')}},
                            .time_ns = kTime,
                            .bucket_counts = std::vector<std::uint64_t>(1'001),
                            .bounds = {}}}};
  for (int i = 0; i < 1'000; ++i) metric.points[0].bounds.push_back(i);
  converter_.emplace(options_, deltas_);
  converter_->resource({});
  converter_->metric(metric);
  EXPECT_LE(converter_->batch().samples().size(), kIntakeBytesMax >> 20);
  EXPECT_GT(converter_->rejected_points(), 900U);
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
