// The pictures of the README, taken of the real page. See tools/screenshot.
import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { assertClean, launch, open } from "./browser.mjs";
import { root, sleep, start } from "./lib.mjs";

const kBytesMax = 300_000;
const seconds = Number(process.argv[2] ?? 120);
const images = path.join(root, "docs/images");

const endings = [];
const life = { after: (ending) => endings.unshift(ending) };
try {
  mkdirSync(images, { recursive: true });
  const quarterdeck = await start(life);
  await sleep(seconds * 1000);
  const browser = await launch(life);
  for (const theme of ["dark", "light"]) {
    const { page, seen } = await open(browser, { theme });
    await page.goto(quarterdeck.url);
    await page.getByRole("img", { name: /^Time lost waiting\. Now/ }).waitFor();
    await page.locator(".fs-table tbody tr, .fs-space .notice").first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton"));
    await sleep(1000);
    assertClean(seen);
    const file = path.join(images, `overview-${theme}.png`);
    await page.screenshot({ path: file });
    const { size } = statSync(file);
    if (size > kBytesMax) throw new Error(`${file} has ${size} bytes; at most ${kBytesMax} are wanted`);
    console.log(`${path.relative(root, file)}: ${size} bytes`);
  }
} finally {
  for (const ending of endings) await ending();
}
