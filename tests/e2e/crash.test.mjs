// kill -9 in the middle of appends: what a query has shown is acknowledged, and is there again after every crash, unchanged.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { scratch, serve, sleep, start, until, writeConfig } from "./lib.mjs";

const crashes = Number(process.env.QD_CRASHES ?? 50);
const seriesPerTarget = 200;

/** Every sample of the test's series, as "labels@time" to the value's text. */
async function samples(quarterdeck) {
  const seen = new Map();
  for (const series of await quarterdeck.query("crash_value[2h]")) {
    const key = `${series.metric.instance}/${series.metric.n}`;
    for (const [time, value] of series.values) seen.set(`${key}@${time}`, value);
  }
  return seen;
}

test(`no acknowledged sample is lost or altered by ${crashes} crashes`, { timeout: crashes * 20_000 }, async (t) => {
  let counter = 0;
  const target = await serve(t, (_, response) => {
    counter += 1;
    let body = "# TYPE crash_value gauge\n";
    for (let n = 0; n < seriesPerTarget; n += 1) body += `crash_value{n="${n}"} ${counter * 1.25 + n / 8}\n`;
    response.end(body);
  });
  const dir = scratch(t);
  const prometheus = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs:
  - {job_name: a, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{targets: ["${target.address}"]}]}
  - {job_name: b, scrape_interval: 150ms, scrape_timeout: 150ms, metrics_path: /b, static_configs: [{targets: ["localhost:${target.port}"]}]}
`,
  );
  // Sealing every few seconds, so that crashes also meet sealing, merging and the log's truncation.
  const args = [
    "--prometheus",
    prometheus,
    "--set",
    "store.metrics.seal_interval=2s",
    "--set",
    "observe.host.enabled=false",
  ];
  const acknowledged = new Map();
  let verified = 0;
  for (let crash = 0; crash <= crashes; crash += 1) {
    const quarterdeck = await start(t, { args, dataDir: path.join(dir, "data") });
    const found = await samples(quarterdeck);
    for (const [key, value] of acknowledged) {
      assert.equal(found.get(key), value, `after crash ${crash}: ${key}`);
      verified += 1;
    }
    if (crash === crashes) {
      assert.deepEqual(
        quarterdeck.log.filter((line) => line.level === "error"),
        [],
      );
      await quarterdeck.stop();
      break;
    }
    const before = found.size;
    const life = 250 + Math.random() * 450;
    const end = Date.now() + life;
    do {
      for (const [key, value] of await samples(quarterdeck)) acknowledged.set(key, value);
      await sleep(Math.random() * 60);
    } while (Date.now() < end);
    await quarterdeck.kill();
    if (crash === 0) await until(() => acknowledged.size > before, "a first sample");
  }
  assert.ok(acknowledged.size > seriesPerTarget * crashes, `only ${acknowledged.size} samples were acknowledged`);
  t.diagnostic(`${acknowledged.size} acknowledged samples, ${verified} comparisons`);
});
