#include "model/exposition/writer.h"

#include <gtest/gtest.h>

#include <array>

#include "model/exposition/parser.h"

namespace qd::model::exposition {
namespace {

void write_page(TextWriter& writer) {
  const std::array<Label, 2> labels = {Label{"path", "C:\\x\n\"y\""}, Label{"code", "200"}};
  writer.family("requests_total", MetricType::kCounter, "All \"requests\"\nand \\.");
  writer.sample("requests_total", labels, 1.5e9, 1234);
  writer.sample("requests_total", {}, 3);
  writer.family("hits", MetricType::kCounter, "");
  writer.sample("hits", {}, 2);
  writer.family("build_info", MetricType::kInfo, "About.");
  writer.sample("build_info", std::array{Label{"version", "1"}}, 1);
  writer.family("my.gauge", MetricType::kUnknown, "");
  writer.sample("my.gauge", std::array{Label{"a.b", "é"}}, -0.25, -1);
  writer.finish();
}

TEST(TextWriter, writes_prometheus_text) {
  std::string out;
  TextWriter writer(out, Format::kPrometheusText);
  write_page(writer);
  EXPECT_EQ(out, R"(# HELP requests_total All "requests"\nand \\.
# TYPE requests_total counter
requests_total{path="C:\\x\n\"y\"",code="200"} 1.5e+09 1234
requests_total 3
# TYPE hits counter
hits 2
# HELP build_info About.
# TYPE build_info gauge
build_info{version="1"} 1
# TYPE "my.gauge" untyped
{"my.gauge","a.b"="é"} -0.25 -1
)");
}

TEST(TextWriter, writes_openmetrics) {
  std::string out;
  TextWriter writer(out, Format::kOpenMetrics);
  write_page(writer);
  EXPECT_EQ(out, R"(# HELP requests All \"requests\"\nand \\.
# TYPE requests counter
requests_total{path="C:\\x\n\"y\"",code="200"} 1.5e+09 1.234
requests_total 3
# TYPE hits counter
hits_total 2
# HELP build About.
# TYPE build info
build_info{version="1"} 1
# TYPE "my.gauge" unknown
{"my.gauge","a.b"="é"} -0.25 -0.001
# EOF
)");
}

TEST(TextWriter, writes_what_the_parser_reads_back) {
  for (const Format format : {Format::kPrometheusText, Format::kOpenMetrics}) {
    std::string out;
    TextWriter writer(out, format);
    writer.family("a_total", MetricType::kCounter, "h");
    writer.sample("a_total", std::array{Label{"x", "\\n\"\n\\"}}, 0.1, 5000);
    writer.finish();
    Parser parser(out, format);
    ASSERT_EQ(parser.next(), Event::kHelp);
    ASSERT_EQ(parser.next(), Event::kType);
    ASSERT_EQ(parser.next(), Event::kSeries);
    EXPECT_EQ(parser.labels()[1].value, "\\n\"\n\\");
    EXPECT_EQ(parser.value(), 0.1);
    EXPECT_EQ(parser.timestamp_ms(), 5000);
    EXPECT_EQ(parser.next(), Event::kEof);
  }
}

}  // namespace
}  // namespace qd::model::exposition
