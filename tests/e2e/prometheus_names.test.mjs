// What dashboards and alerts for a Prometheus server read of it, at /metrics: names and types as a real Prometheus has
// them, and the alerts of its mixin that find what they look for.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { freePort, missing, request, scratch, serve, start, startProgram, until, writeConfig } from "./lib.mjs";

/** Families of a page of metrics, with their types. */
const types = (text) => new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));

// Of the mixin: what its alerts read, but for those of Kubernetes discovery, which is not on here.
const kRead = [
  "prometheus_config_last_reload_successful",
  "prometheus_engine_queries",
  "prometheus_engine_queries_concurrent_max",
  "prometheus_notifications_alertmanagers_discovered",
  "prometheus_notifications_queue_capacity",
  "prometheus_notifications_queue_length",
  "prometheus_remote_storage_highest_timestamp_in_seconds",
  "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
  "prometheus_remote_storage_samples_failed_total",
  "prometheus_remote_storage_samples_total",
  "prometheus_remote_storage_shards_desired",
  "prometheus_remote_storage_shards_max",
  "prometheus_rule_evaluation_failures_total",
  "prometheus_rule_group_iterations_missed_total",
  "prometheus_rule_group_rules",
  "prometheus_sd_refresh_failures_total",
  "prometheus_target_scrape_pool_exceeded_label_limits_total",
  "prometheus_target_scrape_pool_exceeded_target_limit_total",
  "prometheus_target_scrapes_exceeded_body_size_limit_total",
  "prometheus_target_scrapes_exceeded_sample_limit_total",
  "prometheus_target_scrapes_sample_duplicate_timestamp_total",
  "prometheus_target_scrapes_sample_out_of_order_total",
  "prometheus_target_sync_failed_total",
  "prometheus_tsdb_compactions_failed_total",
  "prometheus_tsdb_head_samples_appended_total",
  "prometheus_tsdb_reloads_failures_total",
];
// And its dashboards, besides.
const kShown = [
  "prometheus_build_info",
  "prometheus_engine_query_duration_seconds",
  "prometheus_remote_storage_samples_pending",
  "prometheus_sd_discovered_targets",
  "prometheus_target_interval_length_seconds",
  "prometheus_target_scrapes_sample_out_of_bounds_total",
  "prometheus_target_sync_length_seconds",
  "prometheus_tsdb_head_chunks",
  "prometheus_tsdb_head_series",
];

// Histograms here, summaries there: _sum and _count, which dashboards read, are the same.
const kHistograms = [
  "prometheus_notifications_latency_seconds",
  "prometheus_rule_evaluation_duration_seconds",
  "prometheus_rule_group_duration_seconds",
  "prometheus_sd_refresh_duration_seconds",
];

test("what alerts for a Prometheus server read is there, with Prometheus's types", {
  skip: missing("prometheus"),
}, async (t) => {
  const dir = scratch(t);
  const page = await serve(t, (_, response) =>
    response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end("a 1\nb 2\n"),
  );
  const receiver = await serve(t, (_, response) => response.writeHead(204).end());
  const config = [
    "global: {scrape_interval: 1s}",
    `remote_write: [{url: "http://${receiver.address}/w", name: there, queue_config: {batch_send_deadline: 200ms}}]`,
    "scrape_configs:",
    `  - {job_name: good, static_configs: [{targets: ["${page.address}"]}]}`,
    `  - {job_name: samples, sample_limit: 1, static_configs: [{targets: ["${page.address}"]}]}`,
    `  - {job_name: targets, target_limit: 1, static_configs: [{targets: ["${page.address}", "127.0.0.1:1"]}]}`,
    `  - {job_name: files, file_sd_configs: [{files: ["${dir}/none.json"]}]}`,
    "",
  ].join("\n");
  const file = writeConfig(dir, "prometheus.yml", config);
  const port = await freePort();
  startProgram(t, "prometheus", [
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(dir, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  const quarterdeck = await start(t, { args: ["--prometheus", file] });
  const theirs = async () => (await request(`http://127.0.0.1:${port}/metrics`)).text;
  const ours = async () => (await quarterdeck.get("/metrics")).text;
  // Scraped twice, so that there is a distance between the two.
  const counted = (text) => /^prometheus_target_interval_length_seconds_count\{interval="1s"\} [1-9]/m.test(text);
  for (const ask of [theirs, ours]) await until(async () => counted(await ask().catch(() => "")), "scrapes", 30_000);
  await until(async () => /^prometheus_remote_storage_samples_total\{.*\} [1-9]/m.test(await ours()), "sending");

  const mine = types(await ours());
  const others = types(await theirs());
  for (const name of [...kRead, ...kShown]) assert.ok(mine.has(name), `${name} is not there`);
  const shared = [...mine.keys()].filter((name) => name.startsWith("prometheus_") && others.has(name));
  assert.ok(shared.length > 60, `${shared.length} names of Prometheus`);
  const otherwise = shared.filter((name) => mine.get(name) !== others.get(name) && !kHistograms.includes(name));
  assert.deepEqual(otherwise, [], "these have another type");

  // Limits that are met are counted where the mixin looks for them.
  const value = async (name) => Number((await ours()).match(new RegExp(`^${name} (\\S+)$`, "m"))?.[1]);
  assert.ok((await value("prometheus_target_scrapes_exceeded_sample_limit_total")) > 0);
  assert.equal(await value("prometheus_target_scrape_pool_exceeded_target_limit_total"), 1);
  assert.match(await ours(), /^prometheus_target_scrape_pool_targets\{scrape_job="good"\} 1$/m);
});
