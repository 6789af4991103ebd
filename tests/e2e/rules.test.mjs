// Rules beyond the notifier: a real Alertmanager, the pages of /api/v1/rules, reloads, and the commands about rules.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import {
  conformance,
  freePort,
  haveConformance,
  missing,
  request,
  runCommand,
  scratch,
  serve,
  start,
  startProgram,
  until,
  writeConfig,
} from "./lib.mjs";

const noPeer = missing("prometheus-alertmanager", "amtool");

async function startAlertmanager(t, dir) {
  const config = writeConfig(dir, "alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const running = startProgram(t, "prometheus-alertmanager", [
    `--config.file=${config}`,
    `--storage.path=${path.join(dir, "alertmanager")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--cluster.listen-address=",
  ]);
  await until(
    async () => (await request(`${url}/-/ready`)).status === 200,
    `an Alertmanager (${running.log.slice(-300)})`,
    20_000,
  );
  return { url, running };
}

const amtool = (url, ...args) =>
  JSON.parse(execFileSync("amtool", [`--alertmanager.url=${url}`, "--output=json", ...args], { encoding: "utf8" }));

test("a real Alertmanager is told what fires and what is over", { skip: noPeer }, async (t) => {
  const dir = scratch(t);
  let depth = 9;
  const target = await serve(t, (_, response) => response.end(`queue_depth{queue="mail"} ${depth}\n`));
  const { url } = await startAlertmanager(t, dir);
  const rules = writeConfig(
    dir,
    "rules.yml",
    `groups:
  - name: queues
    interval: 1s
    rules:
      - alert: QueueLong
        expr: queue_depth > 5
        labels: {severity: page}
        annotations: {summary: "{{ $labels.queue }} holds {{ $value }}"}
`,
  );
  const prometheus = writeConfig(
    dir,
    "prometheus.yml",
    `global: {external_labels: {site: lab}}
rule_files: ["${rules}"]
alerting:
  alert_relabel_configs: [{action: labeldrop, regex: queue}]
  alertmanagers:
    - file_sd_configs: [{files: [am.json]}]
      relabel_configs: [{source_labels: [__address__], regex: "unwanted:.*", action: drop}]
scrape_configs: [{job_name: q, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${target.address}"]}]}]
`,
  );
  writeConfig(dir, "am.json", JSON.stringify([{ targets: [new URL(url).host, "unwanted:1"] }]));
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    'act: {notify: {alertmanagers: [{url: "http://127.0.0.1:1"}], resend_delay: 1s}}\n',
  );
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--config", config, "--prometheus", prometheus],
  });
  const told = () => amtool(url, "alert", "query", "alertname=QueueLong");
  const [alert] = await until(() => (told().length ? told() : null), "the alert at the Alertmanager", 20_000);
  assert.deepEqual(alert.labels, {
    alertname: "QueueLong",
    instance: target.address,
    job: "q",
    severity: "page",
    site: "lab",
  });
  assert.equal(alert.annotations.summary, "mail holds 9");
  assert.match(alert.generatorURL, /\/graph\?g0\.expr=queue_depth\+%3E\+5&g0\.tab=1$/);
  const known = await quarterdeck.api("/api/v1/alertmanagers");
  assert.deepEqual(
    known.data.activeAlertmanagers.map((one) => one.url),
    ["http://127.0.0.1:1/api/v2/alerts", `${url}/api/v2/alerts`],
  );
  assert.deepEqual(known.data.droppedAlertmanagers, [{ url: "http://unwanted:1/api/v2/alerts" }]);
  const metrics = (await quarterdeck.get("/metrics")).text;
  assert.match(
    metrics,
    new RegExp(`prometheus_notifications_sent_total\\{alertmanager="${url}/api/v2/alerts"\\} [1-9]`),
  );
  assert.match(
    metrics,
    /prometheus_notifications_errors_total\{alertmanager="http:\/\/127.0.0.1:1\/api\/v2\/alerts"\} [1-9]/,
  );
  depth = 1;
  await until(() => told().length === 0, "the end of the alert at the Alertmanager", 20_000);
});

test("the rules come in pages, and each fits the description of the API", async (t) => {
  const dir = scratch(t);
  const groups = ["a", "b", "c"].map(
    (name) => `  - {name: ${name}, rules: [{record: "r:${name}", expr: "vector(1)"}]}`,
  );
  const rules = writeConfig(dir, "rules.yml", `groups:\n${groups.join("\n")}\n`);
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--set", `judge.rules.files=${rules}`, "--set", "judge.rules.defaults=false"],
  });
  const check = haveConformance ? new (await import("./contract.mjs")).Contract() : null;
  const page = async (query) => {
    const answer = await quarterdeck.get(`/api/v1/rules?${query}`);
    const json = JSON.parse(answer.text);
    check?.check("/rules", "GET", answer.status, json);
    return { status: answer.status, json };
  };
  const first = await page("group_limit=2");
  assert.deepEqual(
    first.json.data.groups.map((group) => group.name),
    ["a", "b"],
  );
  const second = await page(`group_limit=2&group_next_token=${first.json.data.groupNextToken}`);
  assert.deepEqual(
    second.json.data.groups.map((group) => group.name),
    ["c"],
  );
  assert.equal(second.json.data.groupNextToken, undefined);
  assert.equal((await page("group_limit=0")).status, 400);
  assert.equal((await page(`group_next_token=${first.json.data.groupNextToken}`)).status, 400);
  assert.equal((await page("group_limit=1&group_next_token=nonsense")).status, 400);
  assert.equal((await page("rule_name[]=r:b")).json.data.groups.length, 1);
  const managers = await quarterdeck.get("/api/v1/alertmanagers");
  check?.check("/alertmanagers", "GET", managers.status, JSON.parse(managers.text));
});

test("a reload keeps the alerts of rules that stay", async (t) => {
  const dir = scratch(t);
  const text = (more) => `groups: [{name: g, interval: 1s, rules: [{alert: Slow, expr: vector(1), for: 1h}${more}]}]\n`;
  const rules = writeConfig(dir, "rules.yml", text(""));
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--set", `judge.rules.files=${rules}`, "--set", "judge.rules.defaults=false"],
  });
  const alerts = async () => (await quarterdeck.api("/api/v1/alerts")).data.alerts;
  const before = await until(async () => (await alerts())[0], "a pending alert", 15_000);
  writeFileSync(rules, text(", {record: more, expr: vector(2)}"));
  quarterdeck.child.kill("SIGHUP");
  await until(async () => (await quarterdeck.query("more")).length === 1, "the rule that came", 15_000);
  assert.equal((await alerts())[0].activeAt, before.activeAt);
});

test("check tells what is allowed and rarely meant", async (t) => {
  const dir = scratch(t);
  const file = writeConfig(
    dir,
    "rules.yml",
    `groups:
  - name: g
    rules:
      - {record: a, expr: sum(b)}
      - {record: b, expr: a + 1}
      - {record: c, expr: x}
      - {record: c, expr: y}
`,
  );
  const told = await runCommand(["check", file]);
  assert.equal(told.code, 0, told.stdout);
  assert.match(told.stdout, /the rules a, b read each other in a ring/);
  assert.match(told.stdout, /1 duplicate rule\(s\) found:\n {2}c\{\}/);
  assert.equal((await runCommand(["check", "--lint-fatal", file])).code, 3);
  assert.equal((await runCommand(["check", "--lint-fatal", "--lint", "none", file])).code, 0);
  const extra = writeConfig(dir, "extra.yml", "groups: [{name: g, owner: me, rules: [{record: a, expr: x}]}]\n");
  assert.equal((await runCommand(["check", extra])).code, 1);
  assert.equal((await runCommand(["check", "--ignore-unknown-fields", extra])).code, 0);
});

test("rules test says what promtool says", async (t) => {
  const dir = scratch(t);
  const rules = 'groups: [{name: g, rules: [{alert: Always, expr: 1, annotations: {text: "{{ $value }}"}}]}]\n';
  writeConfig(dir, "rules.yml", rules);
  const good = writeConfig(
    dir,
    "good.yml",
    "rule_files: ['*les.yml']\ntests: [{name: one, alert_rule_test: [{alertname: Always, eval_time: 1m, exp_alerts: [{exp_annotations: {text: 1}}]}]}]\n",
  );
  const bad = writeConfig(
    dir,
    "bad.yml",
    "rule_files: [rules.yml]\ntests: [{name: two, alert_rule_test: [{alertname: Always, eval_time: 1m}]}]\n",
  );
  const junit = path.join(dir, "junit.xml");
  const both = await runCommand(["rules", "test", "--diff", "--junit", junit, good, bad]);
  assert.equal(both.code, 1);
  assert.match(both.stdout, /good\.yml\n {2}SUCCESS/);
  assert.match(both.stdout, /bad\.yml:2:\d+:\n {4}alertname: Always, time: 1m\n {6}\+ labels: \{alertname="Always"\}/);
  assert.match(readFileSync(junit, "utf8"), /<testsuite name="[^"]*bad.yml" tests="1" failures="1" errors="0">/);
  assert.equal((await runCommand(["rules", "test", "--run", "^one$", good, bad])).code, 0);
  const json = JSON.parse((await runCommand(["rules", "test", "--output", "json", bad])).stdout);
  assert.equal(json[0].tests[0].failures[0].got.length, 1);
  assert.equal((await runCommand(["rules", "test", path.join(dir, "absent.yml")])).code, 1);
});

test("the public files get the verdicts of promtool", {
  skip: missing("promtool") || (haveConformance ? false : "the conformance data is not beside this checkout"),
}, async (t) => {
  const dir = scratch(t);
  // What this promtool, of Prometheus 2, does not know: native histograms and names of any UTF-8, the default of an
  // interval, exact comparison.
  const newer = new Set([
    "unittest.yml",
    "utf-8_lname.good.yaml",
    "no-test-group-interval.yml",
    "rules_run_no_fuzzy.yml",
  ]);
  const names = [];
  for (const folder of ["promtool", "rules"]) {
    for (const name of readdirSync(path.join(conformance, folder))) {
      copyFileSync(path.join(conformance, folder, name), path.join(dir, name));
      if (!newer.has(name)) names.push(name);
    }
  }
  for (const name of names) {
    const peer = (...args) => {
      try {
        execFileSync("promtool", [...args, name], { cwd: dir, stdio: "pipe" });
        return 0;
      } catch (error) {
        return error.status;
      }
    };
    const own = await runCommand(["rules", "test", name], { cwd: dir });
    assert.equal(own.code, peer("test", "rules"), `${name}: ${own.stdout}`);
  }
});
