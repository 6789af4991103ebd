#include "model/metadata.h"

#include <gtest/gtest.h>

namespace qd::model {
namespace {

TEST(MetricType, reads_what_it_prints) {
  for (int i = 0; i <= static_cast<int>(MetricType::kStateSet); ++i) {
    const auto type = static_cast<MetricType>(i);
    EXPECT_EQ(parse_metric_type(to_string(type)), type);
  }
  EXPECT_EQ(to_string(MetricType::kGaugeHistogram), "gaugehistogram");
}

TEST(MetricType, knows_the_name_that_the_older_text_format_has_for_unknown) {
  EXPECT_EQ(parse_metric_type("untyped"), MetricType::kUnknown);
  EXPECT_EQ(parse_metric_type("Counter"), std::nullopt);
  EXPECT_EQ(parse_metric_type(""), std::nullopt);
}

}  // namespace
}  // namespace qd::model
