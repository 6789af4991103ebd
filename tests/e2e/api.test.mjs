// The Prometheus HTTP API: every answer is held to its description, and to what it must say.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
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
  for (const query of ["demo_total[1m]", '"text"']) {
    const answer = await ask("/query_range", { query, ...window }, { status: 400, methods: ["GET", "POST"] });
    assert.equal(answer.errorType, "bad_data");
    assert.match(answer.error, /^invalid parameter "query": invalid expression type ".*" for range query/);
  }
  for (const timeout of ["0", "-5", "0s"]) {
    const late = await ask("/query", { query: "1", timeout }, { status: 503, methods: ["GET", "POST"] });
    assert.deepEqual([late.errorType, late.error.startsWith("query timed out in ")], ["timeout", true]);
    await ask("/query_range", { query: "1", timeout, ...window }, { status: 503 });
    assert.equal((await ask("/query", { query: "1 +", timeout }, { status: 400 })).errorType, "bad_data");
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
  assert.deepEqual((await ask("/metadata", { limit: "0" })).data, {});
  assert.ok(Object.keys((await ask("/metadata", { limit: "-1" })).data).length > 100);
  await ask("/metadata", { limit: "many" }, { status: 400 });

  const byPool = await until(async () => {
    const targets = (await ask("/targets", {})).data.activeTargets;
    const found = Object.fromEntries(targets.map((target) => [target.scrapePool, target]));
    return found.dead.health !== "unknown" && found;
  }, "a scrape of each target");
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
  const runtime = (await ask("/status/runtimeinfo", {})).data;
  assert.equal(runtime.CWD, process.cwd());
  assert.equal(runtime.corruptionCount, 0);
  const build = (await ask("/status/buildinfo", {})).data;
  assert.equal(build.branch, "HEAD");
  // What the description has no place for stands beside it.
  const about = (await quarterdeck.api("/api/platform/v1/about")).data;
  assert.match(about.version, /^\d+\.\d+\.\d+/);
  assert.equal(about.revision, build.revision);
  assert.equal(about.dataDir, quarterdeck.dataDir);
  const tsdb = (await ask("/status/tsdb", { limit: "5" })).data;
  assert.equal(tsdb.seriesCountByMetricName.length, 5);
  assert.ok(tsdb.headStats.numSeries > 100);
  assert.equal((await ask("/format_query", { query: "sum by(a)(demo_total)" }, both)).data, "sum by (a) (demo_total)");
  const tree = (await ask("/parse_query", { query: 'sum by (a) (rate(b{c!="d"}[5m] offset 1m)) / 2' }, both)).data;
  assert.deepEqual(tree, {
    type: "binaryExpr",
    op: "/",
    bool: false,
    matching: null,
    rhs: { type: "numberLiteral", val: "2" },
    lhs: {
      type: "aggregation",
      op: "sum",
      grouping: ["a"],
      without: false,
      param: null,
      expr: {
        type: "call",
        func: { name: "rate", argTypes: ["matrix"], variadic: 0, returnType: "vector" },
        args: [
          {
            type: "matrixSelector",
            name: "b",
            range: 300_000,
            offset: 60_000,
            matchers: [
              { name: "c", type: "!=", value: "d" },
              { name: "__name__", type: "=", value: "b" },
            ],
            timestamp: null,
            startOrEnd: null,
            anchored: false,
            smoothed: false,
          },
        ],
      },
    },
  });
  const joined = (await ask("/parse_query", { query: "a * on (x) group_left (y) b" })).data.matching;
  assert.deepEqual([joined.card, joined.on, joined.labels, joined.include], ["many-to-one", true, ["x"], ["y"]]);
  assert.equal((await ask("/parse_query", { query: "a @ end()" })).data.startOrEnd, "end");
  await ask("/parse_query", { query: "a +" }, { status: 400 });
  const features = (await ask("/features", {})).data;
  assert.equal(features.promql_functions.rate, true);
  assert.equal(features.promql_functions.info, false);
  assert.equal(features.promql_operators.limitk, false);
  t.diagnostic(`${contract.checked.size} kinds of answers held to the description`);
});

test("unknown paths and methods are refused as such", async (t) => {
  const quarterdeck = await start(t);
  for (const method of ["GET", "POST"]) {
    const nothing = await quarterdeck.get("/api/v1/nothing", { method });
    assert.deepEqual([nothing.status, JSON.parse(nothing.text).errorType], [404, "not_found"], method);
    for (const address of ["/federate", "/nosuch", "//api/v1/query", "/explorer", "/-/nothing", "/assets/nothing.js"]) {
      const answer = await quarterdeck.get(address, { method });
      assert.equal(answer.status, 404, `${method} ${address}`);
      assert.match(answer.headers["content-type"], /^text\/plain/, `${method} ${address}`);
    }
  }
  const shown = await quarterdeck.get("/nosuch", { headers: { Accept: "text/html,application/xhtml+xml" } });
  assert.deepEqual([shown.status, shown.headers["content-type"]], [404, "text/html; charset=utf-8"]);
  for (const address of [
    "/",
    "/explore",
    "/alerts",
    "/targets",
    "/status",
    "/graph",
    "/explore/below",
    "/index.html",
  ]) {
    const page = await quarterdeck.get(address);
    assert.deepEqual([page.status, page.headers["content-type"]], [200, "text/html; charset=utf-8"], address);
    const posted = await quarterdeck.get(address, { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"], address);
  }
  const [asset] = (await quarterdeck.get("/")).text.match(/\/assets\/[^"]+\.js/);
  assert.equal((await quarterdeck.get(asset)).status, 200);
  assert.equal((await quarterdeck.get("/api/v1/query", { method: "DELETE" })).status, 405);
  const reload = await quarterdeck.get("/-/reload");
  assert.deepEqual([reload.status, reload.headers.allow], [405, "POST, PUT"]);
  assert.equal((await quarterdeck.get("/-/healthy")).status, 200);
  assert.equal((await quarterdeck.get("/exporters/nothing/metrics")).status, 404);
  assert.equal(
    (await quarterdeck.get("/exporters/redis/metrics")).text,
    "# nothing is watched that the collector redis measures\n",
  );
  assert.equal((await quarterdeck.get("/exporters/redis/metrics?target=x:1")).status, 404);
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

test("parameters and bodies that cannot be read are told in the API's form", async (t) => {
  const quarterdeck = await start(t);
  const form = { "Content-Type": "application/x-www-form-urlencoded" };
  for (const [target, options] of [
    ["/api/v1/query?query=%zz", {}],
    ["/api/v1/query", { method: "POST", headers: form, body: "query=%zz" }],
  ]) {
    const answer = await quarterdeck.api(target, options);
    assert.deepEqual([answer.httpStatus, answer.status, answer.errorType], [400, "error", "bad_data"]);
    assert.match(answer.error, /broken percent escape/);
  }
  const text = await quarterdeck.get("/metrics?x=%zz");
  assert.deepEqual([text.status, text.headers["content-type"]], [400, "text/plain; charset=utf-8"]);

  const post = (encoding, body) =>
    quarterdeck.api("/api/v1/query", { method: "POST", headers: { ...form, "Content-Encoding": encoding }, body });
  const packed = await post("gzip", gzipSync("query=1"));
  assert.deepEqual([packed.httpStatus, packed.errorType], [415, "bad_data"]);
  assert.match(packed.error, /Content-Encoding gzip: send it as it is, without that header/);
  assert.equal((await post("identity", "query=1")).data.result[1], "1");
});

test("a proxy on this machine that speaks for this machine counts as loopback", async (t) => {
  const quarterdeck = await start(t);
  for (const [status, headers] of [
    [200, { "X-Forwarded-For": "127.0.0.1" }],
    [200, { "X-Forwarded-For": ["127.0.0.1", "::1"], Forwarded: 'for="[::1]:123"' }],
    [401, { "X-Forwarded-For": "127.0.0.1, 203.0.113.9" }],
    [401, { "X-Forwarded-For": ["127.0.0.1", "203.0.113.9"] }],
    [401, { "X-Forwarded-For": "unknown" }],
    [401, { "X-Forwarded-For": "127.0.0.1", Forwarded: "for=203.0.113.9" }],
  ]) {
    const answer = await quarterdeck.get("/api/v1/query?query=1", { headers });
    assert.equal(answer.status, status, JSON.stringify(headers));
  }
});

test("metrics are packed for who takes that", async (t) => {
  const quarterdeck = await start(t);
  for (const target of ["/metrics", "/exporters/node/metrics"]) {
    const plain = await quarterdeck.get(target);
    const packed = await quarterdeck.get(target, { headers: { "Accept-Encoding": "gzip" } });
    assert.equal(plain.headers["content-encoding"], undefined, target);
    assert.equal(packed.headers["content-encoding"], "gzip", target);
    for (const answer of [plain, packed]) assert.equal(answer.headers.vary, "Accept-Encoding", target);
    assert.ok(packed.bytes.length * 3 < plain.bytes.length, `${target}: ${packed.bytes.length} bytes`);
    assert.match(gunzipSync(packed.bytes).toString(), /^# HELP /);
  }
});

test("damage that the store found is counted in runtimeinfo", async (t) => {
  const dataDir = path.join(scratch(t), "data");
  const first = await start(t, { dataDir });
  await until(async () => (await first.query("count_over_time(node_load1[1m]) >= 3")).length === 1, "three passes");
  await first.kill();
  const wal = path.join(dataDir, "metrics", "wal");
  const names = readdirSync(wal).filter((name) => name.endsWith(".wal"));
  const newest = path.join(wal, names.sort().at(-1));
  const bytes = readFileSync(newest);
  bytes[Math.floor(bytes.length / 4)] ^= 0x10;
  writeFileSync(newest, bytes);
  const second = await start(t, { dataDir });
  const { corruptionCount } = (await second.api("/api/v1/status/runtimeinfo")).data;
  const [, counted] = (await second.get("/metrics")).text.match(/^quarterdeck_store_damaged_parts_total (\d+)$/m);
  assert.ok(corruptionCount >= 1);
  assert.equal(corruptionCount, Number(counted));
});
