// `ship.remote_write`: to a real Prometheus, a VictoriaMetrics and another Quarterdeck, one of them away for a while.
// And the ways back: remote read by a real Prometheus.
//
// QD_E2E_LONG=1 lets the receiver be away for ten minutes instead of 12 seconds.
import assert from "node:assert/strict";
import http from "node:http";
import path from "node:path";
import test from "node:test";
import {
  atEnd,
  freePort,
  missing,
  request,
  runCommand,
  scratch,
  serve,
  sleep,
  start,
  startProgram,
  until,
  writeConfig,
} from "./lib.mjs";

const kAwayMs = 1000 * Number(process.env.QD_E2E_AWAY_S ?? (process.env.QD_E2E_LONG ? 600 : 12));
// Of longer ones every second would be more samples than this test holds.
const kInterval = kAwayMs > 600_000 ? "10s" : "1s";

/** The sum of a metric of the program about itself; `undefined` where it has none. */
async function metric(quarterdeck, name, having = "") {
  const lines = (await quarterdeck.get("/metrics")).text.split("\n");
  const found = lines.filter(
    (line) => (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(having),
  );
  return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Every sample of a selector with a range, as "labels@time" to the value's text. */
async function samples(ask, selector, time) {
  const seen = new Map();
  const answer = JSON.parse((await ask(`/api/v1/query?query=${encodeURIComponent(selector)}&time=${time}`)).text);
  assert.equal(answer.status, "success", answer.error);
  for (const series of answer.data.result) {
    const key = JSON.stringify(Object.entries(series.metric).sort());
    for (const [at, value] of series.values) seen.set(`${key}@${at}`, value);
  }
  return seen;
}

const lacking = (wanted, there) =>
  [...wanted]
    .filter(([key, value]) => there.get(key) !== value)
    .map(([key, value]) => `${key} ${value} ${there.get(key)}`);

const asker = (url) => (pathAndQuery) => request(url + pathAndQuery);
const ready = (url, where) =>
  until(async () => (await request(url + where)).status === 200, `readiness of ${url}`, 30_000);

async function startPrometheus(t, dir, port, config, flags = []) {
  const file = writeConfig(dir, "prometheus.yml", config);
  const running = startProgram(t, "prometheus", [
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(dir, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    ...flags,
  ]);
  await ready(`http://127.0.0.1:${port}`, "/-/ready");
  return running;
}

const quiet = ["--set", "judge.rules.defaults=false", "--set", "observe.containers.enabled=false"];

test(`several destinations have every sample, one of which is away for ${kAwayMs / 1000} s`, {
  skip: missing("prometheus", "victoria-metrics"),
  timeout: kAwayMs + 180_000,
}, async (t) => {
  const dir = scratch(t);
  const [prometheusPort, victoriaPort] = [await freePort(), await freePort()];
  const prometheusUrl = `http://127.0.0.1:${prometheusPort}`;
  const startTheirs = () =>
    startPrometheus(t, dir, prometheusPort, "global: {scrape_interval: 1h}\n", ["--web.enable-remote-write-receiver"]);
  let prometheus = await startTheirs();
  startProgram(t, "victoria-metrics", [
    `-storageDataPath=${path.join(dir, "vm")}`,
    `-httpListenAddr=127.0.0.1:${victoriaPort}`,
    "-retentionPeriod=1d",
  ]);
  await ready(`http://127.0.0.1:${victoriaPort}`, "/health");
  const second = await start(t, {
    dataDir: path.join(dir, "second"),
    args: [...quiet, "--set", "observe.host.enabled=false"],
  });

  const rules = writeConfig(
    dir,
    "rules.yml",
    `groups:
- name: shipped
  interval: 1s
  rules: [{record: "shipped:load1:double", expr: "node_load1 * 2"}]
`,
  );
  const queue = "queue_config: {batch_send_deadline: 500ms, max_samples_per_send: 300, min_shards: 2}";
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    `observe: {interval: ${kInterval}, external_labels: {site: lab}}
judge: {rules: {files: ["${rules}"]}}
ship:
  remote_write:
  - {name: theirs, url: "${prometheusUrl}/api/v1/write", ${queue}}
  - {name: victoria, url: "http://127.0.0.1:${victoriaPort}/api/v1/write", ${queue}}
  - {name: second, url: "${second.url}/api/v1/write", protobuf_message: io.prometheus.write.v2.Request, ${queue}}
`,
  );
  const startOurs = () => start(t, { dataDir: path.join(dir, "data"), args: ["--config", config, ...quiet] });
  let quarterdeck = await startOurs();
  const begin = Date.now();
  await until(
    async () => (await samples(asker(prometheusUrl), "node_load1[1m]", Date.now() / 1000)).size > 0,
    "the first sample at Prometheus",
    30_000,
  );

  await prometheus.stop("SIGTERM");
  await sleep(kAwayMs / 2);
  await quarterdeck.kill();
  const killedAt = Date.now();
  quarterdeck = await startOurs();
  await sleep(kAwayMs / 2);
  await until(
    async () => (await metric(quarterdeck, "prometheus_remote_storage_samples_pending", "theirs")) > 0,
    "waiting",
  );
  assert.ok((await metric(quarterdeck, "prometheus_remote_storage_samples_retried_total", "theirs")) > 0);
  const waiting = await metric(quarterdeck, "prometheus_remote_storage_samples_pending", "theirs");
  const bytes = await metric(quarterdeck, "quarterdeck_ship_queue_bytes", "theirs");
  prometheus = await startTheirs();
  const backAt = Date.now();
  await until(
    async () => (await metric(quarterdeck, "quarterdeck_ship_queue_oldest_seconds", "theirs")) < 3,
    "catching up",
    60_000,
  );
  t.diagnostic(
    `${waiting} samples (${bytes} bytes) waited; caught up ${(Date.now() - backAt) / 1000} s after it was back`,
  );
  await sleep(2000);
  const end = Date.now();
  await sleep(3000);

  const range = `[${end - begin - 1000}ms]`;
  const local = await samples(asker(quarterdeck.url), `{site="lab",job=~"node|quarterdeck"}${range}`, end / 1000);
  assert.ok(local.size > 3000, `${local.size} samples`);
  const selector = `{site="lab",job=~"node|quarterdeck"}${range}`;
  // What was queued and not stored any more when the process was killed is only there.
  const nearKill = (line) => Math.abs(Number(line.split("@").at(-1).split(" ")[0]) * 1000 - killedAt) < 2500;
  for (const [name, url] of [
    ["Prometheus", prometheusUrl],
    ["the other Quarterdeck", second.url],
  ]) {
    const there = await samples(asker(url), selector, end / 1000);
    assert.deepEqual(lacking(local, there).slice(0, 5), [], `every sample is at ${name}`);
    const more = lacking(there, local).filter((line) => !nearKill(line));
    // Prometheus 2 takes the first instant of a range into it.
    const inside = more.filter((line) => Number(line.split("@").at(-1).split(" ")[0]) * 1000 > begin + 1010);
    assert.deepEqual(inside.slice(0, 5), [], `${name} has no others`);
  }
  t.diagnostic(`${local.size} samples are the same at all`);

  // What rules make goes out too.
  const recorded = await samples(asker(prometheusUrl), `shipped:load1:double${range}`, end / 1000);
  const ours = await samples(asker(quarterdeck.url), `shipped:load1:double${range}`, end / 1000);
  assert.ok(ours.size > 5);
  const values = (map) => [...map].map(([key, value]) => `${key.split("@").at(-1)} ${value}`).sort();
  const there = new Set(values(recorded));
  assert.deepEqual(
    values(ours).filter((one) => !there.has(one)),
    [],
  );

  // VictoriaMetrics keeps 15 digits or so, and no stale markers.
  await until(
    async () => (await metric(quarterdeck, "quarterdeck_ship_queue_oldest_seconds", "victoria")) < 3,
    "VictoriaMetrics",
  );
  await request(`http://127.0.0.1:${victoriaPort}/internal/force_flush`);
  const exported = await request(
    `http://127.0.0.1:${victoriaPort}/api/v1/export?match[]=${encodeURIComponent('{site="lab",job=~"node|quarterdeck"}')}`,
  );
  const theirs = new Map();
  for (const line of exported.text.trim().split("\n")) {
    const series = JSON.parse(line);
    const key = JSON.stringify(Object.entries(series.metric).sort());
    for (const [i, at] of series.timestamps.entries()) theirs.set(`${key}@${at / 1000}`, series.values[i]);
  }
  const close = (a, b) => Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-11 * Math.abs(a);
  const different = [...local].filter(([key, value]) => {
    const number = value === "+Inf" ? Infinity : value === "-Inf" ? -Infinity : Number(value);
    const got = theirs.get(key);
    return !(Number.isNaN(number) || close(number, got === "Infinity" ? Infinity : Number(got)));
  });
  assert.deepEqual(different.slice(0, 5), [], "every sample is at VictoriaMetrics");

  for (const name of ["samples_failed_total", "samples_dropped_total"])
    assert.equal(await metric(quarterdeck, `prometheus_remote_storage_${name}`), 0, name);
  assert.equal(await metric(second, "quarterdeck_write_samples_refused_total"), 0);
  // With 2.0 each series says what its family is.
  assert.equal((await second.api("/api/v1/metadata?metric=node_load1")).data.node_load1?.[0].type, "gauge");
  assert.equal((await request(`${prometheusUrl}/api/v1/metadata?metric=node_load1`)).status, 200);
});

test("destinations follow a reload, and what is refused is counted and told", async (t) => {
  const dir = scratch(t);
  const asked = [];
  let status = 204;
  const receiver = await serve(t, (incoming, response) => {
    asked.push(incoming.headers);
    response.writeHead(status).end("not you");
  });
  const write = (more) =>
    writeConfig(
      dir,
      "quarterdeck.yaml",
      `observe: {interval: 1s}
ship: {remote_write: [${more}]}
`,
    );
  const one = (extra) =>
    `{name: a, url: "http://${receiver.address}/w?key=confidential7", queue_config: {batch_send_deadline: 200ms}${extra}}`;
  const config = write("");
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--config", config, ...quiet] });
  await sleep(1500);
  assert.equal(asked.length, 0);
  write(
    one(', headers: {X-Scope-OrgID: t1}, basic_auth: {username: me, password: "env:QD_E2E_PASSWORD"}').replace(
      "env:QD_E2E_PASSWORD",
      "hush",
    ),
  );
  quarterdeck.child.kill("SIGHUP");
  await until(() => asked.length > 0, "a request");
  assert.equal(asked[0]["x-scope-orgid"], "t1");
  assert.equal(asked[0].authorization, `Basic ${Buffer.from("me:hush").toString("base64")}`);
  assert.equal(asked[0]["x-prometheus-remote-write-version"], "0.1.0");
  write(one(", protobuf_message: io.prometheus.write.v2.Request"));
  quarterdeck.child.kill("SIGHUP");
  await until(() => asked.at(-1)["x-prometheus-remote-write-version"] === "2.0.0", "remote write 2.0");
  assert.equal(asked.at(-1)["content-type"], "application/x-protobuf;proto=io.prometheus.write.v2.Request");
  status = 400;
  await until(
    async () => (await metric(quarterdeck, "prometheus_remote_storage_samples_failed_total")) > 0,
    "samples that are refused",
  );
  await until(() => quarterdeck.logged("a destination refused samples").length > 0, "words of it");
  const shown = [
    (await quarterdeck.get("/metrics")).text,
    (await quarterdeck.get("/api/v1/status/config")).text,
    quarterdeck.raw,
  ].join("\n");
  for (const secret of ["confidential7", "hush"]) {
    const at = shown.indexOf(secret);
    assert.ok(at < 0, `${secret}: ${shown.slice(Math.max(0, at - 200), at + 50)}`);
  }
});

test("what cannot be a destination is refused at the start, with the cure", async (t) => {
  for (const [one, words] of [
    ["{url: nowhere}", /no URL of a receiver/],
    ['{url: "http://10.0.0.1/w", authorization: {credentials: x}}', /in the clear: use https/],
    ['{url: "https://a/w", protobuf_message: v3}', /protobuf_message is/],
  ]) {
    const dir = scratch(t);
    const config = writeConfig(dir, "quarterdeck.yaml", `ship: {remote_write: [${one}]}\n`);
    const { code, stderr } = await runCommand(["run", "--data-dir", path.join(dir, "d"), "--config", config]);
    assert.equal(code, 2);
    assert.match(stderr, words);
  }
});

test("a real Prometheus that reads from us answers as we do", { skip: missing("prometheus") }, async (t) => {
  const dir = scratch(t);
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--set", "observe.interval=1s", ...quiet],
  });
  await until(() => quarterdeck.value("node_load1"), "a sample");
  await sleep(8000);
  for (const kind of ["streamed", "sampled"]) {
    const port = await freePort();
    // Only Prometheus before 2.13 asks for samples alone; what stands between may ask so too.
    const url = kind === "streamed" ? quarterdeck.url : await askForSamples(t, quarterdeck.url);
    await startPrometheus(
      t,
      scratch(t),
      port,
      `global: {scrape_interval: 1h}\nremote_read: [{url: "${url}/api/v1/read", read_recent: true}]\n`,
    );
    // Between two samples: the left end of a range belongs to it in Prometheus 2, and not in 3 and here.
    const asked = JSON.parse(
      (await quarterdeck.get(`/api/v1/query?query=${encodeURIComponent("node_load1[5s]")}`)).text,
    );
    const time = asked.data.result[0].values.at(-1)[0] + 0.5;
    for (const query of [
      '{job="node"}[5s]',
      "node_cpu_seconds_total",
      "sum by (mode) (rate(node_cpu_seconds_total[5s]))",
      'count({__name__=~"node_.+"})',
      'node_load1{job!~"x|y"} or node_load5',
      "nothing_like_that",
    ]) {
      const ask = async (from) => {
        const answer = await request(`${from}/api/v1/query?query=${encodeURIComponent(query)}&time=${time}`);
        const { status, data, error } = JSON.parse(answer.text);
        assert.equal(status, "success", `${query}: ${error}`);
        return data.result
          .map((series) => JSON.stringify([Object.entries(series.metric).sort(), series.value ?? series.values]))
          .sort();
      };
      const ours = await ask(quarterdeck.url);
      const theirs = await ask(`http://127.0.0.1:${port}`);
      assert.equal(theirs.length, ours.length, `${kind}: ${query}`);
      // Sums of floats may come in another order.
      if (!query.startsWith("sum")) assert.deepEqual(theirs, ours, `${kind}: ${query}`);
    }
  }
  assert.equal(await metric(quarterdeck, "quarterdeck_read_requests_failed_total"), 0);
  assert.ok((await metric(quarterdeck, "quarterdeck_read_samples_total")) > 100);
});

/** Asks `url` for what it is asked for, and lets no stream be the answer. */
async function askForSamples(t, url) {
  const server = http.createServer(async (incoming, response) => {
    const parts = [];
    for await (const part of incoming) parts.push(part);
    const body = withoutStreams(Buffer.concat(parts));
    const answer = await request(`${url}/api/v1/read`, { method: "POST", body });
    response.writeHead(answer.status, { "Content-Type": answer.headers["content-type"] }).end(answer.bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** A Snappy block of literals alone, and back: enough for small requests. */
function withoutStreams(block) {
  const message = unsnappy(block);
  // accepted_response_types (field 2, varint or packed) goes; what stands in queries does not begin so at this level.
  const parts = [];
  for (let at = 0; at < message.length; ) {
    const begin = at;
    const tag = message[at++];
    let size = 0;
    let shift = 0;
    let byte;
    do {
      byte = message[at++];
      size |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte & 0x80);
    if ((tag & 7) === 2) at += size;
    if (tag >> 3 !== 2) parts.push(message.subarray(begin, at));
  }
  const plain = Buffer.concat(parts);
  assert.ok(plain.length < 0x10000);
  const length = [];
  for (let left = plain.length; ; left >>= 7) {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f) break;
  }
  const literal = plain.length - 1;
  return Buffer.concat([Buffer.from([...length, 61 << 2, literal & 0xff, literal >> 8]), plain]);
}

function unsnappy(block) {
  let at = 0;
  while (block[at] & 0x80) at += 1;
  at += 1;
  const out = [];
  while (at < block.length) {
    const tag = block[at++];
    let size = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (size > 60) {
        const bytes = size - 60;
        size = 1;
        for (let i = 0; i < bytes; i += 1) size += block[at++] << (8 * i);
      }
      for (let i = 0; i < size; i += 1) out.push(block[at++]);
      continue;
    }
    let offset;
    if ((tag & 3) === 1) {
      size = ((tag >> 2) & 7) + 4;
      offset = ((tag >> 5) << 8) | block[at++];
    } else {
      offset = block[at] | (block[at + 1] << 8);
      at += (tag & 3) === 2 ? 2 : 4;
    }
    for (let i = 0; i < size; i += 1) out.push(out[out.length - offset]);
  }
  return Buffer.from(out);
}
