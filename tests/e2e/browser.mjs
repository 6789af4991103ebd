// A real Chromium for the tests of the page, and a witness of all that a page may not do.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const kChromium = process.env.QD_CHROMIUM ?? "/usr/bin/chromium";

export const noBrowser = existsSync(kChromium) ? false : `${kChromium} is not installed`;

/** Starts Chromium with a fresh profile; it ends with the test. */
export async function launch(t) {
  const browser = await chromium.launch({
    executablePath: kChromium,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  t?.after(() => browser.close());
  return browser;
}

/**
 * A window of its own, with a witness: `seen.faults` holds every console error, exception, violation of the
 * Content-Security-Policy, request to another origin and answer of 400 or more; `seen.bytes` what came over the wire.
 */
export async function open(browser, { width = 1440, height = 900, theme = "dark", ...more } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    reducedMotion: "reduce",
    timezoneId: "UTC",
    locale: "en-GB",
    ...more,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const seen = { faults: [], requests: [], bytes: 0 };
  let origin;
  page.on("console", (message) => {
    if (message.type() === "error" || /Content Security Policy/i.test(message.text())) {
      seen.faults.push(`console: ${message.text()} ${message.location().url}`);
    }
  });
  page.on("pageerror", (error) => seen.faults.push(`exception: ${error.stack ?? error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol === "data:" || url.protocol === "blob:") return;
    origin ??= url.origin;
    seen.requests.push(url.pathname);
    if (url.origin !== origin) seen.faults.push(`request to another host: ${url.href}`);
  });
  page.on("websocket", (socket) => seen.faults.push(`web socket: ${socket.url()}`));
  page.on("response", (response) => {
    if (response.status() >= 400) seen.faults.push(`HTTP ${response.status()}: ${response.url()}`);
  });
  await page.exposeFunction("tellViolation", (what) => seen.faults.push(`policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.tellViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`);
    });
  });
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  devtools.on("Network.loadingFinished", ({ encodedDataLength }) => {
    seen.bytes += encodedDataLength;
  });
  return { page, context, seen };
}

/** Nothing went wrong in the page so far; `but` excuses faults that the test brought about. */
export function assertClean(seen, but = /^$/) {
  assert.deepEqual(
    seen.faults.filter((fault) => !but.test(fault)),
    [],
  );
}

/** How many pixels of each chart's canvas are drawn in a colour that is no grey: lines and areas, not axes or grids. */
export function colouredPixels(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll(".chart canvas")].map((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {
        const spread = Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]);
        if (data[i + 3] > 0 && spread > 40) count += 1;
      }
      return count;
    }),
  );
}

/** How far the page is wider than its window, and which elements stick out. */
export function overflow(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const scrolls = (element) => {
      for (let up = element.parentElement; up; up = up.parentElement) {
        if (/(auto|scroll|hidden|clip)/.test(getComputedStyle(up).overflowX)) return true;
      }
      return false;
    };
    const out = [...document.body.querySelectorAll("*")].filter((element) => {
      const box = element.getBoundingClientRect();
      return box.width > 0 && box.right > width + 1 && !scrolls(element);
    });
    return {
      by: document.documentElement.scrollWidth - width,
      out: out.slice(0, 5).map((element) => `${element.tagName}.${element.className}`),
    };
  });
}
