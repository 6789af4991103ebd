// Exemplars: from a target's page, through the store and a restart, to the API as Grafana asks it.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { haveConformance, scratch, serve, start, until, writeConfig } from "./lib.mjs";

async function target(t) {
  return serve(t, (_, response) => {
    response.setHeader("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8");
    const seen = Math.floor(Date.now() / 1000) - 2;
    response.end(
      `# TYPE jobs counter\njobs_total{kind="a"} 5 # {trace_id="abc",span_id="1"} 1.5 ${seen}.25\njobs_total{kind="b"} 1\n` +
        `# TYPE wait histogram\nwait_bucket{le="1"} 2 # {trace_id="def"} 0.25\nwait_bucket{le="+Inf"} 2\nwait_count 2\nwait_sum 0.5\n# EOF\n`,
    );
  });
}

test("exemplars of a target are found by query and time, and after a restart", async (t) => {
  const page = await target(t);
  const dir = scratch(t);
  const file = writeConfig(
    dir,
    "prometheus.yml",
    `scrape_configs:
  - {job_name: demo, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["${page.address}"]}]}
`,
  );
  const options = { args: ["--prometheus", file], dataDir: path.join(dir, "data") };
  const quarterdeck = await start(t, options);
  const find = async (server, query, window = {}) =>
    (await server.api(`/api/v1/query_exemplars?${new URLSearchParams({ query, ...window })}`)).data;

  await until(
    async () => (await find(quarterdeck, "jobs_total"))[0]?.exemplars.length >= 2,
    "two exemplars of jobs_total",
    15_000,
  );
  const found = await find(quarterdeck, 'sum(rate(jobs_total{job="demo"}[5m]))');
  assert.equal(found.length, 1, "only the series that has some");
  assert.deepEqual(found[0].seriesLabels, { __name__: "jobs_total", instance: page.address, job: "demo", kind: "a" });
  const [first, second] = found[0].exemplars;
  assert.deepEqual(first.labels, { trace_id: "abc", span_id: "1" });
  assert.equal(first.value, "1.5");
  assert.equal(first.timestamp % 1, 0.25);
  assert.ok(second.timestamp > first.timestamp);

  // Told without a time it is the same one, however often the page repeats it.
  const untimed = await find(quarterdeck, "wait_bucket");
  assert.equal(untimed.length, 1);
  assert.equal(untimed[0].exemplars.length, 1);

  const window = { start: String(first.timestamp - 0.1), end: String(first.timestamp + 0.1) };
  assert.deepEqual((await find(quarterdeck, "jobs_total", window))[0].exemplars, [first]);
  assert.deepEqual(await find(quarterdeck, "jobs_total", { start: "1", end: "2" }), []);
  assert.deepEqual(await find(quarterdeck, "1 + 1"), []);

  if (haveConformance) {
    const { Contract } = await import("./contract.mjs");
    const contract = new Contract();
    for (const method of ["GET", "POST"]) {
      const ask = async (parameters) => {
        const query = new URLSearchParams(parameters).toString();
        return method === "GET"
          ? quarterdeck.get(`/api/v1/query_exemplars?${query}`)
          : quarterdeck.get("/api/v1/query_exemplars", {
              method,
              body: query,
              headers: { "Content-Type": "application/x-www-form-urlencoded" },
            });
      };
      for (const [parameters, status] of [
        [{ query: "jobs_total" }, 200],
        [{ query: "jobs_total{" }, 400],
        [{ query: "jobs_total", start: "5", end: "4" }, 400],
        [{ query: "jobs_total", start: "soon" }, 400],
      ]) {
        const answer = await ask(parameters);
        assert.equal(answer.status, status, answer.text);
        contract.check("/query_exemplars", method, status, JSON.parse(answer.text));
      }
    }
  }

  await quarterdeck.stop();
  const again = await start(t, { ...options, args: [] });
  assert.deepEqual((await find(again, "jobs_total", window))[0].exemplars, [first]);
});
