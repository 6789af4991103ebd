#include "model/exposition/parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace qd::model::exposition {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

std::string describe(Parser& parser, Event event) {
  std::ostringstream out;
  switch (event) {
    case Event::kSeries:
      out << LabelSet::from({parser.labels().begin(), parser.labels().end()}).to_string() << " " << parser.value();
      if (parser.timestamp_ms()) out << " @" << *parser.timestamp_ms();
      if (parser.exemplar()) out << " # " << parser.exemplar()->labels << " " << parser.exemplar()->value;
      break;
    case Event::kType:
      out << "TYPE " << parser.family() << " " << to_string(parser.type());
      break;
    case Event::kHelp:
      out << "HELP " << parser.family() << " " << parser.help();
      break;
    case Event::kUnit:
      out << "UNIT " << parser.family() << " " << parser.unit();
      break;
    case Event::kComment:
      out << parser.comment();
      break;
    case Event::kHistogram:
    case Event::kEof:
      break;
  }
  return out.str();
}

// Every event as a line, or the error.
std::string read_all(std::string_view text, Format format, Check check = Check::kFamilies) {
  Parser parser(text, format, check);
  std::string out;
  while (true) {
    const auto event = parser.next();
    if (!event) return event.error().message();
    if (*event == Event::kEof) return out;
    out += describe(parser, *event) + "\n";
  }
}

std::string read_text(std::string_view text) {
  return read_all(text, Format::kPrometheusText);
}

std::string read_openmetrics(std::string_view text) {
  return read_all(text, Format::kOpenMetrics);
}

TEST(TextParser, reads_a_page_as_client_libraries_write_it) {
  EXPECT_EQ(read_text(R"(# HELP http_requests_total The total\nof "requests" \\.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# A comment
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird { problem = "division by zero" , } +Inf -3982045
rpc_duration_seconds{quantile="0.99",} 76656
trailing 0x)"),
            "line 11: the value is not a number: trailing 0x");
  EXPECT_EQ(read_text(R"(# HELP http_requests_total The total\nof "requests" \\.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000

#A comment
# TYPEa b
files{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
	something_weird	{ problem = "division by zero" , } 	+Inf	-3982045 
no_newline{a=""}1)"),
            R"(HELP http_requests_total The total
of "requests" \.
TYPE http_requests_total counter
http_requests_total{code="200", method="post"} 1027 @1395066363000
#A comment
# TYPEa b
files{error="Cannot find file:\n\"FILE.TXT\"", path="C:\\DIR\\FILE.TXT"} 1.45826e+09
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} inf @-3982045
no_newline 1
)");
}

TEST(TextParser, reads_quoted_utf8_names) {
  EXPECT_EQ(read_text("# TYPE \"my.metric\" gauge\n{\"my.metric\",\"a.b\"=\"x\",c=\"é\"} 1\n{\"q\\\"uote\"} 2\n"),
            "TYPE my.metric gauge\n{\"my.metric\", \"a.b\"=\"x\", c=\"é\"} 1\n{\"q\\\"uote\"} 2\n");
}

TEST(TextParser, refuses_malformed_lines_with_their_number) {
  for (const auto& [line, problem] : std::vector<std::pair<std::string, std::string>>{
           {"up", "has no value"},
           {"up ", "has no value"},
           {"up\t\t", "has no value"},
           {"9up 1", "metric name is expected"},
           {"up-down 1", "blank is expected"},
           {"up 1 2 3", "goes on"},
           {"up 1 1.5", "whole number"},
           {"up 1 99999999999999999999", "whole number"},
           {"up 1\r", "not a number"},
           {"up 1_0", "not a number"},
           {"up 0x1p3", "not a number"},
           {"up 1e400", "not a number"},
           {"up 1e", "not a number"},
           {"up -", "not a number"},
           {"up .", "not a number"},
           {"up nano", "not a number"},
           {"up{ 1", "label name is expected"},
           {"up{a=\"b\" 1", "comma or }"},
           {"up{a=\"b\"", "comma or }"},
           {"up{a=\"b", "double quote"},
           {"up{a=\"b\\", "backslash"},
           {"up{a=\"b\\\nc\"} 1", "backslash"},
           {"up{a=b} 1", "double quotes"},
           {"up{a} 1", "= is expected"},
           {"up{\"a\"} 1", "= is expected"},
           {"up{a=\"1\",a=\"2\"} 1", "the label a is given twice"},
           {"up{__name__=\"x\"} 1", "__name__ is given twice"},
           {"up{\"a\\\"\"=\"1\",\"a\\\"\"=\"2\"} 1", "given twice"},
           {"up{a=\"\xff\"} 1", "UTF-8"},
           {"{\"\xc3\"} 1", "UTF-8"},
           {"{a=\"b\"} 1", "no metric name"},
           {"{} 1", "no metric name"},
           {"{\"\"} 1", "empty"},
           {"# TYPE up thing", "no such metric type"},
           {"# TYPE up stateset", "no such metric type"},
           {"# TYPE 9 gauge", "metric name is expected"},
           {"# HELP up\xff x", "blank is expected"},
           {"# HELP up \xff", "UTF-8"},
       }) {
    const std::string result = read_text("good 1\n# x\n" + line + "\ngood 2\n");
    EXPECT_THAT(result, StartsWith("line 3: ")) << line;
    EXPECT_THAT(result, HasSubstr(problem)) << line;
  }
}

TEST(TextParser, shows_only_the_beginning_of_a_long_line) {
  EXPECT_LT(read_text("up{a=\"" + std::string(100'000, 'x')).size(), 200U);
}

TEST(TextParser, bounds_the_labels_of_a_series) {
  std::string line = "up{";
  for (int i = 0; i < 10'001; ++i) line += "l" + std::to_string(i) + "=\"x\",";
  EXPECT_THAT(read_text(line + "} 1\n"), HasSubstr("more than 10000 labels"));
  std::string twenty = "up{";
  for (int i = 0; i < 20; ++i) twenty += "l" + std::to_string(i) + "=\"x\",";
  EXPECT_THAT(read_text(twenty + "l7=\"y\"} 1\n"), HasSubstr("l7 is given twice"));
}

TEST(TextParser, takes_an_expected_series_without_reading_it_and_still_knows_its_labels) {
  const std::string body = "up{a=\"1\"} 1\nup{a=\"2\"} 2 7\nup 3\nup  {a=\"3\"} 4\n";
  Parser parser(body, Format::kPrometheusText);
  ASSERT_EQ(parser.next("up{a=\"1\"}"), Event::kSeries);
  EXPECT_TRUE(parser.as_expected());
  EXPECT_EQ(parser.series(), "up{a=\"1\"}");
  ASSERT_EQ(parser.labels().size(), 2U);
  EXPECT_EQ(parser.labels()[1].value, "1");
  EXPECT_EQ(parser.value(), 1);
  ASSERT_EQ(parser.next("up{a=\"9\"}"), Event::kSeries);
  EXPECT_FALSE(parser.as_expected());
  EXPECT_EQ(parser.series(), "up{a=\"2\"}");
  EXPECT_EQ(parser.timestamp_ms(), 7);
  ASSERT_EQ(parser.next("u"), Event::kSeries);
  EXPECT_FALSE(parser.as_expected());
  EXPECT_EQ(parser.timestamp_ms(), std::nullopt);
  // A name alone is not the series when braces follow.
  ASSERT_EQ(parser.next("up"), Event::kSeries);
  EXPECT_FALSE(parser.as_expected());
  EXPECT_EQ(parser.labels()[1].value, "3");
  EXPECT_EQ(parser.next("up"), Event::kEof);
  EXPECT_EQ(parser.next("up"), Event::kEof);
}

TEST(OpenMetricsParser, reads_exemplars_units_and_times_in_seconds) {
  EXPECT_EQ(read_openmetrics(R"(# TYPE foo_seconds histogram
# UNIT foo_seconds seconds
# HELP foo_seconds Time to \"answer\".
foo_seconds_bucket{le="0.1"} 8 # {} 0.054
foo_seconds_bucket{le="+Inf"} 17 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.789
foo_seconds_count 17
foo_seconds_sum 324789.3
# TYPE up gauge
up{job="a"} 1 1520879607.789
# EOF
)"),
            R"(TYPE foo_seconds histogram
UNIT foo_seconds seconds
HELP foo_seconds Time to "answer".
foo_seconds_bucket{le="0.1"} 8 # {} 0.054
foo_seconds_bucket{le="+Inf"} 17 # {trace_id="KOO5S4vxi0o"} 0.67
foo_seconds_count 17
foo_seconds_sum 324789
TYPE up gauge
up{job="a"} 1 @1520879607789
)");
}

TEST(OpenMetricsParser, reads_the_labels_of_an_exemplar_and_then_those_of_its_series) {
  Parser parser("a_total{x=\"1\"} 3 # {trace_id=\"k\\\"q\",span=\"s\"} 1\nb_total 1\n# EOF\n", Format::kOpenMetrics,
                Check::kLines);
  ASSERT_EQ(*parser.next(), Event::kSeries);
  ASSERT_TRUE(parser.exemplar());
  const auto labels = parser.exemplar_labels();
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_EQ(labels[0], (Label{"trace_id", "k\"q"}));
  EXPECT_EQ(labels[1], (Label{"span", "s"}));
  const auto of_series = parser.labels();
  ASSERT_EQ(of_series.size(), 2U);
  EXPECT_EQ(of_series[0], (Label{"__name__", "a_total"}));
  EXPECT_EQ(of_series[1], (Label{"x", "1"}));
  ASSERT_EQ(*parser.next(), Event::kSeries);
  EXPECT_FALSE(parser.exemplar());
}

TEST(OpenMetricsParser, names_the_line_of_what_is_wrong_with_a_family) {
  EXPECT_EQ(read_openmetrics("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 0\n# EOF\n"),
            "line 3: metric family \"a\": a bucket counts less than the one below it: a_bucket{le=\"+Inf\"} 0");
  EXPECT_THAT(read_openmetrics("# TYPE a gauge\na{b=\"1\",c=\"2\"} 1\na 1\na{c=\"2\",b=\"1\"} 1\n# EOF\n"),
              StartsWith("line 4: metric family \"a\": the samples of one group"));
  EXPECT_THAT(read_openmetrics("a 1\n"), HasSubstr("without # EOF"));
  EXPECT_THAT(read_openmetrics("a 1\n# EOF\n\n"), HasSubstr("after # EOF"));
}

TEST(OpenMetricsParser, without_family_checks_takes_what_prometheus_takes) {
  const std::string body = "# TYPE a_total counter\na_total 1\na_total{b=\"c\"} NaN\n# EOF\n";
  EXPECT_THAT(read_openmetrics(body), StartsWith("line "));
  EXPECT_EQ(read_all(body, Format::kOpenMetrics, Check::kLines),
            "TYPE a_total counter\na_total 1\na_total{b=\"c\"} nan\n");
}

TEST(OpenMetricsParser, agrees_with_the_public_conformance_suite) {
  const fs::path dir = fs::path(QD_SOURCE_DIR) / "../shared/conformance/openmetrics";
  if (!fs::exists(dir)) GTEST_SKIP() << "no conformance data at " << dir;
  const auto slurp = [](const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  };
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string about = slurp(entry.path() / "test.json");
    const bool should_parse = about.find("\"shouldParse\": true") != std::string::npos;
    ASSERT_TRUE(should_parse || about.find("\"shouldParse\": false") != std::string::npos) << entry.path();
    const std::string result = read_openmetrics(slurp(entry.path() / "metrics"));
    EXPECT_EQ(!result.starts_with("line "), should_parse) << entry.path() << "\n" << result;
    ++cases;
  }
  EXPECT_GT(cases, 100);
}

}  // namespace
}  // namespace qd::model::exposition
