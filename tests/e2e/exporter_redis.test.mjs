// The redis collector beside Debian's redis-server and prometheus-redis-exporter: what theirs gives for the same server,
// ours gives with the same type, help and labels, or this file says why not.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { freePort, missing, request, scratch, start, startProgram, until } from "./lib.mjs";
import { say, startRedis } from "./servers.mjs";

// What the current exporter does otherwise than Debian's, or what is about the exporter.
const kLeftOut = new Set([
  "redis_exporter_build_info",
  "redis_target_scrape_request_errors_total",
  "redis_last_key_groups_scrape_duration_milliseconds",
]);
const kOtherType = new Set(["redis_expired_time_cap_reached_total"]);
const kMoreLabels = { redis_instance_info: ["master_replid"] };

async function startExporter(t, address) {
  const port = await freePort();
  const args = [`-redis.addr=redis://${address}`, `-web.listen-address=127.0.0.1:${port}`];
  const exporter = startProgram(t, "prometheus-redis-exporter", args);
  const page = async () => parseText((await request(`http://127.0.0.1:${port}/metrics`)).text).families;
  await until(
    async () => {
      assert.equal(exporter.child.exitCode, null, exporter.log);
      return (await page()).get("redis_up")?.samples.get("redis_up{}") === 1;
    },
    "an answer of prometheus-redis-exporter",
    20_000,
  );
  return { ...exporter, page };
}

async function startQuarterdeck(t, instance) {
  const quarterdeck = await start(t, { args: ["--set", `observe.redis=[${JSON.stringify(instance)}]`] });
  quarterdeck.page = async () => {
    const answer = await quarterdeck.get("/exporters/redis/metrics");
    assert.equal(answer.status, 200, answer.text);
    return parseText(answer.text).families;
  };
  return quarterdeck;
}

function compare(theirs, ours) {
  for (const [name, family] of theirs) {
    if (!name.startsWith("redis_") || kLeftOut.has(name)) continue;
    const own = ours.get(name);
    assert.ok(own, `${name} is not told`);
    if (!kOtherType.has(name)) assert.equal(own.type, family.type, name);
    assert.equal(own.help, family.help, name);
    const more = kMoreLabels[name] ?? [];
    for (const labels of family.labels) {
      const expected = [...labels.split(","), ...more]
        .filter((label) => label !== "")
        .sort()
        .join(",");
      assert.ok(own.labels.has(expected), `${name} has ${[...own.labels]} and not ${expected}`);
    }
  }
}

test("a server and its replica are told as prometheus-redis-exporter tells them", {
  skip: missing("redis-server", "prometheus-redis-exporter"),
}, async (t) => {
  const redis = await startRedis(t);
  const replica = await startRedis(t, ["--replicaof", "127.0.0.1", `${redis.port}`]);
  await say(redis.port, "SET a 1", "SETEX b 1000 1", "SELECT 3", "SET c 1", "NOSUCH", "GET none");
  await until(async () => (await say(redis.port, "INFO replication")).includes("state=online"), "the replica");
  const exporter = await startExporter(t, redis.address);
  const quarterdeck = await startQuarterdeck(t, { address: redis.address });
  const ours = await quarterdeck.page();
  const theirs = await exporter.page();
  compare(theirs, ours);
  const value = (name, labels = "") => ours.get(name).samples.get(`${name}{${labels}}`);
  assert.equal(value("redis_up"), 1);
  for (const name of ["redis_db_keys", "redis_db_keys_expiring", "redis_connected_slaves", "redis_memory_max_bytes"]) {
    // In whatever order: theirs comes sorted as text, db10 before db2.
    const sorted = (page) => [...page.get(name).samples].sort();
    assert.deepEqual(sorted(ours), sorted(theirs), name);
  }
  assert.equal(value("redis_errors_total", 'err="ERR"'), 1);

  const ofReplica = await startQuarterdeck(t, { address: replica.address });
  compare(await (await startExporter(t, replica.address)).page(), await ofReplica.page());
  const up = `redis_master_link_up{master_host="127.0.0.1",master_port="${redis.port}"}`;
  assert.equal((await ofReplica.page()).get("redis_master_link_up").samples.get(up), 1);
});

test("a password that is missing is said with its cure, and a server that comes back is read again", {
  skip: missing("redis-server"),
}, async (t) => {
  const redis = await startRedis(t, ["--requirepass", "sekret-1"]);
  const without = await startQuarterdeck(t, { address: redis.address });
  const up = async (quarterdeck) => (await quarterdeck.page()).get("redis_up").samples.get("redis_up{}");
  assert.equal(await up(without), 0);
  const error = [...(await without.page()).get("redis_exporter_last_scrape_error").samples.keys()][0];
  assert.match(error, /NOAUTH.*observe\.redis\[\]\.password/);

  const quarterdeck = await startQuarterdeck(t, { address: redis.address, password: "sekret-1" });
  assert.equal(await up(quarterdeck), 1);
  redis.child.kill("SIGKILL");
  await redis.closed;
  assert.equal(await up(quarterdeck), 0);
  assert.ok(!JSON.stringify(quarterdeck.log).includes("sekret-1"));
  const args = ["--bind", "127.0.0.1", "--port", `${redis.port}`, "--dir", redis.dir, "--requirepass", "sekret-1"];
  startProgram(t, "redis-server", args);
  await until(async () => (await up(quarterdeck)) === 1, "the server's return");
});

test("streams are told where they are asked for", { skip: missing("redis-server") }, async (t) => {
  const redis = await startRedis(t);
  await say(redis.port, "SELECT 3", "XADD orders * f v", "XGROUP CREATE orders workers 0");
  await say(redis.port, "SELECT 3", "XREADGROUP GROUP workers w1 COUNT 1 STREAMS orders >");
  const quarterdeck = await startQuarterdeck(t, { address: redis.address, streams: ["db3=orders"] });
  const told = await quarterdeck.page();
  const value = (name, labels) => told.get(name)?.samples.get(`${name}{${labels}}`);
  assert.equal(value("redis_stream_length", 'db="db3",stream="orders"'), 1);
  const group = 'db="db3",group="workers",stream="orders"';
  assert.equal(value("redis_stream_group_messages_pending", group), 1);
  assert.equal(value("redis_stream_group_consumer_messages_pending", `consumer="w1",${group}`), 1);
});

test("TLS is spoken, and the certificate is looked at", { skip: missing("redis-server", "openssl") }, async (t) => {
  const dir = scratch(t);
  const [cert, key] = [path.join(dir, "cert.pem"), path.join(dir, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=redis"];
  const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...kind, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const tlsPort = await freePort();
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
  await startRedis(t, ["--tls-port", `${tlsPort}`, "--tls-auth-clients", "no", ...files]);
  const address = `127.0.0.1:${tlsPort}`;
  const up = async (tls) => {
    const quarterdeck = await startQuarterdeck(t, { address, tls });
    return (await quarterdeck.page()).get("redis_up").samples.get("redis_up{}");
  };
  assert.equal(await up({ enabled: true, ca_file: cert }), 1);
  assert.equal(await up({ enabled: true, insecure_skip_verify: true }), 1);
  assert.equal(await up({ enabled: true }), 0);
});
