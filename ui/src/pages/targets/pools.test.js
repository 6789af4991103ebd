import { expect, it } from "vitest";
import { countTargets, poolsFrom } from "./pools.js";

const target = (scrapePool, health, scrapeUrl, lastError = "") => ({
  scrapePool,
  health,
  scrapeUrl,
  lastError,
  labels: { job: scrapePool },
});
const active = [
  target("a", "up", "http://1"),
  target("b", "up", "http://2"),
  target("b", "down", "http://3", "refused"),
];

it("pools with something down come first, and in them what is down", () => {
  const pools = poolsFrom(active, "all", "");
  expect(pools.map((pool) => [pool.name, pool.up, pool.all.length])).toEqual([
    ["b", 1, 2],
    ["a", 1, 1],
  ]);
  expect(pools[0].targets[0].health).toBe("down");
});

it("targets are found by state, label and error", () => {
  expect(poolsFrom(active, "down", "").flatMap((pool) => pool.targets)).toHaveLength(1);
  expect(poolsFrom(active, "all", "REFUSED")[0].targets).toHaveLength(1);
  expect(poolsFrom(active, "all", "job=a")).toHaveLength(1);
});

it("an unheard-of health counts as unknown", () => {
  expect(countTargets([target("a", "strange", "x")])).toEqual({ all: 1, up: 0, down: 0, unknown: 1 });
});
