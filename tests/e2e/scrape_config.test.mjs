// Prometheus files as Prometheus takes them: what is accepted, what targets they come to beside a real Prometheus, and
// how they change while the program runs.
import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { importImage, kImage, missingEngine, startEngine } from "./engine.mjs";
import {
  conformance,
  freePort,
  haveConformance,
  missing,
  request,
  runCommand,
  scratch,
  serve,
  start,
  startProgram,
  until,
  writeConfig,
} from "./lib.mjs";

const kPage = "# TYPE up_and_running gauge\nup_and_running 1\nnoise_total 2\n";

/** A target that answers every path with the same page. */
const target = (t, page = kPage) =>
  serve(t, (_, response) => response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end(page));

/** By renaming, as careful editors do. */
function replace(file, text) {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const instances = async (quarterdeck, pool) =>
  (await quarterdeck.api(`/api/v1/targets?state=active&scrapePool=${pool}`)).data.activeTargets
    .map(({ labels }) => labels.instance)
    .sort();

test("check takes and refuses what Prometheus takes and refuses", {
  skip: haveConformance ? false : "there is no conformance data here",
}, async (t) => {
  const dir = path.join(scratch(t), "config");
  cpSync(path.join(conformance, "prometheus-config"), dir, { recursive: true });
  // A file that others name, and that is not among them.
  const named = path.join(dir, "scrape_config_files.good.yml");
  if (!existsSync(named))
    writeFileSync(named, "scrape_configs:\n  - job_name: prometheus\n    static_configs: [{targets: ['h:1']}]\n");
  const names = readdirSync(dir).filter((name) => /\.(good|bad)\.yml$/.test(name));
  assert.ok(names.length > 100, `${names.length} files`);
  const ran = await runCommand(["check", "--output", "json", ...names.map((name) => path.join(dir, name))]);
  const found = Object.fromEntries(JSON.parse(ran.stdout).map((one) => [path.basename(one.file), one]));
  for (const name of names) {
    assert.equal(found[name].ok, name.endsWith(".good.yml"), `${name}: ${found[name].error}`);
  }
  assert.ok(found["conf.good.yml"].warnings.some((warning) => warning.includes("consul_sd_configs is not built")));
});

test("targets come and go with the files that name them, and a broken file changes nothing", async (t) => {
  const dir = scratch(t);
  const [one, two, listed] = [await target(t), await target(t), await target(t)];
  const list = await serve(t, (_, response) =>
    response
      .writeHead(200, { "Content-Type": "application/json" })
      .end(JSON.stringify([{ targets: [listed.address], labels: { from: "http" } }])),
  );
  const targets = writeConfig(dir, "targets.json", JSON.stringify([{ targets: [one.address] }]));
  const text = (extra = "") => `
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: files
    file_sd_configs: [{files: ['*.json'], refresh_interval: 1h}]
    http_sd_configs: [{url: 'http://${list.address}/targets', refresh_interval: 1s}]
    relabel_configs:
      - {source_labels: [__meta_filepath], regex: .*/(.*), target_label: file}
    metric_relabel_configs:
      - {source_labels: [__name__], regex: noise.*, action: drop}
${extra}`;
  const config = writeConfig(dir, "prometheus.yml", text());
  const quarterdeck = await start(t, { args: ["--prometheus", config] });
  const are = (expected, pool = "files") =>
    until(
      async () => {
        const now = await instances(quarterdeck, pool);
        return JSON.stringify(now) === JSON.stringify([...expected].sort());
      },
      `${pool}: ${expected.join(" ")}`,
    );
  await are([one.address, listed.address]);
  await until(async () => (await quarterdeck.value('up_and_running{file="targets.json"}')) === 1, "a scrape");
  assert.deepEqual(await quarterdeck.query("noise_total"), []);
  assert.equal(await quarterdeck.value('scrape_samples_scraped{file="targets.json"}'), 2);
  assert.equal(await quarterdeck.value('scrape_samples_post_metric_relabeling{file="targets.json"}'), 1);

  // The list of targets, without anybody asking for a reload.
  replace(targets, JSON.stringify([{ targets: [one.address, two.address] }]));
  await are([one.address, two.address, listed.address]);
  replace(targets, '[{"targets": [');
  await until(() => quarterdeck.logged("a file with targets was not read").length > 0, "a warning");
  await are([one.address, two.address, listed.address]);

  // The configuration itself.
  replace(config, text("  - {job_name: more, static_configs: [{targets: ['127.0.0.1:1']}]}\n"));
  await are(["127.0.0.1:1"], "more");
  await are([one.address, two.address, listed.address]);
  replace(config, "scrape_configs: [{job_name: broken, scrape_intervall: 1s}]\n");
  await until(() => quarterdeck.logged("reload refused").length > 0, "a refusal");
  assert.match(JSON.stringify(quarterdeck.logged("reload refused")), /did you mean scrape_interval/);
  await are(["127.0.0.1:1"], "more");
  // Fixed, it is taken.
  replace(config, text());
  await are([], "more");
  assert.deepEqual((await quarterdeck.api("/api/v1/scrape_pools")).data.scrapePools.includes("files"), true);
});

test("what a rule does to labels can be asked", async (t) => {
  const config = writeConfig(
    scratch(t),
    "prometheus.yml",
    `scrape_configs:
  - job_name: j
    static_configs: [{targets: [a, b]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: host}
      - {source_labels: [host], regex: b, action: drop}
`,
  );
  const quarterdeck = await start(t, { args: ["--prometheus", config] });
  const steps = async (address) => {
    const labels = encodeURIComponent(JSON.stringify({ __address__: address }));
    return (await quarterdeck.api(`/api/v1/targets/relabel_steps?scrapePool=j&labels=${labels}`)).data.steps;
  };
  const [first, second] = await steps("b");
  assert.deepEqual(first.output, { __address__: "b", host: "b" });
  assert.equal(first.rule.target_label, "host");
  assert.deepEqual([first.keep, second.keep], [true, false]);
  const dropped = (await quarterdeck.api("/api/v1/targets?state=dropped")).data;
  assert.deepEqual(
    dropped.droppedTargets.map((one) => [one.discoveredLabels.__address__, one.scrapePool]),
    [["b", "j"]],
  );
  assert.equal(dropped.droppedTargetCounts.j, 1);
  assert.equal((await quarterdeck.api("/api/v1/targets/relabel_steps?scrapePool=none&labels={}")).httpStatus, 404);
});

/** Debian's Prometheus on the same file. */
async function startPrometheus(t, dir, config) {
  const port = await freePort();
  const program = startProgram(t, "prometheus", [
    `--config.file=${config}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--storage.tsdb.path=${dir}/prometheus-data`,
    // Since 3 no port is added to an address; before, this asks for the same.
    "--enable-feature=no-default-scrape-port",
  ]);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await request(`${url}/-/ready`)).status === 200, "Prometheus", 30_000);
  return { program, targets: async () => JSON.parse((await request(`${url}/api/v1/targets`)).text).data };
}

// What a target is, without when it was looked at. Before 3 a default port was taken off the URL; a blank in a query is
// written in either of two ways.
const shown = ({ discoveredLabels, labels, scrapePool, scrapeUrl, scrapeInterval, scrapeTimeout }) => ({
  scrapePool,
  discoveredLabels,
  labels,
  scrapeUrl: scrapeUrl.replace(/^(http:..[^/]*):80\//, "$1/").replaceAll("+", "%20"),
  scrapeInterval,
  scrapeTimeout,
});

const kRelabelled = [
  "__address__",
  "__metrics_path__",
  "__scheme__",
  "__scrape_interval__",
  "instance",
  "job",
  "out",
  "two",
];

/** Both find the same targets, active and dropped; those of `jobs` must have some. */
async function agree(t, { dir, config, jobs, others = [] }) {
  const prometheus = await startPrometheus(t, dir, config);
  const quarterdeck = await start(t, { args: ["--prometheus", config] });
  const without = (labels, names = []) =>
    Object.fromEntries(
      Object.entries(labels)
        .filter(([name, value]) => value !== "" && !names.includes(name))
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  const of = (data) => ({
    active: sorted(data.activeTargets.filter(({ scrapePool }) => [...jobs, ...others].includes(scrapePool)).map(shown)),
    dropped: sorted(data.droppedTargets.map(({ discoveredLabels }) => ({ discoveredLabels }))),
  });
  function sorted(targets) {
    return targets
      .map((one) =>
        JSON.stringify({
          ...one,
          // Prometheus 2.42 shows what relabelling made of those that it changes in place.
          discoveredLabels: without(one.discoveredLabels, kRelabelled),
          ...(one.labels ? { labels: without(one.labels) } : {}),
        }),
      )
      .sort();
  }
  let theirs;
  let ours;
  try {
    await until(
      async () => {
        theirs = of(await prometheus.targets());
        ours = of((await quarterdeck.api("/api/v1/targets")).data);
        const all = jobs.every((job) => theirs.active.some((one) => JSON.parse(one).scrapePool === job));
        return all && JSON.stringify(theirs) === JSON.stringify(ours);
      },
      "the same targets",
      30_000,
    );
  } catch (error) {
    t.diagnostic(prometheus.program.log.split("\n").slice(-5).join("\n"));
    assert.deepEqual(ours, theirs, error.message);
    throw error;
  }
  return ours;
}

test("relabelling and the discoveries by file and HTTP agree with Prometheus", {
  skip: missing("prometheus"),
}, async (t) => {
  const dir = scratch(t);
  const list = await serve(t, (_, response) =>
    response
      .writeHead(200, { "Content-Type": "application/json; charset=utf-8" })
      .end(JSON.stringify([{ targets: ["h1:1", "h2:2"], labels: { __meta_zone: "eu", team: "a" } }, { targets: [] }])),
  );
  writeConfig(dir, "targets.yml", "- targets: ['y:1', 'y:2']\n  labels: {__meta_kind: Web, empty: ''}\n");
  writeConfig(dir, "targets.json", '[{"targets": ["j:1"], "labels": {"a-b": "x"}}]'.replace("a-b", "a_b"));
  const config = writeConfig(
    dir,
    "prometheus.yml",
    `
global: {scrape_interval: 1h}
scrape_configs:
  - job_name: files
    scrape_timeout: 7s
    params: {module: [a, b], x: [y z]}
    file_sd_configs: [{files: ['targets*.yml']}, {files: ['*.json']}]
    relabel_configs:
      - {source_labels: [__meta_kind], regex: (.+), target_label: kind, action: lowercase}
      - {source_labels: [__meta_kind, __address__], separator: '@', target_label: both, replacement: '<$1>'}
      - {source_labels: [__address__], regex: 'y:(.*)', target_label: __param_port, replacement: '\${1}x'}
      - {source_labels: [__address__], modulus: 1000, target_label: __tmp_hash, action: hashmod}
      - {source_labels: [__tmp_hash], target_label: hash}
      - {regex: __meta_(k.*), action: labelmap, replacement: mapped_$1}
      - {source_labels: [__address__], regex: 'y:2', action: drop}
      - {source_labels: [__address__], regex: 'j:.*', target_label: __scheme__, replacement: https}
      - {source_labels: [__address__], regex: 'j:.*', target_label: __metrics_path__, replacement: /m/x}
      - {source_labels: [__address__], regex: 'j:.*', target_label: __scrape_interval__, replacement: 45s}
  - job_name: listed
    metrics_path: probe
    http_sd_configs: [{url: 'http://${list.address}/sd'}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance, action: uppercase}
      - {target_label: __address__, replacement: 'prober:9115'}
      - {source_labels: [__meta_zone], regex: eu, action: keep}
      - {regex: team, action: labeldrop}
  - job_name: kept
    static_configs: [{targets: ['s:1'], labels: {one: '1', two: '2', job: other}}]
    relabel_configs:
      - {regex: '__.*|one|job', action: labelkeep}
      - {source_labels: [one], target_label: out, regex: '(\\d)', replacement: '$1$1$$'}
`,
  );
  const ours = await agree(t, { dir, config, jobs: ["files", "listed", "kept"] });
  assert.equal(ours.active.length, 5);
  assert.equal(ours.dropped.length, 1);
});

test("the discovery by Docker and Docker Swarm agrees with Prometheus", {
  skip: missingEngine() || missing("prometheus"),
}, async (t) => {
  const engine = await startEngine(t);
  if (!engine) return;
  const { docker, socket, dir } = engine;
  let swarm = true;
  try {
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", `127.0.0.1:${await freePort()}`);
  } catch (error) {
    swarm = false;
    t.diagnostic(`no swarm here: ${error.stderr.trim().split("\n").at(-1)}`);
  }
  if (!importImage(t, engine)) return;
  docker("run", "-d", "--name", "plain", "--network=none", "--label=a.b/c=d", "--expose=8080", kImage, "sleep", "1000");
  docker("run", "-d", "--name", "hosted", "--network=host", kImage, "sleep", "1000");
  const jobs = ["docker"];
  let text = `
global: {scrape_interval: 1h}
scrape_configs:
  - job_name: docker
    docker_sd_configs: [{host: 'unix://${socket}', refresh_interval: 1s, filters: [{name: status, values: [running]}]}]
    relabel_configs: [{target_label: __address__, replacement: 'x:1'}, {source_labels: [__meta_docker_container_name], target_label: instance}]
`;
  if (swarm) {
    docker("node", "update", "--label-add", "zone=a", docker("node", "ls", "-q"));
    docker(
      "service",
      "create",
      "-d",
      "--name",
      "web",
      "--label",
      "team=x",
      "--network=host",
      "--replicas=1",
      kImage,
      "sleep",
      "1000",
    );
    for (const role of ["nodes", "tasks", "services"]) {
      text += `
  - job_name: ${role}
    dockerswarm_sd_configs: [{host: 'unix://${socket}', role: ${role}, refresh_interval: 1s}]
`;
    }
    jobs.push("nodes");
    await until(
      () =>
        docker("service", "ps", "-f", "desired-state=running", "web", "--format", "{{.CurrentState}}").startsWith(
          "Running",
        ),
      "the task",
      60_000,
    );
  }
  const config = writeConfig(dir, "prometheus.yml", text);
  // Without networks a service has no addresses, and so no targets: here and there.
  await agree(t, { dir, config, jobs, others: ["tasks", "services"] });
});

test("a failed scrape is logged where the file says", async (t) => {
  const dir = scratch(t);
  const config = writeConfig(
    dir,
    "prometheus.yml",
    `global: {scrape_interval: 500ms, scrape_timeout: 500ms, scrape_failure_log_file: failures.log}
scrape_configs: [{job_name: dead, static_configs: [{targets: ['127.0.0.1:1']}]}]
`,
  );
  await start(t, { args: ["--prometheus", config] });
  const log = path.join(dir, "failures.log");
  const line = await until(() => existsSync(log) && readFileSync(log, "utf8").split("\n")[0], "a line");
  const { scrape_pool, target: where, error } = JSON.parse(line);
  assert.deepEqual([scrape_pool, where], ["dead", "http://127.0.0.1:1/metrics"]);
  assert.match(error, /does anything listen there/);
});
