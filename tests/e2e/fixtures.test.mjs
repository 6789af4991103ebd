// The data directory of every release there ever was opens, and gives what was in it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { root, scratch, start } from "./lib.mjs";

const fixtures = path.join(root, "tests/fixtures/data");

for (const name of readdirSync(fixtures).filter((file) => file.endsWith(".tar.gz"))) {
  test(`the data directory of ${name.replace(".tar.gz", "")} opens and is whole`, async (t) => {
    const dir = scratch(t);
    execFileSync("tar", ["-xzf", path.join(fixtures, name), "-C", dir]);
    const expected = JSON.parse(readFileSync(path.join(fixtures, name.replace(".tar.gz", ".json")), "utf8"));
    const quarterdeck = await start(t, {
      dataDir: path.join(dir, "data"),
      args: [
        "--set",
        "store.metrics.retention=0s",
        "--set",
        "observe.host.enabled=false",
        "--set",
        "judge.rules.defaults=false",
      ],
    });
    for (const { query, time, result } of expected) {
      assert.deepEqual(await quarterdeck.query(query, time), result, query);
    }
    assert.deepEqual(
      quarterdeck.log.filter((line) => ["warn", "error"].includes(line.level)),
      [],
    );
  });
}
