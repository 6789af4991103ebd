// Quarterdeck in the place of the exporters, on their ports: Debian's Prometheus scrapes all of them for a while without
// a single fault, and promtool likes the pages no less than those of the exporters themselves.
//
// The ports are fixed, so all of this runs in a network of its own: the file starts itself anew in there.
// QD_E2E_LONG=1 makes the while two minutes.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { freePort, missing, request, scratch, sleep, start, startProgram, until, writeConfig } from "./lib.mjs";
import {
  kMonitorPassword,
  kNginx,
  makeAccount,
  missingMariadb,
  missingPostgres,
  startMariadb,
  startMemcached,
  startNginx,
  startPostgres,
  startRedis,
} from "./servers.mjs";

const kLong = process.env.QD_E2E_LONG === "1";
const kSeconds = kLong ? 120 : 20;

// By job: the port of its exporter, and the metric that says that the service behind it was read.
const kPorts = {
  node: { port: 9100, alive: 'node_scrape_collector_success{collector="cpu"}' },
  cadvisor: { port: 8081, alive: "container_scrape_error == bool 0" },
  postgres: { port: 9187, alive: "pg_up" },
  mysql: { port: 9104, alive: "mysql_up" },
  memcached: { port: 9150, alive: "memcached_up" },
  redis: { port: 9121, alive: "redis_up" },
  nginx: { port: 9113, alive: "nginx_up" },
  blackbox: { port: 9115, alive: "probe_success" },
  // Empty where there is no GPU.
  dcgm: { port: 9400, alive: "up" },
};

/** Where a job's page is; a probe's says what is probed. */
const pathOf = (job, { nginx }) =>
  job === "blackbox" ? `/probe?module=http_2xx&target=${encodeURIComponent(`${nginx.url}/stub_status`)}` : "/metrics";

// What promtool dislikes in names that are not ours to choose and that Debian's exporters do not have: those of later
// releases, those that node_exporter takes from the kernel, and those of cAdvisor and memcached_exporter, which Debian
// lacks.
const kNotOurs = {
  node: /^node_netstat_\w+ metric names should be written in 'snake_case' not 'camelCase'$/,
  cadvisor:
    /^cadvisor_version_info label names should be written in 'snake_case' not 'camelCase'$|^container_\w+ (non-counter metrics should not|counter metrics should) have "_total" suffix$/,
  memcached: /^memcached_uptime_seconds counter metrics should have "_total" suffix$/,
  redis:
    /^redis_(current_eviction_exceeded_time_ms|eviction_exceeded_time_ms_total|expire_cycle_cpu_time_ms_total) metric names should not contain abbreviated units$|^redis_(memory_used_vm|rdb_saves)_total non-counter metrics should not have "_total" suffix$/,
};
// Debian has no exporter for them: promtool must like their pages by themselves.
const kWithoutPeer = ["cadvisor", "memcached", "dcgm"];

function lacking() {
  if (spawnSync("unshare", ["--net", "true"]).status !== 0) return "a network of its own is not to be had here";
  return missingPostgres() || missingMariadb() || missing(kNginx, "memcached", "redis-server", "ip", "prometheus");
}

/** This file again, in a network of its own with nothing but a loopback device. */
function runInside(t) {
  const file = fileURLToPath(import.meta.url);
  const inside = 'ip link set lo up && exec "$@"';
  const args = ["--net", "sh", "-c", inside, "sh", process.execPath, "--test-reporter=spec", file];
  // The outer run's way of reporting is not for this one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn("unshare", args, { env: { ...env, QD_E2E_INSIDE: "1" } });
  t.after(() => child.kill("SIGTERM"));
  let said = "";
  child.stdout.on("data", (part) => (said += part));
  child.stderr.on("data", (part) => (said += part));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, said })));
}

async function startServers(t) {
  const memcached = await freePort();
  const [postgres, mariadb, redis, nginx] = await Promise.all([
    startPostgres(t),
    startMariadb(t),
    startRedis(t),
    startNginx(t),
    startMemcached(t, memcached),
  ]);
  makeAccount(mariadb);
  return { postgres, mariadb, redis, nginx, memcached };
}

function settingsFor({ postgres, mariadb, redis, nginx, memcached }) {
  const instances = {
    postgres: { address: `127.0.0.1:${postgres.port}`, user: "postgres", password: "secret" },
    mysql: { address: mariadb.address, user: "monitor", password: kMonitorPassword },
    redis: { address: redis.address },
    memcached: { address: `127.0.0.1:${memcached}` },
    nginx: { status_url: `${nginx.url}/stub_status`, access_log: nginx.log },
  };
  return [
    "exporters.ports=drop-in",
    ...Object.entries(instances).map(([kind, instance]) => `observe.${kind}=[${JSON.stringify(instance)}]`),
  ].flatMap((setting) => ["--set", setting]);
}

/** Pages of Debian's exporters of the same servers, by job. */
async function theirPages(t, servers) {
  const { postgres, mariadb, redis, nginx } = servers;
  const modules = writeConfig(scratch(t), "blackbox.yml", "modules: {http_2xx: {prober: http}}\n");
  const programs = {
    node: [
      "prometheus-node-exporter",
      (port) => [`--web.listen-address=127.0.0.1:${port}`, "--collector.ethtool", "--collector.tcpstat"],
    ],
    postgres: [
      "prometheus-postgres-exporter",
      (port) => [`--web.listen-address=127.0.0.1:${port}`],
      { DATA_SOURCE_NAME: `postgresql://postgres:secret@127.0.0.1:${postgres.port}/postgres?sslmode=disable` },
    ],
    mysql: [
      "prometheus-mysqld-exporter",
      (port) => [`--web.listen-address=127.0.0.1:${port}`],
      { DATA_SOURCE_NAME: `monitor:${kMonitorPassword}@(${mariadb.address})/` },
    ],
    redis: [
      "prometheus-redis-exporter",
      (port) => [`-web.listen-address=127.0.0.1:${port}`, `-redis.addr=redis://${redis.address}`],
    ],
    nginx: [
      "prometheus-nginx-exporter",
      (port) => [`-web.listen-address=127.0.0.1:${port}`, `-nginx.scrape-uri=${nginx.url}/stub_status`],
    ],
    blackbox: [
      "prometheus-blackbox-exporter",
      (port) => [`--web.listen-address=127.0.0.1:${port}`, `--config.file=${modules}`],
    ],
  };
  const pages = {};
  for (const [job, [program, args, env]] of Object.entries(programs)) {
    if (missing(program)) {
      t.diagnostic(`${program} is not installed: its page is not compared`);
      continue;
    }
    const port = await freePort();
    const exporter = startProgram(t, program, args(port), env);
    pages[job] = await until(async () => {
      assert.equal(exporter.child.exitCode, null, exporter.log);
      const answer = await request(`http://127.0.0.1:${port}${pathOf(job, servers)}`);
      return answer.status === 200 ? answer.text : undefined;
    }, `a page of ${program}`);
    await exporter.stop();
  }
  return pages;
}

/** What promtool finds in a page, as lines. */
function promtool(text) {
  return new Promise((resolve) => {
    const child = spawn("promtool", ["check", "metrics"]);
    let said = "";
    child.stdout.on("data", (part) => (said += part));
    child.stderr.on("data", (part) => (said += part));
    child.on("close", () => resolve(said.split("\n").filter(Boolean)));
    child.stdin.end(text);
  });
}

async function startPrometheus(t, servers) {
  const dir = scratch(t);
  const jobs = Object.entries(kPorts).map(([job, { port }]) => {
    const { pathname, searchParams } = new URL(pathOf(job, servers), "http://localhost");
    const params = JSON.stringify(Object.fromEntries([...searchParams].map(([key, value]) => [key, [value]])));
    const from = `metrics_path: ${pathname}, params: ${params}, static_configs: [{targets: ["127.0.0.1:${port}"]}]`;
    return `  - {job_name: ${job}, ${from}}`;
  });
  const config = `global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n${jobs.join("\n")}\n`;
  const port = await freePort();
  const prometheus = startProgram(t, "prometheus", [
    `--config.file=${writeConfig(dir, "prometheus.yml", config)}`,
    `--storage.tsdb.path=${path.join(dir, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  prometheus.get = async (target) => JSON.parse((await request(`http://127.0.0.1:${port}/api/v1/${target}`)).text).data;
  prometheus.query = async (expr) => {
    const { result } = await prometheus.get(`query?query=${encodeURIComponent(expr)}`);
    return Object.fromEntries(result.map(({ metric, value }) => [metric.job, Number(value[1])]));
  };
  await until(async () => (await request(`http://127.0.0.1:${port}/-/ready`)).status === 200, "Prometheus", 30_000);
  return prometheus;
}

const forAll = (value) => Object.fromEntries(Object.keys(kPorts).map((job) => [job, value]));

async function inside(t) {
  const servers = await startServers(t);
  await start(t, { args: settingsFor(servers) });

  await t.test(
    "promtool finds nothing that it does not find in the exporter's own page",
    {
      skip: missing("promtool"),
    },
    async (t) => {
      const theirs = await theirPages(t, servers);
      for (const [job, { port }] of Object.entries(kPorts)) {
        const page = await request(`http://127.0.0.1:${port}${pathOf(job, servers)}`);
        assert.equal(page.status, 200, job);
        if (theirs[job] === undefined && !kWithoutPeer.includes(job)) continue;
        const theirLines = await promtool(theirs[job] ?? "");
        const lines = (await promtool(page.text)).filter((line) => !theirLines.includes(line));
        assert.deepEqual(
          lines.filter((line) => !kNotOurs[job]?.test(line)),
          [],
          job,
        );
      }
    },
  );

  const prometheus = await startPrometheus(t, servers);
  await until(
    async () => Object.keys(await prometheus.query("up")).length === Object.keys(kPorts).length,
    "a first scrape of all",
    20_000,
  );
  await sleep(kSeconds * 1000);

  const { activeTargets } = await prometheus.get("targets?state=active");
  const health = activeTargets.map(({ labels, health, lastError }) => [labels.job, { health, lastError }]);
  assert.deepEqual(Object.fromEntries(health), forAll({ health: "up", lastError: "" }));
  const range = `[${kSeconds + 20}s]`;
  assert.deepEqual(await prometheus.query(`min_over_time(up${range})`), forAll(1), "every scrape of every page");
  const scrapes = await prometheus.query(`count_over_time(up${range})`);
  for (const [job, count] of Object.entries(scrapes)) assert.ok(count > kSeconds * 0.9, `${job}: ${count} scrapes`);
  assert.deepEqual(
    await prometheus.query(
      `max_over_time((scrape_samples_scraped - scrape_samples_post_metric_relabeling)${range.replace("]", ":1s]")})`,
    ),
    forAll(0),
    "samples that Prometheus dropped",
  );
  for (const [job, { alive }] of Object.entries(kPorts)) {
    assert.equal((await prometheus.query(`min_over_time((${alive})${range.replace("]", ":1s]")})`))[job], 1, alive);
  }
  assert.deepEqual(
    prometheus.log.split("\n").filter((line) => /level=(warn|error)/.test(line)),
    [],
  );
  const slowest = await prometheus.query(`max_over_time(scrape_duration_seconds${range})`);
  const samples = await prometheus.query("scrape_samples_scraped");
  t.diagnostic(
    Object.keys(kPorts)
      .map(
        (job) => `${job}: ${scrapes[job]} scrapes of ${samples[job]} samples, ${(slowest[job] * 1000).toFixed(0)} ms`,
      )
      .join("; "),
  );
}

test("Prometheus scrapes every drop-in port without a fault", { skip: lacking() }, async (t) => {
  if (process.env.QD_E2E_INSIDE) return inside(t);
  const { code, said } = await runInside(t);
  for (const line of said.split("\n")) if (/scrapes of|not compared/.test(line)) t.diagnostic(line.trim());
  assert.equal(code, 0, said);
});
