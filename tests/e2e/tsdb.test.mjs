// Prometheus's own format as a door: a directory that a real Prometheus wrote is served, taken over and written back, and
// Debian's prometheus and promtool judge what comes out.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import {
  binary,
  freePort,
  missing,
  request,
  runCommand,
  scratch,
  serve,
  sleep,
  start,
  startProgram,
  until,
  writeConfig,
} from "./lib.mjs";

const kOld = 1_700_000_000; // of what is backfilled; the middle of a block
const kKeepAll = ["--set", "store.metrics.retention=0"];
const skip = missing("prometheus", "promtool");

/** 20 gauges and 5 counters, a sample a minute over more than six hours. */
function backfill(file) {
  const lines = [];
  for (let s = 0; s < 20; s++) {
    for (let i = 0; i < 400; i++) {
      lines.push(`bk_value{s="${s}",kind="g"} ${(Math.sin(i / 10 + s) * 100).toFixed(2)} ${kOld + i * 60}`);
    }
  }
  for (let s = 0; s < 5; s++) {
    for (let i = 0; i < 400; i++)
      lines.push(`bk_total{s="${s}"} ${i * (s + 3) - (i > 200 ? 600 : 0)} ${kOld + i * 60}`);
  }
  writeFileSync(file, `${lines.join("\n")}\n# EOF\n`);
}

async function startPrometheus(t, dir, { target, features = "" } = {}) {
  const port = await freePort();
  const config = target
    ? `scrape_configs: [{job_name: target, scrape_interval: 1s, static_configs: [{targets: ["${target}"]}]}]\n`
    : "scrape_configs: []\n";
  const args = [
    `--config.file=${writeConfig(scratch(t), "prometheus.yml", config)}`,
    `--storage.tsdb.path=${dir}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--storage.tsdb.retention.time=50y",
    "--web.enable-admin-api",
  ];
  if (features) args.push(`--enable-feature=${features}`);
  const prometheus = startProgram(t, "prometheus", args);
  prometheus.url = `http://127.0.0.1:${port}`;
  await until(async () => (await request(`${prometheus.url}/-/ready`)).status === 200, "Prometheus ready", 30_000);
  return prometheus;
}

/** What a server answers, so that two answers can be compared as they are. */
async function ask(url, expr, { from, to, step }) {
  const query = new URLSearchParams({ query: expr, start: from, end: to, step });
  const answer = JSON.parse((await request(`${url}/api/v1/query_range?${query}`)).text);
  assert.equal(answer.status, "success", `${expr}: ${answer.error}`);
  return answer.data.result
    .map(({ metric, values }) => [JSON.stringify(Object.entries(metric).sort()), values])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function assertSame(ours, theirs, expr) {
  assert.deepEqual(
    ours.map(([series]) => series),
    theirs.map(([series]) => series),
    expr,
  );
  for (const [i, [series, values]] of theirs.entries()) {
    assert.equal(ours[i][1].length, values.length, `${expr} ${series}`);
    for (const [k, [time, value]] of values.entries()) {
      assert.equal(ours[i][1][k][0], time, `${expr} ${series}`);
      const [a, b] = [Number(ours[i][1][k][1]), Number(value)];
      if (Number.isNaN(a) && Number.isNaN(b)) continue;
      assert.ok(Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(b)), `${expr} ${series} at ${time}: ${a}, not ${b}`);
    }
  }
}

const kOldQueries = [
  "bk_value",
  'bk_value{s=~"1.*"}',
  "sum by (kind) (bk_value)",
  "rate(bk_total[10m])",
  "increase(bk_total[1h])",
  "max_over_time(bk_value[30m])",
];
// Never a whole range from a sample: ranges of Prometheus 2 take the sample at their very beginning in, later ones do not.
const kOldTime = { from: kOld - 587, to: kOld + 401 * 60, step: 120 };
const kNewQueries = [
  "target_total",
  "irate(target_total[5s])",
  "sum_over_time(target_total[5s])",
  "target_gauge",
  'up{job="target"}',
  "count(target_total)",
];

async function answers(url, newTime) {
  const all = new Map();
  for (const expr of kOldQueries) all.set(expr, await ask(url, expr, kOldTime));
  for (const expr of newTime ? kNewQueries : []) all.set(expr, await ask(url, expr, newTime));
  return all;
}

function assertAllSame(ours, theirs) {
  for (const [expr, result] of theirs) {
    assert.ok(result.length > 0, `${expr} has no answer to compare with`);
    assertSame(ours.get(expr), result, expr);
  }
}

/** Every file below, with its size and when it was changed. */
function listing(dir, but = "") {
  return readdirSync(dir, { withFileTypes: true })
    .filter(({ name }) => name !== but)
    .flatMap((entry) => {
      const file = path.join(dir, entry.name);
      if (entry.isDirectory()) return listing(file);
      const { size, mtimeMs } = statSync(file);
      return [`${file} ${size} ${mtimeMs}`];
    })
    .sort();
}

/** A directory that a real Prometheus wrote: blocks, mapped chunks perhaps, and a log that a kill cut off. */
async function prometheusDirectory(t) {
  const dir = path.join(scratch(t), "prometheus");
  const text = path.join(scratch(t), "back.om");
  backfill(text);
  execFileSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, dir], { stdio: "ignore" });
  let scrapes = 0;
  const target = await serve(t, (_, response) => {
    scrapes++;
    const series = Array.from({ length: 50 }, (_unused, i) => `target_total{i="${i}"} ${scrapes * i}\n`);
    // What comes and goes leaves a stale marker.
    if (scrapes % 3 !== 0) series.push(`target_gauge{state="on"} ${Math.sin(scrapes)}\n`);
    response.end(series.join(""));
  });
  const prometheus = await startPrometheus(t, dir, { target: target.address });
  const from = Math.floor(Date.now() / 1000);
  await until(() => scrapes >= 9, "nine scrapes", 30_000);
  const deleted = new URLSearchParams({ "match[]": 'bk_value{s="7"}', start: kOld + 3600, end: kOld + 7200 });
  await request(`${prometheus.url}/api/v1/admin/tsdb/delete_series?${deleted}`, { method: "POST" });
  const newTime = { from, to: Math.floor(Date.now() / 1000) - 1, step: 1 };
  const theirs = await answers(prometheus.url, newTime);
  await prometheus.stop("SIGKILL");
  return { dir, newTime, theirs };
}

test("a Prometheus directory is served beside ours and is not touched", { skip }, async (t) => {
  const { dir, newTime, theirs } = await prometheusDirectory(t);
  const before = listing(dir);
  const quarterdeck = await start(t, { args: ["--set", `store.metrics.prometheus_dir=${dir}`] });
  assertAllSame(await answers(quarterdeck.url, newTime), theirs);
  const names = (await quarterdeck.api("/api/v1/label/__name__/values")).data;
  assert.ok(names.includes("bk_value") && names.includes("target_total") && names.includes("quarterdeck_build_info"));
  await quarterdeck.stop();
  assert.deepEqual(listing(dir), before);
});

test("a data directory that is Prometheus's own has our files inside", { skip }, async (t) => {
  const { dir, newTime, theirs } = await prometheusDirectory(t);
  const before = listing(dir);
  const quarterdeck = await start(t, { dataDir: dir });
  assertAllSame(await answers(quarterdeck.url, newTime), theirs);
  await quarterdeck.stop();
  assert.deepEqual(listing(dir, "quarterdeck"), before);
  assert.ok(readdirSync(path.join(dir, "quarterdeck")).includes("VERSION"));
});

test("beside a running Prometheus what it stores is seen within seconds", { skip }, async (t) => {
  const dir = path.join(scratch(t), "prometheus");
  const target = await serve(t, (_, response) => response.end("target_gauge 42\n"));
  const prometheus = await startPrometheus(t, dir, { target: target.address });
  const quarterdeck = await start(t, { args: ["--set", `store.metrics.prometheus_dir=${dir}`] });
  await until(async () => (await quarterdeck.value("target_gauge")) === 42, "a sample of the other", 40_000);
  await prometheus.stop("SIGTERM");
});

test("a Prometheus directory is taken over, and goes back as blocks", { skip }, async (t) => {
  const { dir, newTime, theirs } = await prometheusDirectory(t);
  const dataDir = path.join(scratch(t), "data");
  const imported = await runCommand(["tsdb", "import", "--data-dir", dataDir, ...kKeepAll, "--output", "json", dir]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.ok(JSON.parse(imported.stdout).samples > 9000, imported.stdout);
  const verified = await runCommand(["tsdb", "verify", dataDir]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);

  const quarterdeck = await start(t, { dataDir, args: kKeepAll });
  assertAllSame(await answers(quarterdeck.url, newTime), theirs);
  const busy = await runCommand(["tsdb", "export", "--data-dir", dataDir, "--format", "blocks", path.join(dir, "x")]);
  assert.equal(busy.code, 2);
  assert.match(busy.stderr, /in use/);
  await quarterdeck.stop();

  const out = path.join(scratch(t), "out");
  const args = ["tsdb", "export", "--data-dir", dataDir, ...kKeepAll, "--format", "blocks", out];
  const exported = await runCommand(args);
  assert.equal(exported.code, 0, exported.stderr);
  const list = execFileSync("promtool", ["tsdb", "list", out]).toString();
  assert.ok(list.split("\n").length > 4, list);
  assert.match(execFileSync("promtool", ["tsdb", "analyze", out]).toString(), /^Series: \d+/m);
  const dump = execFileSync("promtool", ["tsdb", "dump", "--match", '{__name__="bk_total",s="3"}', out]).toString();
  assert.equal(dump.trim().split("\n").length, 400, dump.slice(0, 300));
  assert.equal((await runCommand(["tsdb", "verify", out])).code, 0);
  const analyzed = JSON.parse((await runCommand(["tsdb", "analyze", out, "--output", "json"])).stdout);
  assert.equal(analyzed.kind, "prometheus");
  assert.ok(analyzed.series_by_metric.some(({ name, value }) => name === "bk_value" && value === 20));

  const prometheus = await startPrometheus(t, out);
  assertAllSame(await answers(prometheus.url, newTime), theirs);
  assert.doesNotMatch(prometheus.log, /level=error/);
});

test("OpenMetrics goes in and comes out as promtool takes it", { skip }, async (t) => {
  const dir = scratch(t);
  const text = path.join(dir, "back.om");
  backfill(text);
  const dataDir = path.join(dir, "data");
  const imported = await runCommand(["tsdb", "import", "--data-dir", dataDir, ...kKeepAll, text]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stdout, /Imported 10,000 samples/);
  const out = path.join(dir, "out.om");
  const args = ["tsdb", "export", "--data-dir", dataDir, ...kKeepAll, "--format", "openmetrics", out];
  assert.equal((await runCommand(args)).code, 0);
  const blocks = path.join(dir, "blocks");
  execFileSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", out, blocks], { stdio: "ignore" });
  const dump = (from) => execFileSync("promtool", ["tsdb", "dump", from], { maxBuffer: 1 << 28 }).toString();
  const reference = path.join(dir, "reference");
  execFileSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, reference], { stdio: "ignore" });
  for (const folder of [blocks, reference]) mkdirSync(path.join(folder, "wal")); // promtool asks for one
  assert.equal(dump(blocks), dump(reference));
});

test("what is older than the retention is told of", async (t) => {
  const dir = scratch(t);
  writeFileSync(path.join(dir, "old.om"), `x 1 ${kOld}\n# EOF\n`);
  const imported = await runCommand(["tsdb", "import", "--data-dir", path.join(dir, "data"), path.join(dir, "old.om")]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stderr, /older than the retention of 15d/);
});

test("an import that is interrupted leaves nothing", async (t) => {
  const dir = scratch(t);
  const text = path.join(dir, "large.om");
  const lines = Array.from({ length: 2_000_000 }, (_, i) => `x{s="${i % 1000}"} ${i} ${kOld + i}\n`);
  writeFileSync(text, `${lines.join("")}# EOF\n`);
  const dataDir = path.join(dir, "data");
  const importing = startProgram(t, binary, ["tsdb", "import", "--data-dir", dataDir, text]);
  await until(() => existsSync(path.join(dataDir, "metrics/MANIFEST")), "the store's opening");
  await sleep(200);
  importing.child.kill("SIGINT");
  await importing.closed;
  assert.equal(importing.child.exitCode, 2, importing.log);
  assert.match(importing.log, /stopped/);
  assert.deepEqual(readdirSync(path.join(dataDir, "metrics/segments")), []);
});

test("a flipped bit is named, and the rest of the block is served", { skip }, async (t) => {
  const dir = path.join(scratch(t), "prometheus");
  const text = path.join(scratch(t), "back.om");
  backfill(text);
  execFileSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, dir], { stdio: "ignore" });
  const [block] = readdirSync(dir).sort();
  const chunks = path.join(dir, block, "chunks/000001");
  const bytes = readFileSync(chunks);
  bytes[bytes.length - 20] ^= 4;
  writeFileSync(chunks, bytes);
  const verified = await runCommand(["tsdb", "verify", dir]);
  assert.equal(verified.code, 1, verified.stdout + verified.stderr);
  assert.ok(verified.stdout.includes(chunks), verified.stdout);
  const quarterdeck = await start(t, { args: ["--set", `store.metrics.prometheus_dir=${dir}`] });
  assert.equal((await quarterdeck.query("bk_total", kOld + 60)).length, 5);
  const all = await quarterdeck.api(`/api/v1/query?query=${encodeURIComponent('{s=~".+"}')}&time=${kOld + 60}`);
  assert.equal(all.status, "error");
  assert.ok(all.error.includes(chunks), all.error);
});

test("nothing and the wrong thing are refused with a cure", async (t) => {
  const dir = scratch(t);
  mkdirSync(path.join(dir, "empty"));
  const cases = [
    ["tsdb", "analyze", path.join(dir, "none")],
    ["tsdb", "verify", path.join(dir, "empty")],
    ["tsdb", "import", "--data-dir", path.join(dir, "data"), path.join(dir, "none")],
    ["tsdb", "import", "--data-dir", path.join(dir, "data"), path.join(dir, "empty")],
    ["run", "--data-dir", path.join(dir, "data"), "--set", `store.metrics.prometheus_dir=${path.join(dir, "empty")}`],
  ];
  for (const args of cases) {
    const done = await runCommand(args);
    assert.equal(done.code, 2, args.join(" "));
    assert.ok(done.stderr.includes(args.at(-1).replace(/.*=/, "")), done.stderr);
  }
});
