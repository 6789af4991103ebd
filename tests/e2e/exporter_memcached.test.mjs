// The memcached collector beside Debian's memcached. Debian has no exporter for it: names and labels are held against the
// list of what memcached_exporter gives.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { conformance, freePort, missing, start } from "./lib.mjs";
import { say, startMemcached } from "./servers.mjs";

// What a server tells only with external storage, as a proxy, or once something of the kind has happened.
const kOnlySometimes = /^memcached_(extstore_|proxy_|round_robin_fallback|unexpected_napi_ids)/;
// memcached 1.6.18 has no segment for temporary items unless it is started with temporary_ttl.
const kNotHere = new Set(["memcached_slab_temporary_items"]);

async function startQuarterdeck(t, port) {
  const quarterdeck = await start(t, { args: ["--set", `observe.memcached=[{address: "127.0.0.1:${port}"}]`] });
  quarterdeck.page = async () => {
    const answer = await quarterdeck.get("/exporters/memcached/metrics");
    assert.equal(answer.status, 200, answer.text);
    return parseText(answer.text).samples;
  };
  return quarterdeck;
}

test("memcached is told with the names and labels of memcached_exporter", {
  skip: missing("memcached"),
}, async (t) => {
  const port = await freePort();
  await startMemcached(t, port);
  await say(port, "set a 0 0 1", "x", "get a", "get none", "delete none");
  const quarterdeck = await startQuarterdeck(t, port);
  const told = await quarterdeck.page();
  assert.equal(told.get("memcached_up{}"), 1);
  assert.equal(told.get('memcached_commands_total{command="get",status="hit"}'), 1);
  assert.equal(told.get('memcached_commands_total{command="get",status="miss"}'), 1);
  assert.equal(told.get('memcached_commands_total{command="delete",status="miss"}'), 1);
  assert.equal(told.get("memcached_current_items{}"), 1);
  assert.equal(told.get('memcached_slab_current_items{slab="1"}'), 1);

  const list = path.join(conformance, "exporters/memcached.tsv");
  if (!existsSync(list)) return t.diagnostic("no ../shared/conformance: names are not compared");
  const ours = new Map();
  for (const sample of told.keys()) {
    const [, name, inner] = sample.match(/^([^{]+)\{(.*)\}$/);
    ours.set(
      name,
      [...inner.matchAll(/(\w+)="/g)]
        .map(([, label]) => label)
        .sort()
        .join(","),
    );
  }
  for (const line of readFileSync(list, "utf8")
    .split("\n")
    .filter((text) => text !== "")) {
    const [name, labels] = line.split("\t");
    if (kNotHere.has(name) || kOnlySometimes.test(name)) continue;
    assert.equal(ours.get(name), labels.split(",").sort().join(","), name);
    ours.delete(name);
  }
  assert.deepEqual([...ours.keys()], []);
});

test("a server that is gone is down, and is read again when it is back", { skip: missing("memcached") }, async (t) => {
  const port = await freePort();
  const memcached = await startMemcached(t, port);
  const quarterdeck = await startQuarterdeck(t, port);
  assert.equal((await quarterdeck.page()).get("memcached_up{}"), 1);
  await memcached.stop();
  assert.equal((await quarterdeck.page()).get("memcached_up{}"), 0);
  await startMemcached(t, port);
  assert.equal((await quarterdeck.page()).get("memcached_up{}"), 1);
});
