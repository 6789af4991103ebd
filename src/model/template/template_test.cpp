#include "model/template/template.h"

#include <gtest/gtest.h>

namespace qd::model::tmpl {
namespace {

Value data() {
  return Map{{"Labels", Map{{"job", "node"}, {"instance", "a:1"}}},
             {"Value", 3.5},
             {"Items", List{Value("x"), Value("y"), Value("z")}},
             {"At", Time{1'435'065'584'128'000'000}},
             {"Took", Duration{5'400'500'000'000}},
             {"Empty", List{}},
             {"Count", 3}};
}

std::string render(std::string_view text, Functions functions = {}) {
  const auto parsed = Template::parse("t", text, std::move(functions));
  if (!parsed) return "parse: " + parsed.error().message();
  const auto out = parsed->render(data());
  return out ? *out : "run: " + out.error().message();
}

TEST(template, what_limits_it_is_asked_and_heeded) {
  const auto endless = Template::parse("t", "{{ range 100000 }}x{{ end }}");
  int asked = 0;
  Limits limits;
  limits.go_on = [&asked]() -> base::Status {
    if (++asked < 3) return {};
    return base::fail(base::ErrorCode::kCancelled, "enough");
  };
  const auto text = endless->render({}, limits);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().message(), "enough");
  const auto doubling = Template::parse("t", "{{ $x := \"xxxxxxxx\" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}");
  const auto long_text = doubling->render({});
  ASSERT_FALSE(long_text);
  EXPECT_NE(long_text.error().message().find("print gives a text longer than 1048576 bytes"), std::string::npos);
}

TEST(template_engine, renders_text_fields_and_missing_keys) {
  EXPECT_EQ(render("a {{ .Labels.job }} b {{.Value}}"), "a node b 3.5");
  EXPECT_EQ(render("<{{ .Labels.nothing }}{{ index .Labels \"nothing\" }}> {{ .Nothing }}"), "<> <no value>");
  EXPECT_EQ(render("{{ .Labels }}"), "map[instance:a:1 job:node]");
}

TEST(template_engine, trims_white_space_and_skips_comments) {
  EXPECT_EQ(render("a  {{- 1 -}}  b"), "a1b");
  EXPECT_EQ(render("a {{/* nothing\nhere */}}b{{- /* x */ -}} c"), "a bc");
  EXPECT_EQ(render("{{ -1 }} {{3 -}} x"), "-1 3x");
}

TEST(template_engine, keeps_variables_in_their_blocks) {
  EXPECT_EQ(render("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}"), "2");
  EXPECT_EQ(render("{{ $l := .Labels }}{{ $l.job }}{{ $.Value }}"), "node3.5");
  EXPECT_EQ(render("{{ if true }}{{ $y := 1 }}{{ end }}{{ $y }}"), "parse: template t:1: undefined variable $y");
}

TEST(template_engine, branches_and_loops) {
  EXPECT_EQ(render("{{ if .Empty }}a{{ else if gt .Value 3.0 }}b{{ else }}c{{ end }}"), "b");
  EXPECT_EQ(render("{{ range $i, $x := .Items }}{{ $i }}{{ $x }}{{ . }} {{ end }}"), "0xx 1yy 2zz ");
  EXPECT_EQ(render("{{ range .Empty }}a{{ else }}none{{ end }}"), "none");
  EXPECT_EQ(render("{{ range .Items }}{{ if eq . \"y\" }}{{ continue }}{{ end }}{{ . }}{{ end }}"), "xz");
  EXPECT_EQ(render("{{ range .Items }}{{ if eq . \"y\" }}{{ break }}{{ end }}{{ . }}{{ end }}"), "x");
  EXPECT_EQ(render("{{ range $k, $v := .Labels }}{{ $k }}={{ $v }};{{ end }}"), "instance=a:1;job=node;");
  EXPECT_EQ(render("{{ with .Labels.job }}<{{ . }}>{{ end }}{{ with .Empty }}x{{ else }}y{{ end }}"), "<node>y");
}

TEST(template_engine, calls_functions_and_pipes) {
  EXPECT_EQ(render("{{ printf \"%.2f|%5d|%-4s|%q|%%\" .Value .Count \"a\" \"b\" }}"), "3.50|    3|a   |\"b\"|%");
  EXPECT_EQ(render("{{ .Value | printf \"%s %.1f\" \"v\" }}"), "v 3.5");
  EXPECT_EQ(render("{{ len .Items }} {{ index .Items 1 }} {{ index .Labels \"job\" }} {{ slice \"abcd\" 1 3 }}"),
            "3 y node bc");
  EXPECT_EQ(render("{{ and 1 0 2 }} {{ or 0 \"\" 5 }} {{ not 0 }} {{ eq 1 2 1 }}"), "0 5 true true");
  EXPECT_EQ(render("{{ (index .Items 0) | html }}{{ html \"<a&b>\" }}{{ urlquery \"a b&c\" }}"),
            "x&lt;a&amp;b&gt;a+b%26c");
  EXPECT_EQ(render("{{ js \"it's <b>\" }}"), "it\\'s \\u003Cb\\u003E");
  Functions own;
  own["twice"] = [](std::span<const Value> a) -> base::Result<Value> { return Value(a[0].number() * 2); };
  EXPECT_EQ(render("{{ twice .Value }}", own), "7");
}

TEST(template_engine, defines_and_calls_templates) {
  EXPECT_EQ(render("{{ define \"x\" }}[{{ . }}]{{ end }}{{ template \"x\" .Value }}{{ template \"x\" 1 }}"),
            "[3.5][1]");
  EXPECT_EQ(render("{{ block \"b\" .Labels }}{{ .job }}{{ end }}"), "node");
}

TEST(template_engine, times_and_durations_have_the_methods_of_go) {
  EXPECT_EQ(render("{{ .At }}|{{ .Took }}"), "2015-06-23 13:19:44.128 +0000 UTC|1h30m0.5s");
  EXPECT_EQ(render("{{ .At.Format \"Mon, 02 Jan 2006 15:04:05 MST\" }}"), "Tue, 23 Jun 2015 13:19:44 UTC");
  EXPECT_EQ(render("{{ .At.Format \"2006-01-02T15:04:05.000Z07:00\" }}"), "2015-06-23T13:19:44.128Z");
  EXPECT_EQ(render("{{ .At.Format \"3:04PM _2 1/2/06 002\" }}"), "1:19PM 23 6/23/15 174");
  EXPECT_EQ(render("{{ .At.Year }}-{{ .At.Month }}-{{ .At.Weekday }} {{ .At.Unix }}"), "2015-June-Tuesday 1435065584");
  EXPECT_EQ(render("{{ \"15:04\" | .At.Format }} {{ (.At.Add .Took).Format \"15:04\" }}"), "13:19 14:49");
  EXPECT_EQ(render("{{ .Took.Hours }} {{ .Took.Milliseconds }} {{ (.At.Sub .At).String }}"),
            "1.500138888888889 5400500 0s");
  EXPECT_EQ(render("{{ .At.Fortnight }}"), "run: template t:1: a time.Time has no Fortnight");
  EXPECT_EQ(render("{{ .Labels.job 1 }}"), "run: template t:1: job is no method: it takes nothing");
}

TEST(template_engine, prints_numbers_as_go_does) {
  EXPECT_EQ(render("{{ 123456.5 }} {{ 1234567.5 }} {{ 0.0001 }} {{ 0.00001 }}"), "123456.5 1.2345675e+06 0.0001 1e-05");
}

TEST(template_engine, reads_integers_of_other_bases) {
  EXPECT_EQ(render("{{ 0x1F }} {{ -0b101 }} {{ 0o17 }}"), "31 -5 15");
}

TEST(template_engine, and_stops_at_what_decides) {
  EXPECT_EQ(render("{{ and .Empty (index .Items 99) }}"), "[]");
}

TEST(template_engine, says_where_and_what_is_wrong) {
  EXPECT_EQ(render("a\n{{ nosuch 1 }}"), "parse: template t:2: function \"nosuch\" is not known here");
  EXPECT_EQ(render("{{ if true }}"), "parse: template t:1: a block is not closed: {{end}} is missing");
  EXPECT_EQ(render("{{ .Value"), "parse: template t:1: unclosed action: }} is missing");
  EXPECT_EQ(render("{{ .Value.x }}"), "run: template t:1: can't evaluate field x in a float64");
  EXPECT_EQ(render("{{ index .Items 9 }}"), "run: template t:1: index: index 9 is out of range of 3 items");
  EXPECT_EQ(render("{{ end }}"), "parse: template t:1: unexpected {{end}}");
  EXPECT_EQ(render("{{ \"abc }}"), "parse: template t:1: unterminated string");
  EXPECT_EQ(render("{{ break }}"), "parse: template t:1: {{break}} outside of range");
}

TEST(template_engine, bounds_output_steps_and_depth) {
  const auto endless = Template::parse("t", "{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}");
  ASSERT_TRUE(endless);
  EXPECT_EQ(endless->render(1).error().code(), base::ErrorCode::kLimit);
  const auto loud = Template::parse("t", "{{ range 1000 }}{{ range 1000 }}xxxxxxxxxx{{ end }}{{ end }}");
  ASSERT_TRUE(loud);
  EXPECT_EQ(loud->render(1).error().code(), base::ErrorCode::kLimit);
  EXPECT_FALSE(Template::parse("t", std::string(5000, '(').insert(0, "{{").append("}}")));
}

}  // namespace
}  // namespace qd::model::tmpl
