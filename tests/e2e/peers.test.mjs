// The programs that Quarterdeck stands beside: Debian's own Prometheus, promtool and node_exporter read it, it reads them,
// and both must say the same of the same machine and the same target.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import test from "node:test";
import { gunzipSync } from "node:zlib";
import { parseText } from "./exposition.mjs";
import { freePort, missing, request, root, scratch, serve, start, until, writeConfig } from "./lib.mjs";

// What node_exporter 1.5 measures by default, but for systemd.
const kCollectors = (
  "arp bcache bonding btrfs conntrack cpu cpufreq diskstats dmi edac entropy fibrechannel filefd filesystem hwmon " +
  "infiniband ipvs loadavg mdadm meminfo netclass netdev netstat nfs nfsd nvme os powersupplyclass pressure rapl " +
  "schedstat selinux sockstat softnet stat tapestats textfile thermal_zone time timex udp_queues uname vmstat xfs zfs"
).split(" ");
// Those that node_exporter has switched off; who is in their states changes from moment to moment.
const kOptIn = ["ethtool", "processes", "tcpstat"];

// Labels that later releases of node_exporter added.
const kLaterLabels = /adminstate="[^"]*",?|cntlid="[^"]*",?/g;
const parseNode = (text) =>
  parseText(text.replace(/^node_(network|nvme)_info\{.*\}/gm, (series) => series.replace(kLaterLabels, "")));

/** Starts a peer that serves HTTP on `port`, and waits for its answer. */
async function startPeer(t, program, args, port, cwd) {
  const child = spawn(program, args, { cwd });
  const peer = { url: `http://127.0.0.1:${port}`, log: "" };
  const closed = new Promise((resolve) => child.on("close", resolve));
  child.stdout.on("data", (part) => (peer.log += part));
  child.stderr.on("data", (part) => (peer.log += part));
  t.after(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  peer.api = async (pathAndQuery) => JSON.parse((await request(`${peer.url}/api/v1${pathAndQuery}`)).text);
  await until(
    async () => {
      assert.equal(child.exitCode, null, peer.log);
      return (await request(`${peer.url}/metrics`)).status === 200;
    },
    `an answer of ${program}`,
    20_000,
  );
  return peer;
}

async function startNodeExporter(t, collectors = kCollectors, more = []) {
  const port = await freePort();
  const args = [
    `--web.listen-address=127.0.0.1:${port}`,
    "--collector.disable-defaults",
    ...collectors.map((name) => `--collector.${name}`),
    // The defaults of node_exporter itself, which Debian narrows.
    "--collector.netdev.device-exclude=",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "--collector.textfile.directory=",
    ...more,
  ];
  return startPeer(t, "prometheus-node-exporter", args, port);
}

const kNode = "/exporters/node/metrics";

test("the host's metrics are those of node_exporter, in name, type, help, labels and value", {
  skip: missing("prometheus-node-exporter"),
}, async (t) => {
  const exporter = await startNodeExporter(t, [...kCollectors, ...kOptIn]);
  const quarterdeck = await start(t);
  const earlier = parseNode((await quarterdeck.get(kNode)).text);
  const theirs = parseNode((await request(`${exporter.url}/metrics`)).text);
  const later = parseNode((await quarterdeck.get(kNode)).text);

  const own = /^(go_|process_|promhttp_|node_exporter_build_info$)/;
  // Drivers of containers' virtual cables are left out.
  const ofVeth = (name) =>
    name.startsWith("node_ethtool_") &&
    [...theirs.families.get(name).samples.keys()].every((key) => /device="veth/.test(key));
  const names = [...theirs.families.keys()].filter((name) => !own.test(name) && !ofVeth(name));
  assert.ok(names.length > 150, `only ${names.length} families to compare`);
  for (const name of names) {
    const ours = later.families.get(name);
    assert.ok(ours, `${name} is missing`);
    assert.equal(ours.type, theirs.families.get(name).type, `type of ${name}`);
    assert.equal(ours.help, theirs.families.get(name).help, `help of ${name}`);
  }

  // Series are told apart alike; collectors that only we have are their own rows of node_scrape_collector_….
  const inTheirs = new Set(names.filter((name) => !name.startsWith("node_scrape_collector_")));
  // States that nobody is in are told by us once they were seen, by them never; who is in one changes meanwhile.
  const comesAndGoes = /^node_(processes_(threads_)?state|tcp_connection_states)\{|^node_ethtool_.*device="veth/;
  const keys = (page) =>
    [...page.samples.keys()].filter((key) => inTheirs.has(page.familyOf.get(key)) && !comesAndGoes.test(key)).sort();
  assert.deepEqual(keys(later), keys(theirs));
  for (const name of [...kCollectors, ...kOptIn]) {
    const key = `node_scrape_collector_success{collector="${name}"}`;
    assert.equal(later.samples.get(key), theirs.samples.get(key), key);
  }

  const constant =
    /^node_(boot_time_seconds|uname_info|os_info|os_version|memory_(MemTotal|SwapTotal|HugePages_Total|Hugepagesize|VmallocTotal)\w*|filesystem_(size_bytes|readonly|device_error)|filefd_maximum|entropy_pool_size_bits|nf_conntrack_entries_limit|disk_info|ethtool_info|network_(supported|advertised)_\w+|network_\w+_(supported|advertised)|processes_max_\w+|time_zone_offset_seconds|time_clocksource_\w+|netstat_Ip_Forwarding)\{/;
  // Idle and waiting time may run backwards by a tick in the kernel.
  const unsteady = /mode="(iowait|idle)"/;
  let between = 0;
  let equal = 0;
  for (const [key, value] of theirs.samples) {
    const family = theirs.familyOf.get(key);
    if (!inTheirs.has(family)) continue;
    const [low, high] = [earlier.samples.get(key), later.samples.get(key)];
    if (constant.test(key)) {
      assert.equal(high, value, key);
      equal += 1;
    } else if (low !== undefined && (theirs.families.get(family).type === "counter" || /^node_vmstat_/.test(key))) {
      const slack = Math.abs(value) * 1e-9 + (unsteady.test(key) ? 0.05 : 0);
      assert.ok(low - slack <= value && value <= high + slack, `${key}: ${low}, theirs ${value}, ${high}`);
      between += 1;
    }
  }
  assert.ok(between > 100 && equal > 20, `${between} counters and ${equal} constants were compared`);
  t.diagnostic(`${names.length} families, ${between} counters and ${equal} constants agree`);
});

const kRecorded = path.join(root, "../shared/conformance/host");

// What node_exporter 1.5 says otherwise than its later releases, which are followed: see testdata/README.md of the host
// collector.
const kOtherwise = [
  /^node_nfsd_requests_total\{method="(RelLockOwner|SetClientID|SetClientIDConfirm|Verify|Write)",proto="4"\}/,
  /^node_nfsd_requests_total\{method="WdelegGetattr"/,
  /^node_zfs_zpool_state\{state="suspended"/,
  /^node_zfs_zpool_dataset_\w+\{dataset="pool3\/dataset( with {2}space)?"/,
  // Made UTF-8 byte by byte, and run by run.
  /^node_power_supply_info\{.*\ufffd/,
  /^node_hwmon_sensor_label\{.*label="[sm]clk"/,
  // Of the machine that the programs run on.
  /^node_(uname|os_|time_|timex_|filesystem_(size|free|avail|files))/,
  /^node_scrape_collector_duration_seconds/,
];
// What 1.5 cannot read of that tree.
const kBeyondIt = { "node-1.5.0": ["netdev"], "node-1.12": ["netdev", "filesystem", "nfsd", "fibrechannel"] };

for (const [name, beyond] of Object.entries(kBeyondIt)) {
  const archive = path.join(kRecorded, `${name}.tar.gz`);
  test(`the machine ${name} as it was recorded gives the samples of node_exporter`, {
    skip: missing("prometheus-node-exporter") || (!existsSync(archive) && "the conformance data is absent"),
  }, async (t) => {
    const tree = scratch(t);
    execFileSync("tar", ["-xzf", archive, "-C", tree]);
    mkdirSync(path.join(tree, "root/etc"), { recursive: true });
    mkdirSync(path.join(tree, "root/run/udev"), { recursive: true });
    symlinkSync(path.join(tree, "udev/data"), path.join(tree, "root/run/udev/data"));
    const exporter = await startNodeExporter(t, kCollectors, [
      `--path.procfs=${tree}/proc`,
      `--path.sysfs=${tree}/sys`,
      `--path.rootfs=${tree}/root`,
      `--path.udev.data=${tree}/udev/data`,
      "--no-collector.netdev.netlink",
    ]);
    const set = ["procfs=proc", "sysfs=sys", "rootfs=root"].flatMap((setting) => {
      const [key, directory] = setting.split("=");
      return ["--set", `observe.host.${key}=${tree}/${directory}`];
    });
    const quarterdeck = await start(t, { args: [...set, "--set", "observe.containers.enabled=false"] });
    const theirs = parseNode((await request(`${exporter.url}/metrics`)).text);
    const ours = parseNode((await quarterdeck.get(kNode)).text);

    const own = /^(go_|process_|promhttp_|node_exporter_build_info)/;
    const lost = beyond.map((part) => `node_scrape_collector_success{collector="${part}"}`);
    let equal = 0;
    for (const [key, value] of theirs.samples) {
      if (own.test(key) || kOtherwise.some((otherwise) => otherwise.test(key)) || lost.includes(key)) continue;
      assert.equal(ours.samples.get(key), value, key);
      equal += 1;
    }
    for (const key of ours.samples.keys()) {
      if (!theirs.families.has(ours.familyOf.get(key)) || kOtherwise.some((otherwise) => otherwise.test(key))) continue;
      if (key.startsWith("node_scrape_collector_success")) continue;
      assert.ok(theirs.samples.has(key), `${key} is ours alone`);
    }
    assert.ok(equal > 1500, `only ${equal} samples were compared`);
    t.diagnostic(`${equal} samples agree`);
  });
}
test("the CPUs' counters are those of node_exporter, for who asks", {
  skip: missing("prometheus-node-exporter"),
}, async (t) => {
  const quarterdeck = await start(t, { args: ["--set", "observe.host.collectors.perf=true"] });
  const ours = parseNode((await quarterdeck.get(kNode)).text);
  const allowed = ours.samples.get('node_scrape_collector_success{collector="perf"}') === 1;
  if (!allowed) {
    assert.ok(quarterdeck.logged("perf_event_paranoid").length > 0, "the log says what it takes");
    return t.skip("performance counters are not to be had here");
  }
  const exporter = await startNodeExporter(t, ["perf"]);
  const theirs = parseNode((await request(`${exporter.url}/metrics`)).text);
  const names = [...theirs.families.keys()].filter((name) => name.startsWith("node_perf_"));
  assert.ok(names.length >= 5, names.join(" "));
  for (const name of names) {
    const [our, their] = [ours.families.get(name), theirs.families.get(name)];
    assert.deepEqual([our?.type, our?.help], [their.type, their.help], name);
    assert.deepEqual([...our.samples.keys()].sort(), [...their.samples.keys()].sort());
  }
  const plain = await start(t);
  assert.ok(!(await plain.get(kNode)).text.includes("node_perf_"), "nobody asked");
});

/** Mounts a Btrfs of two loop devices; the reason why not where this machine cannot. */
function mountBtrfs(t) {
  const dir = scratch(t);
  const devices = [];
  const run = (program, ...args) =>
    execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  try {
    for (const name of ["one", "two"]) {
      const image = path.join(dir, name);
      writeFileSync(image, "");
      truncateSync(image, 200 << 20);
      const device = run("losetup", "--find", "--show", image).trim();
      devices.push(device);
      t.after(() => run("losetup", "--detach", device));
    }
    run("mkfs.btrfs", "--quiet", "--label", "two disks", "--data", "raid1", "--metadata", "raid1", ...devices);
    const point = path.join(dir, "a mount");
    mkdirSync(point);
    run("mount", "-t", "btrfs", devices[0], point);
    // The exporter may have it open at that moment.
    const unmount = () => run("umount", "--lazy", point);
    // Mounts are told as the first process sees them; in a changed root (a chroot) its paths are not ours.
    if (readFileSync("/proc/1/mounts", "utf8").includes(` ${point.replaceAll(" ", "\\040")} `))
      return { point, unmount };
    unmount();
    return { reason: "the first process sees what is mounted here at another path" };
  } catch (error) {
    return { reason: `no Btrfs can be mounted here: ${error.message.split("\n").at(-1)}` };
  }
}

test("a Btrfs of two disks is told as node_exporter tells it, disk by disk", {
  skip: missing("prometheus-node-exporter", "mkfs.btrfs", "losetup"),
}, async (t) => {
  const { reason, point, unmount } = mountBtrfs(t);
  if (reason) return t.skip(reason);
  try {
    const exporter = await startNodeExporter(t);
    const quarterdeck = await start(t);
    const theirs = parseText((await request(`${exporter.url}/metrics`)).text);
    const ours = parseText((await quarterdeck.get(kNode)).text);
    const of = (page) => [...page.samples].filter(([key]) => key.startsWith("node_btrfs_"));
    const told = of(theirs);
    assert.ok(
      told.some(([key]) => key.startsWith("node_btrfs_device_errors_total{")),
      "no errors of disks",
    );
    // 1.5 does not tell of commits.
    const commits = /^node_btrfs_(commit|last_commit|max_commit)/;
    assert.deepEqual(
      of(ours)
        .filter(([key]) => !commits.test(key))
        .sort(),
      told.sort(),
    );
    for (const [name, { type, help }] of theirs.families) {
      const own = ours.families.get(name);
      if (name.startsWith("node_btrfs_")) assert.deepEqual([own?.type, own?.help], [type, help], name);
    }
    // What is kept open could not be unmounted.
    const open = `/proc/${quarterdeck.child.pid}/fd`;
    const targets = readdirSync(open).map((fd) => {
      try {
        return readlinkSync(path.join(open, fd));
      } catch {
        return "";
      }
    });
    assert.ok(!targets.some((target) => target.startsWith(point)), "the mount is kept open");
    t.diagnostic(`${told.length} samples agree`);
  } finally {
    unmount();
  }
});

/** What promtool says of a page: its exit code (1 for what it cannot read, 3 for names it frowns at) and its lines. */
function promtool(text) {
  return new Promise((resolve) => {
    const child = spawn("promtool", ["check", "metrics"]);
    let said = "";
    child.stdout.on("data", (part) => (said += part));
    child.stderr.on("data", (part) => (said += part));
    child.on("close", (code) => resolve({ code, lines: said.split("\n").filter(Boolean) }));
    child.stdin.end(text);
  });
}

test("promtool finds nothing wrong in what Quarterdeck exposes", {
  skip: missing("promtool", "prometheus-node-exporter"),
}, async (t) => {
  const exporter = await startNodeExporter(t, [...kCollectors, ...kOptIn]);
  const quarterdeck = await start(t);
  assert.deepEqual(await promtool((await quarterdeck.get("/metrics")).text), { code: 0, lines: [] });

  // Names that node_exporter takes from the kernel displease promtool there as well; nothing else may.
  const ours = await promtool((await quarterdeck.get(kNode)).text);
  const theirs = await promtool((await request(`${exporter.url}/metrics`)).text);
  const kernel = /^node_(memory|netstat|sockstat)_\w+ metric names should be written in 'snake_case' not 'camelCase'$/;
  assert.deepEqual(
    ours.lines.filter((line) => !theirs.lines.includes(line) && !kernel.test(line)),
    [],
  );
  assert.equal(ours.code, theirs.code);
});

const kFixedText = (stamp) => `# HELP fixed_total Escaped \\\\ and \\n new line.
# TYPE fixed_total counter
fixed_total{path="a\\"b\\\\c\\nd",city="Zürich"} 1.5e+07
fixed_total{path="",city="x"} 3
# TYPE fixed_gauge gauge
fixed_gauge{v="nan"} NaN
fixed_gauge{v="inf"} +Inf
fixed_gauge{v="neg"} -Inf
fixed_gauge{v="tiny"} -4.9e-324
fixed_gauge{v="stamped"} 7 ${stamp}
# HELP fixed_seconds A histogram.
# TYPE fixed_seconds histogram
fixed_seconds_bucket{le="0.1"} 5
fixed_seconds_bucket{le="1"} 9
fixed_seconds_bucket{le="+Inf"} 10
fixed_seconds_sum 6.25
fixed_seconds_count 10
# TYPE fixed_summary summary
fixed_summary{quantile="0.5"} 0.25
fixed_summary{quantile="0.99"} 0.75
fixed_summary_sum 100
fixed_summary_count 400
no_type_given{instance="theirs"} 42
`;

const kFixedOpenMetrics = `# TYPE om_requests counter
# UNIT om_wait_seconds seconds
# TYPE om_wait_seconds histogram
# HELP om_wait_seconds Waiting, with "quotes" and \\\\ in the text.
om_wait_seconds_bucket{le="0.5"} 2 # {trace_id="abc"} 0.3 1700000000.5
om_wait_seconds_bucket{le="+Inf"} 4
om_wait_seconds_count 4
om_wait_seconds_sum 3.5
# TYPE om_sent counter
# HELP om_sent Sent.
om_sent_total{to="x"} 12 # {trace_id="def"} 1
om_sent_created{to="x"} 1700000000.25
# TYPE om_build info
om_build_info{version="1.2"} 1
# TYPE om_state stateset
om_state{om_state="on"} 1
om_state{om_state="off"} 0
# TYPE om_unknown unknown
om_unknown 5
# EOF
`;

test("Prometheus and Quarterdeck read each other, the same targets, and the same from them", {
  skip: missing("prometheus", "prometheus-node-exporter"),
}, async (t) => {
  const dir = scratch(t);
  const stamp = Date.now() - 20_000;
  const fixed = await serve(t, (incoming, response) => {
    const open = incoming.url === "/open";
    response.setHeader(
      "Content-Type",
      open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4",
    );
    response.end(open ? kFixedOpenMetrics : kFixedText(stamp));
  });
  const exporter = await startNodeExporter(t);
  const port = await freePort();
  const jobs = (more) => `global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - {job_name: exporter, static_configs: [{targets: ["${new URL(exporter.url).host}"], labels: {site: here}}]}
  - {job_name: prometheus, static_configs: [{targets: ["127.0.0.1:${port}"]}]}
  - {job_name: fixed, honor_labels: true, static_configs: [{targets: ["${fixed.address}"]}]}
  - {job_name: open, metrics_path: /open, static_configs: [{targets: ["${fixed.address}"]}]}
${more}`;
  const quarterdeck = await start(t, {
    args: ["--prometheus", writeConfig(dir, "ours.yml", jobs("")), "--set", "judge.rules.defaults=false"],
    dataDir: path.join(dir, "data"),
  });
  const own = new URL(quarterdeck.url).host;
  const theirConfig = writeConfig(
    dir,
    "theirs.yml",
    jobs(`  - {job_name: own, static_configs: [{targets: ["${own}"]}]}
  - {job_name: host, metrics_path: ${kNode}, static_configs: [{targets: ["${own}"]}]}
`),
  );
  const prometheus = await startPeer(
    t,
    "prometheus",
    [
      `--config.file=${theirConfig}`,
      `--storage.tsdb.path=${path.join(dir, "tsdb")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    port,
    dir,
  );
  const both = [quarterdeck, prometheus];
  const query = async (who, expr, time) => {
    const at = time === undefined ? "" : `&time=${time}`;
    const target = `/query?query=${encodeURIComponent(expr)}${at}`;
    const answer = who === quarterdeck ? await quarterdeck.api(`/api/v1${target}`) : await prometheus.api(target);
    assert.equal(answer.status, "success", `${expr}: ${answer.error}`);
    return answer.data.result;
  };
  const canonical = (result) =>
    result
      .map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value[1]])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [who, count] of [
    [quarterdeck, 4],
    [prometheus, 6],
  ]) {
    const settled = `count(count_over_time(up{job=~"exporter|prometheus|fixed|open|own|host"}[1m]) >= 4) == ${count}`;
    await until(async () => (await query(who, settled)).length === 1, "four scrapes of every target", 30_000);
  }

  await t.test("Prometheus scrapes Quarterdeck with zero errors", async () => {
    const { activeTargets } = (await prometheus.api("/targets?state=active")).data;
    assert.equal(activeTargets.length, 6);
    for (const target of activeTargets)
      assert.deepEqual([target.health, target.lastError], ["up", ""], target.scrapeUrl);
    assert.deepEqual(canonical(await query(prometheus, "min_over_time(up[1m]) < 1")), []);
    assert.deepEqual(
      prometheus.log.split("\n").filter((line) => /level=(warn|error)/.test(line)),
      [],
    );
    for (const job of ["own", "host"]) {
      const [scraped, kept] = await Promise.all(
        ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"].map((name) =>
          query(prometheus, `${name}{job="${job}"}`),
        ),
      );
      assert.ok(Number(scraped[0].value[1]) > 300, job);
      assert.equal(scraped[0].value[1], kept[0].value[1], job);
    }
    // Prometheus asked for OpenMetrics; it has read the types out of that.
    const types = (await prometheus.api(`/targets/metadata?match_target=${encodeURIComponent('{job=~"own|host"}')}`))
      .data;
    const type = Object.fromEntries(types.map((one) => [one.metric, one.type]));
    assert.equal(type.node_load1, "gauge");
    assert.equal(type.node_cpu_seconds_total ?? type.node_cpu_seconds, "counter");
    assert.equal(type.quarterdeck_http_request_duration_seconds, "histogram");
    const quantile = await query(
      prometheus,
      "histogram_quantile(0.9, rate(quarterdeck_http_request_duration_seconds_bucket[1m]))",
    );
    assert.ok(Number(quantile[0].value[1]) >= 0);
  });

  await t.test("Quarterdeck scrapes node_exporter and Prometheus, and counts the same samples", async () => {
    const { activeTargets } = (await quarterdeck.api("/api/v1/targets")).data;
    for (const job of ["exporter", "prometheus", "fixed", "open"]) {
      const target = activeTargets.find((one) => one.labels.job === job);
      assert.deepEqual([target?.health, target?.lastError], ["up", ""], job);
    }
    // Prometheus was started last, so its first scrapes may have failed.
    assert.deepEqual(canonical(await query(quarterdeck, 'min_over_time(up{job!="prometheus"}[1m]) < 1')), []);
    for (const job of ["exporter", "prometheus", "fixed", "open"]) {
      for (const name of ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"]) {
        await until(async () => {
          const [ours, theirs] = await Promise.all(both.map((who) => query(who, `${name}{job="${job}"}`)));
          assert.equal(ours[0].value[1], theirs[0].value[1]);
          return true;
        }, `the same ${name} of ${job}`);
      }
    }
    assert.deepEqual(
      quarterdeck.log.filter(({ level }) => level === "error"),
      [],
    );
  });

  await t.test("both have the same series of node_exporter", async () => {
    const ofExporter = `/series?match[]=${encodeURIComponent('{job="exporter"}')}`;
    const [ours, theirs] = await Promise.all([quarterdeck.api(`/api/v1${ofExporter}`), prometheus.api(ofExporter)]);
    const lines = ({ data }) => new Set(data.map((metric) => JSON.stringify(Object.entries(metric).sort())));
    const [inOurs, inTheirs] = [lines(ours), lines(theirs)];
    assert.deepEqual(
      [...inTheirs].filter((line) => !inOurs.has(line)),
      [],
      "only Prometheus has",
    );
    assert.deepEqual(
      [...inOurs].filter((line) => !inTheirs.has(line)),
      [],
      "only Quarterdeck has",
    );
    assert.ok(ours.data.length > 300, `only ${ours.data.length} series`);
  });

  await t.test("both read the same values and descriptions from a fixed target", async () => {
    const time = Date.now() / 1000 - 1;
    const exprs = [
      '{job=~"fixed|open", __name__!~"up|scrape_.*"}',
      '{instance="theirs"}',
      "timestamp(fixed_gauge{v='stamped'})",
      "histogram_quantile(0.9, fixed_seconds_bucket)",
      "fixed_summary_sum / fixed_summary_count",
      "sum by (job) (rate(om_sent_total[1m])) or fixed_total offset 1s",
      'label_replace(fixed_total, "word", "$1", "city", "(.).*")',
      "om_state * on (instance) group_left (version) om_build_info",
    ];
    for (const expr of exprs) {
      const [ours, theirs] = await Promise.all(both.map((who) => query(who, expr, time)));
      assert.ok(theirs.length > 0, expr);
      assert.deepEqual(canonical(ours), canonical(theirs), expr);
    }
    for (const metric of [
      "fixed_total",
      "fixed_seconds",
      "fixed_summary",
      "fixed_gauge",
      "om_wait_seconds",
      "om_build",
      "om_state",
      "om_unknown",
    ]) {
      const [ours, theirs] = await Promise.all([
        quarterdeck.api(`/api/v1/metadata?metric=${metric}`),
        prometheus.api(`/metadata?metric=${metric}`),
      ]);
      assert.deepEqual(ours.data, theirs.data, metric);
    }
  });
});

test("what Grafana's data source asks is answered", async (t) => {
  const quarterdeck = await start(t);
  await until(async () => (await quarterdeck.query('up{job="node"}')).length === 1, "a first pass over the host");
  const now = Date.now() / 1000;
  // Its data-source proxy says for whom it asks: here for a browser on the same machine.
  const agent = {
    "User-Agent": "Grafana/11.4.0",
    "X-Dashboard-Uid": "abc",
    "X-Panel-Id": "2",
    "X-Forwarded-For": "127.0.0.1",
    Accept: "*/*",
  };
  const post = (target, fields, headers = {}) =>
    quarterdeck.get(`/api/v1/${target}`, {
      method: "POST",
      headers: { ...agent, "Content-Type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams(fields).toString(),
    });
  const get = async (target) => JSON.parse((await quarterdeck.get(`/api/v1/${target}`, { headers: agent })).text);
  const window = `start=${Math.floor(now) - 3600}&end=${Math.ceil(now) + 5}`;

  // "Save & test" asks 1+1; the version decides which requests come later.
  const health = JSON.parse((await post("query", { query: "1+1", time: now.toFixed(3) })).text);
  assert.deepEqual([health.data.resultType, health.data.result[1]], ["scalar", "2"]);
  const build = (await get("status/buildinfo")).data;
  assert.match(build.version, /^\d+\.\d+\.\d+/);
  assert.ok(Number(build.version.split(".")[0]) >= 3 || Number(build.version.split(".")[1]) >= 24, build.version);

  // A panel: a form, answered compressed.
  const fields = { query: "sum by (mode) (rate(node_cpu_seconds_total[1m]))", start: now - 60, end: now + 5, step: 5 };
  const panel = await post("query_range", fields, { "Accept-Encoding": "gzip" });
  assert.equal(panel.status, 200);
  const text = panel.headers["content-encoding"] === "gzip" ? gunzipSync(panel.bytes).toString() : panel.text;
  assert.equal(JSON.parse(text).data.resultType, "matrix");
  const wide = await post(
    "query_range",
    { ...fields, query: '{__name__=~"node_.*"}', start: now - 5, step: 1 },
    { "Accept-Encoding": "gzip" },
  );
  assert.equal(wide.headers["content-encoding"], "gzip");
  assert.ok(JSON.parse(gunzipSync(wide.bytes).toString()).data.result.length > 300);

  // Variables and the query builder.
  const cpus = await get(
    `label/cpu/values?match%5B%5D=${encodeURIComponent('node_cpu_seconds_total{mode="idle"}')}&${window}`,
  );
  assert.ok(cpus.data.includes("0"), JSON.stringify(cpus));
  assert.deepEqual((await get(`label/cpu/values?match[]=node_load1&${window}`)).data, []);
  const names = await get(`label/__name__/values?${window}&limit=40000`);
  assert.ok(names.data.includes("node_load1"));
  assert.ok(
    JSON.parse((await post("labels", { "match[]": "node_load1", start: now - 3600, end: now + 5 })).text).data.includes(
      "instance",
    ),
  );
  const series = JSON.parse((await post("series", { "match[]": "node_load1", start: now - 3600, end: now + 5 })).text);
  assert.deepEqual(
    series.data.map((metric) => metric.__name__),
    ["node_load1"],
  );
  assert.equal((await get("metadata?limit=50000")).data.node_load1[0].type, "gauge");
  assert.ok((await get("rules")).data.groups.length > 0);

  // A wrong query is an answer with a reason, which the panel shows.
  const wrong = await post("query_range", { ...fields, query: "sum(" });
  assert.equal(wrong.status, 400);
  assert.equal(JSON.parse(wrong.text).errorType, "bad_data");
});
