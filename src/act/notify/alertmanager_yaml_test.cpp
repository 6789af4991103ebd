#include "act/notify/alertmanager_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "act/notify/alertmanager_matchers.h"

namespace qd::act::notify {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kReceivers = R"(
receivers:
- name: team
  webhook_configs: [{url: 'http://h/x'}]
- name: mail
  email_configs: [{to: a@b, from: c@d, smarthost: 'h:25'}]
)";

base::Result<AlertmanagerYaml> check(const std::string& text) {
  const auto node = model::config::parse_yaml(text, "am.yml");
  EXPECT_TRUE(node) << node.error().message();
  return check_alertmanager_yaml(*node, "/etc/am/am.yml");
}
// All faults, or nothing.
std::string faults(const std::string& text) {
  const auto checked = check(text);
  return checked ? "" : checked.error().message();
}
// Of a file with a root route, and these lines below it.
std::string route_faults(const std::string& lines) {
  return faults("route:\n  receiver: team\n" + lines + std::string(kReceivers) +
                "time_intervals:\n- name: nights\n  time_intervals: [{times: [{start_time: '00:00', end_time: "
                "'06:00'}]}]\n");
}

TEST(AlertmanagerYaml, a_file_that_is_right_is_told_in_numbers) {
  const auto checked = check(R"(
global:
  resolve_timeout: 5m
  slack_api_url: https://hooks.slack.example/x
  http_config: {tls_config: {ca_file: ca.pem}, proxy_url: 'socks5://p:1080'}
templates: ['templates/*.tmpl']
route:
  receiver: team
  group_by: ['...']
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
  - matchers: [severity="page", 'team=~"a|b"', '{env!="dev", x!~y}']
    receiver: mail
    continue: true
    mute_time_intervals: [nights]
    routes: [{match: {a: b}, match_re: {c: 'd.*'}}]
inhibit_rules:
- source_matchers: [severity = "page"]
  target_matchers: [severity = "warn"]
  equal: [cluster]
receivers:
- name: team
  slack_configs: [{channel: '#a', title: '{{ template "t" . }}', fields: [{title: a, value: b, short: true}]}]
- name: mail
  email_configs: [{to: a@b, from: c@d, smarthost: 'h:25', headers: {Subject: x}}]
  pagerduty_configs: [{routing_key: k, details: {a: b}, links: [{href: 'http://h', text: x}]}]
- name: nothing
time_intervals:
- name: nights
  time_intervals:
  - times: [{start_time: '22:00', end_time: '24:00'}]
    weekdays: ['monday:friday', Sunday]
    days_of_month: ['1:5', '-3:-1', '31']
    months: ['january:march', '5', december]
    years: ['2024:2026', 2030]
    location: UTC
)");
  ASSERT_TRUE(checked) << checked.error().message();
  EXPECT_EQ(checked->routes, 3U);
  EXPECT_EQ(checked->receivers, 3U);
  EXPECT_EQ(checked->inhibit_rules, 1U);
  EXPECT_EQ(checked->time_intervals, 1U);
  EXPECT_THAT(checked->templates, ElementsAre("/etc/am/templates/*.tmpl"));
}

TEST(AlertmanagerYaml, unknown_keys_are_told_with_their_place_and_the_nearest_known) {
  EXPECT_EQ(route_faults("  group_weit: 5m\n"),
            "am.yml:3:3: unknown key group_weit in a route; did you mean group_wait?");
  EXPECT_THAT(faults("route: {receiver: x}\nreceivers: [{name: x, webhook_config: []}]\n"),
              HasSubstr("unknown key webhook_config in one of receivers; did you mean webhook_configs?"));
  EXPECT_THAT(faults("route: {receiver: x}\nglobel: {}\nreceivers: [{name: x}]\n"),
              HasSubstr("unknown key globel in the file; did you mean global?"));
  EXPECT_THAT(faults("route: {receiver: x}\nreceivers: [{name: x, slack_configs: [{api_url: 'http://h', fields: "
                     "[{titel: a}]}]}]\n"),
              HasSubstr("unknown key titel in one of fields; did you mean title?"));
}

TEST(AlertmanagerYaml, routes_name_receivers_and_intervals_that_are_there) {
  EXPECT_EQ(route_faults("  routes: [{receiver: mail, active_time_intervals: [nights]}]\n"), "");
  EXPECT_THAT(route_faults("  routes: [{receiver: teem}]\n"),
              HasSubstr("am.yml:3:23: there is no receiver \"teem\"; did you mean team?"));
  EXPECT_THAT(route_faults("  routes: [{mute_time_intervals: [night]}]\n"),
              HasSubstr("there is no time interval \"night\"; did you mean nights?"));
  EXPECT_THAT(faults("receivers: [{name: x}]\n"), HasSubstr("there is no route"));
  EXPECT_THAT(faults("route: {group_by: [a]}\nreceivers: [{name: x}]\n"), HasSubstr("the root route needs a receiver"));
  EXPECT_THAT(route_faults("  matchers: [a=b]\n"), HasSubstr("it has no matchers"));
  EXPECT_THAT(route_faults("  match: {a: b}\n"), HasSubstr("it has no match"));
  EXPECT_THAT(route_faults("  mute_time_intervals: [nights]\n"), HasSubstr("it has no mute_time_intervals"));
}

TEST(AlertmanagerYaml, names_stand_once) {
  EXPECT_THAT(faults("route: {receiver: x}\nreceivers: [{name: x}, {name: x}, {}]\n"),
              testing::AllOf(HasSubstr("the receiver \"x\" is there twice"), HasSubstr("a receiver without a name")));
  EXPECT_THAT(
      faults("route: {receiver: x}\nreceivers: [{name: x}]\ntime_intervals: [{name: a}]\n"
             "mute_time_intervals: [{name: a}, {}]\n"),
      testing::AllOf(HasSubstr("the time interval \"a\" is there twice"), HasSubstr("a time interval without a name")));
}

TEST(AlertmanagerYaml, grouping_and_durations_are_held_to_their_rules) {
  EXPECT_THAT(route_faults("  group_by: ['...', a]\n"), HasSubstr("name no others beside it"));
  EXPECT_THAT(route_faults("  group_by: [a, a]\n"), HasSubstr("names a twice"));
  EXPECT_THAT(route_faults("  group_by: ['a-b']\n"), HasSubstr("no label name"));
  EXPECT_THAT(route_faults("  group_wait: soon\n"), HasSubstr("am.yml:3:15"));
  EXPECT_THAT(route_faults("  repeat_interval: 0s\n"), HasSubstr("repeat_interval is above zero"));
  EXPECT_EQ(route_faults("  group_wait: 0s\n"), "");
}

TEST(AlertmanagerYaml, receivers_have_what_they_need_themselves_or_globally) {
  const auto receiver = [](const std::string& config, const std::string& global = "{}") {
    return faults("global: " + global + "\nroute: {receiver: x}\nreceivers: [{name: x, " + config + "}]\n");
  };
  EXPECT_THAT(receiver("webhook_configs: [{}]"), HasSubstr("needs a url"));
  EXPECT_THAT(receiver("webhook_configs: [{url: 'ftp://h'}]"), HasSubstr("is no URL"));
  EXPECT_THAT(receiver("slack_configs: [{channel: a}]"), HasSubstr("or global slack_api_url"));
  EXPECT_EQ(receiver("slack_configs: [{channel: a}]", "{slack_api_url: 'http://h'}"), "");
  EXPECT_EQ(receiver("slack_configs: [{channel: a, api_url_file: f}]"), "");
  EXPECT_THAT(receiver("email_configs: [{to: a@b}]"),
              testing::AllOf(HasSubstr("smtp_smarthost"), HasSubstr("smtp_from")));
  EXPECT_EQ(receiver("email_configs: [{to: a@b}]", "{smtp_smarthost: 'h:25', smtp_from: a@b}"), "");
  EXPECT_THAT(receiver("pushover_configs: [{token: a}]"), HasSubstr("needs a user_key"));
  EXPECT_THAT(receiver("opsgenie_configs: [{api_key: a, api_key_file: b}]"), HasSubstr("both given"));
  EXPECT_THAT(receiver("opsgenie_configs: [{api_key: a, responders: [{type: x}]}]"),
              testing::AllOf(HasSubstr("an id, a name or a username"), HasSubstr("type is one of team")));
  EXPECT_THAT(receiver("telegram_configs: [{bot_token: a, chat_id: 5, parse_mode: x}]"),
              HasSubstr("parse_mode is one of Markdown"));
  EXPECT_THAT(receiver("email_configs: [{to: a@b, from: a@b, smarthost: h}]"), HasSubstr("write HOST:PORT"));
  EXPECT_THAT(receiver("slack_configs: [{api_url: 'http://h', fields: [{title: a}]}]"), HasSubstr("title and value"));
  EXPECT_THAT(receiver("webhook_configs: [{url: 'http://h', http_config: {bearer_token: a, oauth2: {client_id: b}}}]"),
              HasSubstr("one of basic_auth"));
}

TEST(AlertmanagerYaml, times_are_times) {
  const auto times = [](const std::string& spec) {
    return faults("route: {receiver: x}\nreceivers: [{name: x}]\ntime_intervals: [{name: a, time_intervals: [{" + spec +
                  "}]}]\n");
  };
  EXPECT_EQ(times("weekdays: [saturday, 'monday:monday']"), "");
  EXPECT_THAT(times("times: [{start_time: '25:00', end_time: '26:00'}]"), HasSubstr("no time of a day"));
  EXPECT_THAT(times("times: [{start_time: '10:00', end_time: '09:00'}]"), HasSubstr("before end_time"));
  EXPECT_THAT(times("times: [{start_time: '10:00'}]"), HasSubstr("need start_time and end_time"));
  EXPECT_THAT(times("weekdays: [funday]"), HasSubstr("is not a weekday"));
  EXPECT_THAT(times("weekdays: ['friday:monday']"), HasSubstr("ends before it begins"));
  EXPECT_THAT(times("days_of_month: ['0']"), HasSubstr("no day of a month"));
  EXPECT_THAT(times("days_of_month: ['-3:3']"), HasSubstr("from the end of the month"));
  EXPECT_THAT(times("days_of_month: ['5:2']"), HasSubstr("after the last one"));
  EXPECT_THAT(times("months: ['13']"), HasSubstr("is not a month"));
  EXPECT_THAT(times("years: [soon]"), HasSubstr("is not a year"));
  EXPECT_THAT(times("location: ../passwd"), HasSubstr("no time zone"));
}

TEST(AlertmanagerYaml, matchers_are_read_in_both_spellings) {
  const auto shown = [](std::string_view text) {
    const auto all = matchers_of(text);
    if (!all) return all.error().message();
    std::string out;
    for (const auto& one : *all) out += one.to_string() + ";";
    return out;
  };
  EXPECT_EQ(shown("a=b"), "a=\"b\";");
  EXPECT_EQ(shown(" a =~ \"b|c\" "), "a=~\"b|c\";");
  EXPECT_EQ(shown("{a=\"x,y\",b!=\"}\"}"), "a=\"x,y\";b!=\"}\";");
  EXPECT_EQ(shown("a=\"quote \\\" and \\\\\""), "a=\"quote \\\" and \\\\\";");
  EXPECT_EQ(shown("a!~b,"), "a!~\"b\";");
  EXPECT_EQ(shown("a="), "a=\"\";");
  const auto backslash = matchers_of(R"("a\\"="b")");
  ASSERT_TRUE(backslash) << backslash.error().message();
  EXPECT_EQ(backslash->front().name(), "a\\");
  EXPECT_EQ(shown("{}"), "");
  for (const std::string_view wrong :
       {"a", "=b", "a-b=c", "a=\"b", "a=b\"c", "a=~\"(\"", "a!b", "{a=b", "a=b,,c=d", "\"\xff\"=b"})
    EXPECT_FALSE(matchers_of(wrong)) << wrong;
}

TEST(AlertmanagerYaml, hostile_shapes_are_faults) {
  for (const std::string_view text :
       {"route: [a]", "route: 5", "route: {receiver: [a]}", "receivers: {a: b}", "receivers: [5, [x]]", "templates: a",
        "route: {routes: {a: b}}", "route: {routes: [5]}", "inhibit_rules: 5", "inhibit_rules: [5]",
        "time_intervals: [5]", "time_intervals: [{name: a, time_intervals: [{times: [5], weekdays: 5}]}]",
        "global: [a]", "route: {group_by: a}", "route: {match: [a]}", "receivers: [{name: a, webhook_configs: [5]}]"})
    EXPECT_NE(faults(std::string(text)), "") << text;
}

TEST(AlertmanagerYaml, templates_are_parsed_and_may_call_what_alertmanager_has) {
  EXPECT_TRUE(check_notification_template(
      "a.tmpl", "{{ define \"t\" }}{{ .Status | toUpper }} {{ join \", \" .GroupLabels.Values }}{{ end }}"));
  const auto wrong = check_notification_template("a.tmpl", "{{ define \"t\" }}{{ toUper .Status }}{{ end }}");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), testing::AllOf(HasSubstr("a.tmpl:1"), HasSubstr("toUper")));
  EXPECT_FALSE(check_notification_template("a.tmpl", "{{ if }}"));
}

}  // namespace
}  // namespace qd::act::notify
