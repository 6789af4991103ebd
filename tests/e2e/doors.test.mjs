// Data that comes in by other protocols than Prometheus's: OTLP over HTTP, and InfluxDB's line protocol beside a real
// VictoriaMetrics.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { freePort, missing, request, runCommand, scratch, start, startProgram, until } from "./lib.mjs";

const kQuiet = ["--set", "judge.rules.defaults=false", "--set", "observe.host.enabled=false"];

/** What a protobuf message is made of. */
const varint = (value) => {
  const out = [];
  let left = BigInt(value);
  for (; left > 0x7fn; left >>= 7n) out.push(Number(left & 0x7fn) | 0x80);
  out.push(Number(left));
  return Buffer.from(out);
};
const bytes = (tag, content) => {
  const body = Buffer.from(content);
  return Buffer.concat([varint((tag << 3) | 2), varint(body.length), body]);
};
const number = (tag, value) => Buffer.concat([varint(tag << 3), varint(value)]);
const fixed = (tag, value) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return Buffer.concat([varint((tag << 3) | 1), out]);
};
const double = (tag, value) => {
  const out = Buffer.alloc(8);
  out.writeDoubleLE(value);
  return Buffer.concat([varint((tag << 3) | 1), out]);
};

test("OTLP as protobuf and JSON is stored under the names of Prometheus", async (t) => {
  const quarterdeck = await start(t, {
    args: [...kQuiet, "--set", "serve.otlp.promote_resource_attributes=deployment.environment"],
  });
  const now = BigInt(Date.now()) * 1_000_000n;
  const attribute = (key, value) => bytes(1, Buffer.concat([bytes(1, key), bytes(2, bytes(1, value))]));
  const point = (value) => Buffer.concat([fixed(3, now), double(4, value)]);
  const sum = Buffer.concat([
    bytes(1, "http.server.requests"),
    bytes(2, "Requests."),
    bytes(7, Buffer.concat([bytes(1, point(5)), number(2, 2), number(3, 1)])),
  ]);
  const delta = Buffer.concat([
    bytes(1, "lost"),
    bytes(7, Buffer.concat([bytes(1, point(5)), number(2, 1), number(3, 1)])),
  ]);
  const resource = Buffer.concat([
    attribute("service.name", "shop"),
    attribute("service.instance.id", "i-1"),
    attribute("deployment.environment", "prod"),
  ]);
  const message = bytes(
    1,
    Buffer.concat([bytes(1, resource), bytes(2, Buffer.concat([bytes(2, sum), bytes(2, delta)]))]),
  );
  const send = (where, body, headers) => request(quarterdeck.url + where, { method: "POST", headers, body });
  const first = await send("/api/v1/otlp/v1/metrics", gzipSync(message), {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "gzip",
  });
  assert.equal(first.status, 200, first.text);
  assert.match(first.bytes.toString("latin1"), /delta temporality is not taken/);

  const json = {
    resourceMetrics: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
        scopeMetrics: [
          {
            metrics: [
              {
                name: "http.server.duration",
                unit: "s",
                histogram: {
                  aggregationTemporality: 2,
                  dataPoints: [
                    {
                      timeUnixNano: `${now}`,
                      count: "6",
                      sum: 9.5,
                      bucketCounts: ["1", "2", "3"],
                      explicitBounds: [0.1, 1],
                    },
                  ],
                },
              },
              { name: "memory", unit: "By", gauge: { dataPoints: [{ timeUnixNano: `${now}`, asInt: "1024" }] } },
            ],
          },
        ],
      },
    ],
  };
  const second = await send("/v1/metrics", JSON.stringify(json), { "Content-Type": "application/json" });
  assert.equal(second.status, 200, second.text);
  assert.deepEqual(JSON.parse(second.text), {});

  const labels = { job: "shop", instance: "i-1", deployment_environment: "prod" };
  const [requests] = await quarterdeck.query("http_server_requests_total");
  assert.deepEqual(requests.metric, { __name__: "http_server_requests_total", ...labels });
  assert.equal(requests.value[1], "5");
  const [info] = await quarterdeck.query("target_info");
  assert.deepEqual(info.metric, { __name__: "target_info", ...labels });
  assert.equal(await quarterdeck.value('http_server_duration_seconds_bucket{le="1"}'), 3);
  assert.equal(await quarterdeck.value("http_server_duration_seconds_sum"), 9.5);
  assert.equal(await quarterdeck.value("memory_bytes"), 1024);
  const metadata = (await quarterdeck.api("/api/v1/metadata?metric=http_server_requests_total")).data;
  assert.deepEqual(metadata.http_server_requests_total[0], { type: "counter", help: "Requests.", unit: "" });
});

test("OTLP's points are refused whole and counted so, and their exemplars lead to traces", async (t) => {
  const quarterdeck = await start(t, { args: kQuiet });
  const now = BigInt(Date.now()) * 1_000_000n;
  const trace = "0123456789abcdef0123456789abcdef";
  const send = async (sum) => {
    const point = {
      timeUnixNano: `${now}`,
      count: "3",
      sum,
      bucketCounts: ["1", "2", "0"],
      explicitBounds: [0.1, 1],
      exemplars: [{ timeUnixNano: `${now}`, asDouble: 0.5, traceId: trace, spanId: "0123456789abcdef" }],
    };
    const histogram = {
      aggregationTemporality: 2,
      dataPoints: [point, { ...point, timeUnixNano: `${now + 10n ** 9n}` }],
    };
    const metrics = [{ name: "took", unit: "s", histogram }];
    const answer = await request(`${quarterdeck.url}/v1/metrics`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
    });
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text);
  };
  assert.deepEqual(await send(9.5), {});
  assert.equal((await send(9)).partialSuccess.rejectedDataPoints, "2", "of each, the sum is another one");
  const range = `start=${Date.now() / 1000 - 60}&end=${Date.now() / 1000 + 60}`;
  const found = (await quarterdeck.api(`/api/v1/query_exemplars?query=took_seconds_bucket&${range}`)).data;
  assert.equal(found.length, 1);
  assert.equal(found[0].seriesLabels.le, "1", "the bucket that it fell into");
  assert.deepEqual(found[0].exemplars[0].labels, { trace_id: trace, span_id: "0123456789abcdef" });
});

test("native histograms that come late by OTLP are stored, found again after a kill, and exported", async (t) => {
  const dir = scratch(t);
  const dataDir = path.join(dir, "data");
  const args = [...kQuiet];
  let quarterdeck = await start(t, { dataDir, args });
  const now = Math.floor(Date.now() / 60_000) * 60;
  const send = async (time, count) => {
    const point = {
      timeUnixNano: `${BigInt(time) * 1_000_000_000n}`,
      count: `${count}`,
      sum: count * 2,
      scale: 0,
      zeroCount: "0",
      positive: { offset: 0, bucketCounts: [`${count}`] },
    };
    const metric = { name: "wait", exponentialHistogram: { aggregationTemporality: 2, dataPoints: [point] } };
    const body = JSON.stringify({
      resourceMetrics: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
          scopeMetrics: [{ metrics: [metric] }],
        },
      ],
    });
    const headers = { "Content-Type": "application/json" };
    const answer = await request(`${quarterdeck.url}/v1/metrics`, { method: "POST", headers, body });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(JSON.parse(answer.text), {}, "all of it is taken");
  };
  const times = [now, now - 60, now - 86_400, now - 3 * 86_400, now - 3600];
  for (const time of times) await send(time, time - now + 400_000);
  await send(times[2], times[2] - now + 400_000);
  const check = async () => {
    for (const time of times) {
      const found = await quarterdeck.query("histogram_count(wait)", time);
      assert.equal(found[0]?.value[1], `${time - now + 400_000}`, `at ${time - now}`);
      assert.equal((await quarterdeck.query("histogram_sum(wait)", time))[0].value[1], `${(time - now + 400_000) * 2}`);
    }
  };
  await check();
  await quarterdeck.kill();
  quarterdeck = await start(t, { dataDir, args });
  await check();
  await quarterdeck.stop();
  const out = path.join(dir, "blocks");
  const exported = await runCommand(["tsdb", "export", "--data-dir", dataDir, "--format", "blocks", out]);
  assert.equal(exported.code, 0, exported.stderr);
  // Served from there, and taken into a store of its own.
  quarterdeck = await start(t, { args: [...args, "--set", `store.metrics.prometheus_dir=${out}`] });
  await check();
  await quarterdeck.stop();
  const other = path.join(dir, "other");
  quarterdeck = await start(t, { dataDir: other, args });
  await quarterdeck.stop();
  const imported = await runCommand(["tsdb", "import", "--data-dir", other, out]);
  assert.equal(imported.code, 0, imported.stderr);
  quarterdeck = await start(t, { dataDir: other, args });
  await check();
});

test("hostile bodies cost no memory at any door", async (t) => {
  const quarterdeck = await start(t, { args: kQuiet });
  const bomb = gzipSync(Buffer.alloc(200 << 20));
  for (const [where, headers] of [
    ["/v1/metrics", { "Content-Type": "application/x-protobuf", "Content-Encoding": "gzip" }],
    ["/v1/metrics", { "Content-Type": "application/json", "Content-Encoding": "gzip" }],
    ["/write", { "Content-Encoding": "gzip" }],
  ]) {
    const answer = await request(quarterdeck.url + where, { method: "POST", headers, body: bomb });
    assert.equal(answer.status, 413, where);
  }
  const gigabyte = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04, 0x00, 0x61]);
  const read = await request(`${quarterdeck.url}/api/v1/read`, { method: "POST", body: gigabyte });
  assert.equal(read.status, 413, read.text);
  const long = await request(`${quarterdeck.url}/write`, { method: "POST", body: `m,a=${"x".repeat(10 << 20)} v=1` });
  assert.equal(long.status, 400);
  assert.ok(long.text.length < 5000);
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
});

test("line protocol makes the series that VictoriaMetrics makes of it", {
  skip: missing("victoria-metrics"),
}, async (t) => {
  const dir = scratch(t);
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: kQuiet });
  const port = await freePort();
  const victoria = `http://127.0.0.1:${port}`;
  startProgram(t, "victoria-metrics", [
    `-storageDataPath=${path.join(dir, "vm")}`,
    `-httpListenAddr=127.0.0.1:${port}`,
  ]);
  await until(async () => (await request(`${victoria}/health`)).status === 200, "VictoriaMetrics", 20_000);
  const at = Math.floor(Date.now() / 1000) * 1000 - 5000;
  const lines = [
    `cpu,host=web-1,cpu=cpu0 usage_idle=97.5,usage_user=2i,up=true ${at}000000`,
    `my\\ disk,path=/var\\ log used=12u,free=3.5e3 ${at}000000`,
    `net,iface=eth0 rx=1i,tx=2i ${at + 1000}000000`,
    `net,iface=eth0 rx=5i,tx=6i ${at + 2000}000000`,
  ].join("\n");
  const ask = (url, where, body, headers) => request(url + where, { method: "POST", body, headers });
  for (const url of [quarterdeck.url, victoria]) {
    assert.equal((await ask(url, "/write?db=telegraf", lines)).status, 204);
    assert.equal((await ask(url, "/influx/write?precision=ms", `short v=1 ${at}`)).status, 204);
    const packed = await ask(url, "/api/v2/write?bucket=b&precision=s", gzipSync(`packed v=2 ${at / 1000}`), {
      "Content-Encoding": "gzip",
    });
    assert.equal(packed.status, 204);
  }
  const exported = async () => {
    await request(`${victoria}/internal/force_flush`);
    const answer = await request(`${victoria}/api/v1/export?match[]=${encodeURIComponent('{__name__!=""}')}`);
    return answer.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  };
  await until(async () => (await exported()).length >= 9, "series at VictoriaMetrics");
  const theirs = (await exported())
    .flatMap(({ metric, timestamps, values }) => timestamps.map((time, i) => [metric, time, values[i]]))
    .map(([metric, time, value]) => JSON.stringify([Object.entries(metric).sort(), time, value]))
    .sort();
  const ours = (
    await quarterdeck.query('{__name__!="",__name__!~"quarterdeck_.*|go_.*|process_.*|up|scrape_.*",job=""}[1m]')
  )
    .flatMap(({ metric, values }) => values.map(([time, value]) => [metric, Math.round(time * 1000), Number(value)]))
    .map(([metric, time, value]) => JSON.stringify([Object.entries(metric).sort(), time, value]))
    .sort();
  assert.deepEqual(ours, theirs);

  const wrong = await ask(quarterdeck.url, "/write", `good v=1 ${at}000000\nbad\n`);
  assert.equal(wrong.status, 400);
  assert.match(JSON.parse(wrong.text).error, /partial write: 1 lines are not stored: line 2: column 4/);
  assert.equal(await quarterdeck.value("good_v"), 1);
  assert.equal((await quarterdeck.get("/ping")).status, 204);
  assert.equal(JSON.parse((await quarterdeck.get("/health")).text).status, "pass");
});
