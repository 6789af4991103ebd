import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatPercent, formatTick, formatValue, parseSample, plural } from "./format.js";

describe("formatBytes", () => {
  it("counts in 1024 with three digits", () => {
    expect(formatBytes(0)).toBe("0 B");
    expect(formatBytes(1023)).toBe("1023 B");
    expect(formatBytes(1536)).toBe("1.50 KiB");
    expect(formatBytes(25232932864)).toBe("23.5 GiB");
  });

  it("goes to the next unit rather than showing 1024 of the smaller one", () => {
    expect(formatBytes(1024 * 1024 - 1)).toBe("1.00 MiB");
  });
});

describe("formatCount", () => {
  it("is short and keeps small numbers readable", () => {
    expect(formatCount(0)).toBe("0");
    expect(formatCount(9999)).toBe("9999");
    expect(formatCount(2470000)).toBe("2.47M");
    expect(formatCount(0.00727)).toBe("0.0073");
    expect(formatCount(0.0000012)).toBe("1.2e-6");
    expect(formatCount(-0.5)).toBe("-0.50");
  });

  it("says what is no number", () => {
    expect(formatCount(Number.POSITIVE_INFINITY)).toBe("+Inf");
    expect(formatCount(Number.NaN)).toBe("–");
  });
});

describe("formatValue", () => {
  it("follows the unit", () => {
    expect(formatValue(1048576, "bytes_per_s")).toBe("1.00 MiB/s");
    expect(formatValue(0.0005, "seconds")).toBe("500 µs");
    expect(formatValue(null, "bytes")).toBe("–");
    expect(formatPercent(0.01)).toBe("< 0.1 %");
    expect(formatPercent(99.6)).toBe("100 %");
  });
});

describe("formatTick", () => {
  it("drops no zero but those after the point", () => {
    expect([0, 0.1, 1.5, 100, 6000].map((value) => formatTick(value, "seconds"))).toEqual([
      "0 s",
      "100 ms",
      "1.5 s",
      "100 s",
      "100 min",
    ]);
  });

  it("has as many digits as tell neighbouring marks apart", () => {
    const step = 256 * 1024;
    const ticks = [4, 5, 6, 7].map((i) => formatTick(i * step, "bytes_per_s", step));
    expect(ticks).toEqual(["1 MiB/s", "1.25 MiB/s", "1.5 MiB/s", "1.75 MiB/s"]);
    const near = [23.1, 23.15].map((gib) => formatTick(gib * 1024 ** 3, "bytes", 0.05 * 1024 ** 3));
    expect(new Set(near).size).toBe(2);
  });
});

describe("parseSample", () => {
  it("reads the API's strings", () => {
    expect(parseSample("+Inf")).toBe(Number.POSITIVE_INFINITY);
    expect(parseSample("-Inf")).toBe(Number.NEGATIVE_INFINITY);
    expect(parseSample("NaN")).toBeNaN();
    expect(parseSample("1e3")).toBe(1000);
  });
});

it("plural", () => {
  expect([plural(1, "rule"), plural(2, "rule"), plural(0, "series", "series")]).toEqual([
    "1 rule",
    "2 rules",
    "0 series",
  ]);
});
