// What a target's pages come to over time: series that begin where they were created, and no more of them than allowed.
import assert from "node:assert/strict";
import test from "node:test";
import { runCommand, scratch, serve, start, until, writeConfig } from "./lib.mjs";

const kQuiet = ["--set", "judge.rules.defaults=false", "--set", "observe.host.enabled=false"];

const fileFor = (t, target, more = "") =>
  writeConfig(
    scratch(t),
    "prometheus.yml",
    `scrape_configs: [{job_name: j, scrape_interval: 1s, ${more} static_configs: [{targets: ["${target.address}"]}]}]\n`,
  );
const startOn = (t, file, ...more) => start(t, { args: [...kQuiet, "--prometheus", file, ...more] });

test("a counter begins with a zero where it was created, if that is set", async (t) => {
  let created = Date.now() / 1000 - 10;
  let restarted = false;
  const target = await serve(t, (_, response) => {
    // A third of a second before this scrape, so after the last one.
    if (restarted) created = Date.now() / 1000 - 0.3;
    restarted = false;
    response.writeHead(200, { "Content-Type": "application/openmetrics-text; version=1.0.0" });
    response.end(`# TYPE jobs counter\njobs_total{kind="a"} 7\njobs_created{kind="a"} ${created.toFixed(3)}\n# EOF\n`);
  });
  const file = fileFor(t, target);
  const samples = async (quarterdeck) => (await quarterdeck.query('jobs_total{kind="a"}[1m]'))[0]?.values ?? [];
  const zeros = async (quarterdeck) => (await samples(quarterdeck)).filter(([, value]) => value === "0");
  const at = () => Number(created.toFixed(3));

  const plain = await startOn(t, file);
  await until(async () => (await samples(plain)).length > 1, "two scrapes");
  assert.deepEqual(await zeros(plain), []);
  assert.equal((await plain.query("jobs_created")).length, 1);
  await plain.stop();

  const quarterdeck = await startOn(t, file, "--set", "store.metrics.created_timestamp_zero_ingestion=true");
  await until(async () => (await samples(quarterdeck)).length > 2, "two scrapes");
  const first = at();
  assert.deepEqual(await zeros(quarterdeck), [[first, "0"]]);
  assert.equal((await quarterdeck.query("jobs_created")).length, 0);
  restarted = true;
  await until(async () => (await zeros(quarterdeck)).length > 1, "a zero for the restart");
  assert.deepEqual(await zeros(quarterdeck), [
    [first, "0"],
    [at(), "0"],
  ]);
});

test("a target that makes ever more series is held to series_limit and says so", async (t) => {
  let round = 0;
  const target = await serve(t, (_, response) => response.end(`stays 1\nchurns{id="${round++}"} 1\n`));
  const file = fileFor(t, target, "series_limit: 3,");
  const checked = await runCommand(["check", file]);
  assert.equal(checked.code, 0, checked.stdout);
  const quarterdeck = await startOn(t, file);
  const active = async () => (await quarterdeck.api("/api/v1/targets?state=active&scrapePool=j")).data.activeTargets[0];
  await until(async () => /series_limit 3 is reached/.test((await active())?.lastError ?? ""), "the limit is reached");
  assert.equal((await active()).health, "up");
  assert.equal(await quarterdeck.value("scrape_series_current"), 3);
  assert.equal(await quarterdeck.value("scrape_series_limit"), 3);
  assert.equal(await quarterdeck.value("scrape_series_limit_samples_dropped"), 1);
  assert.equal(await quarterdeck.value("stays"), 1);
  assert.deepEqual((await quarterdeck.api("/api/v1/label/id/values?match[]=churns")).data, ["0", "1"]);
  assert.match((await quarterdeck.get("/metrics")).text, /quarterdeck_scrape_series_limit_samples_dropped_total [1-9]/);
});
