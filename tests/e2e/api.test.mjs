// The Prometheus HTTP API: every answer is held to its description, and to what it must say.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { haveConformance, request, scratch, serve, start, until, writeConfig } from "./lib.mjs";

const skip = haveConformance ? false : "the conformance data is not beside this checkout";

async function watched(t) {
  const target = await serve(t, (_, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end(
      '# HELP demo_total Demo.\n# TYPE demo_total counter\ndemo_total{a="x"} 5\ndemo_total{a="y"} 7\n# TYPE demo_gauge gauge\ndemo_gauge 1.5\n',
    );
  });
  const dir = scratch(t);
  const rules = writeConfig(
    dir,
    "rules.yml",
    `groups:
  - name: demo
    interval: 1s
    rules:
      - {record: "demo:sum", expr: "sum(demo_total)", labels: {kind: test}}
      - {alert: DemoAlways, expr: "demo_gauge > 1", labels: {severity: page}, annotations: {summary: "{{ $value }}"}}
      - {alert: DemoPending, expr: "demo_gauge > 1", for: 1h}
`,
  );
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `rule_files: ["${rules}"]
scrape_configs:
  - {job_name: demo, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${target.address}"], labels: {env: test}}]}
  - {job_name: dead, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["127.0.0.1:1"]}]}
`,
  );
  const quarterdeck = await start(t, { args: ["--prometheus", file], dataDir: path.join(dir, "data") });
  await until(async () => (await quarterdeck.query("demo:sum")).length === 1, "a recorded series", 15_000);
  return quarterdeck;
}

test("every answer fits the description of the API", { skip }, async (t) => {
  const { Contract } = await import("./contract.mjs");
  const contract = new Contract();
  const quarterdeck = await watched(t);
  const now = Date.now() / 1000;

  async function ask(apiPath, parameters, { status = 200, methods = ["GET"], name } = {}) {
    let answer;
    for (const method of methods) {
      const query = new URLSearchParams(parameters).toString();
      const target = `/api/v1${name ? apiPath.replace("{name}", name) : apiPath}`;
      const response =
        method === "GET"
          ? await quarterdeck.get(`${target}?${query}`)
          : await quarterdeck.get(target, {
              method,
              body: query,
              headers: { "Content-Type": "application/x-www-form-urlencoded" },
            });
      assert.equal(response.status, status, `${method} ${target}?${query}: ${response.text.slice(0, 300)}`);
      answer = JSON.parse(response.text);
      contract.check(apiPath, method, status, answer);
    }
    return answer;
  }
  const both = { methods: ["GET", "POST"] };
  const window = { start: String(now - 60), end: String(now + 5), step: "5" };

  assert.equal((await ask("/query", { query: "1+1" }, both)).data.result[1], "2");
  assert.equal((await ask("/query", { query: '"text"' }, both)).data.resultType, "string");
  const vector = await ask("/query", { query: "demo_total" }, both);
  assert.deepEqual(
    vector.data.result.map((series) => [series.metric.a, series.metric.env, series.value[1]]),
    [
      ["x", "test", "5"],
      ["y", "test", "7"],
    ],
  );
  assert.equal((await ask("/query", { query: "demo_total[1m]" }, both)).data.resultType, "matrix");
  assert.equal((await ask("/query", { query: "demo_total", limit: "1" })).data.result.length, 1);
  const warned = await ask("/query", { query: "demo_total", limit: "1" });
  assert.deepEqual(warned.warnings, ["results truncated due to limit"]);
  assert.equal((await ask("/query_range", { query: "demo_total", ...window }, both)).data.resultType, "matrix");

  for (const [parameters, message] of [
    [{ query: "demo_total{" }, "parse error"],
    [{ query: "" }, "no expression found"],
    [{ query: "up", time: "yesterday" }, 'invalid parameter "time"'],
    [{ query: "up", timeout: "x" }, 'invalid parameter "timeout"'],
    [{ query: "up", limit: "-1" }, 'invalid parameter "limit"'],
  ]) {
    const answer = await ask("/query", parameters, { status: 400, methods: ["GET", "POST"] });
    assert.equal(answer.errorType, "bad_data");
    assert.match(answer.error, new RegExp(message));
  }
  for (const [parameters, message] of [
    [{ query: "up", start: "1", end: "0", step: "1" }, "end timestamp must not be before start"],
    [{ query: "up", start: "0", end: "1", step: "0" }, "zero or negative query resolution"],
    [{ query: "up", start: "0", end: "20000", step: "1" }, "exceeded maximum resolution of 11,000 points"],
    [{ query: "up", end: "1", step: "1" }, 'invalid parameter "start"'],
  ]) {
    const answer = await ask("/query_range", parameters, { status: 400, methods: ["GET", "POST"] });
    assert.match(answer.error, new RegExp(message));
  }
  const matching = await ask("/query", { query: "demo_total + on(env) demo_total" }, { status: 422 });
  assert.equal(matching.errorType, "execution");

  const stepping = await ask("/query_range", { query: "demo_total + on(env) demo_total", ...window }, { status: 422 });
  assert.equal(stepping.errorType, "execution");

  const series = await ask("/series", { "match[]": "demo_total", ...window }, both);
  assert.equal(series.data.length, 2);
  await ask("/series", {}, { status: 400, methods: ["GET", "POST"] });
  await ask("/series", { "match[]": "{}" }, { status: 400 });
  assert.ok((await ask("/labels", {}, both)).data.includes("env"));
  assert.deepEqual((await ask("/labels", { "match[]": "demo_gauge" })).data, ["__name__", "env", "instance", "job"]);
  assert.deepEqual((await ask("/label/{name}/values", {}, { name: "a" })).data, ["x", "y"]);
  assert.deepEqual((await ask("/label/{name}/values", { "match[]": 'demo_total{a="y"}' }, { name: "a" })).data, ["y"]);
  const metadata = await ask("/metadata", { metric: "demo_total" });
  assert.deepEqual(metadata.data.demo_total, [{ type: "counter", help: "Demo.", unit: "" }]);
  assert.equal(Object.keys((await ask("/metadata", { limit: "2" })).data).length, 2);

  const targets = (await ask("/targets", {})).data.activeTargets;
  const byPool = Object.fromEntries(targets.map((target) => [target.scrapePool, target]));
  assert.equal(byPool.demo.health, "up");
  assert.equal(byPool.dead.health, "down");
  assert.match(byPool.dead.lastError, /127\.0\.0\.1:1/);
  assert.equal(byPool.node.health, "up");
  assert.equal((await ask("/targets", { state: "dropped" })).data.activeTargets.length, 0);

  const groups = (await ask("/rules", {})).data.groups;
  const demo = groups.find((group) => group.name === "demo");
  assert.deepEqual(
    demo.rules.map((rule) => [rule.name, rule.type, rule.health]),
    [
      ["demo:sum", "recording", "ok"],
      ["DemoAlways", "alerting", "ok"],
      ["DemoPending", "alerting", "ok"],
    ],
  );
  assert.equal(demo.rules[1].state, "firing");
  assert.equal(demo.rules[2].state, "pending");
  assert.equal(
    (await ask("/rules", { type: "record" })).data.groups.every((g) => g.rules.every((r) => r.type === "recording")),
    true,
  );
  await ask("/rules", { type: "nonsense" }, { status: 400 });
  const alerts = (await ask("/alerts", {})).data.alerts;
  const always = alerts.find((alert) => alert.labels.alertname === "DemoAlways");
  assert.equal(always.annotations.summary, "1.5");
  assert.equal(always.value, "1.5e+00");

  assert.match((await ask("/status/config", {})).data.yaml, /observe:/);
  await ask("/status/flags", {});
  await ask("/status/runtimeinfo", {});
  await ask("/status/buildinfo", {});
  const tsdb = (await ask("/status/tsdb", { limit: "5" })).data;
  assert.equal(tsdb.seriesCountByMetricName.length, 5);
  assert.ok(tsdb.headStats.numSeries > 100);
  assert.equal((await ask("/format_query", { query: "sum by(a)(demo_total)" }, both)).data, "sum by (a) (demo_total)");
  t.diagnostic(`${contract.checked.size} kinds of answers held to the description`);
});

test("unknown paths and methods are refused as such", async (t) => {
  const quarterdeck = await start(t);
  assert.equal((await quarterdeck.get("/api/v1/nothing")).status, 404);
  assert.equal((await quarterdeck.get("/api/v1/query", { method: "DELETE" })).status, 405);
  assert.equal((await quarterdeck.get("/-/healthy")).status, 200);
  assert.equal((await quarterdeck.get("/exporters/nothing/metrics")).status, 404);
  const head = await quarterdeck.get("/metrics", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.bytes.length, 0);
});

test("a request with a foreign Host or Origin is refused", async (t) => {
  const quarterdeck = await start(t);
  const port = new URL(quarterdeck.url).port;
  const host = await request(`${quarterdeck.url}/api/v1/query?query=up`, { headers: { Host: "evil.example" } });
  assert.equal(host.status, 403);
  assert.match(host.text, /evil\.example.*serve\.hosts/);
  const origin = await request(`${quarterdeck.url}/api/v1/query?query=up`, {
    headers: { Origin: "http://evil.example" },
  });
  assert.equal(origin.status, 403);
  assert.match(origin.text, /evil\.example/);
  for (const own of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`]) {
    assert.equal(
      (await request(`${quarterdeck.url}/api/v1/query?query=up`, { headers: { Host: own } })).status,
      200,
      own,
    );
  }
  const same = await request(`${quarterdeck.url}/api/v1/query?query=up`, { headers: { Origin: quarterdeck.url } });
  assert.equal(same.status, 200);
});
