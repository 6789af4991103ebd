// The container collector beside Debian's Docker engine: the figures of /exporters/cadvisor/metrics against those that
// the engine gives for the same container, names and labels against cAdvisor's, and containers that come and go.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { importImage, kImage, missingEngine, startEngine } from "./engine.mjs";
import { parseText } from "./exposition.mjs";
import { atEnd, conformance, request, sleep, start, until } from "./lib.mjs";

const page = async (quarterdeck) => {
  const answer = await request(`${quarterdeck.url}/exporters/cadvisor/metrics`);
  assert.equal(answer.status, 200, answer.text);
  return parseText(answer.text);
};

/** What the engine says of a container, asked over its socket. */
function engineStats({ socket }, id) {
  const url = `http://docker/containers/${id}/stats?stream=false&one-shot=true`;
  return JSON.parse(execFileSync("curl", ["-sS", "--unix-socket", socket, url], { encoding: "utf8" }));
}

test("containers are told as the engine tells them", { skip: missingEngine() }, async (t) => {
  const engine = await startEngine(t);
  if (engine === null) return;
  if (!importImage(t, engine)) return;
  const limits = ["--memory", "128m", "--cpus", "0.5", "--pids-limit", "50", "--ulimit", "nofile=2048:4096"];
  const names = ["--name", "web", "--label", "com.docker.compose.project=shop", "--label", "other=hidden"];
  const work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exec sleep 3600";
  const id = engine.docker("run", "-d", "--network", "none", ...limits, ...names, kImage, "/bin/sh", "-c", work);
  atEnd(t, () => engine.docker("rm", "-f", id));
  const quarterdeck = await start(t, { args: ["--set", `observe.docker.socket=${engine.socket}`] });

  const mine = ({ labels }) => labels.id?.includes(id) ?? false;
  const find = (told, name, more = {}) =>
    told.list.find(
      (sample) =>
        sample.name === name &&
        mine(sample) &&
        Object.entries(more).every(([key, text]) => sample.labels[key] === text),
    );
  await until(async () => find(await page(quarterdeck), "container_last_seen")?.labels.name === "web", "the name");
  // The loop has ended: figures stand still.
  await until(() => engineStats(engine, id).pids_stats.current === 1, "the end of the work", 60_000);
  await sleep(1000);
  const told = await page(quarterdeck);
  const expected = engineStats(engine, id);

  const { labels } = find(told, "container_memory_usage_bytes");
  assert.deepEqual(labels, {
    container_label_com_docker_compose_project: "shop",
    id: labels.id,
    image: kImage,
    name: "web",
  });
  assert.match(labels.id, new RegExp(`^/(docker/${id}|system.slice/docker-${id}\\.scope)$`));

  const value = (name, more) => find(told, name, more)?.value;
  assert.equal(value("container_memory_usage_bytes"), expected.memory_stats.usage);
  assert.equal(value("container_spec_memory_limit_bytes"), 128 << 20);
  assert.equal(value("container_spec_cpu_quota"), 50_000);
  assert.equal(value("container_spec_cpu_period"), 100_000);
  assert.equal(value("container_threads"), expected.pids_stats.current);
  assert.equal(value("container_threads_max"), 50);
  assert.equal(value("container_processes"), 1);
  assert.equal(value("container_ulimits_soft", { ulimit: "max_open_files" }), 2048);
  assert.equal(value("container_health_state"), -1);
  const cpu = expected.cpu_stats;
  const near = (seconds, nanoseconds) => assert.ok(Math.abs(seconds - nanoseconds / 1e9) < 0.02, `${seconds}`);
  near(value("container_cpu_usage_seconds_total", { cpu: "total" }), cpu.cpu_usage.total_usage);
  near(value("container_cpu_user_seconds_total"), cpu.cpu_usage.usage_in_usermode);
  near(value("container_cpu_system_seconds_total"), cpu.cpu_usage.usage_in_kernelmode);
  assert.equal(value("container_cpu_cfs_periods_total"), cpu.throttling_data.periods);
  assert.equal(value("container_cpu_cfs_throttled_periods_total"), cpu.throttling_data.throttled_periods);
  const inspected = JSON.parse(engine.docker("inspect", id))[0];
  assert.equal(value("container_start_time_seconds"), Math.floor(Date.parse(inspected.State.StartedAt) / 1000));

  const root = (name) => told.list.find((sample) => sample.name === name && sample.labels.id === "/")?.value;
  assert.ok(root("container_memory_usage_bytes") > 0);
  assert.ok(root("container_cpu_usage_seconds_total") > 0);
  assert.equal(told.list.find(({ name }) => name === "container_scrape_error").value, 0);
  assert.ok(told.list.find(({ name }) => name === "machine_memory_bytes").value > 1 << 20);

  // As the store has it.
  await until(async () => {
    const found = await quarterdeck.query('container_memory_usage_bytes{name="web"}');
    return found.length === 1 && found[0].metric.job === "cadvisor";
  }, "the container in the store");

  const second = engine.docker("run", "-d", "--network", "none", "--name", "two", kImage, "/bin/sleep", "3600");
  await until(
    async () => (await page(quarterdeck)).list.some(({ labels }) => labels.name === "two"),
    "the second container",
  );
  engine.docker("rm", "-f", second);
  await until(async () => !(await page(quarterdeck)).list.some(({ labels }) => labels.id?.includes(second)), "its end");
});

test("names, types and labels are cAdvisor's", {
  skip: !existsSync(conformance) && "no conformance data",
}, async (t) => {
  const quarterdeck = await start(t);
  const told = await page(quarterdeck);
  const known = new Map(
    readFileSync(path.join(conformance, "exporters/cadvisor.tsv"), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("\t"))
      .map(([name, labels, type]) => [name, { labels: new Set(labels.split(",")), type }]),
  );
  // Of the limits of memory the list's container has none.
  const unlisted = /^container_spec_memory_(limit|reservation_limit|swap_limit)_bytes$/;
  for (const { name, labels } of told.list) {
    if (unlisted.test(name)) continue;
    assert.ok(known.has(name), `${name} is not cAdvisor's`);
    assert.equal(told.families.get(name)?.type, known.get(name).type, name);
    for (const label of Object.keys(labels)) {
      const form = label.replace(/^container_label_.*/, "container_label_foo_label");
      assert.ok(known.get(name).labels.has(form), `${name} has no label ${label}`);
    }
  }
});
