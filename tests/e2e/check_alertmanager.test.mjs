// `quarterdeck check` of Alertmanager's configuration files, beside the verdicts of `amtool check-config`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { missing, runCommand, scratch, writeConfig } from "./lib.mjs";

const receivers = `
receivers:
- name: team
  webhook_configs: [{url: 'http://h/x'}]
- name: mail
  email_configs: [{to: a@b, from: c@d, smarthost: 'h:25'}]
`;
const intervals = `
time_intervals:
- name: nights
  time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}]
`;
const route = (lines) => `route:\n  receiver: team\n${lines}${receivers}${intervals}`;
const receiver = (config, global = "{}") =>
  `global: ${global}\nroute: {receiver: x}\nreceivers: [{name: x, ${config}}]\n`;
const times = (spec) =>
  `route: {receiver: x}\nreceivers: [{name: x}]\ntime_intervals: [{name: a, time_intervals: [{${spec}}]}]\n`;

// Each with whether it is right, which is what amtool says of it.
const cases = {
  "all of it": [
    true,
    `global:
  resolve_timeout: 5m
  smtp_smarthost: 'h:25'
  smtp_from: a@b
  slack_api_url: https://hooks.slack.example/x
  http_config: {tls_config: {insecure_skip_verify: true}, follow_redirects: false}
route:
  receiver: team
  group_by: ['...']
  group_wait: 0s
  group_interval: 5m
  repeat_interval: 1w
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
  slack_configs: [{channel: '#a', fields: [{title: a, value: b, short: true}]}]
  opsgenie_configs: [{api_key: k, responders: [{name: x, type: team}]}]
  pushover_configs: [{user_key: u, token: t, retry: 1m}]
  victorops_configs: [{api_key: k, routing_key: r}]
  wechat_configs: [{api_secret: s, corp_id: c}]
  sns_configs: [{topic_arn: 'arn:aws:sns:us-east-2:1:x', sigv4: {region: us-east-2}}]
  telegram_configs: [{bot_token: t, chat_id: 5, parse_mode: HTML}]
- name: mail
  email_configs: [{to: a@b, headers: {Subject: x}}]
  pagerduty_configs: [{routing_key: k, details: {a: b}, links: [{href: 'http://h', text: x}]}]
- name: nothing
${intervals}`,
  ],
  "no route": [false, receivers],
  "an unknown key": [false, route("  group_weit: 5m\n")],
  "an unknown key of a receiver": [false, receiver("webhook_config: []")],
  "an unknown key at the top": [false, `${route("")}globel: {}\n`],
  "a key twice": [false, route("  receiver: mail\n")],
  "a receiver that is not there": [false, route("  routes: [{receiver: teem}]\n")],
  "a route without a receiver of its own": [true, route("  routes: [{match: {a: b}}]\n")],
  "a root route without receiver": [false, `route: {group_by: [a]}${receivers}`],
  "a root route with matchers": [false, route("  matchers: [a=b]\n")],
  "a root route that is muted": [false, route("  mute_time_intervals: [nights]\n")],
  "a receiver twice": [false, "route: {receiver: x}\nreceivers: [{name: x}, {name: x}]\n"],
  "a receiver without a name": [false, "route: {receiver: x}\nreceivers: [{name: x}, {webhook_configs: []}]\n"],
  "an interval that is not there": [false, route("  routes: [{active_time_intervals: [night]}]\n")],
  "an interval twice": [false, `${times("weekdays: [monday]")}mute_time_intervals: [{name: a}]\n`],
  "group_by with all and one": [false, route("  group_by: ['...', a]\n")],
  "group_by twice the same": [false, route("  group_by: [a, a]\n")],
  "group_by what is no label": [false, route("  group_by: ['a-b']\n")],
  "a duration that is none": [false, route("  group_wait: soon\n")],
  "a duration without unit": [false, route("  group_wait: 30\n")],
  "a repeat_interval of nothing": [false, route("  repeat_interval: 0s\n")],
  "a matcher that is none": [false, route("  routes: [{matchers: ['a']}]\n")],
  "a matcher with a bad pattern": [false, route("  routes: [{matchers: ['a=~\"(\"']}]\n")],
  "a matcher with an open quote": [false, route("  routes: [{matchers: ['a=\"b']}]\n")],
  "a matcher without quotes": [true, route("  routes: [{matchers: [a=b, 'c != d', 'e=']}]\n")],
  "a bad pattern in match_re": [false, route("  routes: [{match_re: {a: '('}}]\n")],
  "match of what is no label": [false, route("  routes: [{match: {a-b: c}}]\n")],
  "an inhibit rule with a bad matcher": [false, `${route("")}inhibit_rules: [{source_matchers: ['=']}]\n`],
  "an inhibit rule, equal no label": [false, `${route("")}inhibit_rules: [{equal: ['a-b']}]\n`],
  "a webhook without a url": [false, receiver("webhook_configs: [{}]")],
  "a webhook by ftp": [false, receiver("webhook_configs: [{url: 'ftp://h'}]")],
  "slack without a url": [false, receiver("slack_configs: [{channel: a}]")],
  "slack with a global url": [true, receiver("slack_configs: [{channel: a}]", "{slack_api_url: 'http://h'}")],
  "slack with a file": [true, receiver("slack_configs: [{channel: a, api_url_file: /x}]")],
  "slack fields without values": [false, receiver("slack_configs: [{api_url: 'http://h', fields: [{title: a}]}]")],
  "slack with both": [false, receiver("slack_configs: [{api_url: 'http://h', api_url_file: /x}]")],
  "mail without a smarthost": [false, receiver("email_configs: [{to: a@b, from: c@d}]")],
  "mail to nobody": [false, receiver("email_configs: [{from: a@b, smarthost: 'h:25'}]")],
  "mail with a smarthost without port": [false, receiver("email_configs: [{to: a@b, from: a@b, smarthost: h}]")],
  "pagerduty without a key": [false, receiver("pagerduty_configs: [{description: a}]")],
  "pushover without a user": [false, receiver("pushover_configs: [{token: a}]")],
  "opsgenie without a key": [false, receiver("opsgenie_configs: [{message: a}]")],
  "opsgenie with a responder of no kind": [
    false,
    receiver("opsgenie_configs: [{api_key: k, responders: [{name: x, type: x}]}]"),
  ],
  "victorops without routing": [false, receiver("victorops_configs: [{api_key: k}]")],
  "sns to nobody": [false, receiver("sns_configs: [{subject: a}]")],
  "telegram without a chat": [false, receiver("telegram_configs: [{bot_token: a}]")],
  "telegram with an unknown parse_mode": [
    false,
    receiver("telegram_configs: [{bot_token: a, chat_id: 5, parse_mode: x}]"),
  ],
  "http_config with two ways to say who": [
    false,
    receiver("webhook_configs: [{url: 'http://h', http_config: {bearer_token: a, basic_auth: {username: x}}}]"),
  ],
  "weekdays and days": [true, times("weekdays: ['monday:friday', Sunday], days_of_month: ['1:5', '-3:-1', '31']")],
  "months and years": [true, times("months: ['january:march', '5'], years: ['2024:2026', '2030']")],
  "an hour that is none": [false, times("times: [{start_time: '25:00', end_time: '26:00'}]")],
  "hours that fall": [false, times("times: [{start_time: '10:00', end_time: '09:00'}]")],
  "hours without end": [false, times("times: [{start_time: '10:00'}]")],
  "a weekday that is none": [false, times("weekdays: [funday]")],
  "weekdays that fall": [false, times("weekdays: ['friday:monday']")],
  "day 0": [false, times("days_of_month: ['0']")],
  "day 32": [false, times("days_of_month: ['32']")],
  "days from the end to the start": [false, times("days_of_month: ['-3:3']")],
  "days that fall": [false, times("days_of_month: ['5:2']")],
  "a year that is none": [false, times("years: [soon]")],
  "a zone that is none": [false, times("location: Europe/Atlantis")],
  "a list where a mapping is": [false, "route: [a]\n"],
  "a template that does not parse": [false, `${route("")}templates: [bad.tmpl]\n`],
  "a template that does": [true, `${route("")}templates: ['good*.tmpl']\n`],
  "a template with an unknown function": [false, `${route("")}templates: [unknown.tmpl]\n`],
  "templates that are not there": [true, `${route("")}templates: ['none*.tmpl']\n`],
  "no YAML": [false, "route: {receiver: [\nreceivers: x\n"],
};

function files(t) {
  const dir = scratch(t);
  writeFileSync(path.join(dir, "bad.tmpl"), '{{ define "a" }}{{ if }}');
  writeFileSync(path.join(dir, "unknown.tmpl"), '{{ define "a" }}{{ toUper .Status }}{{ end }}');
  writeFileSync(path.join(dir, "good.tmpl"), '{{ define "a" }}{{ .Status | toUpper }}{{ end }}');
  return Object.entries(cases).map(([what, [right, text]], i) => ({
    what,
    right,
    file: writeConfig(dir, `${i}.yml`, text),
  }));
}

test("what is wrong in an Alertmanager's file is told, with its place", async (t) => {
  const list = files(t);
  const { stdout } = await runCommand(["check", "--output", "json", ...list.map(({ file }) => file)]);
  const told = new Map(JSON.parse(stdout).map((one) => [one.file, one]));
  for (const { what, right, file } of list) {
    const one = told.get(file);
    assert.equal(one.ok, right, `${what}: ${one.error}`);
    if (!["no YAML", "a key twice"].includes(what)) assert.equal(one.kind, "alertmanager", what);
    if (!right) assert.match(one.error, /:\d/, what);
  }
  const { file } = list.find(({ what }) => what === "an unknown key");
  assert.match(told.get(file).error, /yml:3:3: unknown key group_weit in a route; did you mean group_wait\?/);
});

test("amtool check-config gives the same verdicts", { skip: missing("amtool") }, (t) => {
  for (const { what, right, file } of files(t)) {
    const { status, stdout, stderr } = spawnSync("amtool", ["check-config", file], { encoding: "utf8" });
    assert.equal(status === 0, right, `${what}: ${stdout}${stderr}`);
  }
});
