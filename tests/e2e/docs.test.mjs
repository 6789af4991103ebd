// The documents say what is: the generated one is generated, and the README names commands that exist.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { root, runCommand } from "./lib.mjs";

const read = (name) => readFileSync(path.join(root, name), "utf8");

/** Every `prefix word` in the code spans and code blocks of a document. */
function commandsIn(text, prefix) {
  const code = [...text.matchAll(/^```[^\n]*\n(.*?)^```|`([^`\n]+)`/gms)]
    .map((found) => found[1] ?? found[2])
    .join("\n");
  const words = code.matchAll(new RegExp(`(?:^|[\\s/])${prefix.replaceAll(".", "\\.")} ([a-z]+)\\b`, "gm"));
  return [...new Set([...words].map((found) => found[1]))];
}

for (const [flag, document] of [
  ["--reference", "docs/configuration.md"],
  ["--metrics", "docs/exporters.md"],
]) {
  test(`${document} is what the program declares`, async () => {
    const { code, stdout } = await runCommand(["config", flag]);
    assert.equal(code, 0);
    assert.equal(read(document), stdout, `write it anew: build/release/quarterdeck config ${flag} > ${document}`);
  });
}

test("every ./dev command in the documents exists, and ./dev run and ./dev test are in the README", () => {
  const script = read("dev");
  assert.deepEqual(commandsIn(read("README.md"), "./dev").slice(0, 2), ["run", "test"]);
  for (const document of [
    "README.md",
    "CONTRIBUTING.md",
    "docs/tour.md",
    "docs/operations.md",
    "docs/performance.md",
  ]) {
    for (const command of commandsIn(read(document), "./dev")) {
      assert.match(script, new RegExp(`^command_${command}\\(\\)`, "m"), `${document}: ./dev ${command}`);
    }
  }
});

test("every quarterdeck command in the documents exists", async () => {
  const { stdout } = await runCommand(["--help"]);
  const known = [...stdout.matchAll(/^ {2}([a-z]+) {2,}[A-Z]/gm)].map((found) => found[1]);
  assert.ok(known.includes("run"), stdout);
  for (const document of ["README.md", "docs/tour.md", "docs/operations.md", "docs/alerting.md", "docs/promql.md"]) {
    for (const command of commandsIn(read(document), "quarterdeck")) {
      // `sudo -u quarterdeck quarterdeck …` names the user first.
      if (command !== "quarterdeck") assert.ok(known.includes(command), `${document}: quarterdeck ${command}`);
    }
  }
});

test("every file that the tour names is there", () => {
  const tour = read("docs/tour.md");
  const named = [
    ...tour.matchAll(/`((?:base|model|connect|store|query|observe|judge|act|serve|cli)\/[\w/]+\.(?:h|cpp))`/g),
  ];
  assert.ok(named.length > 20);
  for (const [, name] of named) assert.ok(existsSync(path.join(root, "src", name)), `docs/tour.md: src/${name}`);
});
