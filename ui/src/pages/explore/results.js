// What a query gave, made ready for the graph and the table.

import { seriesColor, seriesDash } from "../../charts/palette.js";
import { alignMatrix, summary } from "../../charts/shape.js";
import { parseSample } from "../../lib/format.js";
import { commonLabels, seriesName } from "../../lib/labels.js";

export const kSeriesDrawn = 200;
export const kRowsShown = 500;
const kColumnsMax = 8;

// {x, series, common, total, histograms}: lines with names that leave out what all have in common. The ones with the
// largest values come first, so that a cut at kSeriesDrawn leaves out the least.
export function graphFrom(result, range) {
  const floats = result.filter((one) => one.values?.length > 0);
  const aligned = alignMatrix(floats, range);
  const metrics = aligned.series.map((one) => one.metric);
  const common = commonLabels(metrics);
  const shared = Object.keys(common).filter((name) => name !== "__name__");
  const ranked = aligned.series
    .map((one) => ({ ...one, stats: summary(one.values) }))
    .sort((a, b) => (b.stats.max ?? Number.NEGATIVE_INFINITY) - (a.stats.max ?? Number.NEGATIVE_INFINITY));
  const series = ranked.slice(0, kSeriesDrawn).map((one, i) => ({
    key: seriesName(one.metric),
    label: seriesName(one.metric, shared),
    color: seriesColor(i),
    dash: seriesDash(i),
    values: one.values,
    stats: one.stats,
  }));
  return { x: aligned.x, series, common, total: floats.length, histograms: result.length - floats.length };
}

function cell(sample) {
  if (sample.value) return { time: sample.value[0], text: sample.value[1], value: parseSample(sample.value[1]) };
  if (sample.histogram) {
    const [time, histogram] = sample.histogram;
    return { time, text: `histogram: count ${histogram.count}, sum ${histogram.sum}`, value: Number(histogram.count) };
  }
  const last = sample.values?.at(-1) ?? sample.histograms?.at(-1);
  const count = (sample.values?.length ?? 0) + (sample.histograms?.length ?? 0);
  const text = typeof last?.[1] === "string" ? last[1] : "histogram";
  return { time: last?.[0], text, note: `last of ${count}`, value: parseSample(text) };
}

// {columns, rows, total, kind}: a column a label while there are few of them, else one column with the whole name.
export function tableFrom({ resultType, result }) {
  if (resultType === "scalar" || resultType === "string") {
    const value = resultType === "scalar" ? parseSample(result[1]) : Number.NaN;
    return { columns: [], rows: [{ key: resultType, labels: {}, name: resultType, text: result[1], value }], total: 1 };
  }
  const names = new Set(result.flatMap((one) => Object.keys(one.metric)));
  const ordered = [...names].sort((a, b) => (a === "__name__" ? -1 : b === "__name__" ? 1 : a < b ? -1 : 1));
  const columns = ordered.length <= kColumnsMax ? ordered : [];
  const rows = result.map((one) => ({
    key: seriesName(one.metric),
    name: seriesName(one.metric),
    labels: one.metric,
    ...cell(one),
  }));
  return { columns, rows, total: rows.length };
}

// By "value", "name" or a label; numbers in labels ("cpu 10") sort as numbers.
export function sortRows(rows, by, descending) {
  const compare = (a, b) => {
    if (by === "value") {
      const [x, y] = [a.value, b.value].map((value) => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value));
      return x < y ? -1 : x > y ? 1 : 0;
    }
    const [x, y] = by === "name" ? [a.name, b.name] : [a.labels[by] ?? "", b.labels[by] ?? ""];
    return x.localeCompare(y, "en", { numeric: true });
  };
  const sorted = [...rows].sort(compare);
  return descending ? sorted.reverse() : sorted;
}
