// From a rule to a webhook: what fires is told, also to a receiver that was down, and its end is told too.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { scratch, serve, start, until, writeConfig } from "./lib.mjs";

test("an alert reaches a webhook that was down at first, and so does its end", async (t) => {
  const dir = scratch(t);
  let depth = 9;
  const target = await serve(t, (_, response) => response.end(`queue_depth{queue="mail"} ${depth}\n`));
  let down = true;
  const hook = await serve(t, (_, response) => {
    response.statusCode = down ? 500 : 200;
    response.end();
  });
  const rules = writeConfig(
    dir,
    "rules.yml",
    `groups:
  - name: queues
    interval: 1s
    rules:
      - alert: QueueLong
        expr: queue_depth > 5
        for: 1s
        labels: {severity: page}
        annotations: {summary: "{{ $labels.queue }} holds {{ $value }}"}
`,
  );
  const prometheus = writeConfig(
    dir,
    "prometheus.yml",
    `global: {external_labels: {site: lab}}
rule_files: ["${rules}"]
scrape_configs: [{job_name: q, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${target.address}"]}]}]
`,
  );
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    `act:
  notify:
    group_wait: 100ms
    webhooks: [{name: ops, url: "http://${hook.address}/hook", bearer_token: "env:HOOK_TOKEN"}]
`,
  );
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--config", config, "--prometheus", prometheus],
    env: { HOOK_TOKEN: "s3cret-of-the-hook" },
  });
  const told = (status) =>
    hook.requests
      .map((request) => ({ ...request, json: JSON.parse(request.body) }))
      .filter((request) => request.json.status === status && request.json.groupLabels.alertname === "QueueLong");
  await until(() => told("firing").length >= 2, "an attempt and another", 20_000);
  down = false;
  const attempts = told("firing").length;
  const [first] = await until(
    () => (told("firing").length > attempts ? told("firing").slice(attempts) : null),
    "a further attempt",
    20_000,
  );
  assert.equal(first.method, "POST");
  assert.equal(first.headers["content-type"], "application/json");
  assert.equal(first.headers.authorization, "Bearer s3cret-of-the-hook");
  assert.equal(first.json.version, "4");
  assert.equal(first.json.receiver, "ops");
  const [alert] = first.json.alerts;
  assert.equal(alert.status, "firing");
  assert.deepEqual(alert.labels, {
    alertname: "QueueLong",
    instance: target.address,
    job: "q",
    queue: "mail",
    severity: "page",
    site: "lab",
  });
  assert.equal(alert.annotations.summary, "mail holds 9");
  assert.match(alert.fingerprint, /^[0-9a-f]{16}$/);
  assert.match(alert.generatorURL, /\/graph\?g0\.expr=queue_depth/);
  assert.ok(Date.parse(alert.startsAt) > Date.now() - 60_000);

  depth = 1;
  const [resolved] = await until(
    () => (told("resolved").length ? told("resolved") : null),
    "the end of the alert",
    20_000,
  );
  assert.equal(resolved.json.alerts[0].status, "resolved");
  assert.ok(Date.parse(resolved.json.alerts[0].endsAt) >= Date.parse(alert.startsAt));
  const states = await quarterdeck.query('count_over_time(ALERTS{alertname="QueueLong", alertstate="firing"}[5m])');
  assert.equal(states.length, 1);
  assert.ok(!quarterdeck.raw.includes("s3cret-of-the-hook"), "the secret is in the log");
  const shown = await quarterdeck.get("/api/v1/status/config");
  assert.ok(!shown.text.includes("s3cret-of-the-hook"), "the secret is in the configuration shown");
});

test("a pending alert goes on after a restart, without the time that nobody watched", async (t) => {
  const dir = scratch(t);
  const rules = writeConfig(
    dir,
    "rules.yml",
    "groups: [{name: g, interval: 1s, rules: [{alert: Slow, expr: 'vector(1)', for: 1h}]}]\n",
  );
  const args = ["--set", `judge.rules.files=${rules}`];
  const dataDir = path.join(dir, "data");
  const find = async (quarterdeck) =>
    (await quarterdeck.api("/api/v1/alerts")).data.alerts.find((one) => one.labels.alertname === "Slow");
  const first = await start(t, { dataDir, args });
  const before = await until(() => find(first), "a pending alert", 15_000);
  await until(async () => (await first.query("ALERTS_FOR_STATE")).length > 0, "its mark");
  await first.stop();
  const away = Date.now();
  const second = await start(t, { dataDir, args });
  // Until two evaluations have seen what there is it looks new.
  const after = await until(
    async () => {
      const alert = await find(second);
      return alert && Date.parse(alert.activeAt) < away ? alert : null;
    },
    "the pending alert again",
    20_000,
  );
  assert.equal(after.state, "pending");
  const shifted = Date.parse(after.activeAt) - Date.parse(before.activeAt);
  assert.ok(shifted >= 0 && shifted <= Date.now() - away + 2_000, `${before.activeAt} became ${after.activeAt}`);
});
