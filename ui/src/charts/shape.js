// From the API's matrices to the columns that uPlot draws: one x column and one y column a series, null where no sample.
import { parseSample } from "../lib/format.js";

export function gridTimes({ start, end, step }) {
  const times = [];
  const count = Math.round((end - start) / step);
  for (let i = 0; i <= count; i += 1) times.push(start + i * step);
  return times;
}

// Puts every sample on the grid of the request. NaN and infinities become null: a canvas cannot draw them.
export function alignMatrix(result, window) {
  const x = gridTimes(window);
  const series = result.map((one) => {
    const values = new Array(x.length).fill(null);
    for (const [time, text] of one.values ?? []) {
      const index = Math.round((time - window.start) / window.step);
      const value = parseSample(text);
      if (index >= 0 && index < x.length && Number.isFinite(value)) values[index] = value;
    }
    return { metric: one.metric, values };
  });
  return { x, series };
}

// Running sums from the first column to the last. A gap in one column counts as 0 where another has a value.
export function stackColumns(columns) {
  const stacked = [];
  for (const [index, column] of columns.entries()) {
    const below = stacked[index - 1];
    stacked.push(
      column.map((value, i) => {
        if (value === null && columns.every((other) => other[i] === null)) return null;
        return (below?.[i] ?? 0) + (value ?? 0);
      }),
    );
  }
  return stacked;
}

export function addColumns(columns) {
  if (columns.length === 0) return [];
  return stackColumns(columns)[columns.length - 1];
}

// Applies `fn` to the values of several columns at each time; null where any is missing.
export function combine(fn, ...columns) {
  return columns[0].map((_, i) => {
    const values = columns.map((column) => column[i]);
    return values.includes(null) || values.includes(undefined) ? null : fn(...values);
  });
}

// One column for several that continue each other: where more than one has a value, the one that began last.
export function joinColumns(columns) {
  const begin = (values) => values.findIndex((value) => value !== null);
  const newest = [...columns].sort((a, b) => begin(b) - begin(a));
  return columns[0]?.map((_, i) => newest.find((values) => values[i] !== null)?.[i] ?? null);
}

export function lastValue(values) {
  for (let i = values.length - 1; i >= 0; i -= 1) if (values[i] !== null) return values[i];
  return null;
}

export function summary(values) {
  let min = null;
  let max = null;
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (value === null) continue;
    if (min === null || value < min) min = value;
    if (max === null || value > max) max = value;
    sum += value;
    count += 1;
  }
  return { min, max, mean: count ? sum / count : null, last: lastValue(values), count };
}

// Samples with nothing on either side: a line cannot show them, so they are drawn as dots.
export function isolated(values) {
  const indexes = [];
  for (let i = 0; i < values.length; i += 1) {
    if (values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) indexes.push(i);
  }
  return indexes;
}

// The least of `levels` that holds `value`, so that a scale changes rarely and in steps; beyond them, the next power of
// `base` times 1, 2 or 5.
export function levelFor(value, levels = [], base = 10) {
  const level = levels.find((one) => value <= one);
  if (level !== undefined) return level;
  if (!(value > 0)) return levels[0] ?? 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 1024 ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1024] : [1, 2, 5, 10];
  return (steps.find((step) => value <= step * power) ?? base) * power;
}
