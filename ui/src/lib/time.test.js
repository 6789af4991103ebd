import { describe, expect, it } from "vitest";
import { alignedRange, formatAgo, formatDuration, formatSpan, parseDuration, parseStamp, stepFor } from "./time.js";

describe("durations", () => {
  it("reads what PromQL reads, and nothing else", () => {
    expect(parseDuration("1h30m")).toBe(5400);
    expect(parseDuration(" 250ms ")).toBe(0.25);
    expect(parseDuration("1w")).toBe(604800);
    for (const wrong of ["", "5", "m", "1h 30m", "-5m", "0s", "1.5h", undefined, null]) {
      expect(parseDuration(wrong), String(wrong)).toBeNull();
    }
  });

  it("writes them so that reading gives the same", () => {
    for (const seconds of [0.001, 1, 59, 60, 3601, 5400, 86400, 90061.5]) {
      expect(parseDuration(formatDuration(seconds))).toBeCloseTo(seconds, 6);
    }
    expect(formatDuration(5400)).toBe("1h30m");
  });

  it("writes them for people with two units at most", () => {
    expect(formatSpan(0.0123)).toBe("12 ms");
    expect(formatSpan(0.0003)).toBe("300 µs");
    expect(formatSpan(0.00099999)).toBe("1 ms");
    expect(formatSpan(0.99999)).toBe("1 s");
    expect(formatSpan(0)).toBe("0 s");
    expect(formatSpan(5)).toBe("5 s");
    expect(formatSpan(59.9)).toBe("59 s");
    expect(formatSpan(3 * 3600 + 120)).toBe("3 h 2 min");
    expect(formatSpan(86400 * 12 + 3600)).toBe("12 d 1 h");
    expect(formatSpan(Number.NaN)).toBe("–");
    expect(formatAgo(100, 100.4)).toBe("now");
    expect(formatAgo(100, 220)).toBe("2 min ago");
  });
});

describe("stamps", () => {
  it("takes Go's zero time for never", () => {
    expect(parseStamp("0001-01-01T00:00:00Z")).toBeNull();
    expect(parseStamp("nonsense")).toBeNull();
    expect(parseStamp("2024-05-01T12:00:00.5Z")).toBe(1714564800.5);
  });
});

describe("steps", () => {
  it("stay round, coarse enough for the points and never finer than the samples", () => {
    expect(stepFor(900, 240, 5)).toBe(5);
    expect(stepFor(3600, 240, 5)).toBe(15);
    expect(stepFor(604800, 240)).toBe(3600);
    expect(stepFor(60, 240)).toBe(1);
    expect(stepFor(60, 240, 30)).toBe(30);
    expect(stepFor(86400 * 365 * 10, 240)).toBe(86400 * 16);
  });

  it("lie on their own multiples, so that the same points are asked again", () => {
    const first = alignedRange(1003, 60, 5);
    const later = alignedRange(1004.9, 60, 5);
    expect(first).toEqual({ start: 940, end: 1000, step: 5 });
    expect(later).toEqual(first);
  });
});
