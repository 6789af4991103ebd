#include "model/exposition/format.h"

#include <gtest/gtest.h>

namespace qd::model::exposition {
namespace {

TEST(Negotiate, picks_the_heaviest_that_can_be_written) {
  EXPECT_EQ(negotiate(""), Format::kPrometheusText);
  EXPECT_EQ(negotiate("*/*"), Format::kPrometheusText);
  EXPECT_EQ(negotiate("text/html,*/*;q=0.8"), Format::kPrometheusText);
  EXPECT_EQ(negotiate("application/openmetrics-text"), Format::kOpenMetrics);
  EXPECT_EQ(negotiate("application/openmetrics-text; version=2.0.0, text/plain"), Format::kPrometheusText);
  EXPECT_EQ(negotiate("text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.5"), Format::kPrometheusText);
  EXPECT_EQ(negotiate("application/openmetrics-text;q=0, text/plain;q=0.1"), Format::kPrometheusText);
  // What Prometheus 3 sends.
  EXPECT_EQ(negotiate("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                      "application/openmetrics-text;version=0.0.1;q=0.4,"
                      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
            Format::kOpenMetrics);
}

TEST(FormatOf, goes_by_the_media_type) {
  EXPECT_EQ(format_of("application/OpenMetrics-text; version=1.0.0; charset=utf-8"), Format::kOpenMetrics);
  EXPECT_EQ(format_of("text/plain; version=0.0.4"), Format::kPrometheusText);
  EXPECT_EQ(format_of(""), Format::kPrometheusText);
  EXPECT_EQ(format_of(content_type(Format::kOpenMetrics)), Format::kOpenMetrics);
  EXPECT_EQ(format_of("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"),
            Format::kProtobuf);
  EXPECT_FALSE(format_of("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text"));
  EXPECT_FALSE(format_of("application/vnd.google.protobuf; proto=other"));
  EXPECT_TRUE(names_format("text/plain; version=0.0.4"));
  EXPECT_FALSE(names_format("text/html"));
  EXPECT_FALSE(names_format(""));
}

}  // namespace
}  // namespace qd::model::exposition
