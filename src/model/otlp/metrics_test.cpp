#include "model/otlp/metrics.h"

#include <gtest/gtest.h>

#include <functional>
#include <iterator>
#include <optional>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <utility>
#include <vector>

namespace qd::model::otlp {
namespace {

using protozero::pbf_writer;

class Told final : public MetricsSink {
 public:
  void resource(const Attributes& attributes) override { resources.push_back(attributes); }
  void metric(const Metric& metric) override { metrics.push_back(metric); }
  void resource_ends() override { ++ends; }

  std::vector<Attributes> resources;
  std::vector<Metric> metrics;
  int ends = 0;
};

std::string message(const std::function<void(pbf_writer&)>& write) {
  std::string out;
  pbf_writer writer(out);
  write(writer);
  return out;
}

std::string attribute(const std::string& key, const std::string& any) {
  return message([&](pbf_writer& pair) {
    pair.add_string(1, key);
    pair.add_message(2, any);
  });
}

std::string request(const std::string& resource_attribute, const std::string& metric) {
  return message([&](pbf_writer& all) {
    all.add_message(1, message([&](pbf_writer& of_resource) {
                      // The scope first: fields come in any order.
                      of_resource.add_message(2, message([&](pbf_writer& scope) { scope.add_message(2, metric); }));
                      of_resource.add_message(
                          1, message([&](pbf_writer& resource) { resource.add_message(1, resource_attribute); }));
                    }));
  });
}

const std::string kText = message([](pbf_writer& any) { any.add_string(1, "api"); });

std::string sum_metric() {
  return message([](pbf_writer& metric) {
    metric.add_string(1, "http.requests");
    metric.add_string(2, "What it counts.");
    metric.add_string(3, "By");
    metric.add_message(7, message([](pbf_writer& sum) {
                         sum.add_message(
                             1, message([](pbf_writer& point) {
                               point.add_fixed64(2, 1);
                               point.add_fixed64(3, 5'000'000);
                               point.add_sfixed64(6, -7);
                               point.add_message(
                                   7, attribute("code", message([](pbf_writer& any) { any.add_int64(3, 200); })));
                             }));
                         sum.add_enum(2, 2);
                         sum.add_bool(3, true);
                       }));
  });
}

TEST(OtlpMetrics, reads_a_sum_with_its_resource_in_any_order) {
  Told told;
  ASSERT_TRUE(read_metrics(request(attribute("service.name", kText), sum_metric()), told));
  ASSERT_EQ(told.metrics.size(), 1U);
  EXPECT_EQ(told.ends, 1);
  EXPECT_EQ(told.resources[0][0].key, "service.name");
  EXPECT_EQ(told.resources[0][0].value, "api");
  const Metric& metric = told.metrics[0];
  EXPECT_EQ(metric.name, "http.requests");
  EXPECT_EQ(metric.unit, "By");
  EXPECT_EQ(metric.kind, Kind::kSum);
  EXPECT_EQ(metric.temporality, Temporality::kCumulative);
  EXPECT_TRUE(metric.monotonic);
  ASSERT_EQ(metric.points.size(), 1U);
  EXPECT_EQ(metric.points[0].value, -7);
  EXPECT_EQ(metric.points[0].time_ns, 5'000'000U);
  EXPECT_EQ(metric.points[0].attributes[0].value, "200");
}

TEST(OtlpMetrics, reads_histograms_of_both_kinds_and_summaries) {
  const std::string histogram = message([](pbf_writer& metric) {
    metric.add_string(1, "h");
    metric.add_message(9, message([](pbf_writer& data) {
                         data.add_message(1, message([](pbf_writer& point) {
                                            point.add_fixed64(3, 1);
                                            point.add_fixed64(4, 6);
                                            point.add_double(5, 1.5);
                                            const std::uint64_t counts[] = {1, 2, 3};
                                            protozero::packed_field_fixed64 packed(point, 6);
                                            for (const auto count : counts) packed.add_element(count);
                                            packed.commit();
                                            const double bounds[] = {0.5, 2};
                                            point.add_packed_double(7, std::begin(bounds), std::end(bounds));
                                            point.add_uint32(10, 1);
                                          }));
                       }));
  });
  const std::string exponential = message([](pbf_writer& metric) {
    metric.add_message(10, message([](pbf_writer& data) {
                         data.add_message(1, message([](pbf_writer& point) {
                                            point.add_sint32(6, -2);
                                            point.add_fixed64(7, 4);
                                            point.add_message(8, message([](pbf_writer& side) {
                                                                side.add_sint32(1, -3);
                                                                const std::uint64_t counts[] = {5, 0, 6};
                                                                side.add_packed_uint64(2, std::begin(counts),
                                                                                       std::end(counts));
                                                              }));
                                          }));
                       }));
  });
  const std::string summary = message([](pbf_writer& metric) {
    metric.add_message(11, message([](pbf_writer& data) {
                         data.add_message(1, message([](pbf_writer& point) {
                                            point.add_message(6, message([](pbf_writer& quantile) {
                                                                quantile.add_double(1, 0.9);
                                                                quantile.add_double(2, 12);
                                                              }));
                                          }));
                       }));
  });
  Told told;
  for (const auto& metric : {histogram, exponential, summary})
    ASSERT_TRUE(read_metrics(request(attribute("a", kText), metric), told));
  ASSERT_EQ(told.metrics.size(), 3U);
  const Point& h = told.metrics[0].points.at(0);
  EXPECT_EQ(h.bucket_counts, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(h.bounds, (std::vector<double>{0.5, 2}));
  EXPECT_EQ(h.sum, 1.5);
  EXPECT_TRUE(h.no_value);
  const Point& e = told.metrics[1].points.at(0);
  EXPECT_EQ(e.scale, -2);
  EXPECT_EQ(e.zero_count, 4U);
  EXPECT_EQ(e.positive.offset, -3);
  EXPECT_EQ(e.positive.counts, (std::vector<std::uint64_t>{5, 0, 6}));
  EXPECT_EQ(e.sum, std::nullopt);
  EXPECT_EQ(told.metrics[2].points.at(0).quantiles, (std::vector<std::pair<double, double>>{{0.9, 12}}));
}

TEST(OtlpMetrics, reads_the_exemplars_of_every_kind_of_point_that_has_them) {
  const std::string exemplar = message([](pbf_writer& one) {
    one.add_fixed64(2, 7'000'000);
    one.add_double(3, 0.25);
    one.add_bytes(4, "\x01\x23\x45\x67\x89\xab\xcd\xef");
    one.add_bytes(5, std::string(15, '\0') + "\xf0");
    one.add_message(7, attribute("user", kText));
  });
  const std::string broken = message([](pbf_writer& one) {
    one.add_sfixed64(6, -3);
    one.add_bytes(4, "short");
    one.add_bytes(5, std::string(16, '\0'));
  });
  struct Place {
    std::uint32_t data;
    std::uint32_t exemplars;
  };
  for (const auto& [data, exemplars] : {Place{5, 5}, Place{7, 5}, Place{9, 8}, Place{10, 11}}) {
    Told told;
    ASSERT_TRUE(read_metrics(request(attribute("a", kText), message([&](pbf_writer& metric) {
                                       metric.add_message(data, message([&](pbf_writer& points) {
                                                            points.add_message(1, message([&](pbf_writer& point) {
                                                                                 point.add_message(exemplars, exemplar);
                                                                                 point.add_message(exemplars, broken);
                                                                               }));
                                                          }));
                                     })),
                             told));
    const auto& all = told.metrics.at(0).points.at(0).exemplars;
    ASSERT_EQ(all.size(), 2U) << data;
    EXPECT_EQ(all[0].time_ns, 7'000'000U);
    EXPECT_EQ(all[0].value, 0.25);
    EXPECT_EQ(all[0].span_id, "0123456789abcdef");
    EXPECT_EQ(all[0].trace_id, "000000000000000000000000000000f0");
    EXPECT_EQ(all[0].attributes.at(0).key, "user");
    EXPECT_EQ(all[0].attributes.at(0).value, "api");
    EXPECT_EQ(all[1].value, -3);
    EXPECT_EQ(all[1].span_id + all[1].trace_id, "");
  }
  Told told;
  ASSERT_TRUE(read_metrics_json(R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{"exemplars":[
      {"timeUnixNano":"7000000","asInt":"4","spanId":"0123456789ABCDEF","traceId":"zz",
       "filteredAttributes":[{"key":"user","value":{"stringValue":"api"}}]}]}]}}]}]}]})",
                                told));
  const auto& all = told.metrics.at(0).points.at(0).exemplars;
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].value, 4);
  EXPECT_EQ(all[0].span_id, "0123456789abcdef");
  EXPECT_EQ(all[0].trace_id, "");
  EXPECT_EQ(all[0].attributes.at(0).value, "api");
}

TEST(OtlpMetrics, values_that_are_no_texts_become_texts) {
  const auto value_of = [](const std::string& any) {
    Told told;
    EXPECT_TRUE(read_metrics(request(attribute("a", any), sum_metric()), told));
    return told.resources.at(0).at(0).value;
  };
  EXPECT_EQ(value_of(message([](pbf_writer& any) { any.add_bool(2, true); })), "true");
  EXPECT_EQ(value_of(message([](pbf_writer& any) { any.add_double(4, 0.5); })), "0.5");
  EXPECT_EQ(value_of(message([](pbf_writer& any) { any.add_bytes(7, "any carnal"); })), "YW55IGNhcm5hbA==");
  const std::string list = message([](pbf_writer& any) {
    any.add_message(5, message([](pbf_writer& values) {
                      values.add_message(1, kText);
                      values.add_message(1, message([](pbf_writer& one) { one.add_int64(3, 1); }));
                    }));
  });
  EXPECT_EQ(value_of(list), R"(["api",1])");
  const std::string mapping = message([&](pbf_writer& any) {
    any.add_message(6, message([&](pbf_writer& values) {
                      values.add_message(1, attribute("k\"", list));
                      values.add_message(1, attribute("empty", ""));
                    }));
  });
  EXPECT_EQ(value_of(mapping), R"({"k\"":["api",1],"empty":null})");
}

TEST(OtlpMetrics, json_says_the_same) {
  Told told;
  ASSERT_TRUE(read_metrics_json(R"({"resourceMetrics":[{"resource":{"attributes":[
      {"key":"service.name","value":{"stringValue":"api"}}]},"scopeMetrics":[{"scope":{"name":"x"},"metrics":[
      {"name":"http.requests","unit":"By","description":"What it counts.","sum":{"aggregationTemporality":2,
       "isMonotonic":true,"dataPoints":[{"timeUnixNano":"5000000","startTimeUnixNano":1,"asInt":"-7",
       "attributes":[{"key":"code","value":{"intValue":"200"}}]}]}},
      {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":5,"asDouble":"NaN","flags":1}]}},
      {"name":"e","exponentialHistogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[
       {"count":"3","sum":1.5,"scale":-2,"zeroCount":1,"positive":{"offset":4,"bucketCounts":["2"]}}]}}
      ]}]}]})",
                                told))
      << "";
  ASSERT_EQ(told.metrics.size(), 3U);
  EXPECT_EQ(told.resources[0][0].value, "api");
  EXPECT_EQ(told.metrics[0].points[0].value, -7);
  EXPECT_EQ(told.metrics[0].points[0].attributes[0].value, "200");
  EXPECT_EQ(told.metrics[0].temporality, Temporality::kCumulative);
  EXPECT_TRUE(told.metrics[0].monotonic);
  EXPECT_TRUE(told.metrics[1].points[0].no_value);
  EXPECT_EQ(told.metrics[2].temporality, Temporality::kDelta);
  EXPECT_EQ(told.metrics[2].points[0].positive.counts, std::vector<std::uint64_t>{2});
  EXPECT_EQ(told.metrics[2].points[0].count, 3U);
}

TEST(OtlpMetrics, what_is_no_message_is_refused) {
  Told told;
  EXPECT_FALSE(read_metrics("\x0a\x7f", told));
  for (const std::string_view bad :
       {"", "[]", "{", R"({"resourceMetrics":{}})", R"({"resourceMetrics":[1]})",
        R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":1}]}]}]})",
        R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":"1x"}]}}]}]}]})",
        R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"timeUnixNano":-1}]}}]}]}]})"})
    EXPECT_FALSE(read_metrics_json(bad, told)) << bad;
  EXPECT_FALSE(read_metrics_json(std::string(100'000, '['), told)) << "deep";
  EXPECT_TRUE(read_metrics_json("{}", told));
}

TEST(OtlpMetrics, answers_say_what_was_not_taken) {
  EXPECT_EQ(write_response(0, ""), "");
  EXPECT_EQ(write_response(3, "no"), std::string("\x0a\x06\x08\x03\x12\x02no", 8));
  // What is shown of a long name may end in the middle of a character, and a name be none.
  EXPECT_EQ(write_response(3, "a\xc3"), std::string("\x0a\x08\x08\x03\x12\x04") + "a\xef\xbf\xbd");
  EXPECT_EQ(write_status("\xff\xe2\x82\xac\xf0\x9f"), "\x12\x0c\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(write_response_json(0, ""), "{}");
  EXPECT_EQ(write_response_json(3, "a \"b\""),
            R"({"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"a \"b\""}})");
}

}  // namespace
}  // namespace qd::model::otlp
