// The nginx collector beside Debian's nginx and prometheus-nginx-exporter: the same names, types, help and values of the
// status page, and the access log counted through renaming, with a dead upstream beside a living one.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { atEnd, freePort, request, scratch, start, until } from "./lib.mjs";

// Debian has nginx where only root's PATH looks.
const kNginx = "/usr/sbin/nginx";

function missing(...programs) {
  const lacking = programs.filter((program) => {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  });
  return lacking.length > 0 ? `${lacking.join(" and ")} is not installed` : false;
}

/** The text format as {families: name → {type, help}, samples: "name{labels sorted}" → value}. */
function parseText(text) {
  const families = new Map();
  const samples = new Map();
  for (const line of text.split("\n")) {
    const comment = line.match(/^# (HELP|TYPE) (\S+) (.*)$/);
    if (comment) {
      const [, kind, name, rest] = comment;
      families.set(name, { ...families.get(name), [kind.toLowerCase()]: rest });
    } else if (line !== "" && !line.startsWith("#")) {
      const [, name, , labels = "", value] = line.match(/^([^{ ]+)(\{(.*)\})? (\S+)$/);
      const pairs = labels.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? [];
      samples.set(`${name}{${pairs.sort().join(",")}}`, Number(value));
    }
  }
  return { families, samples };
}

function startProgram(t, program, args) {
  const child = spawn(program, args);
  const running = { child, log: "" };
  running.closed = new Promise((resolve) => child.on("close", resolve));
  child.stdout.on("data", (part) => (running.log += part));
  child.stderr.on("data", (part) => (running.log += part));
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await running.closed;
  });
  return running;
}

/** An nginx of the test's own: a front with a status page, and an upstream of which one server is dead. */
async function startNginx(t) {
  const dir = scratch(t);
  const [front, back, dead] = [await freePort(), await freePort(), await freePort()];
  const log = path.join(dir, "access.log");
  const keys = ["status", "request_method", "server_name", "request_time", "request_length", "body_bytes_sent"];
  const lists = ["upstream_addr", "upstream_status", "upstream_response_time", "upstream_connect_time"];
  const format = [...keys, ...lists].map((key) => `"${key}":"$${key}"`).join(",");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `
    daemon off; worker_processes 2; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
    ${process.getuid() === 0 ? "user root;" : ""}
    events { worker_connections 64; }
    http {
      ${temporary.map((kind) => `${kind}_temp_path ${dir}/${kind};`).join(" ")}
      log_format all escape=json '{${format}}';
      access_log off;
      upstream shop { server 127.0.0.1:${dead} max_fails=0; server 127.0.0.1:${back}; }
      server { listen 127.0.0.1:${back}; location / { return 200 "hello"; } location /broken { return 500; } }
      server {
        listen 127.0.0.1:${front}; server_name front; access_log ${log} all;
        location = /stub_status { access_log off; stub_status; allow 127.0.0.1; deny all; }
        location = /denied { access_log off; stub_status; deny all; }
        location / { proxy_pass http://shop; }
      }
    }`;
  writeFileSync(path.join(dir, "nginx.conf"), config);
  const nginx = startProgram(t, kNginx, ["-p", dir, "-c", path.join(dir, "nginx.conf"), "-e", `${dir}/error.log`]);
  const url = `http://127.0.0.1:${front}`;
  await until(
    async () => {
      assert.equal(nginx.child.exitCode, null, nginx.log);
      return (await request(`${url}/stub_status`)).status === 200;
    },
    "an answer of nginx",
    20_000,
  );
  return { ...nginx, url, front, log, living: `127.0.0.1:${back}`, dead: `127.0.0.1:${dead}` };
}

async function startExporter(t, url) {
  const port = await freePort();
  const args = [`-web.listen-address=127.0.0.1:${port}`, `-nginx.scrape-uri=${url}`];
  const exporter = startProgram(t, "prometheus-nginx-exporter", args);
  const page = async () => parseText((await request(`http://127.0.0.1:${port}/metrics`)).text);
  await until(
    async () => {
      assert.equal(exporter.child.exitCode, null, exporter.log);
      return (await page()).families.has("nginx_up");
    },
    "an answer of prometheus-nginx-exporter",
    20_000,
  );
  return { ...exporter, page };
}

async function startQuarterdeck(t, instance) {
  const quarterdeck = await start(t, { args: ["--set", `observe.nginx=[${JSON.stringify(instance)}]`] });
  quarterdeck.page = async () => {
    const answer = await quarterdeck.get("/exporters/nginx/metrics");
    assert.equal(answer.status, 200, answer.text);
    return parseText(answer.text);
  };
  return quarterdeck;
}

test("the status page is told as prometheus-nginx-exporter tells it", {
  skip: missing(kNginx, "prometheus-nginx-exporter"),
}, async (t) => {
  const nginx = await startNginx(t);
  const exporter = await startExporter(t, `${nginx.url}/stub_status`);
  const quarterdeck = await startQuarterdeck(t, { status_url: `${nginx.url}/stub_status` });

  const earlier = await quarterdeck.page();
  const theirs = await exporter.page();
  const later = await quarterdeck.page();
  const own = /^(go_|process_|promhttp_|nginx_?exporter_build_info\b)/;
  const names = [...theirs.families.keys()].filter((name) => !own.test(name));
  assert.ok(names.length >= 8, `only ${names.length} families to compare`);
  for (const name of names) {
    assert.deepEqual(later.families.get(name), theirs.families.get(name), name);
  }
  for (const [sample, value] of theirs.samples) {
    if (own.test(sample)) continue;
    assert.ok(later.samples.has(sample), `${sample} is missing`);
    if (theirs.families.get(sample.slice(0, sample.indexOf("{"))).type === "counter") {
      assert.ok(earlier.samples.get(sample) <= value && value <= later.samples.get(sample), sample);
    }
  }
  assert.equal(later.samples.get("nginx_up{}"), 1);

  await until(async () => (await quarterdeck.value('nginx_up{job="nginx"}')) === 1, "nginx_up in the store", 20_000);
  const [series] = await quarterdeck.query('nginx_connections_accepted{job="nginx"}');
  assert.equal(series.metric.instance, `127.0.0.1:${nginx.front}`);

  nginx.child.kill("SIGTERM");
  await nginx.closed;
  const down = await quarterdeck.page();
  assert.equal(down.samples.get("nginx_up{}"), 0);
  assert.equal((await exporter.page()).samples.get("nginx_up{}"), 0);
  assert.ok(!down.families.has("nginx_connections_active"));
});

test("a status page that is not there or not allowed is nginx_up 0, and the log is read nevertheless", {
  skip: missing(kNginx),
}, async (t) => {
  const nginx = await startNginx(t);
  for (const page of ["denied", "broken"]) {
    const quarterdeck = await startQuarterdeck(t, { status_url: `${nginx.url}/${page}`, access_log: nginx.log });
    assert.equal((await quarterdeck.page()).samples.get("nginx_up{}"), 0);
    await request(`${nginx.url}/`);
    await until(async () => {
      const { samples } = await quarterdeck.page();
      return samples.get('nginx_http_response_count_total{host="front",method="GET",status="200"}') === 1;
    }, "a request of the log");
    await quarterdeck.stop();
  }
});

test("the access log is counted by status and by upstream, also when it is renamed", {
  skip: missing(kNginx),
}, async (t) => {
  const nginx = await startNginx(t);
  await request(`${nginx.url}/before`);
  const quarterdeck = await startQuarterdeck(t, { access_log: nginx.log });
  const first = await quarterdeck.page();
  assert.equal(first.samples.get("nginx_parse_errors_total{}"), 0);
  assert.ok(!first.families.has("nginx_http_response_count_total"), "what was there before is not counted");
  assert.ok(!first.families.has("nginx_up"), "nobody was asked");

  const ok = 'nginx_http_response_count_total{host="front",method="GET",status="200"}';
  const counted = (sample, value) =>
    until(async () => (await quarterdeck.page()).samples.get(sample) === value, `${sample} ${value}`);
  for (let i = 0; i < 4; ++i) await request(`${nginx.url}/item/${i}`);
  await request(`${nginx.url}/broken`, { method: "POST", body: "x" });
  await counted(ok, 4);

  renameSync(nginx.log, `${nginx.log}.1`);
  await request(`${nginx.url}/into_the_old_file`);
  await counted(ok, 5);
  nginx.child.kill("SIGUSR1");
  await until(() => {
    try {
      return readFileSync(nginx.log, "utf8") === "";
    } catch {
      return false;
    }
  }, "a new log");
  await request(`${nginx.url}/into_the_new_file`);
  await counted(ok, 6);

  const { families, samples } = await quarterdeck.page();
  assert.equal(samples.get('nginx_http_response_count_total{host="front",method="POST",status="500"}'), 1);
  assert.equal(samples.get('nginx_http_response_size_bytes{host="front",method="GET",status="200"}'), 30);
  assert.equal(samples.get("nginx_parse_errors_total{}"), 0);
  for (const name of ["nginx_http_response_time_seconds_hist", "nginx_http_upstream_time_seconds_hist"]) {
    assert.equal(families.get(name).type, "histogram");
  }
  const tries = (status, upstream) =>
    samples.get(`nginx_http_upstream_time_seconds_hist_count{status="${status}",upstream_addr="${upstream}"}`);
  assert.equal(tries(200, nginx.living), 6);
  assert.equal(tries(500, nginx.living), 1);
  assert.ok(tries(502, nginx.dead) >= 1);
  const infinite = `nginx_http_upstream_time_seconds_hist_bucket{le="+Inf",status="200",upstream_addr="${nginx.living}"}`;
  assert.equal(samples.get(infinite), 6);
  await until(
    async () => (await quarterdeck.value('sum(nginx_http_response_count_total{job="nginx"})')) === 7,
    "the counts in the store",
    20_000,
  );
});
