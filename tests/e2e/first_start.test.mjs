// The very first start, with nothing configured: what it knows after seconds, how it stops, what it keeps.
import assert from "node:assert/strict";
import { readFileSync, statfsSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import test from "node:test";
import { sleep, start, until } from "./lib.mjs";

const kShown_ms = 5_000;
const kRate_ms = 12_000;
const kStop_ms = 10_000;

const proc = (file) => readFileSync(`/proc/${file}`, "utf8");
const meminfoBytes = (name) => Number(proc("meminfo").match(new RegExp(`^${name}:\\s+(\\d+) kB`, "m"))[1]) * 1024;

function near(actual, expected, tolerance, what) {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} is not within ${tolerance} of ${expected}`);
}

// Processor time of all CPUs so far, in seconds, and when that was.
function cpuTime() {
  const fields = proc("stat").split("\n")[0].trim().split(/\s+/).slice(1, 9).map(Number);
  return { total_s: fields.reduce((sum, one) => sum + one, 0) / 100, idle_s: fields[3] / 100, at_ms: Date.now() };
}

test("the machine is known within seconds of the very first start, and truly", async (t) => {
  const before = cpuTime();
  const spawned = Date.now();
  const quarterdeck = await start(t, { discovery: true });
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);

  const live = {
    CPU: "sum(rate(node_cpu_seconds_total[15s]))",
    memory: "node_memory_MemAvailable_bytes",
    disk: "sum(rate(node_disk_reads_completed_total[15s]))",
    network: "sum(rate(node_network_receive_bytes_total[15s]))",
    load: "node_load1",
    filesystems: "count(node_filesystem_avail_bytes)",
  };
  for (const [what, expr] of Object.entries(live)) {
    const left = kShown_ms - (Date.now() - spawned);
    await until(async () => Number.isFinite(await quarterdeck.value(expr)), `a live value of ${what}`, left);
  }
  t.diagnostic(`live values ${Date.now() - spawned} ms after the start`);

  const rate30s = 'sum by (cpu) (rate(node_cpu_seconds_total{job="node"}[30s]))';
  const cpus = os.cpus().length;
  const left = kRate_ms - (Date.now() - spawned);
  await until(async () => (await quarterdeck.query(rate30s)).length === cpus, "a rate over 30 s", left);
  t.diagnostic(`a rate over 30 s has an answer ${Date.now() - spawned} ms after the start`);
  const newest = 'sum by (cpu) (irate(node_cpu_seconds_total{job="node"}[15s]))';
  for (const { metric, value } of await quarterdeck.query(newest)) {
    near(Number(value[1]), 1, 0.25, `seconds that CPU ${metric.cpu} counts per second`);
  }

  assert.equal(await quarterdeck.value("node_memory_MemTotal_bytes"), meminfoBytes("MemTotal"));
  near(
    await quarterdeck.value("node_memory_MemAvailable_bytes"),
    meminfoBytes("MemAvailable"),
    meminfoBytes("MemTotal") / 4,
    "available memory",
  );
  assert.equal(await quarterdeck.value('count(node_cpu_seconds_total{mode="idle"})'), cpus);
  assert.equal(await quarterdeck.value("node_boot_time_seconds"), Number(proc("stat").match(/^btime (\d+)/m)[1]));
  near(await quarterdeck.value("node_time_seconds"), Date.now() / 1000, 15, "the clock");
  near(await quarterdeck.value("node_load1"), Number(proc("loadavg").split(" ")[0]), 5, "load");
  const uname = (await quarterdeck.query("node_uname_info"))[0].metric;
  assert.deepEqual([uname.nodename, uname.release, uname.sysname], [os.hostname(), os.release(), "Linux"]);

  // Between a moment before the start and now the counter of the kernel passed every stored value.
  const idle = await quarterdeck.value('sum(node_cpu_seconds_total{mode="idle"})');
  const after = cpuTime();
  assert.ok(
    before.idle_s <= idle + 0.02 * cpus && idle <= after.idle_s + 0.02 * cpus,
    `${before.idle_s} ${idle} ${after.idle_s}`,
  );

  const interfaces = proc("net/dev")
    .split("\n")
    .slice(2)
    .map((line) => line.split(":")[0].trim())
    .filter(Boolean)
    .sort();
  const seen = (await quarterdeck.query("node_network_receive_bytes_total")).map(({ metric }) => metric.device).sort();
  assert.deepEqual(seen, interfaces);
  // A container's / is an overlay, which node_exporter leaves out as well.
  const root = await quarterdeck.value('node_filesystem_size_bytes{mountpoint="/"}');
  const { blocks, bsize } = statfsSync("/");
  if (root !== undefined) assert.equal(root, blocks * bsize);
  else assert.match(proc("mounts"), /^overlay \/ /m);

  const up = await until(async () => {
    const result = await quarterdeck.query(`up{job=~"node|quarterdeck"}`);
    return result.length === 2 && result;
  }, "what up says of the host and of Quarterdeck itself");
  assert.deepEqual(up.map(({ metric, value }) => [metric.job, value[1]]).sort(), [
    ["node", "1"],
    ["quarterdeck", "1"],
  ]);
  assert.deepEqual(
    quarterdeck.log.filter(({ level }) => level !== "info"),
    [],
    "the log of a first start",
  );
  assert.ok((await quarterdeck.api("/api/v1/rules")).data.groups.length > 0, "default rules are on");
});

// Every sample of a series of the host, as "labels@time" to the value's text.
async function samples(quarterdeck) {
  const seen = new Map();
  for (const expr of ["node_time_seconds[1h]", "node_cpu_seconds_total[1h]", "up[1h]"]) {
    for (const { metric, values } of await quarterdeck.query(expr)) {
      for (const [time, value] of values) seen.set(`${JSON.stringify(metric)}@${time}`, value);
    }
  }
  return seen;
}

function holdsAll(found, earlier, after) {
  for (const [key, value] of earlier) assert.equal(found.get(key), value, `${key} after ${after}`);
}

test("data survives a restart and kill -9", async (t) => {
  const first = await start(t);
  const dataDir = first.dataDir;
  await until(async () => (await first.query("node_time_seconds[1h]"))[0]?.values.length >= 3, "three samples");
  let known = await samples(first);
  assert.deepEqual(await first.stop(), { code: 0, signal: null });

  const second = await start(t, { dataDir });
  let found = await samples(second);
  holdsAll(found, known, "a restart");
  await until(async () => (await second.query("node_time_seconds[1h]"))[0].values.length >= 5, "new samples");
  known = await samples(second);
  assert.deepEqual(await second.kill(), { code: null, signal: "SIGKILL" });

  const third = await start(t, { dataDir });
  found = await samples(third);
  holdsAll(found, known, "kill -9");
  await until(async () => (await samples(third)).size > found.size, "samples after the crash");
  assert.deepEqual(
    third.log.filter(({ level }) => level === "error"),
    [],
  );
  assert.deepEqual(await third.stop(), { code: 0, signal: null });
});

async function stopsWithin(quarterdeck) {
  const asked = Date.now();
  const end = await quarterdeck.stop();
  assert.deepEqual(end, { code: 0, signal: null });
  const took = Date.now() - asked;
  assert.ok(took < kStop_ms, `stopping took ${took} ms`);
  return took;
}

test("SIGTERM stops it at once when nothing runs, idle connections or not", async (t) => {
  const quarterdeck = await start(t);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  await new Promise((resolve, reject) => {
    http
      .get(`${quarterdeck.url}/-/healthy`, { agent }, (response) => response.resume().on("end", resolve))
      .on("error", reject);
  });
  const silent = net.connect(Number(new URL(quarterdeck.url).port), "127.0.0.1");
  t.after(() => silent.destroy());
  silent.on("error", () => {});
  await new Promise((resolve) => silent.once("connect", resolve));
  const took = await stopsWithin(quarterdeck);
  assert.ok(took < 3_000, `stopping took ${took} ms`);
  assert.match(quarterdeck.log.at(-1).message, /stopped/);
});

test("SIGTERM finishes a query that runs", async (t) => {
  const quarterdeck = await start(t);
  const now = Math.floor(Date.now() / 1000);
  const terms = [181, 182, 183].map((minutes) => `stddev_over_time(vector(time())[${minutes}m:1s])`);
  const form = new URLSearchParams({ query: terms.join(" + "), start: now - 9_000, end: now, step: 1 });
  let answered = 0;
  const answer = quarterdeck
    .api("/api/v1/query_range", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    })
    .finally(() => {
      answered = Date.now();
    });
  await sleep(250);
  assert.equal(answered, 0, "the query is slow enough to be running still");
  const asked = Date.now();
  const [{ status, data }] = await Promise.all([answer, stopsWithin(quarterdeck)]);
  assert.equal(status, "success");
  assert.equal(data.result[0].values.length, 9_001);
  assert.ok(answered > asked);
  t.diagnostic(`the query ran for ${answered - asked} ms after SIGTERM`);
});

test("SIGTERM finishes a response that a slow client reads", async (t) => {
  const quarterdeck = await start(t);
  await until(async () => (await quarterdeck.query("node_memory_MemTotal_bytes")).length === 1, "a sample");
  const now = Date.now() / 1000;
  const query = new URLSearchParams({
    query: '{__name__=~"node_memory_.*"}',
    start: now,
    end: now + 10,
    step: "0.001",
  });
  const body = await new Promise((resolve, reject) => {
    const outgoing = http.get(`${quarterdeck.url}/api/v1/query_range?${query}`, { agent: false }, async (response) => {
      assert.equal(response.statusCode, 200);
      const parts = [];
      response.on("end", () => resolve(Buffer.concat(parts)));
      response.on("error", reject);
      response.on("aborted", () => reject(new Error("the response was cut")));
      // Nothing is read while the program is told to stop: most of the answer is still with it.
      await sleep(300);
      quarterdeck.child.kill("SIGTERM");
      await sleep(700);
      assert.equal(quarterdeck.child.exitCode, null, "it waits for the slow client");
      response.on("data", (part) => parts.push(part));
    });
    outgoing.on("error", reject);
  });
  const { status, data } = JSON.parse(body.toString());
  assert.equal(status, "success");
  assert.ok(data.result.every(({ values }) => values.length === 10_001));
  assert.deepEqual(await quarterdeck.exited, { code: 0, signal: null });
  t.diagnostic(`${(body.length / 1e6).toFixed(1)} MB were read`);
});
