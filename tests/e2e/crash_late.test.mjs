// kill -9 amid late samples, deletions and snapshots: what was acknowledged is there after every crash, unchanged, and
// what was deleted stays deleted.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { runCommand, scratch, sleep, start } from "./lib.mjs";
import { write } from "./write.mjs";

const crashes = Math.ceil(Number(process.env.QD_CRASHES ?? 50) / 2);
const seriesCount = 20;
const key = (n, time) => `${n}@${time}`;

async function stored(quarterdeck) {
  const seen = new Map();
  for (const series of await quarterdeck.query("late_value[7h]")) {
    for (const [time, value] of series.values) seen.set(key(series.metric.n, Math.round(time * 1000)), Number(value));
  }
  return seen;
}

test(`late samples and deletions survive ${crashes} crashes`, { timeout: crashes * 20_000 }, async (t) => {
  const dir = scratch(t);
  const dataDir = path.join(dir, "data");
  const args = [
    ...["--set", "store.metrics.seal_interval=2s", "--set", "observe.host.enabled=false"],
    ...["--set", "observe.interval=1s", "--set", "serve.auth.tokens=true"],
  ];
  let quarterdeck = await start(t, { args, dataDir });
  const made = await runCommand(["token", "add", "test", "--data-dir", dataDir]);
  assert.equal(made.code, 0, made.stderr);
  const headers = { Authorization: `Bearer ${made.stdout.trim()}` };
  const base = Date.now() - 6 * 3600 * 1000;
  const acknowledged = new Map();
  const deleted = new Set();
  let verified = 0;
  let deletions = 0;
  for (let crash = 0; crash <= crashes; crash += 1) {
    if (crash > 0) quarterdeck = await start(t, { args, dataDir });
    const found = await stored(quarterdeck);
    for (const [at, value] of acknowledged) {
      assert.equal(found.get(at), value, `after crash ${crash}: ${at}`);
      verified += 1;
    }
    for (const at of deleted) assert.ok(!found.has(at), `after crash ${crash}: ${at} was deleted`);
    if (crash === crashes) {
      const errors = quarterdeck.log.filter((line) => line.level === "error");
      assert.deepEqual(errors, []);
      break;
    }
    const killed = sleep(250 + Math.random() * 650).then(() => quarterdeck.kill());
    let alive = true;
    killed.then(() => (alive = false));
    while (alive) {
      try {
        const batch = [];
        for (let i = 0; i < seriesCount; i += 1) {
          const samples = [];
          for (let k = 0; k < 2; k += 1) {
            // A time that is nobody's yet.
            const time = base + Math.floor(Math.random() * 5.9 * 3600 * 1000);
            if (!acknowledged.has(key(i, time)) && !deleted.has(key(i, time))) samples.push([time, Math.random()]);
          }
          batch.push({ labels: { __name__: "late_value", n: String(i) }, samples });
        }
        const answer = await write(quarterdeck, batch);
        if (answer.status === 503) {
          await sleep(20);
          continue;
        }
        assert.equal(answer.status, 204, answer.text);
        for (const { labels, samples } of batch)
          for (const [time, value] of samples) acknowledged.set(key(labels.n, time), value);
        await sleep(Math.random() * 20);
        if (Math.random() < 0.1) {
          const n = Math.floor(Math.random() * seriesCount);
          const from = base + Math.floor(Math.random() * 5 * 3600 * 1000);
          const to = from + 600_000;
          const gone = [...acknowledged.keys()].filter((at) => {
            const [series, time] = at.split("@").map(Number);
            return series === n && time >= from && time <= to;
          });
          // Not known, when the crash comes before the answer.
          const values = new Map(gone.map((at) => [at, acknowledged.get(at)]));
          for (const at of gone) acknowledged.delete(at);
          const match = encodeURIComponent(`late_value{n="${n}"}`);
          const times = `start=${from / 1000}&end=${to / 1000}`;
          const done = await quarterdeck.get(`/api/v1/admin/tsdb/delete_series?match[]=${match}&${times}`, {
            method: "POST",
            headers,
          });
          assert.equal(done.status, 204, done.text);
          for (const at of gone) deleted.add(at);
          deletions += values.size > 0 ? 1 : 0;
        }
        if (Math.random() < 0.02) {
          await quarterdeck.get("/api/v1/admin/tsdb/clean_tombstones", { method: "POST", headers });
          await quarterdeck.get("/api/v1/admin/tsdb/snapshot", { method: "POST", headers });
        }
      } catch (error) {
        if (alive && error instanceof assert.AssertionError) throw error;
        await sleep(1);
      }
    }
    await killed;
  }
  // The newest snapshot that was made whole opens, and holds only what was once stored.
  const snapshots = path.join(dataDir, "snapshots");
  const whole = existsSync(snapshots) ? readdirSync(snapshots).filter((name) => !name.endsWith(".tmp")) : [];
  await quarterdeck.stop();
  if (whole.length > 0) {
    const copy = await start(t, { args, dataDir: path.join(snapshots, whole.sort().at(-1)) });
    for (const [at, value] of await stored(copy)) {
      if (acknowledged.has(at)) assert.equal(value, acknowledged.get(at));
    }
    await copy.stop();
  }
  assert.ok(acknowledged.size > seriesCount * crashes, `only ${acknowledged.size} samples were acknowledged`);
  t.diagnostic(
    `${acknowledged.size} samples, ${deletions} deletions, ${whole.length} snapshots, ${verified} comparisons`,
  );
});
