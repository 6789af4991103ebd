#include "model/influx/line_protocol.h"

#include <gtest/gtest.h>

namespace qd::model::influx {
namespace {

Line line_of(std::string_view text) {
  const auto parsed = parse_line(text);
  EXPECT_TRUE(parsed) << parsed.error().message();
  EXPECT_TRUE(parsed && *parsed) << text;
  return parsed && *parsed ? **parsed : Line{};
}
std::string error_of(std::string_view text) {
  const auto parsed = parse_line(text);
  return parsed ? "" : parsed.error().message();
}

TEST(LineProtocol, reads_measurement_tags_fields_and_time) {
  const Line line = line_of("cpu,host=web-1,cpu=cpu0 usage=97.5,n=3i,u=4u,up=t,down=false 1700000000000000000");
  EXPECT_EQ(line.measurement, "cpu");
  EXPECT_EQ(line.tags, (std::vector<std::pair<std::string, std::string>>{{"host", "web-1"}, {"cpu", "cpu0"}}));
  EXPECT_EQ(line.fields,
            (std::vector<std::pair<std::string, double>>{{"usage", 97.5}, {"n", 3}, {"u", 4}, {"up", 1}, {"down", 0}}));
  EXPECT_EQ(line.time, 1'700'000'000'000'000'000);
  EXPECT_EQ(line_of("m v=1").time, std::nullopt);
  EXPECT_EQ(line_of("m v=-1.5e3 -5").fields[0].second, -1500);
}

TEST(LineProtocol, escapes_stand_for_what_parts_a_line) {
  const Line line = line_of(R"(my\ m\,x,a\ b=c\=d\,e f\ g=1)");
  EXPECT_EQ(line.measurement, "my m,x");
  EXPECT_EQ(line.tags[0], (std::pair<std::string, std::string>{"a b", "c=d,e"}));
  EXPECT_EQ(line.fields[0].first, "f g");
  EXPECT_EQ(line_of(R"(m,p=C:\dir v=1)").tags[0].second, R"(C:\dir)") << "others stay as they are";
}

TEST(LineProtocol, texts_are_passed_over_unless_they_are_numbers) {
  const Line line = line_of(R"(m a="some, text = \" here",b="12.5",c=1 7)");
  EXPECT_EQ(line.texts, 1U);
  EXPECT_EQ(line.fields, (std::vector<std::pair<std::string, double>>{{"b", 12.5}, {"c", 1}}));
  EXPECT_EQ(line.time, 7);
}

TEST(LineProtocol, empty_lines_and_comments_are_nothing) {
  EXPECT_EQ(parse_line("").value(), std::nullopt);
  EXPECT_EQ(parse_line("   ").value(), std::nullopt);
  EXPECT_EQ(parse_line("# cpu v=1").value(), std::nullopt);
}

TEST(LineProtocol, what_is_wrong_is_told_with_its_column) {
  EXPECT_EQ(error_of(",a=b v=1"), "column 1: there is no measurement");
  EXPECT_EQ(error_of("m"), "column 2: there are no fields: a space was expected");
  EXPECT_EQ(error_of("m,a v=1"), "column 4: a tag has no value: '=' was expected");
  EXPECT_EQ(error_of("m v"), "column 4: a field has no value: '=' was expected");
  EXPECT_EQ(error_of("m v=x"), "column 6: \"x\" is no number, flag or text in quotes");
  EXPECT_EQ(error_of("m v=NaN"), "column 8: \"NaN\" is no number, flag or text in quotes");
  EXPECT_EQ(error_of("m v=99999999999999999999i"),
            "column 26: \"99999999999999999999i\" is no number, flag or text in quotes");
  EXPECT_EQ(error_of("m v=\"open"), "column 10: a text has no end: '\"' was expected");
  EXPECT_EQ(error_of("m v=1 soon"), "column 11: \"soon\" is no time");
  EXPECT_EQ(error_of("m v=1 5 6"), "column 9: something stands behind the time");
}

TEST(LineProtocol, lines_end_where_no_text_is_open) {
  std::string_view text = "a v=1\r\nb v=\"x\ny\",w=2\n\n# it's a \"comment\nc v=3";
  EXPECT_EQ(next_line(text), "a v=1");
  EXPECT_EQ(next_line(text), "b v=\"x\ny\",w=2");
  EXPECT_EQ(next_line(text), "");
  EXPECT_EQ(next_line(text), "# it's a \"comment");
  EXPECT_EQ(next_line(text), "c v=3");
  EXPECT_TRUE(text.empty());
  text = "a v=\"open\nb v=1\n";
  EXPECT_EQ(next_line(text), "a v=\"open") << "what has no end costs its own line";
  EXPECT_EQ(next_line(text), "b v=1");
  text = "a,t=\"x v=1\n  b,t=\"y\\ z v=\"1\n2\" 3\nc v=4";
  EXPECT_EQ(next_line(text), "a,t=\"x v=1") << "a quote in a tag opens nothing";
  EXPECT_EQ(next_line(text), "  b,t=\"y\\ z v=\"1\n2\" 3");
  EXPECT_EQ(next_line(text), "c v=4");
}

TEST(LineProtocol, times_are_brought_to_milliseconds) {
  EXPECT_EQ(to_ms(1'700'000'000'123'456'789, *precision_ns("ns")), 1'700'000'000'123);
  EXPECT_EQ(to_ms(1'700'000'000'123'456, *precision_ns("us")), 1'700'000'000'123);
  EXPECT_EQ(to_ms(1'700'000'000, *precision_ns("s")), 1'700'000'000'000);
  EXPECT_EQ(to_ms(2, *precision_ns("h")), 7'200'000);
  EXPECT_EQ(to_ms(-1, *precision_ns("ns")), -1) << "before the epoch";
  EXPECT_EQ(to_ms(9'223'372'036'854'775'807, *precision_ns("s")), std::nullopt);
  EXPECT_EQ(precision_ns("d"), std::nullopt);
}

}  // namespace
}  // namespace qd::model::influx
