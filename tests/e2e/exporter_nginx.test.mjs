// The nginx collector beside Debian's nginx and prometheus-nginx-exporter: the same names, types, help and values of the
// status page, and the access log counted through renaming, with a dead upstream beside a living one.
import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { freePort, missing, request, start, startProgram, until } from "./lib.mjs";
import { kNginx, startNginx } from "./servers.mjs";

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
    const [ours, their] = [later.families.get(name), theirs.families.get(name)];
    assert.deepEqual([ours?.type, ours?.help], [their.type, their.help], name);
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
