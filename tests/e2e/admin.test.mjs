// Backfill, deletion and snapshots through the API, as Prometheus's clients use it.
import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { runCommand, start, until } from "./lib.mjs";
import { write } from "./write.mjs";

const hour = 3600 * 1000;

async function startWithToken(t, args = []) {
  const quarterdeck = await start(t, { args: ["--set", "serve.auth.tokens=true", ...args] });
  const made = await runCommand(["token", "add", "admin", "--data-dir", quarterdeck.dataDir]);
  assert.equal(made.code, 0, made.stderr);
  const headers = { Authorization: `Bearer ${made.stdout.trim()}` };
  const admin = (pathAndQuery, options = {}) =>
    quarterdeck.get(`/api/v1/admin/tsdb/${pathAndQuery}`, { method: "POST", headers, ...options });
  return { quarterdeck, admin };
}

test("samples of any age within the retention are taken in any order and answer queries", async (t) => {
  const { quarterdeck } = await startWithToken(t);
  // Until what is old counts as late.
  await until(async () => (await quarterdeck.value("count(up)")) > 0, "a first sample");
  const now = Math.floor(Date.now() / 1000) * 1000;
  const labels = { __name__: "back", job: "x" };
  const send = async (samples, status = 204) => {
    const answer = await write(quarterdeck, [{ labels, samples }]);
    assert.equal(answer.status, status, answer.text);
    return answer.text;
  };
  const times = [now - hour, now - 300 * hour, now - 2 * hour, now, now - 24 * hour, now - 3 * hour];
  for (const time of times) await send([[time, time / 1000]]);
  const values = (await quarterdeck.query("back[15d]"))[0].values;
  assert.deepEqual(
    values,
    times.sort((a, b) => a - b).map((time) => [time / 1000, String(time / 1000)]),
  );
  assert.equal(await quarterdeck.value("back offset 2h"), (now - 2 * hour) / 1000);
  // The same again is taken, another value is told, and so is what is past the retention.
  await send([[now - 24 * hour, (now - 24 * hour) / 1000]]);
  assert.match(await send([[now - 24 * hour, 7]], 400), /1 of 1 samples were not stored: 1 duplicate/);
  await until(
    async () =>
      /past the retention/.test((await write(quarterdeck, [{ labels, samples: [[now - 400 * hour, 7]] }])).text),
    "refusal",
  );
  await quarterdeck.stop();
  const again = await start(t, { dataDir: quarterdeck.dataDir });
  assert.equal((await again.query("back[15d]"))[0].values.length, times.length);
});

test("series are deleted, cleaned and snapshotted, by those who may", async (t) => {
  const { quarterdeck, admin } = await startWithToken(t);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const series = (job) => ({
    labels: { __name__: "kept", job },
    samples: [0, 1, 2, 3, 4].map((k) => [now - (4 - k) * 60_000, k]),
  });
  assert.equal((await write(quarterdeck, [series("a"), series("b")])).status, 204);
  for (const call of ["delete_series?match[]=kept", "clean_tombstones", "snapshot"]) {
    const refused = await quarterdeck.get(`/api/v1/admin/tsdb/${call}`, { method: "POST" });
    assert.equal(refused.status, 403, call);
    assert.match(JSON.parse(refused.text).error, /needs a token/);
  }
  assert.equal((await admin("delete_series", { method: "GET" })).status, 405);
  for (const [call, message] of [
    ["delete_series", /no match\[\] parameter provided/],
    ["delete_series?match[]=%7Bjob%3D%22%22%7D", /at least one non-empty matcher/],
    ["delete_series?match[]=kept&start=never", /invalid parameter "start"/],
    ["snapshot?skip_head=perhaps", /invalid parameter "skip_head"/],
  ]) {
    const refused = await admin(call);
    assert.equal(refused.status, 400, call);
    const { status, errorType, error } = JSON.parse(refused.text);
    assert.deepEqual([status, errorType], ["error", "bad_data"]);
    assert.match(error, message);
  }

  const before = JSON.parse((await admin("snapshot")).text);
  assert.equal(before.status, "success");
  assert.match(before.data.name, /^\d{8}T\d{6}Z-[0-9a-f]{16}$/);
  const selector = encodeURIComponent('kept{job="a"}');
  const span = `start=${(now - 120_000) / 1000}&end=${(now - 60_000) / 1000}`;
  const deleted = await admin(`delete_series?match[]=${selector}&${span}`, { method: "PUT" });
  assert.equal(deleted.status, 204);
  assert.equal(deleted.text, "");
  const left = async (q) =>
    Object.fromEntries((await q.query("kept[1h]")).map(({ metric, values }) => [metric.job, values.map(([, v]) => v)]));
  assert.deepEqual(await left(quarterdeck), { a: ["0", "1", "4"], b: ["0", "1", "2", "3", "4"] });
  assert.equal((await admin(`delete_series?match[]=${encodeURIComponent('{job="b"}')}`)).status, 204);
  assert.deepEqual(await left(quarterdeck), { a: ["0", "1", "4"] });
  const found = await quarterdeck.api("/api/v1/series?match[]=kept");
  assert.deepEqual(
    found.data.map(({ job }) => job),
    ["a"],
  );
  assert.equal((await admin("clean_tombstones")).status, 204);
  assert.deepEqual(await left(quarterdeck), { a: ["0", "1", "4"] });
  const sealed = JSON.parse((await admin("snapshot?skip_head=true")).text).data.name;

  const snapshot = (name) => path.join(quarterdeck.dataDir, "snapshots", name);
  const copy = await start(t, { dataDir: snapshot(before.data.name) });
  assert.deepEqual(await left(copy), { a: ["0", "1", "2", "3", "4"], b: ["0", "1", "2", "3", "4"] });
  assert.deepEqual(
    copy.log.filter((line) => line.level === "error"),
    [],
  );
  const empty = await start(t, { dataDir: snapshot(sealed) });
  assert.deepEqual(await left(empty), {});
});
