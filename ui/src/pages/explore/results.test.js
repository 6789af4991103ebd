import { describe, expect, it } from "vitest";
import { findMetrics } from "./metric_browser.jsx";
import { graphFrom, kSeriesDrawn, sortRows, tableFrom } from "./results.js";

const range = { start: 0, end: 10, step: 5 };
const one = (metric, ...values) => ({ metric, values: values.map((value, i) => [i * 5, String(value)]) });

describe("graphFrom", () => {
  it("says shared labels once and puts the highest first", () => {
    const graph = graphFrom([one({ job: "n", cpu: "0" }, 1), one({ job: "n", cpu: "1" }, 5)], range);
    expect(graph.series.map((s) => s.label)).toEqual(['{cpu="1"}', '{cpu="0"}']);
    expect(graph.common).toEqual({ job: "n" });
  });

  it("draws a bounded number of series and says how many there are", () => {
    const many = Array.from({ length: kSeriesDrawn + 50 }, (_, i) => one({ i: String(i) }, i));
    const graph = graphFrom(many, range);
    expect(graph.series).toHaveLength(kSeriesDrawn);
    expect(graph.total).toBe(kSeriesDrawn + 50);
    expect(graph.series[0].stats.max).toBe(kSeriesDrawn + 49);
  });

  it("counts histograms that it cannot draw", () => {
    const graph = graphFrom([{ metric: {}, histograms: [[0, {}]] }], range);
    expect(graph).toMatchObject({ total: 0, histograms: 1 });
  });
});

describe("tableFrom", () => {
  it("gives each label a column while there are few", () => {
    const table = tableFrom({
      resultType: "vector",
      result: [{ metric: { __name__: "up", job: "a" }, value: [1, "1"] }],
    });
    expect(table.columns).toEqual(["__name__", "job"]);
    const wide = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`l${i}`, "x"]));
    expect(tableFrom({ resultType: "vector", result: [{ metric: wide, value: [1, "1"] }] }).columns).toEqual([]);
  });

  it("shows scalars, strings, histograms and ranges", () => {
    expect(tableFrom({ resultType: "scalar", result: [1, "42"] }).rows[0].text).toBe("42");
    expect(tableFrom({ resultType: "string", result: [1, "hello"] }).rows[0].text).toBe("hello");
    const histogram = { metric: {}, histogram: [1, { count: "3", sum: "9", buckets: [] }] };
    expect(tableFrom({ resultType: "vector", result: [histogram] }).rows[0].text).toBe("histogram: count 3, sum 9");
    const row = tableFrom({ resultType: "matrix", result: [one({}, 7, 8)] }).rows[0];
    expect([row.text, row.note]).toEqual(["8", "last of 2"]);
  });

  it("sorts numbers in labels as numbers, and NaN lowest", () => {
    const rows = ["10", "9"].map((cpu) => ({ labels: { cpu }, name: "", value: Number(cpu) }));
    expect(sortRows(rows, "cpu", false).map((row) => row.labels.cpu)).toEqual(["9", "10"]);
    const values = [3, Number.NaN, -1].map((value) => ({ labels: {}, value }));
    expect(sortRows(values, "value", true).map((row) => row.value)).toEqual([3, -1, Number.NaN]);
  });
});

it("findMetrics searches names and descriptions for every word", () => {
  const about = { node_load1: [{ help: "1m load average." }] };
  expect(findMetrics(["node_load1", "up"], about, "load average")).toEqual(["node_load1"]);
  expect(findMetrics(["node_load1", "up"], about, "load nothing")).toEqual([]);
});
