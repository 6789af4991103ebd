// Blocks in an object store, as Thanos wants them: a stand-in for S3 that checks every signature and every checksum, fails
// now and then, and keeps what it gets; promtool and a real Prometheus judge that.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import test from "node:test";
import { atEnd, missing, runCommand, scratch, start, until } from "./lib.mjs";

const kKey = "AKIDEXAMPLE";
const kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const kRegion = "eu-test-1";
const kHour = 3600;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** What is wrong with a request's proof (AWS Signature Version 4), or nothing. */
function fault(incoming, body) {
  const found = (incoming.headers.authorization ?? "").match(
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=(\w{64})$/,
  );
  if (!found) return "AccessDenied";
  const [, key, day, region, names, signature] = found;
  if (key !== kKey || region !== kRegion) return "InvalidAccessKeyId";
  if (!names.split(";").includes("host") || !names.split(";").includes("x-amz-content-sha256")) return "AccessDenied";
  if (incoming.headers["x-amz-content-sha256"] !== sha256(body)) return "XAmzContentSHA256Mismatch";
  const time = incoming.headers["x-amz-date"];
  const at = Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(Date.now() - at) < 900_000) || !time.startsWith(day)) return "RequestTimeTooSkewed";
  const [target, query = ""] = incoming.url.split("?");
  const canonical = [
    incoming.method,
    target,
    query.split("&").sort().join("&"),
    ...names.split(";").map((name) => `${name}:${incoming.headers[name].trim()}`),
    "",
    names,
    incoming.headers["x-amz-content-sha256"],
  ].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, `${day}/${kRegion}/s3/aws4_request`, sha256(canonical)].join("\n");
  const signing = [day, kRegion, "s3", "aws4_request"].reduce(hmac, `AWS4${kSecret}`);
  return hmac(signing, text).toString("hex") === signature ? undefined : "SignatureDoesNotMatch";
}

/** A bucket. `state.mishap` may answer a request in its place. */
async function startStore(t) {
  const state = { objects: new Map(), uploads: new Map(), requests: [], faults: [], mishap: () => false };
  const answer = (response, status, text = "", headers = {}) => response.writeHead(status, headers).end(text);
  const server = http.createServer((incoming, response) => {
    const parts = [];
    incoming.on("data", (part) => parts.push(part));
    incoming.on("end", () => {
      const body = Buffer.concat(parts);
      const url = new URL(incoming.url, "http://store");
      const key = decodeURIComponent(url.pathname).replace(/^\/metrics\//, "");
      state.requests.push(`${incoming.method} ${key}${url.search.replace(/uploadId=.*/, "")}`);
      if (state.mishap(incoming, response, key, url)) return;
      const wrong = fault(incoming, body);
      if (wrong) {
        state.faults.push(wrong);
        return answer(response, 403, `<Error><Code>${wrong}</Code><Message>no</Message></Error>`);
      }
      const md5 = createHash("md5").update(body).digest();
      if (body.length > 0 && incoming.headers["content-md5"] !== md5.toString("base64")) {
        state.faults.push("BadDigest");
        return answer(response, 400, "<Error><Code>BadDigest</Code></Error>");
      }
      const upload = url.searchParams.get("uploadId");
      if (incoming.method === "HEAD") {
        const there = state.objects.get(key);
        return answer(response, there ? 200 : 404, "", there ? { "Content-Length": there.length } : {});
      }
      if (incoming.method === "POST" && url.searchParams.has("uploads")) {
        const id = `up+load/${state.uploads.size}=`;
        state.uploads.set(id, new Map());
        return answer(response, 200, `<?xml version="1.0"?><X><UploadId>${id}</UploadId></X>`);
      }
      if (incoming.method === "PUT" && upload) {
        const etag = `"${md5.toString("hex")}"`;
        state.uploads.get(upload).set(etag, body);
        return answer(response, 200, "", { ETag: etag });
      }
      if (incoming.method === "POST" && upload) {
        const etags = [...body.toString().matchAll(/<ETag>(.*?)<\/ETag>/g)].map(([, etag]) => etag);
        const all = etags.map((etag) => state.uploads.get(upload).get(etag));
        assert.ok(all.slice(0, -1).every((part) => part.length >= 5 << 20));
        state.objects.set(key, Buffer.concat(all));
        state.uploads.delete(upload);
        return answer(response, 200, "<CompleteMultipartUploadResult/>");
      }
      if (incoming.method === "PUT") {
        state.objects.set(key, body);
        return answer(response, 200, "", { ETag: `"${md5.toString("hex")}"` });
      }
      answer(response, 400);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  state.url = `http://127.0.0.1:${server.address().port}`;
  atEnd(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return state;
}

const settings = (store, { secret = kSecret, labels = "{host: deck-1}" } = {}) =>
  [
    `ship.objects.endpoint=${store.url}`,
    "ship.objects.bucket=metrics",
    `ship.objects.region=${kRegion}`,
    `ship.objects.access_key=${kKey}`,
    `ship.objects.secret_key=${secret}`,
    "ship.objects.prefix=some where/deck",
    "ship.objects.part_bytes=5MiB",
    `observe.external_labels=${labels}`,
    "observe.host.enabled=false",
  ].flatMap((set) => ["--set", set]);

/** A data directory with two stretches of two hours that are over, the first of them large; gives where they begin. */
async function filled(t) {
  const dir = scratch(t);
  const first = Math.floor(Date.now() / 1000 / (2 * kHour)) * 2 * kHour - 8 * kHour;
  const text = path.join(dir, "samples.om");
  const out = createWriteStream(text);
  for (let s = 0; s < 110; s++) {
    const lines = [];
    for (let i = 0; i < 2 * kHour; i++) lines.push(`noise{s="${s}"} ${Math.random()} ${first + i}\n`);
    lines.push(`noise{s="${s}"} 7 ${first + 2 * kHour + 60}\n`);
    out.write(lines.join(""));
  }
  await new Promise((resolve) => out.end("# EOF\n", resolve));
  const dataDir = path.join(dir, "data");
  const imported = await runCommand(["tsdb", "import", "--data-dir", dataDir, text], { timeoutMs: 120_000 });
  assert.equal(imported.code, 0, imported.stderr);
  return { dataDir, first };
}

test("finished stretches are uploaded whole, signed, and readable", { skip: missing("promtool") }, async (t) => {
  const store = await startStore(t);
  let bad = 0;
  store.mishap = (incoming, response, key, url) => {
    // The second part is lost on the way, the index meets a busy store.
    const hit = url.searchParams.get("partNumber") === "2" || key.endsWith("/index");
    if (!hit || incoming.method !== "PUT" || ++bad > 3) return false;
    if (bad === 1) incoming.socket.destroy();
    else response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>");
    return true;
  };
  const { dataDir, first } = await filled(t);
  const quarterdeck = await start(t, { dataDir, args: settings(store) });
  const metas = () => [...store.objects.keys()].filter((key) => key.endsWith("/meta.json"));
  await until(() => metas().length >= 2, "two blocks in the store", 60_000);
  assert.deepEqual(store.faults, []);
  assert.ok(bad >= 3);
  assert.ok(
    store.requests.some((request) => request.includes("partNumber=2")),
    store.requests.join("\n"),
  );
  assert.equal(store.uploads.size, 0);
  await until(async () => (await quarterdeck.value("quarterdeck_objects_blocks_total")) === 2, "the count", 30_000);
  await quarterdeck.stop();

  const down = scratch(t);
  mkdirSync(path.join(down, "wal"));
  for (const [key, bytes] of store.objects) {
    assert.ok(key.startsWith("some where/deck/"), key);
    const file = path.join(down, key.slice("some where/deck/".length));
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  const all = metas().map((key) => JSON.parse(store.objects.get(key)));
  all.sort((a, b) => a.minTime - b.minTime);
  assert.equal(all[0].minTime, first * 1000);
  assert.deepEqual(all[0].thanos.labels, { host: "deck-1" });
  for (const meta of all) {
    for (const { rel_path, size_bytes } of meta.thanos.files) {
      assert.equal(store.objects.get(`some where/deck/${meta.ulid}/${rel_path}`).length, size_bytes);
    }
  }
  const dump = execFileSync("promtool", ["tsdb", "dump", "--match", '{s="5"}', down], {
    maxBuffer: 1 << 28,
  }).toString();
  assert.equal(dump.trim().split("\n").length, 2 * kHour + 1);
  assert.equal((await runCommand(["tsdb", "verify", down])).code, 0);

  const requests = store.requests.length;
  const again = await start(t, { dataDir, args: settings(store) });
  await until(() => again.logged("uploading blocks").length > 0, "a second start");
  await again.stop();
  assert.equal(store.requests.length, requests, "what is there is not sent again");
});

test("a wrong key is told with what the store says, and everything else goes on", async (t) => {
  const store = await startStore(t);
  const dir = scratch(t);
  const text = path.join(dir, "samples.om");
  writeFileSync(text, `x 1 ${Math.floor(Date.now() / 1000) - 6 * kHour}\n# EOF\n`);
  const dataDir = path.join(dir, "data");
  await runCommand(["tsdb", "import", "--data-dir", dataDir, text]);
  const quarterdeck = await start(t, { dataDir, args: settings(store, { secret: "wrong" }) });
  await until(() => quarterdeck.logged("could not be uploaded").length > 0, "the warning");
  assert.match(JSON.stringify(quarterdeck.logged("could not be uploaded")), /SignatureDoesNotMatch/);
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
  assert.equal(store.objects.size, 0);
});

test("blocks that could not be told apart are refused at the start", async (t) => {
  const store = await startStore(t);
  const args = settings(store, { labels: "{}" });
  const done = await runCommand([
    "run",
    "--data-dir",
    path.join(scratch(t), "data"),
    "--listen",
    "127.0.0.1:0",
    ...args,
  ]);
  assert.equal(done.code, 2);
  assert.match(done.stderr, /observe\.external_labels/);
});
