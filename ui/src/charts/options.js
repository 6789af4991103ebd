// What uPlot is told: axes, scales, lines. Kept apart from the component because it is a plain function of its input.
import { formatTick } from "../lib/format.js";
import { formatClock, formatDate } from "../lib/time.js";
import { fade, resolveColor } from "./palette.js";
import { isolated } from "./shape.js";

export const kAxisWidth = 62;
const kFont = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

const kBinaryIncrements = [];
for (let power = 0; power <= 6; power += 1) {
  for (const step of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) kBinaryIncrements.push(step * 1024 ** power);
}

// uPlot's own go from one minute to five, which leaves five minutes on a phone with a single label.
const kTimeIncrements = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 4, 6, 8, 12].map((hours) => hours * 3600),
  ...[1, 2, 3, 5, 7, 10, 15, 30, 60, 90, 180, 365].map((days) => days * 86400),
];

export function timeLabels(splits, increment) {
  let day = "";
  return splits.map((time) => {
    const date = formatDate(time);
    const turned = day !== "" && day !== date;
    day = date;
    if (increment >= 86400 || turned) return date.slice(5);
    return formatClock(time, increment < 60);
  });
}

// A label centred on the last pixels would be cut off, and one on the first would meet the lowest of the y axis: better
// none.
export function withoutCut(splits, labels, { min, max, width }) {
  const room = (3.2 * (max - min)) / width;
  const fits = (at, half) => at - half >= min && at + half <= max;
  return labels.map((label, i) => (fits(splits[i], label.length * room) ? label : ""));
}

function binary(unit) {
  return unit === "bytes" || unit === "bytes_per_s";
}

export function yRange({ min, max, floor }) {
  return (_u, dataMin, dataMax) => {
    if (min !== undefined && max !== undefined) return [min, max];
    if (dataMin === null || dataMin === undefined) return [min ?? 0, max ?? floor ?? 1];
    let low = min ?? Math.min(0, dataMin);
    let high = max ?? Math.max(0, dataMax);
    if (min === undefined && dataMin > 0 && dataMin > dataMax * 0.75) low = dataMin;
    if (high - low === 0) high = low + (floor ?? (Math.abs(low) || 1));
    const room = (high - low) * 0.08;
    if (max === undefined) high = dataMax <= 0 && high === 0 ? 0 : high + room;
    if (min === undefined && low !== 0) low -= room;
    return [low, high];
  };
}

// model: see Chart; when stacked its series come top first here, so that the lines of the lower ones are drawn last.
export function buildOptions(model, { width, height, hooks, onZoom }) {
  const text = resolveColor("var(--text-3)");
  const grid = resolveColor("var(--grid)");
  const axis = { stroke: text, font: kFont, ticks: { show: false }, grid: { stroke: grid, width: 1 } };
  const series = model.series.map((one) => {
    const color = resolveColor(one.color);
    const area = model.stacked ? 0.42 : (one.area ?? 0);
    return {
      label: one.label,
      stroke: color,
      width: model.stacked ? 1 : 1.5,
      dash: one.dash,
      fill: area > 0 ? fade(color, area) : undefined,
      points: {
        show: true,
        size: 4,
        fill: color,
        stroke: color,
        filter: (u, index) => isolated(u.data[index]),
      },
    };
  });
  const bands = [];
  if (model.stacked) {
    for (let i = 1; i < series.length; i += 1) bands.push({ series: [i, i + 1], fill: series[i - 1].fill });
  }
  return {
    width,
    height,
    padding: model.compact ? [4, 0, 2, 0] : [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      points: { size: 6, width: 1.5 },
      drag: { x: Boolean(onZoom), y: false, setScale: false },
      focus: { prox: 24 },
      sync: model.syncKey ? { key: model.syncKey, setSeries: false } : undefined,
    },
    focus: { alpha: 1 },
    scales: {
      x: { time: true, range: () => model.xRange() },
      y: { range: (u, min, max) => yRange(model.yBounds())(u, min, max) },
    },
    axes: [
      {
        ...axis,
        show: !model.compact,
        size: 24,
        gap: 4,
        space: 64,
        incrs: kTimeIncrements,
        values: (u, splits, _a, _s, increment) =>
          withoutCut(splits, timeLabels(splits, increment), { ...u.scales.x, width: u.width - kAxisWidth }),
      },
      {
        ...axis,
        show: !model.compact,
        size: kAxisWidth,
        gap: 6,
        space: 26,
        incrs: binary(model.unit) ? kBinaryIncrements : undefined,
        values: (_u, splits, _a, _s, increment) =>
          splits.map((value) => formatTick(model.mirrored ? Math.abs(value) : value, model.unit, increment)),
      },
    ],
    series: [{}, ...series],
    bands,
    hooks,
  };
}
