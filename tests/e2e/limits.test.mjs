// Bad input: each gives one clear error that names the thing and the cure, and everything else goes on.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import tls from "node:tls";
import { atEnd, freePort, request, runCommand, scratch, serve, sleep, start, until, writeConfig } from "./lib.mjs";

const isRoot = process.getuid() === 0;

async function refused(args, pattern, options) {
  const { code, stderr } = await runCommand(["run", ...args], options);
  assert.equal(code, 2, stderr);
  assert.match(stderr, pattern);
  assert.ok(stderr.trim().split("\n").length < 25, stderr);
}

function makeCertificate(key, cert, name) {
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", ...made, ...names], { stdio: "ignore" });
}

test("an unknown key is refused with file, line and the nearest key", async (t) => {
  const dir = scratch(t);
  const config = writeConfig(dir, "quarterdeck.yaml", "observe:\n  intervall: 10s\n");
  await refused(["--config", config, "--data-dir", path.join(dir, "d")], /quarterdeck\.yaml:2:.*intervall.*interval/s);
  await refused(
    ["--set", "observe.hots.procfs=/x", "--data-dir", path.join(dir, "d")],
    /--set.*observe\.hots\.procfs.*observe\.host\.procfs/s,
  );
  await refused(["--set", "observe.interval=soon", "--data-dir", path.join(dir, "d")], /observe\.interval.*soon/s);
  await refused(["--data-dir", path.join(dir, "d")], /QUARTERDECK_OBSERVE_INTERVALL/, {
    env: { QUARTERDECK_OBSERVE_INTERVALL: "5s" },
  });
  assert.ok(!existsSync(path.join(dir, "d")), "nothing was begun");
});

test("values that cannot be are refused before anything begins", async (t) => {
  const dir = scratch(t);
  const labels = writeConfig(dir, "labels.yaml", "observe:\n  external_labels:\n    __name__: x\n");
  await refused(["--config", labels, "--data-dir", path.join(dir, "d")], /labels\.yaml:3?.*external_labels.*__name__/s);
  await refused(["--data-dir", ""], /store\.dir.*empty/s);
  await refused(
    ["--set", "observe.host.procfs=/nowhere", "--data-dir", path.join(dir, "d")],
    /observe\.host\.procfs: there is no directory "\/nowhere"/,
  );
});

test("a command that does not exist is named, with the nearest one", async () => {
  for (const words of [["rnu"], ["rnu", "--help"]]) {
    const { code, stderr } = await runCommand(words);
    assert.equal(code, 2);
    assert.match(stderr, /there is no command "rnu", did you mean "run"\?/);
  }
  const { code, stderr } = await runCommand(["token", "ad"]);
  assert.equal(code, 2);
  assert.match(stderr, /there is no command "ad", did you mean "add"/);
});

test("the environment, --set and flags override the file, in that order", async (t) => {
  const dir = scratch(t);
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    "observe: {interval: 7s}\nquery: {timeout: 70s}\nstore: {metrics: {retention: 7d}}\n",
  );
  const env = { QUARTERDECK_QUERY_TIMEOUT: "80s", QUARTERDECK_STORE_METRICS_RETENTION: "8d" };
  const { code, stdout, stderr } = await runCommand(
    ["config", "--config", config, "--set", "store.metrics.retention=9d", "--data-dir", "/x/y"],
    { env },
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /interval: 7s/);
  assert.match(stdout, /timeout: 1m20s/);
  assert.match(stdout, /retention: (9d|1w2d)/);
  assert.match(stdout, /dir: \/x\/y/);
});

test("a port that is taken is named", async (t) => {
  const taken = await serve(t, (_, response) => response.end());
  await refused(
    ["--listen", taken.address, "--data-dir", path.join(scratch(t), "d")],
    new RegExp(`${taken.address}.*another process listens`, "s"),
  );
});

test("a data directory that another process holds is refused, naming the process", async (t) => {
  const first = await start(t);
  await refused(
    ["--listen", "127.0.0.1:0", "--data-dir", first.dataDir],
    new RegExp(`in use.*${first.child.pid}`, "s"),
  );
  assert.equal((await first.get("/-/ready")).status, 200);
});

test("a data directory of a newer version is refused", async (t) => {
  const dir = path.join(scratch(t), "data");
  mkdirSync(dir);
  writeFileSync(path.join(dir, "VERSION"), "99\n");
  await refused(["--data-dir", dir], /version 99.*newer Quarterdeck/s);
  writeFileSync(path.join(dir, "VERSION"), "what\n");
  await refused(["--data-dir", dir], /VERSION holds no version/);
});

test("a data directory that cannot be written is refused", async (t) => {
  const dir = scratch(t);
  writeFileSync(path.join(dir, "file"), "");
  await refused(["--data-dir", path.join(dir, "file", "data")], /data directory .*file\/data cannot be used/s);
  if (isRoot) return t.diagnostic("as root no directory is read-only; the part about permissions was left out");
  mkdirSync(path.join(dir, "sealed"));
  chmodSync(path.join(dir, "sealed"), 0o555);
  await refused(["--data-dir", path.join(dir, "sealed", "data")], /cannot be used.*permission/is);
});

test("listening beyond loopback needs authentication and TLS", async (t) => {
  const dir = scratch(t);
  const data = ["--data-dir", path.join(dir, "d")];
  await refused(["--listen", "0.0.0.0:0", ...data], /beyond this machine.*serve\.auth and serve\.tls/s);
  await refused(["--listen", ":0", ...data], /beyond this machine/);
  await refused(["--listen", "0.0.0.0:0", "--set", "serve.auth.tokens=true", ...data], /needs serve\.tls/);
});

test("TLS and tokens work beyond loopback, and what acts needs a principal", async (t) => {
  const dir = scratch(t);
  const [key, cert] = [path.join(dir, "key.pem"), path.join(dir, "cert.pem")];
  makeCertificate(key, cert, "localhost");
  const dataDir = path.join(dir, "data");
  const made = await runCommand(["token", "add", "deploy", "--data-dir", dataDir]);
  assert.equal(made.code, 0, made.stderr);
  const token = made.stdout.trim();
  const settings = [
    "--set",
    `serve.tls.cert_file=${cert}`,
    "--set",
    `serve.tls.key_file=${key}`,
    "--set",
    "serve.auth.tokens=true",
    "--set",
    "serve.auth.loopback_open=false",
  ];
  const quarterdeck = await start(t, { dataDir, args: settings, listen: "0.0.0.0:0", ready: false });
  const ca = readFileSync(cert);
  const url = quarterdeck.url.replace("0.0.0.0", "127.0.0.1");
  const get = (target, options = {}) => request(url + target, { ca, ...options });
  await until(async () => (await get("/-/ready")).status === 200, "readiness");
  assert.equal((await get("/api/v1/query?query=up")).status, 401);
  const bearer = { Authorization: `Bearer ${token}` };
  assert.equal((await get("/api/v1/query?query=up", { headers: bearer })).status, 200);
  const basic = { Authorization: `Basic ${Buffer.from(`any:${token}`).toString("base64")}` };
  assert.equal((await get("/api/v1/query?query=up", { headers: basic })).status, 200);
  assert.equal((await get("/api/v1/query?query=up", { headers: { Authorization: "Bearer qd_wrong" } })).status, 401);
  assert.equal((await get("/-/reload", { method: "POST", headers: bearer })).status, 200);
  assert.equal((await get("/-/reload", { method: "POST" })).status, 401);
  const listed = await runCommand(["token", "list", "--data-dir", dataDir, "--output", "json"]);
  assert.equal(JSON.parse(listed.stdout)[0].name, "deploy");
  assert.ok(!listed.stdout.includes(token));
  assert.equal((await runCommand(["token", "revoke", "deploy", "--data-dir", dataDir])).code, 0);
  assert.equal((await get("/api/v1/query?query=up", { headers: bearer })).status, 401);
  assert.equal((await runCommand(["token", "revoke", "deploy", "--data-dir", dataDir])).code, 1);
  assert.ok(!quarterdeck.raw.includes(token), "the token is in the log");
});

test("an IPv6 address can be listened on, and every address is printed", async (t) => {
  const quarterdeck = await start(t, { listen: "127.0.0.1:0", args: ["--listen", "[::1]:0"] });
  assert.match(quarterdeck.url, /^http:\/\/\[::1\]:\d+$/);
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
  const [line] = quarterdeck.logged("serving");
  const second = JSON.stringify(line).match(/127\.0\.0\.1:\d+/)[0];
  assert.equal((await request(`http://${second}/-/ready`)).status, 200);
  await refused(["--listen", "[::]:0", "--data-dir", path.join(scratch(t), "d")], /beyond this machine/);
});

test("commands on tokens want a data directory that is there and of this version", async (t) => {
  const dir = scratch(t);
  const missing = await runCommand(["token", "list", "--data-dir", path.join(dir, "none")]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /no data directory .*none.*--data-dir/);
  assert.ok(!existsSync(path.join(dir, "none")), "nothing was made");
  mkdirSync(path.join(dir, "newer"));
  writeFileSync(path.join(dir, "newer", "VERSION"), "99\n");
  const newer = await runCommand(["token", "list", "--data-dir", path.join(dir, "newer")]);
  assert.equal(newer.code, 2);
  assert.match(newer.stderr, /version 99.*newer Quarterdeck/s);
});

test("a reload that is refused changes no certificate, and what needs a restart stays as it runs", async (t) => {
  const dir = scratch(t);
  const [key, cert] = [path.join(dir, "key.pem"), path.join(dir, "cert.pem")];
  makeCertificate(key, cert, "localhost");
  const yaml = (more) =>
    `serve:\n  tls: {cert_file: ${cert}, key_file: ${key}}\n  auth: {loopback_open: ${more.open ?? true}}\n${more.text ?? ""}`;
  const config = writeConfig(dir, "quarterdeck.yaml", yaml({}));
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--config", config],
    ready: false,
  });
  const subject = () =>
    new Promise((resolve, reject) => {
      const socket = tls.connect(
        { port: Number(new URL(quarterdeck.url).port), host: "127.0.0.1", rejectUnauthorized: false },
        () => {
          resolve(socket.getPeerCertificate().subject.CN);
          socket.destroy();
        },
      );
      socket.on("error", reject);
    });
  assert.equal(await subject(), "localhost");
  makeCertificate(key, cert, "second");
  writeConfig(dir, "quarterdeck.yaml", yaml({ text: "bogus: 1\n" }));
  quarterdeck.child.kill("SIGHUP");
  await until(() => quarterdeck.logged("stays as it was").length > 0, "the refusal");
  assert.equal(await subject(), "localhost");
  writeConfig(dir, "quarterdeck.yaml", yaml({ open: false }));
  for (const times of [1, 2]) {
    quarterdeck.child.kill("SIGHUP");
    await until(() => quarterdeck.logged('"reloaded"').length === times, "the reload");
    const told = quarterdeck.logged("needs a restart");
    assert.equal(told.length, times, "told at every reload");
    assert.match(JSON.stringify(told), /serve\.auth\.loopback_open/);
  }
  assert.equal(await subject(), "second");
  const shown = await request(`${quarterdeck.url}/api/v1/status/config`, { ca: readFileSync(cert) });
  assert.equal(shown.status, 200);
  assert.match(JSON.parse(shown.text).data.yaml, /loopback_open: true/);
});

test("a rule file that is not there is passed over, as Prometheus does, and check says so", async (t) => {
  const dir = scratch(t);
  const file = writeConfig(dir, "prometheus.yml", "rule_files: [nope.yml]\n");
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--prometheus", file] });
  assert.match(JSON.stringify(quarterdeck.logged("passed over")), /prometheus\.yml.*nope\.yml/);
  const checked = await runCommand(["check", file]);
  assert.equal(checked.code, 0);
  assert.match(checked.stdout, /warning: .*prometheus\.yml: rule_files: there is no .*nope\.yml/);
});

test("check refuses the targets that run refuses, with their line", async (t) => {
  const dir = scratch(t);
  const bad = (target) => `scrape_configs:\n  - job_name: x\n    static_configs:\n      - targets: ["${target}"]\n`;
  for (const target of ["", "a b:1", "[::1", "h:99999", "h:abc"]) {
    const checked = await runCommand(["check", writeConfig(dir, "prometheus.yml", bad(target))]);
    assert.equal(checked.code, 1, target);
    assert.match(checked.stdout, /prometheus\.yml:4/, target);
  }
});

test("loopback alone may read but not act", async (t) => {
  const quarterdeck = await start(t);
  const reload = await quarterdeck.get("/-/reload", { method: "POST" });
  assert.equal(reload.status, 403);
  assert.match(reload.text, /quarterdeck token add/);
  const proxied = await quarterdeck.get("/api/v1/query?query=up", { headers: { "X-Forwarded-For": "203.0.113.9" } });
  assert.equal(proxied.status, 401);
});

test("a reload takes what changed, and a broken file changes nothing", async (t) => {
  const dir = scratch(t);
  const target = await serve(t, (_, response) => response.end("a 1\n"));
  const job = (name) =>
    `scrape_configs:\n  - {job_name: ${name}, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${target.address}"]}]}\n`;
  const prometheus = writeConfig(dir, "prometheus.yml", job("first"));
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--prometheus", prometheus] });
  await until(() => quarterdeck.value('a{job="first"}'), "the first job's sample");
  writeConfig(dir, "prometheus.yml", job("second"));
  quarterdeck.child.kill("SIGHUP");
  await until(() => quarterdeck.value('a{job="second"}'), "the second job's sample");
  await until(
    async () => (await quarterdeck.query('a{job="first"}')).length === 0,
    "the end of the first job's series",
  );
  writeConfig(dir, "prometheus.yml", "scrape_configs:\n  - {job_nam: x}\n");
  quarterdeck.child.kill("SIGHUP");
  await until(() => quarterdeck.logged("stays as it was").length > 0, "the refusal in the log");
  assert.match(JSON.stringify(quarterdeck.logged("stays as it was")), /prometheus\.yml:2.*job_nam/);
  const before = target.requests.length;
  await until(() => target.requests.length > before, "a further scrape");
  assert.equal((await quarterdeck.value("quarterdeck_build_info")) !== undefined, true);
});

test("a log with a flipped bit or a torn tail costs what it covers, no more", async (t) => {
  const dataDir = path.join(scratch(t), "data");
  const first = await start(t, { dataDir });
  await until(() => first.value("node_load1"), "a sample");
  await until(async () => (await first.query("count_over_time(node_load1[1m]) >= 3")).length === 1, "three passes");
  await first.kill();
  const wal = path.join(dataDir, "metrics", "wal");
  const newest = path.join(
    wal,
    readdirSync(wal)
      .filter((name) => name.endsWith(".wal"))
      .sort()
      .at(-1),
  );
  truncateSync(newest, statSync(newest).size - 3);
  const second = await start(t, { dataDir });
  assert.ok(
    (await second.query("count_over_time(node_load1[5m])")).length === 1,
    "what stands before the tail is there",
  );
  assert.ok(second.logged("torn").length > 0, second.raw);
  await until(
    async () => (await second.query("count_over_time(node_load1[5m]) >= 5")).length === 1,
    "new passes",
    15_000,
  );
  await second.kill();
  const bytes = readFileSync(newest);
  bytes[Math.floor(bytes.length / 2)] ^= 0x10;
  writeFileSync(newest, bytes);
  const third = await start(t, { dataDir });
  assert.equal((await third.get("/-/ready")).status, 200);
  assert.ok(
    third.log.some(
      (line) => ["warn", "error"].includes(line.level) && JSON.stringify(line).includes(path.basename(newest)),
    ),
    third.raw,
  );
  await until(() => third.value("node_load1"), "new samples");
});

test("a segment with a flipped bit is named and the rest is served", async (t) => {
  const dataDir = path.join(scratch(t), "data");
  const args = ["--set", "store.metrics.seal_interval=1s"];
  const first = await start(t, { dataDir, args });
  const segments = path.join(dataDir, "metrics", "segments");
  const found = () => (existsSync(segments) ? readdirSync(segments).filter((name) => !name.endsWith(".tmp")) : []);
  await until(() => found().length >= 1, "a sealed segment", 30_000);
  await sleep(1500);
  await first.kill();
  const file = path.join(segments, found()[0]);
  const bytes = readFileSync(file);
  bytes[bytes.length - 40] ^= 0x01;
  writeFileSync(file, bytes);
  const second = await start(t, { dataDir, args });
  assert.equal((await second.get("/-/ready")).status, 200);
  assert.ok(
    second.log.some(
      (line) => ["warn", "error"].includes(line.level) && JSON.stringify(line).includes(path.basename(file)),
    ),
    second.raw,
  );
  await until(() => second.value("node_load1"), "new samples");
});

test("a full disk is told, and writing goes on when there is room again", async (t) => {
  if (!isRoot) return t.skip("mounting a small file system needs root");
  const dir = scratch(t);
  const mount = path.join(dir, "small");
  mkdirSync(mount);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", mount], { stdio: "ignore" });
  } catch {
    return t.skip("this machine does not let us mount a tmpfs");
  }
  atEnd(t, () => execFileSync("umount", ["-l", mount], { stdio: "ignore" }));
  const quarterdeck = await start(t, { dataDir: path.join(mount, "data"), args: ["--set", "observe.interval=500ms"] });
  await until(() => quarterdeck.value("node_load1"), "a sample");
  const ballast = path.join(mount, "ballast");
  try {
    writeFileSync(ballast, Buffer.alloc(16 << 20));
  } catch (error) {
    assert.equal(error.code, "ENOSPC");
  }
  await until(
    () => quarterdeck.log.some((line) => /No space left/.test(JSON.stringify(line))),
    "a word about the full disk",
    20_000,
  );
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
  const kept = (await quarterdeck.query("node_load1[10m]"))[0].values;
  truncateSync(ballast, 0);
  const last = kept.at(-1)[0];
  await until(
    async () => (await quarterdeck.query("node_load1[10m]"))[0].values.at(-1)[0] > last + 1,
    "samples after the disk has room",
    20_000,
  );
  const later = new Map((await quarterdeck.query("node_load1[10m]"))[0].values.map(([time, value]) => [time, value]));
  for (const [time, value] of kept) assert.equal(later.get(time), value);
});

test("a target that sends a gigabyte or a byte a second is bounded", async (t) => {
  const dir = scratch(t);
  const huge = await serve(t, (_, response) => {
    const piece = Buffer.alloc(1 << 20, "# filler filler filler filler fill\n");
    let sent = 0;
    const more = () => {
      while (sent < 1024 && !response.destroyed) {
        sent += 1;
        if (!response.write(piece)) return response.once("drain", more);
      }
      response.end();
    };
    more();
  });
  const slow = await serve(t, (_, response) => {
    const timer = setInterval(() => response.write("#"), 1000);
    response.on("close", () => clearInterval(timer));
  });
  const fine = await serve(t, (_, response) => response.end("fine 1\n"));
  const job = (name, server) =>
    `  - {job_name: ${name}, scrape_interval: 2s, scrape_timeout: 2s, static_configs: [{targets: ["${server.address}"]}]}\n`;
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs:\n${job("huge", huge)}${job("slow", slow)}${job("fine", fine)}`,
  );
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--prometheus", file] });
  const target = async (pool) =>
    (await quarterdeck.api("/api/v1/targets")).data.activeTargets.find((one) => one.scrapePool === pool);
  assert.match(
    (
      await until(
        async () => ((await target("huge")).lastError ? target("huge") : null),
        "an error of the huge target",
        20_000,
      )
    ).lastError,
    /body_size_limit|scrape_timeout/,
  );
  assert.match(
    (
      await until(
        async () => ((await target("slow")).lastError ? target("slow") : null),
        "an error of the slow target",
        20_000,
      )
    ).lastError,
    /2000 ms.*scrape_timeout/,
  );
  assert.equal(await until(() => quarterdeck.value('up{job="fine"}'), "the fine target"), 1);
  const resident =
    Number(readFileSync(`/proc/${quarterdeck.child.pid}/status`, "utf8").match(/VmHWM:\s+(\d+)/)[1]) / 1024;
  assert.ok(resident < 700, `${resident} MiB at most`);
});

test("a malformed line is refused with its number, and the scrape fails whole", async (t) => {
  const dir = scratch(t);
  const broken = await serve(t, (_, response) => response.end("good 1\nbad{a=} 2\n"));
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs: [{job_name: x, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${broken.address}"]}]}]`,
  );
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--prometheus", file] });
  const failing = await until(async () => {
    const found = (await quarterdeck.api("/api/v1/targets")).data.activeTargets.find((one) => one.scrapePool === "x");
    return found?.lastError ? found : null;
  }, "an error");
  assert.match(failing.lastError, /line 2/);
  assert.equal((await quarterdeck.query("good")).length, 0);
  assert.equal(await until(() => quarterdeck.query('up{job="x"} == 0').then((r) => r.length === 1), "up 0"), true);
});

test("a query past its limits is refused by the name of the setting", async (t) => {
  const dir = scratch(t);
  let body = "";
  for (let n = 0; n < 2000; n += 1) body += `many{n="${n}"} ${n}\n`;
  const target = await serve(t, (_, response) => response.end(body));
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs: [{job_name: x, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${target.address}"]}]}]`,
  );
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--prometheus", file, "--set", "query.series_limit=1000", "--set", "query.samples_limit=5000"],
  });
  await until(async () => (await quarterdeck.query('count({job="x", n=~"1..?"})'))[0]?.value[1] >= 100, "samples");
  const series = await quarterdeck.api("/api/v1/query?query=many");
  assert.equal(series.httpStatus, 422);
  assert.match(series.error, /query\.series_limit/);
  await until(
    async () =>
      (await quarterdeck.api(`/api/v1/query?query=${encodeURIComponent('count_over_time(many{n="1"}[1m]) > 5')}`)).data
        .result.length,
    "more samples",
    15_000,
  );
  const samples = await quarterdeck.api(
    `/api/v1/query_range?query=${encodeURIComponent('many{n=~"1.."}')}&start=${Date.now() / 1000 - 100}&end=${Date.now() / 1000}&step=0.1`,
  );
  assert.equal(samples.httpStatus, 422);
  assert.match(samples.error, /query\.samples_limit/);
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
});

test("a query of more than a million series is refused by the name of the setting", async (t) => {
  const dir = scratch(t);
  const target = await serve(t, (incoming, response) => {
    const first = Number(new URL(incoming.url, "http://x").searchParams.get("first"));
    const lines = [];
    for (let n = first; n < first + 255_000; n += 1) lines.push(`many{n="${n}"} 1`);
    response.end(`${lines.join("\n")}\n`);
  });
  const job = (first) =>
    `  - {job_name: j${first}, scrape_interval: 10s, params: {first: ["${first}"]}, static_configs: [{targets: ["${target.address}"]}]}\n`;
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs:\n${[0, 255_000, 510_000, 765_000].map(job).join("")}`,
  );
  const quarterdeck = await start(t, { dataDir: path.join(dir, "data"), args: ["--prometheus", file] });
  await until(
    async () => (await quarterdeck.query('sum(scrape_samples_scraped{job=~"j.*"}) == 1020000')).length === 1,
    "a million series",
    90_000,
  );
  const refusal = await quarterdeck.api("/api/v1/query?query=many");
  assert.equal(refusal.httpStatus, 422);
  assert.match(refusal.error, /1000000.*query\.series_limit|query\.series_limit.*1000000/);
  assert.equal((await quarterdeck.query('count(many{n=~"10.*"})'))[0].value[1] > 1000, true);
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
});

test("a wall clock that jumps is told, and time never runs backwards in the store", async (t) => {
  const faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
  if (!existsSync(faketime)) return t.skip("libfaketime is not installed");
  const dir = scratch(t);
  const offset = path.join(dir, "offset");
  writeFileSync(offset, "+0");
  const quarterdeck = await start(t, {
    dataDir: path.join(dir, "data"),
    args: ["--set", "observe.interval=500ms"],
    env: {
      LD_PRELOAD: faketime,
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_NO_CACHE: "1",
      DONT_FAKE_MONOTONIC: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  });
  await until(
    async () => (await quarterdeck.query("count_over_time(node_load1[1m]) >= 4")).length === 1,
    "four passes",
  );
  writeFileSync(offset, "-3600");
  await until(() => quarterdeck.logged("clock").length > 0, "a word about the clock", 15_000);
  await sleep(1500);
  writeFileSync(offset, "+0");
  await sleep(2000);
  const times = (await quarterdeck.query("node_load1[1h]"))[0].values.map(([time]) => time);
  assert.deepEqual(
    [...times].sort((a, b) => a - b),
    times,
  );
  assert.ok(
    times.every((time) => time > Date.now() / 1000 - 600),
    "nothing was stored an hour back",
  );
  const told = quarterdeck.logged("the wall clock was set").length;
  writeFileSync(offset, "+300");
  await until(() => quarterdeck.logged("the wall clock was set").length > told, "a word about the jump ahead", 15_000);
  await until(
    async () => (await quarterdeck.query("timestamp(node_load1)"))[0]?.value[1] > Date.now() / 1000 + 200,
    "samples at the new time",
  );
  assert.match(JSON.stringify(quarterdeck.logged("the wall clock was set")), /NTP/);
});

test("many idle connections, and requests that are none", async (t) => {
  const quarterdeck = await start(t);
  const { port } = new URL(quarterdeck.url);
  const sockets = [];
  atEnd(t, () => {
    for (const socket of sockets) socket.destroy();
  });
  const open = () =>
    new Promise((resolve, reject) => {
      const socket = net.connect(Number(port), "127.0.0.1", () => resolve(socket));
      socket.on("error", reject);
      sockets.push(socket);
    });
  for (let n = 0; n < 500; n += 1) await open();
  assert.equal((await quarterdeck.get("/-/ready")).status, 200);
  for (const bad of [
    "nonsense\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: localhost\r\n\r\n",
    "\0\0\0\0\r\n\r\n",
  ]) {
    const socket = await open();
    const answer = await new Promise((resolve) => {
      let text = "";
      socket.on("data", (part) => (text += part));
      socket.on("close", () => resolve(text));
      socket.write(bad);
      setTimeout(() => resolve(text), 3000);
    });
    assert.match(answer, /^HTTP\/1\.1 (400|505)/, JSON.stringify(bad));
  }
});

test("wrong words on the command line end with status 2", async () => {
  for (const args of [[], ["fly"], ["run", "--nonsense"], ["query"], ["check"], ["run", "--log-level", "loud"]]) {
    const { code, stderr, stdout } = await runCommand(args);
    assert.equal(code, 2, `${args}: ${stderr}${stdout}`);
  }
  assert.equal((await runCommand(["--help"])).code, 0);
  const version = await runCommand(["version"]);
  assert.match(version.stdout, /^quarterdeck \d+\.\d+\.\d+ \(commit \S+, build \S+\)\n$/);
  const nobody = await freePort();
  const query = await runCommand(["query", "up", "--url", `http://127.0.0.1:${nobody}`]);
  assert.equal(query.code, 2);
  assert.match(query.stderr, new RegExp(`127\\.0\\.0\\.1:${nobody}`));
  for (const command of ["run", "check", "query", "token", "promql", "config", "version"]) {
    const { code, stdout } = await runCommand([command, "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /Example/);
  }
});
