// Several hosts: `--forward` and the receiver at /api/v1/write. Between the programs lies a network of the test's own, two
// namespaces joined by a pair of interfaces, so that the link can really be cut; real Prometheus stands on either side.
//
// QD_E2E_LONG=1 cuts the link for ten minutes instead of 15 seconds.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import {
  atEnd,
  freePort,
  Quarterdeck,
  request,
  runCommand,
  scratch,
  serve,
  sleep,
  start,
  until,
  writeConfig,
} from "./lib.mjs";

const kCutMs = process.env.QD_E2E_LONG ? 600_000 : 15_000;

function missing(...programs) {
  for (const program of programs) {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    } catch {
      return `${program} is not installed`;
    }
  }
  return false;
}

const ip = (...args) => execFileSync("ip", args, { stdio: "pipe" });
// `ip -n` and `ip netns exec` mount a /sys of their own, which a changed root (a chroot) does not allow.
const within = (name) => ["nsenter", `--net=/run/netns/${name}`];
const ipIn = (name, ...args) => {
  const [program, ...rest] = [...within(name), "ip", ...args];
  return execFileSync(program, rest, { stdio: "pipe" });
};

function noNamespaces() {
  if (process.getuid() !== 0) return "network namespaces need root";
  const lacking = missing("ip", "openssl");
  if (lacking) return lacking;
  const name = `qd-probe-${process.pid}`;
  try {
    ip("netns", "add", name);
    try {
      ipIn(name, "link", "show");
    } finally {
      ip("netns", "del", name);
    }
    return false;
  } catch (error) {
    return `network namespaces cannot be made here: ${error.message}`;
  }
}

/** Two namespaces with an address each, and a link between them that can be cut. */
function makeLink(t) {
  const [near, far] = [`qd-near-${process.pid}`, `qd-far-${process.pid}`];
  for (const name of [near, far]) {
    ip("netns", "add", name);
    atEnd(t, () => ip("netns", "del", name));
    ipIn(name, "link", "set", "lo", "up");
  }
  ipIn(near, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", far);
  const addresses = { [near]: "10.197.31.1", [far]: "10.197.31.2" };
  for (const [name, address] of Object.entries(addresses)) {
    ipIn(name, "addr", "add", `${address}/24`, "dev", "veth0");
    ipIn(name, "link", "set", "veth0", "up");
  }
  const inside = (name) => ({ wrapper: within(name), address: addresses[name] });
  const set = (state) => ipIn(near, "link", "set", "veth0", state);
  return { near: inside(near), far: inside(far), cut: () => set("down"), mend: () => set("up") };
}

function makeCertificate(dir, address) {
  const [key, cert] = [path.join(dir, "key.pem"), path.join(dir, "cert.pem")];
  const names = ["-subj", "/CN=receiver", "-addext", `subjectAltName=IP:${address}`];
  const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", ...made, ...names], { stdio: "ignore" });
  return { key, cert };
}

/** A program in a namespace is asked through its Unix socket: files are shared. */
function throughSocket(quarterdeck, socketPath) {
  quarterdeck.get = (pathAndQuery) =>
    new Promise((resolve, reject) => {
      const outgoing = http.get({ socketPath, path: pathAndQuery, headers: { Host: "localhost" } }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode, text }));
        response.on("error", reject);
      });
      outgoing.on("error", reject);
      outgoing.setTimeout(20_000, () => outgoing.destroy(new Error(`${pathAndQuery} took too long`)));
    });
  return until(async () => (await quarterdeck.get("/-/ready")).status === 200, "readiness", 20_000);
}

/** The sum of a metric of the program about itself; `undefined` where it has none. */
async function metric(quarterdeck, name) {
  const lines = (await quarterdeck.get("/metrics")).text.split("\n");
  const found = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Every sample of a selector with a range, as "labels without host@time" to the value's text. */
async function samples(quarterdeck, selector, time) {
  const seen = new Map();
  for (const series of await quarterdeck.query(selector, time)) {
    const { host: _, ...labels } = series.metric;
    const key = JSON.stringify(Object.entries(labels).sort());
    for (const [at, value] of series.values) seen.set(`${key}@${at}`, value);
  }
  return seen;
}

/** What the first has and the second has not, or otherwise. */
function lacking(wanted, there) {
  return [...wanted].filter(([key, value]) => there.get(key) !== value).map(([key]) => key);
}

test(`nothing is lost when the link is cut for ${kCutMs / 1000} s and the sender is killed meanwhile`, {
  skip: noNamespaces(),
  timeout: kCutMs + 180_000,
}, async (t) => {
  const dir = scratch(t);
  const link = makeLink(t);
  const { key, cert } = makeCertificate(dir, link.near.address);
  const receiverData = path.join(dir, "receiver");
  const made = await runCommand(["token", "add", "far", "--scope", "send", "--data-dir", receiverData]);
  assert.equal(made.code, 0, made.stderr);
  const tokenFile = writeConfig(dir, "token", made.stdout);
  const socketOf = (name) => path.join(dir, `${name}.sock`);
  const quiet = ["--set", "judge.rules.defaults=false", "--set", "observe.containers.enabled=false"];

  const receiver = await start(t, {
    dataDir: receiverData,
    listen: `${link.near.address}:0`,
    wrapper: link.near.wrapper,
    ready: false,
    args: [
      ...["--set", `serve.tls.cert_file=${cert}`, "--set", `serve.tls.key_file=${key}`],
      ...["--set", "serve.auth.tokens=true", "--set", `serve.unix_socket=${socketOf("receiver")}`],
      ...quiet,
    ],
  });
  await throughSocket(receiver, socketOf("receiver"));

  const startSender = async () => {
    const sender = await start(t, {
      dataDir: path.join(dir, "sender"),
      wrapper: link.far.wrapper,
      ready: false,
      args: [
        ...["--forward", receiver.url, "--set", "forward.host=far", "--set", `forward.token=file:${tokenFile}`],
        ...["--set", `forward.tls.ca_file=${cert}`, "--set", `serve.unix_socket=${socketOf("sender")}`],
        ...["--set", "observe.interval=1s"],
        ...quiet,
      ],
    });
    await throughSocket(sender, socketOf("sender"));
    return sender;
  };
  let sender = await startSender();
  await until(() => receiver.value('node_load1{host="far"}'), "the first sample at the receiver", 20_000);
  const begin = Date.now();
  await sleep(3000);

  link.cut();
  const cutAt = Date.now();
  const killed = [];
  const killAndStart = async () => {
    killed.push(Date.now());
    await sender.kill();
    sender = await startSender();
  };
  for (let n = 0; n < 3; n += 1) {
    await sleep(kCutMs / 6);
    await killAndStart();
  }
  await until(async () => (await metric(sender, "quarterdeck_forward_queue_samples")) > 0, "samples that wait");
  await sleep(Math.max(0, cutAt + kCutMs - Date.now()));
  const waiting = await metric(sender, "quarterdeck_forward_queue_samples");
  const waitingBytes = await metric(sender, "quarterdeck_forward_queue_bytes");
  assert.notEqual(await metric(sender, "quarterdeck_forward_up"), 1);
  const before = Number(
    (await receiver.query('timestamp(node_load1{host="far"})', Date.now() / 1000))[0]?.value[1] ?? 0,
  );
  assert.ok(before < cutAt / 1000 + 2, "the link is really cut");

  link.mend();
  const mendedAt = Date.now();
  // Once more while it catches up.
  await until(
    async () => (await metric(sender, "quarterdeck_forward_samples_total")) > 0,
    "the first that waited",
    30_000,
  );
  await killAndStart();
  await until(
    async () =>
      (await metric(sender, "quarterdeck_forward_up")) === 1 &&
      (await metric(sender, "quarterdeck_forward_queue_oldest_seconds")) < 3,
    "catching up",
    60_000,
  );
  t.diagnostic(
    `${waiting} samples (${waitingBytes} bytes) waited; caught up ${(Date.now() - mendedAt) / 1000} s after the link was back`,
  );

  await sleep(3000);
  const end = Date.now();
  await sleep(4000);
  const selector = (more) => `{job=~"node|quarterdeck"${more}}[${end - begin}ms]`;
  const local = await samples(sender, selector(""), end / 1000);
  const remote = await samples(receiver, selector(',host="far"'), end / 1000);
  assert.ok(local.size > ((end - begin) / 1000) * 300, `${local.size} samples in ${(end - begin) / 1000} s`);
  assert.deepEqual(lacking(local, remote).slice(0, 5), [], "every sample of the sender is at the receiver");
  t.diagnostic(`${local.size} samples of ${(end - begin) / 1000} s are the same on both`);
  // A pass that was queued and not stored any more when the process was killed.
  const more = new Set(lacking(remote, local).map((key) => Number(key.split("@").at(-1)) * 1000));
  for (const at of more)
    assert.ok(
      killed.some((kill) => Math.abs(at - kill) < 2500),
      `only the receiver has samples of ${at}, and kills were at ${killed}`,
    );
  assert.equal(await metric(receiver, "quarterdeck_write_samples_refused_total"), 0);
  assert.equal(await metric(sender, "quarterdeck_forward_samples_dropped_total"), 0);
  // What families are came along.
  const metadata = (await receiver.api("/api/v1/metadata?metric=node_load1")).data;
  assert.equal(metadata.node_load1?.[0].type, "gauge");

  await t.test("at the end it sends what it can", async () => {
    assert.deepEqual(await sender.stop(), { code: 0, signal: null });
    const newest = async (who, at) =>
      Number((await who.query(`timestamp(node_load1{instance!=""${at}})`))[0]?.value[1] ?? 0);
    const there = await newest(receiver, ',host="far"');
    assert.ok(there > end / 1000, "what came last is there");
    const again = await startSender();
    const stored = await samples(again, `{job="node"}[30s]`, there + 0.001);
    const sent = await samples(receiver, `{job="node",host="far"}[30s]`, there + 0.001);
    assert.deepEqual(lacking(stored, sent).slice(0, 5), []);
    await again.stop();
  });
});

test("a wrong token loses nothing, is told, and is mended by a reload", async (t) => {
  const dir = scratch(t);
  const receiverData = path.join(dir, "receiver");
  const made = await runCommand(["token", "add", "far", "--scope", "send", "--data-dir", receiverData]);
  const receiver = await start(t, { dataDir: receiverData, args: ["--set", "judge.rules.defaults=false"] });
  const tokenFile = writeConfig(dir, "token", "qd_wrong-but-secret\n");
  const config = writeConfig(dir, "quarterdeck.yaml", `forward:\n  token: file:${tokenFile}\n  host: far\n`);
  const sender = await start(t, {
    dataDir: path.join(dir, "sender"),
    args: ["--config", config, "--forward", receiver.url, "--set", "observe.interval=1s"],
  });
  await until(() => sender.logged("forwarding fails").length > 0, "the trouble in the log");
  assert.match(JSON.stringify(sender.logged("forwarding fails")), /answered 401: .*credentials are wrong/);
  const first = await until(() => sender.value("min_over_time(timestamp(node_load1)[1m:100ms])"), "samples here");
  await sleep(2000);
  assert.equal(await metric(sender, "quarterdeck_forward_samples_dropped_total"), 0);
  writeFileSync(tokenFile, made.stdout);
  sender.child.kill("SIGHUP");
  await until(() => receiver.value('node_load1{host="far"}'), "samples at the receiver", 25_000);
  assert.ok(sender.logged("forwarding works again").length > 0);
  const earliest = await receiver.value('min_over_time(timestamp(node_load1{host="far"})[2m:100ms])');
  assert.equal(earliest, first, "from the first on");

  const shown = await sender.get("/api/v1/status/config");
  const everything = `${shown.text}\n${(await sender.get("/metrics")).text}\n${(await sender.get("/api/v1/status/flags")).text}\n${sender.raw}`;
  assert.match(JSON.parse(shown.text).data.yaml, /token: "?<secret>/);
  for (const secret of ["qd_wrong-but-secret", made.stdout.trim()]) assert.ok(!everything.includes(secret));
});

async function startPrometheus(t, dir, config, flags = []) {
  const port = await freePort();
  const file = writeConfig(dir, "theirs.yml", config(port));
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${path.join(dir, "tsdb")}`];
  const child = spawn("prometheus", [...args, `--web.listen-address=127.0.0.1:${port}`, ...flags], { cwd: dir });
  const prometheus = new Quarterdeck(child, dir);
  prometheus.url = `http://127.0.0.1:${port}`;
  prometheus.raw = "";
  child.stdout.on("data", (part) => (prometheus.raw += part));
  child.stderr.on("data", (part) => (prometheus.raw += part));
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await prometheus.exited;
  });
  await until(async () => (await prometheus.get("/-/ready")).status === 200, "readiness of Prometheus", 20_000);
  return prometheus;
}

test("a real Prometheus sends to us without a failure", { skip: missing("prometheus") }, async (t) => {
  const dir = scratch(t);
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--set", "judge.rules.defaults=false"],
  });
  const prometheus = await startPrometheus(
    t,
    dir,
    (port) => `global: {scrape_interval: 1s, scrape_timeout: 1s, external_labels: {site: theirs}}
scrape_configs: [{job_name: self, static_configs: [{targets: ["127.0.0.1:${port}"]}]}]
remote_write:
  - url: ${quarterdeck.url}/api/v1/write
    queue_config: {batch_send_deadline: 1s}
    metadata_config: {send_interval: 2s}
`,
  );
  const begin = Date.now();
  await until(() => quarterdeck.value('up{job="self",site="theirs"}'), "a sample of Prometheus", 30_000);
  await sleep(8000);
  const end = Date.now();
  await sleep(4000);
  const selector = `{job="self"}[${end - begin}ms]`;
  const theirs = await samples(prometheus, selector, end / 1000);
  const ours = new Map(
    [...(await samples(quarterdeck, selector, end / 1000))].map(([at, value]) => [
      at.replace(',["site","theirs"]', ""),
      value,
    ]),
  );
  assert.ok(theirs.size > 1000, `${theirs.size} samples`);
  assert.deepEqual(lacking(theirs, ours).slice(0, 5), []);
  assert.deepEqual(lacking(ours, theirs).slice(0, 5), []);
  for (const name of [
    "samples_failed_total",
    "samples_dropped_total",
    "samples_retried_total",
    "metadata_failed_total",
  ])
    assert.equal(await metric(prometheus, `prometheus_remote_storage_${name}`), 0, name);
  assert.ok((await metric(prometheus, "prometheus_remote_storage_metadata_total")) > 0);
  assert.equal(
    (await quarterdeck.api("/api/v1/metadata?metric=prometheus_build_info")).data.prometheus_build_info[0].type,
    "gauge",
  );
  assert.equal(await metric(quarterdeck, "quarterdeck_write_samples_refused_total"), 0);
});

test("we send to a real Prometheus", { skip: missing("prometheus") }, async (t) => {
  const dir = scratch(t);
  const prometheus = await startPrometheus(t, dir, () => "scrape_configs: []\n", [
    "--web.enable-remote-write-receiver",
  ]);
  const sender = await start(t, {
    dataDir: path.join(dir, "data"),
    args: [
      ...["--forward", `${prometheus.url}/api/v1/write`, "--set", "forward.host=far"],
      ...["--set", "observe.interval=1s", "--set", "observe.external_labels={region: eu}"],
    ],
  });
  const begin = Date.now();
  await until(() => prometheus.value('node_load1{host="far",region="eu"}'), "a sample at Prometheus", 20_000);
  await sleep(6000);
  const end = Date.now();
  await sleep(4000);
  const selector = `{job=~"node|quarterdeck",__name__!~"ALERTS.*"}[${end - begin}ms]`;
  // Prometheus 2 takes the first instant of a range into it, and rounds times down.
  const within = (all) => {
    const inside = (key) => Math.abs(Number(key.split("@").at(-1)) * 1000 - (begin + end) / 2) < (end - begin) / 2 - 2;
    return new Map([...all].filter(([key]) => inside(key)));
  };
  const local = within(await samples(sender, selector, end / 1000));
  const remote = within(await samples(prometheus, selector, end / 1000));
  assert.ok(local.size > 1000, `${local.size} samples`);
  assert.deepEqual(lacking(local, remote).slice(0, 5), []);
  assert.deepEqual(lacking(remote, local).slice(0, 5), []);
  assert.equal(await metric(sender, "quarterdeck_forward_samples_dropped_total"), 0);
  assert.deepEqual(sender.logged("refused"), []);
  // What our rules conclude stays here.
  assert.deepEqual(await prometheus.query('{__name__=~"ALERTS.*"}'), []);
});

test("a key in the URL of a receiver is sent and nowhere shown", async (t) => {
  const dir = scratch(t);
  const asked = [];
  const receiver = await serve(t, (incoming, response) => {
    asked.push({ url: incoming.url, authorization: incoming.headers.authorization });
    response.writeHead(204).end();
  });
  const url = `http://${receiver.address}/api/v1/write?key=not-for-all`;
  const config = writeConfig(dir, "quarterdeck.yaml", "observe: {interval: 1s}\n");
  const sender = await start(t, { dataDir: path.join(dir, "data"), args: ["--config", config, "--forward", url] });
  await until(() => asked.length > 0, "a request");
  assert.equal(asked[0].url, "/api/v1/write?key=not-for-all");
  const pages = ["/api/v1/status/config", "/api/v1/status/flags", "/metrics", "/config", "/flags"];
  for (const page of pages) assert.ok(!(await sender.get(page)).text.includes("not-for-all"), page);
  assert.match((await sender.get("/api/v1/status/flags")).text, /write\?<secret>/);
  assert.ok(!sender.raw.includes("not-for-all"));
});

test("a reload gives the credentials for another receiver to nobody", async (t) => {
  const dir = scratch(t);
  const asked = [];
  const receiver = await serve(t, (incoming, response) => {
    asked.push(incoming.headers.authorization);
    response.writeHead(204).end();
  });
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    `forward: {url: "http://${receiver.address}"}\nobserve: {interval: 1s}\n`,
  );
  const sender = await start(t, { dataDir: path.join(dir, "data"), args: ["--config", config] });
  await until(() => asked.length > 0, "a request");
  writeConfig(dir, "quarterdeck.yaml", "forward: {url: 'https://10.197.31.9', token: hush}\nobserve: {interval: 1s}\n");
  sender.child.kill("SIGHUP");
  await until(() => sender.logged("reloaded").length > 0, "the reload");
  assert.match(JSON.stringify(sender.logged("needs a restart")), /forward\.url/);
  const before = asked.length;
  await until(() => asked.length > before + 1, "requests after the reload");
  assert.deepEqual([...new Set(asked)], [undefined]);
});

test("hosts that forward to each other come to rest", async (t) => {
  const dir = scratch(t);
  const ports = [await freePort(), await freePort()];
  const hosts = await Promise.all(
    ports.map((port, i) =>
      start(t, {
        dataDir: path.join(dir, `${i}`),
        listen: `127.0.0.1:${port}`,
        args: [
          ...["--forward", `http://127.0.0.1:${ports[1 - i]}`, "--set", `forward.host=h${i}`],
          ...["--set", "observe.interval=1s", "--set", "judge.rules.defaults=false"],
        ],
      }),
    ),
  );
  await until(() => hosts[0].value('node_load1{host="h1"}'), "the one at the other", 20_000);
  await sleep(5000);
  // Its own, its own that came back, and the other's: nothing grows beyond.
  for (const host of hosts) assert.equal((await host.query("node_load1")).length, 3);
  const sent = async () => metric(hosts[0], "quarterdeck_forward_samples_total");
  const before = await sent();
  await sleep(8000);
  const perSecond = ((await sent()) - before) / 8;
  const series = await hosts[0].value('count({__name__!="",host=""})');
  assert.ok(perSecond < series * 4, `${perSecond} samples a second of ${series} series`);
});

/** A POST with any bytes. */
const post = (quarterdeck, body, headers = {}) =>
  request(`${quarterdeck.url}/api/v1/write`, {
    method: "POST",
    headers: { "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", ...headers },
    body,
  });

test("hostile bodies are refused in words and cost no memory", async (t) => {
  const quarterdeck = await start(t);
  const resident = () =>
    Number(readFileSync(`/proc/${quarterdeck.child.pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) / 1024;
  const before = resident();
  const gigabyte = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04, 0x00, 0x61]);
  for (const [body, headers, status, words] of [
    [gigabyte, {}, 413, /unpacks to 1073741824 bytes, and 33554432 are taken/],
    [Buffer.from("{}"), {}, 400, /Snappy/],
    [Buffer.alloc(1 << 20, 0xff), {}, 400, /Snappy/],
    [Buffer.from([0x03, 0x08, 0x0a, 0xff, 0x01]), {}, 400, /no message of remote write/],
    [
      Buffer.from("x"),
      { "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request" },
      415,
      /v2\.Request are taken/,
    ],
    [Buffer.from("x"), { "Content-Type": "application/json" }, 415, /application\/x-protobuf/],
    [Buffer.from("x"), { "Content-Encoding": "gzip" }, 415, /snappy/],
  ]) {
    const answer = await post(quarterdeck, body, headers);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, words);
  }
  const several = await Promise.all(Array.from({ length: 50 }, () => post(quarterdeck, gigabyte)));
  assert.ok(several.every(({ status }) => status === 413));
  assert.ok(resident() < before + 64, `${before} MiB before, ${resident()} after`);

  const large = await new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(quarterdeck.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (part) => (text += part));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.write("POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: snappy\r\n");
    socket.write("Content-Length: 100000000\r\n\r\n");
  });
  assert.match(large, /^HTTP\/1\.1 413 /);
  assert.equal((await quarterdeck.get("/api/v1/write")).status, 405);
  assert.equal(await metric(quarterdeck, "quarterdeck_write_samples_total"), 0);
});

test("what cannot be forwarded is refused at the start, with the cure", async (t) => {
  for (const [settings, words] of [
    [["forward.url=deck:9090"], /forward\.url.*write https:\/\/HOST:PORT/],
    [["forward.url=http://10.0.0.1", "forward.token=x"], /in the clear: use https/],
    [["forward.url=https://me:pw@deck"], /forward\.user/],
  ]) {
    const args = settings.flatMap((one) => ["--set", one]);
    const { code, stderr } = await runCommand(["run", "--data-dir", path.join(scratch(t), "d"), ...args]);
    assert.equal(code, 2);
    assert.match(stderr, words);
  }
  const flagged = await runCommand(["run", "--data-dir", path.join(scratch(t), "d"), "--forward", "nowhere"]);
  assert.equal(flagged.code, 2);
  assert.match(flagged.stderr, /--forward/);
});
