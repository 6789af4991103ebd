import { describe, expect, it } from "vitest";
import { timeLabels, withoutCut, yRange } from "./options.js";
import { seriesColor, seriesDash } from "./palette.js";
import { addColumns, alignMatrix, combine, isolated, joinColumns, levelFor, stackColumns, summary } from "./shape.js";

const window = { start: 100, end: 120, step: 5 };

describe("alignMatrix", () => {
  it("puts samples on the grid and leaves gaps as null", () => {
    const { x, series } = alignMatrix(
      [
        {
          metric: {},
          values: [
            [105, "1"],
            [115, "NaN"],
            [120, "3"],
          ],
        },
      ],
      window,
    );
    expect(x).toEqual([100, 105, 110, 115, 120]);
    expect(series[0].values).toEqual([null, 1, null, null, 3]);
  });

  it("ignores what lies outside and what has no values", () => {
    const { series } = alignMatrix(
      [
        {
          metric: {},
          values: [
            [90, "1"],
            [130, "2"],
          ],
        },
        { metric: {} },
      ],
      window,
    );
    expect(series.map((one) => one.values.every((value) => value === null))).toEqual([true, true]);
  });

  it("keeps a grid of fractions whole", () => {
    expect(alignMatrix([], { start: 0, end: 1, step: 0.1 }).x).toHaveLength(11);
  });
});

describe("stacking", () => {
  it("adds up, counts a gap as nothing, and stays a gap where all have one", () => {
    expect(
      stackColumns([
        [1, null, null],
        [2, 5, null],
      ]),
    ).toEqual([
      [1, 0, null],
      [3, 5, null],
    ]);
    expect(addColumns([[1], [2], [3]])).toEqual([6]);
    expect(addColumns([])).toEqual([]);
  });
});

it("combine needs every value", () => {
  expect(combine((a, b) => a - b, [3, null, 5], [1, 1, null])).toEqual([2, null, null]);
});

it("summary skips gaps", () => {
  expect(summary([null, 2, 4, null])).toEqual({ min: 2, max: 4, mean: 3, last: 4, count: 2 });
  expect(summary([null])).toEqual({ min: null, max: null, mean: null, last: null, count: 0 });
});

it("isolated finds samples that no line can show", () => {
  expect(isolated([1, null, 2, 3, null, 4])).toEqual([0, 5]);
});

it("levelFor rises in steps", () => {
  expect(levelFor(12, [10, 25, 100])).toBe(25);
  expect(levelFor(130, [100])).toBe(200);
  expect(levelFor(0, [1, 5])).toBe(1);
  expect(levelFor(3 * 1024 * 1024, [1024], 1024)).toBe(5 * 1024 * 1024);
});

describe("axes", () => {
  it("say the day where it turns", () => {
    const midnight = new Date(2024, 4, 2).getTime() / 1000;
    expect(timeLabels([midnight - 3600, midnight], 3600)).toEqual(["23:00", "05-02"]);
    expect(timeLabels([midnight + 1], 1)).toEqual(["00:00:01"]);
  });

  it("leave out a label that the edge would cut", () => {
    expect(withoutCut([1, 50, 99], ["9:55", "10:00", "10:05"], { min: 0, max: 100, width: 300 })).toEqual([
      "",
      "10:00",
      "",
    ]);
  });

  it("start at zero unless all values are far from it", () => {
    expect(yRange({})(null, 1, 10)[0]).toBe(0);
    expect(yRange({})(null, 95, 100)[0]).toBeGreaterThan(90);
    expect(yRange({ min: 0, max: 100 })(null, 3, 4)).toEqual([0, 100]);
    const [low, high] = yRange({})(null, 0, 0);
    expect(high).toBeGreaterThan(low);
  });
});

it("columns that continue each other are joined, the later one where both have a value", () => {
  expect(
    joinColumns([
      [1, 1, 1, null, null],
      [null, null, 2, null, 2],
    ]),
  ).toEqual([1, 1, 2, null, 2]);
  expect(joinColumns([])).toBeUndefined();
});

it("24 series differ in colour or dash", () => {
  const looks = Array.from({ length: 24 }, (_, i) => seriesColor(i) + seriesDash(i));
  expect(new Set(looks).size).toBe(24);
});
