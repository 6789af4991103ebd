// Queries among each other: who runs, what was running at a crash, what is written of them.
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { scratch, serve, sleep, start, until, writeConfig } from "./lib.mjs";

// Seconds of work, whatever the data: a scalar at every step of nested subqueries.
const heavy = `max_over_time(stddev_over_time(vector(time())[1h:50ms])[1h:1s])`;
const quiet = ["--set", "observe.host.enabled=false", "--set", "judge.rules.defaults=false"];

const lines = (file) =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
    : [];

test("after kill -9 the next start names the query that was running", async (t) => {
  const dir = scratch(t);
  const dataDir = path.join(dir, "data");
  const first = await start(t, { args: quiet, dataDir });
  assert.deepEqual(first.logged("was running when the last process ended"), []);
  await first.query("vector(1)");
  const asked = first.get(`/api/v1/query?query=${encodeURIComponent(heavy)}`).catch(() => "gone");
  await until(
    () => readFileSync(path.join(dataDir, "queries.active")).includes("stddev_over_time(vector(time())"),
    "the query in the file",
  );
  await first.kill();
  assert.equal(await asked, "gone");
  const second = await start(t, { args: quiet, dataDir });
  const told = second.logged("was running when the last process ended");
  assert.equal(told.length, 1, JSON.stringify(told));
  assert.equal(told[0].query, heavy);
  assert.equal(told[0].principal, "loopback");
  await second.stop();
  const third = await start(t, { args: quiet, dataDir });
  assert.deepEqual(third.logged("was running when the last process ended"), []);
});

test("the query log has every query and rule, and is opened anew on a reload", async (t) => {
  const dir = scratch(t);
  const file = path.join(dir, "queries.log");
  const rules = writeConfig(
    dir,
    "rules.yml",
    "groups: [{name: logged, interval: 1s, rules: [{record: a:b, expr: vector(7)}]}]\n",
  );
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    `query: {log_file: ${file}, slow_threshold: 1ms}\nobserve: {host: {enabled: false}}\njudge: {rules: {defaults: false, files: [${rules}]}}\n`,
  );
  const quarterdeck = await start(t, { args: ["--config", config], dataDir: path.join(dir, "data") });
  await quarterdeck.query("vector(41) + 1");
  const failed = await quarterdeck.api("/api/v1/query?query=1%20%2B%20on%20()%20(");
  assert.equal(failed.errorType, "bad_data");
  await quarterdeck.api("/api/v1/query_range?query=vector(43)&start=1700000000&end=1700000060&step=15");
  const found = await until(() => {
    const all = lines(file);
    return all.some((line) => line.ruleGroup) && all.some((line) => line.params.query === "vector(43)") && all;
  }, "the lines");
  const instant = found.find((line) => line.params.query === "vector(41) + 1");
  assert.deepEqual(instant.httpRequest, { clientIP: "127.0.0.1", method: "GET", path: "/api/v1/query" });
  assert.equal(instant.params.step, 0);
  assert.equal(instant.params.start, instant.params.end);
  assert.ok(instant.stats.timings.execTotalTime > 0);
  const range = found.find((line) => line.params.query === "vector(43)");
  assert.deepEqual(range.params, {
    query: "vector(43)",
    start: "2023-11-14T22:13:20.000Z",
    end: "2023-11-14T22:14:20.000Z",
    step: 15,
  });
  assert.deepEqual(found.find((line) => line.ruleGroup).ruleGroup, { file: rules, name: "logged" });

  renameSync(file, `${file}.1`);
  quarterdeck.child.kill("SIGHUP");
  await until(() => existsSync(file), "the new file");
  await quarterdeck.query("vector(44)");
  await until(() => lines(file).some((line) => line.params.query === "vector(44)"), "a line in it");
  const metrics = (await quarterdeck.get("/metrics")).text;
  assert.match(metrics, /^prometheus_engine_query_log_enabled 1$/m);
  assert.match(metrics, /^prometheus_engine_query_log_failures_total 0$/m);
  assert.match(metrics, /^prometheus_engine_queries_concurrent_max 20$/m);
  assert.match(metrics, /^prometheus_engine_query_duration_seconds_count\{slice="inner_eval"\} [1-9]/m);
  assert.match(metrics, /^prometheus_engine_query_duration_seconds\{quantile="0.9",slice="queue_time"\} /m);
});

test("a slow query is told with who asked for it", async (t) => {
  const quarterdeck = await start(t, { args: [...quiet, "--set", "query.slow_threshold=1ms"] });
  const text = "count_over_time(vector(time())[1h:10ms])";
  await quarterdeck.query(text);
  const told = await until(() => quarterdeck.logged("slow query")[0], "the line");
  assert.equal(told.query, text);
  assert.equal(told.principal, "loopback");
  assert.ok(told.seconds > 0.001);
});

test("a query that waits too long is told so, and one whose client has gone does not run", async (t) => {
  const quarterdeck = await start(t, { args: [...quiet, "--set", "query.concurrency=1"] });
  const controller = new AbortController();
  const runs = fetch(`${quarterdeck.url}/api/v1/query?query=${encodeURIComponent(heavy)}`, {
    signal: controller.signal,
  }).catch(() => "gone");
  await until(
    async () => /^prometheus_engine_queries 1$/m.test((await quarterdeck.get("/metrics")).text),
    "the query at work",
  );
  const answer = await quarterdeck.api("/api/v1/query?query=vector(1)&timeout=300ms");
  assert.equal(answer.httpStatus, 503);
  assert.equal(answer.errorType, "timeout");
  assert.match(answer.error, /query timed out in query queue/);
  controller.abort();
  assert.equal(await runs, "gone");
  await quarterdeck.query("vector(2)");
});

test("what is cached is never behind what was pushed or scraped", async (t) => {
  let value = 0;
  const target = await serve(t, (_, response) => {
    value += 1;
    response.end(`# TYPE cached_total counter\ncached_total ${value}\n`);
  });
  const dir = scratch(t);
  const prometheus = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs:\n  - {job_name: a, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{targets: ["${target.address}"]}]}\n`,
  );
  const quarterdeck = await start(t, { args: [...quiet, "--prometheus", prometheus], dataDir: path.join(dir, "data") });
  await until(async () => (await quarterdeck.query("cached_total")).length === 1, "a first sample");
  const began = Math.floor(Date.now() / 1000) - 60;
  for (let turn = 0; turn < 30; turn += 1) {
    const end = Math.floor(Date.now() / 1000);
    const range = `start=${began}&end=${end}&step=1`;
    const cached = await quarterdeck.api(`/api/v1/query_range?query=cached_total&${range}`);
    // The same under a text of its own, never asked before.
    const fresh = await quarterdeck.api(`/api/v1/query_range?query=cached_total%2B0*${turn + 1}&${range}`);
    const values = (answer) => answer.data.result.map((series) => series.values);
    // A sample may come between the two, at the last step only.
    const cut = (all) => all.map((points) => points.filter(([time]) => time < end));
    assert.deepEqual(cut(values(cached)), cut(values(fresh)));
    await sleep(60);
  }
  const metrics = (await quarterdeck.get("/metrics")).text;
  assert.match(metrics, /^quarterdeck_query_cache_hits_total [1-9]/m);
});
