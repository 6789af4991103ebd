#include "serve/prometheus/values.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace qd::serve::prometheus {
namespace {

using query::promql::Matrix;
using query::promql::QueryResult;
using query::promql::Vector;

model::HistogramPtr some() {
  auto h = std::make_shared<model::Histogram>();
  h->count = 12;
  h->sum = 18.5;
  h->zero_threshold = 0.001;
  h->zero_count = 2;
  h->positive_spans = {{0, 3}};
  h->positive = {3, 0, 4};
  h->negative_spans = {{1, 1}};
  h->negative = {3};
  return h;
}

constexpr std::string_view kSome =
    R"({"count":"12","sum":"18.5","buckets":[[1,"-2","-1","3"],[3,"-0.001","0.001","2"],[0,"0.5","1","3"],)"
    R"([0,"2","4","4"]]})";

std::string written(QueryResult result, std::size_t limit = 0) {
  std::string out;
  write_result(out, result, limit);
  return out;
}

TEST(Values, histograms_are_written_as_prometheus_does) {
  std::string out;
  write_histogram(out, *some());
  EXPECT_EQ(out, kSome);
  out.clear();
  write_histogram(out, model::Histogram());
  EXPECT_EQ(out, R"({"count":"0","sum":"0"})");
  model::Histogram custom;
  custom.schema = model::kCustomBounds;
  custom.custom_bounds = {1};
  custom.positive_spans = {{0, 2}};
  custom.positive = {1, 2};
  custom.count = 3;
  out.clear();
  write_histogram(out, custom);
  EXPECT_EQ(out, R"({"count":"3","sum":"0","buckets":[[3,"-Inf","1","1"],[0,"1","+Inf","2"]]})");
}

TEST(Values, a_vector_has_a_value_or_a_histogram_a_series) {
  const Vector vector{{.labels = {{"a", "1"}}, .time_ms = 1500, .value = 2},
                      {.labels = {{"a", "2"}}, .time_ms = 1500, .histogram = some()}};
  EXPECT_EQ(written({.value = vector}), R"({"resultType":"vector","result":[{"metric":{"a":"1"},"value":[1.5,"2"]},)"
                                        R"({"metric":{"a":"2"},"histogram":[1.5,)" +
                                            std::string(kSome) + "]}]}");
}

TEST(Values, a_matrix_has_values_and_histograms_beside_each_other) {
  const Matrix numbers{{.labels = {}, .samples = {{1000, 2}}}};
  EXPECT_EQ(written({.value = numbers}), R"({"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]})");
  const Matrix histograms{{.labels = {}, .histograms = {{2000, some()}}}};
  EXPECT_EQ(written({.value = histograms}),
            R"({"resultType":"matrix","result":[{"metric":{},"histograms":[[2,)" + std::string(kSome) + "]]}]}");
  const Matrix both{{.labels = {}, .samples = {{1000, 2}}, .histograms = {{2000, some()}}}};
  EXPECT_EQ(written({.value = both}),
            R"({"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]],"histograms":[[2,)" +
                std::string(kSome) + "]]}]}");
}

}  // namespace
}  // namespace qd::serve::prometheus
