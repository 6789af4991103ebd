#include "judge/rules/expansion.h"

#include <gtest/gtest.h>

#include <cmath>

namespace qd::judge::rules {
namespace {

using model::LabelSet;

std::string expanded(std::string_view text, double value = 0, const QueryFunction& query = {}) {
  const auto out = expand("t", text, LabelSet{{"instance", "web-1.example.org:9100"}, {"job", "node"}}, value,
                          LabelSet{{"region", "north"}}, "http://q", query, 0);
  return out ? *out : "error: " + out.error().message();
}

TEST(expansion, knows_labels_value_and_external_labels) {
  EXPECT_EQ(
      expanded("{{ $labels.job }}/{{ .Labels.instance }}={{ $value }} {{ $externalLabels.region }} {{ $externalURL }}",
               2.5),
      "node/web-1.example.org:9100=2.5 north http://q");
}

TEST(expansion, humanizes_numbers) {
  EXPECT_EQ(expanded("{{ humanize $value }}", 1234567), "1.235M");
  EXPECT_EQ(expanded("{{ humanize $value }}", 0.0012), "1.2m");
  EXPECT_EQ(expanded("{{ humanize1024 $value }}", 1048576), "1Mi");
  EXPECT_EQ(expanded("{{ humanizePercentage $value }}", 0.1234), "12.34%");
  EXPECT_EQ(expanded("{{ humanizeDuration $value }}", 90061), "1d 1h 1m 1s");
  EXPECT_EQ(expanded("{{ humanizeDuration $value }}", 0.0025), "2.5ms");
  EXPECT_EQ(expanded("{{ humanizeDuration $value }}", -61), "-1m 1s");
  EXPECT_EQ(expanded("{{ humanizeTimestamp $value }}", 1435065584.128), "2015-06-23 13:19:44.128 +0000 UTC");
  EXPECT_EQ(expanded("{{ \"abc\" | humanize }}"), "error: template t:1: humanize: \"abc\" is no number");
}

TEST(expansion, changes_texts) {
  EXPECT_EQ(expanded("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}"),
            "web-1.example.org web-1:9100");
  EXPECT_EQ(expanded("{{ title \"one two\" }} {{ toUpper \"a\" }} {{ toLower \"B\" }}"), "One Two A b");
  EXPECT_EQ(expanded("{{ reReplaceAll \"(.*)-([0-9]+).*\" \"${2}_$1\" $labels.instance }}"), "1_web");
  EXPECT_EQ(expanded("{{ title \"foo-bar one_two\" }}"), "Foo-Bar One_two");
  EXPECT_EQ(expanded("{{ reReplaceAll \"(?P<host>[a-z]+)-\" \"${host}! \" $labels.instance }}"),
            "web! 1.example.org:9100");
  EXPECT_EQ(expanded("{{ reReplaceAll \"(e)\" \"<$1x>$$\" \"been\" }}"), "b<>$<>$n") << "the group is named 1x";
  EXPECT_EQ(expanded("{{ reReplaceAll \"x*\" \"-\" \"axb\" }}"), "-a-b-");
  EXPECT_EQ(expanded("{{ reReplaceAll \"b|^\" \"\\\\\" \"abc\" }}"), "\\a\\c");
  EXPECT_TRUE(expanded("{{ reReplaceAll \"\" (printf \"%200000d\" 1) \"some text\" }}").starts_with("error: "));
  EXPECT_EQ(expanded("{{ pathPrefix }}/alerts"), "/alerts");
  EXPECT_EQ(expanded("{{ match \"^web\" $labels.instance }}"), "true");
  EXPECT_EQ(expanded("{{ parseDuration \"1h30m\" }}"), "5400");
}

TEST(expansion, knows_times_durations_and_links) {
  EXPECT_EQ(expanded("{{ ($value | toTime).Format \"2006-01-02\" }} {{ toTime $value }}", 1435065584.128),
            "2015-06-23 2015-06-23 13:19:44.128 +0000 UTC");
  EXPECT_EQ(expanded("{{ toDuration $value }} {{ (toDuration $value).Minutes }}", 90), "1m30s 1.5");
  EXPECT_TRUE(expanded("{{ toTime $value }}", std::nan("")).starts_with("error: "));
  EXPECT_EQ(expanded("{{ now }} {{ humanize $value }}", -INFINITY), "0 -Inf");
  EXPECT_EQ(expanded("{{ urlQueryEscape \"a b&c\" }} {{ graphLink \"up == 0\" }} {{ tableLink \"up\" }}"),
            "a+b%26c /graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1");
  EXPECT_EQ(expanded("{{ define \"x\" }}<{{ .arg0 }}>{{ end }}{{ template \"x\" (args $value) }}", 2), "<2>");
  EXPECT_FALSE(check_template("t", "{{ tmpl \"x\" 1 }}")) << "Prometheus has it in consoles alone";
}

TEST(expansion, the_prefix_is_the_path_of_the_external_url) {
  const auto out = expand("t", "{{ pathPrefix }}/alerts", {}, 0, {}, "https://deck.example.org:9/qd/", {}, 0);
  ASSERT_TRUE(out);
  EXPECT_EQ(*out, "/qd/alerts");
}

TEST(expansion, asks_the_store) {
  const QueryFunction query = [](std::string_view expr,
                                 model::TimestampMs) -> base::Result<query::promql::QueryResult> {
    if (expr != "up") return base::fail(base::ErrorCode::kInvalid, "bad query");
    return query::promql::QueryResult{.value = query::promql::Vector{{.labels = LabelSet{{"job", "b"}}, .value = 2},
                                                                     {.labels = LabelSet{{"job", "a"}}, .value = 1}}};
  };
  EXPECT_EQ(expanded("{{ query \"up\" | first | value }}", 0, query), "2");
  EXPECT_EQ(expanded("{{ range query \"up\" | sortByLabel \"job\" }}{{ .Labels.job }}{{ .Value }} {{ end }}", 0, query),
            "a1 b2 ");
  EXPECT_EQ(expanded("{{ with query \"up\" }}{{ . | first | label \"job\" }}{{ end }}", 0, query), "b");
  EXPECT_TRUE(expanded("{{ query \"down\" }}", 0, query).starts_with("error: "));
}

TEST(expansion, refuses_unknown_functions_when_checked) {
  EXPECT_TRUE(check_template("t", "{{ $labels.x | humanize }}"));
  EXPECT_FALSE(check_template("t", "{{ $labels.x | humanise }}"));
  EXPECT_FALSE(check_template("t", "{{ $label.x }}"));
}

}  // namespace
}  // namespace qd::judge::rules
