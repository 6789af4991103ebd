// The page in a real Chromium, served by the real program: what a user sees, types and gets.
import assert from "node:assert/strict";
import os from "node:os";
import path from "node:path";
import test, { after } from "node:test";
import { assertClean, colouredPixels, launch, noBrowser, open, overflow } from "./browser.mjs";
import { freePort, scratch, start, until, writeConfig } from "./lib.mjs";

const skip = noBrowser;
const kShown_ms = 5_000;
const kFirstPage_bytes = 250_000;

let browser;
async function window(t, options) {
  browser ??= await launch();
  const opened = await open(browser, options);
  t.after(() => opened.context.close());
  return opened;
}
after(() => browser?.close());

const panel = (page, name) => page.getByRole("region", { name, exact: true });
const chart = (page, name) => panel(page, name).getByRole("img", { name: /\. Now: .*\d/ });

const kPanels = [
  ["What the processor does", "node_cpu_seconds_total"],
  ["Memory in use", "node_memory_MemAvailable_bytes"],
  ["Load against the cores", "node_load1"],
  ["Disk reads and writes", 'node_disk_io_now{device!~"(loop|ram|zram|fd|sr|dm-|md)[0-9].*"}'],
  [
    "Network in and out",
    'node_network_receive_bytes_total{device!~"lo|(veth|ifb|dummy|docker|br-|virbr|cni|flannel|cali|tap|vnet).*"}',
  ],
  ["Time lost waiting", "node_pressure_cpu_waiting_seconds_total"],
];

test("Overview shows this machine within five seconds of the very first start", { skip }, async (t) => {
  const { page, seen } = await window(t);
  const spawned = Date.now();
  const quarterdeck = await start(t, { discovery: true });
  await page.goto(quarterdeck.url);
  await until(async () => (await quarterdeck.query("node_load1")).length === 1, "a first sample");
  const drawn = [];
  for (const [name, series] of kPanels) {
    // A machine may have no disk, no network or no pressure: then the panel says so.
    if ((await quarterdeck.query(series)).length > 0) {
      await chart(page, name).waitFor();
      drawn.push(name);
    } else await panel(page, name).locator(".notice-title").waitFor();
  }
  await panel(page, "Room left on filesystems").locator("tbody tr, .notice-title").first().waitFor();
  await panel(page, "How close the kernel's limits are").getByText("Open files").waitFor();
  const pictures = async (pixels) => (await colouredPixels(page)).filter((count) => count > pixels).length;
  await until(async () => (await pictures(15)) === drawn.length, "pictures");
  const took = Date.now() - spawned;
  t.diagnostic(`all of ${drawn.join(", ")} were shown ${took} ms after the start, with ${seen.bytes} bytes`);
  assert.ok(took < kShown_ms, `the page showed this machine after ${took} ms`);
  assert.ok(drawn.length >= 3);
  assert.ok(seen.bytes > 30_000 && seen.bytes < kFirstPage_bytes, `${seen.bytes} bytes came over the wire`);

  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), os.hostname());
  const facts = await page.locator(".facts").textContent();
  assert.match(facts, new RegExp(`Cores${os.cpus().length}`));
  assert.ok(facts.includes(os.release()), facts);
  await page
    .getByRole("region", { name: "What fires" })
    .getByText(/Nothing fires|\d (pending|firing)/)
    .first()
    .waitFor();

  // It is live: the pictures move on by themselves.
  const now = () => chart(page, "Memory in use").getAttribute("aria-label");
  const before = await now();
  await until(async () => (await now()) !== before, "a newer value of memory", 15_000);
  await until(async () => (await pictures(150)) === drawn.length, "pictures that grow", 15_000);
  assertClean(seen);
});

test("what fires stands on top of Overview, in the title and on Alerts beside the default rules", {
  skip,
}, async (t) => {
  const dir = scratch(t);
  const rules = writeConfig(
    dir,
    "rules.yml",
    `groups:
  - name: deck
    interval: 1s
    rules:
      - {alert: PlankLoose, expr: "node_load1 >= 0", labels: {severity: page}, annotations: {summary: "A plank is loose on {{ $labels.instance }}"}}
`,
  );
  const file = writeConfig(dir, "prometheus.yml", `rule_files: ["${rules}"]\n`);
  const quarterdeck = await start(t, { args: ["--prometheus", file], dataDir: path.join(dir, "data") });
  await until(
    async () => (await quarterdeck.api("/api/v1/alerts")).data.alerts.some((one) => one.state === "firing"),
    "a firing alert",
  );
  const { page, seen } = await window(t);
  await page.goto(quarterdeck.url);
  const firing = page.getByRole("region", { name: "What fires" });
  await firing.getByText(`A plank is loose on ${os.hostname()}`).waitFor();
  await page.waitForFunction(() => /^\(\d+\) Overview/.test(document.title));
  await firing.getByRole("link", { name: "PlankLoose" }).click();

  await page.waitForURL(/\/alerts\?state=firing/);
  await page.getByText(`A plank is loose on ${os.hostname()}`).waitFor();
  assert.equal(await page.locator(".rule", { hasText: "HostMemoryShort" }).count(), 0);
  await page.getByRole("searchbox", { name: "Search rules" }).fill("");
  await page.getByRole("radio", { name: /^All/ }).check({ force: true });
  const groups = (await quarterdeck.api("/api/v1/rules")).data.groups;
  const names = groups.flatMap((group) => group.rules.map((rule) => rule.name));
  for (const name of ["HostDiskFillsWithinADay", "HostMemoryShort", "HostClockOff", "TargetDown", "HostRebooted"]) {
    assert.ok(names.includes(name), `${name} is a default rule`);
  }
  for (const name of names) await page.locator(".rule-name", { hasText: new RegExp(`^${name}$`) }).waitFor();

  await page.locator("main h1").click();
  await page.keyboard.press("/");
  await page.keyboard.type("memory");
  await page.locator(".rule-name", { hasText: "PlankLoose" }).waitFor({ state: "detached" });
  const memory = page.locator(".rule", { hasText: "HostMemoryShort" });
  await memory.getByText("Fires after").waitFor();
  await memory.getByRole("link", { name: "Explore" }).click();
  await page.waitForURL(/\/explore\?g0\.expr=node_memory_MemAvailable/);
  assertClean(seen);
});

test("Explore completes, draws, lists, and its address shows the same again", { skip }, async (t) => {
  const quarterdeck = await start(t);
  await until(async () => (await quarterdeck.query("rate(node_cpu_seconds_total[1m])")).length > 0, "two samples");
  const { page, context, seen } = await window(t, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${quarterdeck.url}/explore`);
  await page.locator(".cm-content").waitFor();
  await page.locator("main h1").click();
  await page.keyboard.press("/");
  await page.keyboard.type("sum by (mode) (rate(node_cpu_sec", { delay: 15 });
  await page.locator(".cm-tooltip-autocomplete li", { hasText: "node_cpu_seconds_total" }).waitFor();
  await page.waitForTimeout(150);
  await page.keyboard.press("Enter");
  await page.keyboard.type("[1m]))", { delay: 15 });
  const expr = "sum by (mode) (rate(node_cpu_seconds_total[1m]))";
  assert.equal(await page.locator(".cm-content").textContent(), expr);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Enter");

  const modes = (await quarterdeck.query(expr)).map(({ metric }) => metric.mode).sort();
  assert.ok(modes.length >= 7);
  const legend = page.locator(".legend-table tbody tr");
  await legend.first().waitFor();
  assert.deepEqual(
    (await legend.locator("code").allTextContents()).sort(),
    modes.map((mode) => `{mode="${mode}"}`),
  );
  assert.equal(new URL(page.url()).searchParams.get("g0.expr"), expr);

  await page.getByRole("radio", { name: "Table" }).check({ force: true });
  await page.waitForURL(/g0\.tab=table/);
  const cells = page.locator(".result-table tbody tr td:first-child");
  await cells.first().waitFor();
  assert.deepEqual((await cells.allTextContents()).sort(), modes);
  const again = await window(t);
  await again.page.goto(page.url());
  await again.page.locator(".result-table tbody tr").first().waitFor();
  assert.deepEqual((await again.page.locator(".result-table tbody tr td:first-child").allTextContents()).sort(), modes);

  // "Copy link" fixes the span: whoever opens it, and whenever, sees the same figures.
  await page.goBack();
  await legend.first().waitFor();
  for (let i = 0; i < 3; i += 1) await page.locator("main h1").press("[");
  await page.waitForURL(/range_input=5m/);
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("Copied").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(link, /g0\.end_input=\d{4}-/);
  const figures = [];
  for (const delay of [0, 1500]) {
    await page.waitForTimeout(delay);
    const visitor = await window(t, { theme: "light" });
    await visitor.page.goto(link);
    await visitor.page.locator(".legend-table tbody tr").first().waitFor();
    await until(async () => (await colouredPixels(visitor.page))[0] > 100, "a drawn graph");
    figures.push(await visitor.page.locator(".legend-table").textContent());
    assertClean(visitor.seen);
  }
  assert.equal(figures[1], figures[0]);
  assert.match(figures[0], /user/);

  // The metric browser knows what each metric means.
  await page.goto(`${quarterdeck.url}/graph?g0.expr=&g0.tab=1`);
  await page.getByRole("button", { name: "Browse metrics" }).click();
  await page.getByRole("searchbox", { name: "Search metrics" }).fill("node_load15");
  await page.locator(".browser-item", { hasText: "15m load average" }).click();
  await page.locator(".result-table tbody tr", { hasText: "node_load15" }).waitFor();
  assertClean(seen);
  await context.clearPermissions();
});

test("an error of a query is shown where it is", { skip }, async (t) => {
  const quarterdeck = await start(t);
  const { page, seen } = await window(t);
  for (const expr of ["sum(rate(up[1m]) by", "sum(\n  up{job==1}\n)", "up[5m", "nosuch(up)"]) {
    const { error } = await quarterdeck.api(`/api/v1/query?query=${encodeURIComponent(expr)}`);
    const [, line, column, text] = error.match(/(\d+):(\d+): parse error: (.*)/s);
    await page.goto(`${quarterdeck.url}/explore?${new URLSearchParams({ "g0.expr": expr, "g0.tab": "table" })}`);
    const shown = page.locator(".query-error");
    await shown.getByText(`line ${line}, column ${column}`).waitFor();
    assert.ok((await shown.textContent()).includes(text.trim()), error);
    const [code, mark] = (await shown.locator("pre").textContent()).split("\n");
    assert.equal(code, expr.split("\n")[line - 1]);
    assert.equal(mark.indexOf("^"), column - 1);
  }
  await page.goto(
    `${quarterdeck.url}/explore?${new URLSearchParams({ "g0.expr": "node_cpu_seconds_total * on (job) node_cpu_seconds_total", "g0.tab": "table" })}`,
  );
  await until(async () => (await quarterdeck.query("node_cpu_seconds_total")).length > 0, "a sample");
  await page.reload();
  await page.locator(".query-error", { hasText: "many-to-many" }).waitFor();
  assertClean(seen, /HTTP (400|422): .*\/api\/v1\/query|status of (400|422)/);
});

test("Targets shows the host up, and what is down with the reason", { skip }, async (t) => {
  const dir = scratch(t);
  const port = await freePort();
  const config = `scrape_configs: [{job_name: dead, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{targets: ["127.0.0.1:${port}"]}]}]\n`;
  const file = writeConfig(dir, "prometheus.yml", config);
  const quarterdeck = await start(t, { args: ["--prometheus", file], dataDir: path.join(dir, "data") });
  const { page, seen } = await window(t);
  await page.goto(`${quarterdeck.url}/targets`);
  const node = page.getByRole("region", { name: "Pool node" });
  await node.getByText("1 of 1 up").waitFor({ timeout: 15_000 });
  assert.match(await node.locator("tbody").textContent(), /^Up.*\/exporters\/node\/metrics/);
  const dead = page.getByRole("region", { name: "Pool dead" });
  await dead.getByText("0 of 1 up").waitFor({ timeout: 15_000 });
  await until(
    async () => (await dead.locator(".fault").textContent()).includes(`127.0.0.1:${port}`),
    "the reason",
    15_000,
  );
  await page.getByRole("radio", { name: /Not up/ }).check({ force: true });
  await node.waitFor({ state: "detached" });
  assert.match(page.url(), /state=down/);
  assertClean(seen);
});

const kPages = [
  "/",
  "/explore?g0.expr=rate(node_cpu_seconds_total[1m])&g0.range_input=5m",
  "/alerts",
  "/targets",
  "/status",
  "/services",
  "/services/redis/127.0.0.1%3A1",
  "/containers",
  "/nowhere",
];

// The contrast of an element's text with what lies behind it, as WCAG 2 defines it; the worst on the page.
const worstContrast = (page) =>
  page.evaluate(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
      canvas.clearRect(0, 0, 1, 1);
      for (const colour of colours) {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
      }
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (rgb) => {
      const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let worst = { ratio: 21, text: "" };
    for (const element of document.querySelectorAll("body *")) {
      const text = [...element.childNodes]
        .filter((node) => node.nodeType === 3 && node.textContent.trim())
        .map((node) => node.textContent.trim())
        .join(" ");
      // A dot that only a screen reader reads has transparent text.
      const dot = getComputedStyle(element).color === "rgba(0, 0, 0, 0)";
      if (!text || dot || !element.checkVisibility() || element.closest(":disabled, .visually-hidden, .skip")) continue;
      const behind = [];
      for (let up = element; up; up = up.parentElement) behind.unshift(getComputedStyle(up).backgroundColor);
      const [a, b] = [light(paint([...behind, getComputedStyle(element).color])), light(paint(behind))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < worst.ratio) worst = { ratio, text: `${element.className}: ${text}` };
    }
    return worst;
  });

test("every page is whole in dark and light, on a desk and on a phone", { skip }, async (t) => {
  const quarterdeck = await start(t);
  await until(async () => (await quarterdeck.query("rate(node_cpu_seconds_total[1m])")).length > 0, "two samples");
  for (const theme of ["dark", "light"]) {
    for (const [width, height] of [
      [390, 844],
      [1440, 900],
    ]) {
      const { page, seen } = await window(t, { width, height, theme, hasTouch: width < 500 });
      for (const address of kPages) {
        await page.goto(quarterdeck.url + address);
        await page.waitForFunction(
          () => document.querySelector("main .page") && !document.querySelector("main .skeleton"),
        );
        const what = `${address} at ${width} in ${theme}`;
        const { by, out } = await overflow(page);
        assert.ok(by <= 0 && out.length === 0, `${what} is ${by} px too wide: ${out.join(" ")}`);
        const { ratio, text } = await worstContrast(page);
        assert.ok(ratio >= 4.5, `${what}: contrast ${ratio.toFixed(2)} of ${text}`);
        const back = await page.evaluate(() =>
          getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number),
        );
        assert.ok(
          theme === "dark" ? Math.max(...back.slice(0, 3)) < 60 : Math.min(...back.slice(0, 3)) > 200,
          `${what}: ${back}`,
        );
      }
      assertClean(seen, /\/nowhere|status of 404/);
    }
  }

  // The choice of a user stays, against what the system prefers.
  const { page, seen } = await window(t, { theme: "dark" });
  await page.goto(quarterdeck.url);
  await page.getByRole("button", { name: "Switch to the light theme" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Switch to the dark theme" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
  assertClean(seen);
});

const focused = (page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return {
      name: element.getAttribute("aria-label") ?? element.textContent.trim(),
      id: element.id,
      tag: element.tagName,
      inMain: Boolean(element.closest("main")),
      visible: box.top >= 0 && box.left >= 0 && box.width > 0,
      marked:
        (style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none",
    };
  });

test("everything can be reached and done with the keyboard", { skip }, async (t) => {
  const quarterdeck = await start(t);
  await until(async () => (await quarterdeck.query("rate(node_cpu_seconds_total[1m])")).length > 0, "two samples");
  const { page, seen } = await window(t);
  await page.goto(quarterdeck.url);
  await chart(page, "Memory in use").waitFor();

  await page.keyboard.press("Tab");
  const first = await focused(page);
  assert.equal(first.name, "Skip to the content");
  assert.ok(first.visible, "the skip link shows itself");
  await page.keyboard.press("Enter");
  assert.equal((await focused(page)).id, "main");
  await page.keyboard.press("Tab");
  assert.ok((await focused(page)).inMain, "the next stop lies in the content");

  await page.goto(`${quarterdeck.url}/`);
  await chart(page, "Memory in use").waitFor();
  const stops = [];
  for (let i = 0; i < 12; i += 1) {
    await page.keyboard.press("Tab");
    const stop = await focused(page);
    assert.ok(stop.visible && (stop.marked || stop.tag === "INPUT"), `focus is seen on ${stop.name}`);
    stops.push(stop.name.replace(/\d+ (firing|pending)$/, ""));
  }
  assert.deepEqual(stops.slice(1, 11), [
    "Quarterdeck, overview",
    "Overview",
    "Services",
    "Containers",
    "Explore",
    "Alerts",
    "Targets",
    "Status",
    "Switch to the light theme",
    "Keyboard shortcuts",
  ]);

  // A chart is read value by value.
  await chart(page, "Memory in use").focus();
  await page.keyboard.press("ArrowLeft");
  const tip = panel(page, "Memory in use").locator(".tip");
  await tip.waitFor();
  const [last] = [await tip.textContent()];
  await page.keyboard.press("ArrowLeft");
  assert.notEqual(await tip.textContent(), last);

  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Paused" }).waitFor();
  await page.keyboard.press("d");
  await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
  for (const [key, address] of [
    ["a", "/alerts"],
    ["t", "/targets"],
    ["s", "/status"],
    ["e", "/explore"],
  ]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForURL(quarterdeck.url + address);
  }
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "Status" }).waitFor();
  assertClean(seen);
});

test("a stopped server is told, and its return as well", { skip }, async (t) => {
  const listen = `127.0.0.1:${await freePort()}`;
  const dataDir = path.join(scratch(t), "data");
  const first = await start(t, { listen, dataDir });
  const { page, seen } = await window(t);
  await page.goto(first.url);
  await chart(page, "Memory in use").waitFor();
  const pictures = async () => (await colouredPixels(page)).filter((count) => count > 0).length;
  await until(async () => (await pictures()) > 0, "a picture");
  // More may be drawn until the server has stopped.
  const drawn = await pictures();
  await first.stop();
  await page.getByText("Quarterdeck does not answer").waitFor({ timeout: 15_000 });
  assert.ok((await pictures()) >= drawn, "the last pictures stay");

  const second = await start(t, { listen, dataDir });
  await page.getByText("Connected again").waitFor({ timeout: 20_000 });
  const before = await chart(page, "Memory in use").getAttribute("aria-label");
  await until(
    async () => (await chart(page, "Memory in use").getAttribute("aria-label")) !== before,
    "new values",
    15_000,
  );
  await page.getByText("Connected again").waitFor({ state: "detached" });
  assertClean(seen, /ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE/);
  await second.stop();
});
