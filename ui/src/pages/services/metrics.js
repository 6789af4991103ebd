// All metrics of a service as pictures: what each of them is, how it is asked for, and how its answer is drawn.
import { seriesColor, seriesDash } from "../../charts/palette.js";
import { alignMatrix, lastValue, levelFor, summary } from "../../charts/shape.js";
import { formatValue, plural } from "../../lib/format.js";
import { commonLabels, seriesName } from "../../lib/labels.js";
import { rateOf } from "../../lib/live_range.js";

// Lines in one picture; of more series the ones with the highest values are drawn.
export const kSeriesDrawn = 20;
// Series that are asked for, so that the highest are among them.
export const kSeriesAsked = 500;
const kGroupMax = 24;
const kGroupMin = 3;

// SHOW GLOBAL STATUS does not say what counts up: these of its values do not, the others do.
const kMysqlGauge =
  /threads_(connected|running|cached)|open_(files|tables|streams|table_definitions)$|uptime$|_pages(_|$)|page_size|_bytes_(data|dirty)|pending|current|max_|_limit|_size|memory|last_|_lsn|_avg|depth|free|history|state|cluster_(size|conf)|_prepared_stmt_count|not_flushed|ready|connected$/;

const kAge = /(^|_)(start_time|creation_time|boot_time|timestamp|last_save_timestamp|mtime|last_seen)(_seconds)?$/;

// "counter", "gauge", "histogram", "age" (a moment, shown as how long ago) or "info" (labels that say something).
function typeOf(name, about) {
  const type = about[name]?.[0]?.type ?? about[name.replace(/_total$/, "")]?.[0]?.type ?? "unknown";
  if (name.endsWith("_info")) return "info";
  if (type === "counter" || name.endsWith("_total")) return "counter";
  if (kAge.test(name)) return "age";
  if (type === "gauge" || type === "info" || type === "stateset") return "gauge";
  if (name.startsWith("mysql_global_status_") && !kMysqlGauge.test(name.slice("mysql_global_status_".length)))
    return "counter";
  return "gauge";
}

function helpOf(name, about) {
  return about[name]?.[0]?.help ?? about[name.replace(/_(total|sum|count|bucket)$/, "")]?.[0]?.help ?? "";
}

// What a metric's values are measured in, by the end of its name.
function unitOf(name, type) {
  const plain = name.replace(/_total$/, "");
  if (type === "age") return "seconds";
  if (type === "counter") {
    if (/_bytes$/.test(plain)) return "bytes_per_s";
    return /_seconds(_sum)?$/.test(plain) ? "count" : "per_s";
  }
  if (/_bytes(_max|_limit)?$/.test(plain)) return "bytes";
  if (/_seconds(_(max|min|avg|ago))?$|_seconds_ago$/.test(plain)) return "seconds";
  return "count";
}

// Metrics with their types, a histogram's three names as one. names: sorted. Returns [{name, type, unit, help}].
export function metricsFrom(names, about) {
  const all = new Set(names);
  const metrics = [];
  const taken = new Set();
  for (const name of names) {
    if (!name.endsWith("_bucket")) continue;
    const base = name.slice(0, -"_bucket".length);
    if (!all.has(`${base}_count`)) continue;
    for (const end of ["_bucket", "_sum", "_count"]) taken.add(base + end);
    metrics.push({ name: base, type: "histogram", unit: unitOf(base, "gauge"), help: helpOf(base, about) });
  }
  for (const name of names) {
    if (taken.has(name)) continue;
    const summaryPart = /_(sum|count)$/.test(name) && all.has(name.replace(/_(sum|count)$/, ""));
    const type =
      summaryPart && about[name.replace(/_(sum|count)$/, "")]?.[0]?.type === "summary"
        ? "counter"
        : typeOf(name, about);
    metrics.push({ name, type, unit: unitOf(name, type), help: helpOf(name, about) });
  }
  return metrics.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const kOthers = "others";

// By the second word of the name, a large group by the third as well; what would stand nearly alone comes last.
// [{name, metrics, prefix}], in order; prefix: what all of their names begin with.
export function groupMetrics(metrics) {
  const by = (list, words) => {
    const groups = new Map();
    for (const metric of list) {
      const name =
        metric.name
          .split("_")
          .slice(1, 1 + words)
          .join(" ") || metric.name;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(metric);
    }
    return [...groups.entries()].map(([name, found]) => ({ name, metrics: found, prefix: prefixOf(found, words) }));
  };
  const groups = [];
  const alone = [];
  for (const group of by(metrics, 1)) {
    const finer = group.metrics.length > kGroupMax ? by(group.metrics, 2) : [group];
    for (const one of finer) {
      if (one.metrics.length >= kGroupMin) groups.push(one);
      else alone.push(...one.metrics);
    }
  }
  groups.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (alone.length > 0) groups.push({ name: kOthers, metrics: alone, prefix: "" });
  return groups;
}

function prefixOf([{ name }], words) {
  const prefix = `${name
    .split("_")
    .slice(0, 1 + words)
    .join("_")}_`;
  return name.length > prefix.length ? prefix : "";
}

export function findMetrics(metrics, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return metrics.filter(({ name, help }) => {
    const searched = `${name} ${help}`.toLowerCase();
    return words.every((word) => searched.includes(word));
  });
}

// What is drawn, in words.
export const kTypeWords = {
  counter: "per second",
  gauge: "as it is",
  histogram: "half and 99 % stay below",
  age: "how long ago",
  info: "what it says",
};

// ask: {select, step, interval}
export function metricQuery({ name, type }, ask) {
  const selector = `${name}{${ask.select}}`;
  if (type === "counter") return rateOf(selector, ask);
  if (type === "age") return `time() - ${selector}`;
  if (type !== "histogram") return selector;
  const buckets = `sum by (le) (${rateOf(`${name}_bucket{${ask.select}}`, ask)})`;
  const quantile = (q) => `label_replace(histogram_quantile(${q}, ${buckets}), "quantile", "${q}", "", "")`;
  return `${quantile("0.99")} or ${quantile("0.5")}`;
}

// The same as somebody would type it.
export function metricExplore(metric, select) {
  return metricQuery(metric, { select, step: 15, interval: 5 })
    .replaceAll("irate(", "rate(")
    .replaceAll("[60s]", "[1m]");
}

const kOwnLabels = ["__name__", "job", "instance", "project", "service", "replica"];

// {x, series, bounds, figure, foot}; null where the answer has nothing to draw.
export function metricShape(result, range, unit) {
  const aligned = alignMatrix(result, range);
  const drawable = aligned.series
    .map((one) => ({ ...one, stats: summary(one.values) }))
    .filter((one) => one.stats.count > 0);
  if (drawable.length === 0) return null;
  const ranked = drawable.sort((a, b) => b.stats.max - a.stats.max).slice(0, kSeriesDrawn);
  const common = Object.keys(commonLabels(ranked.map((one) => one.metric)));
  const without = [...new Set([...common, ...kOwnLabels])];
  const series = ranked.map((one, i) => ({
    key: seriesName(one.metric),
    label: labelText(one.metric, without),
    color: seriesColor(i),
    dash: seriesDash(i),
    area: ranked.length === 1 ? 0.14 : 0,
    values: one.values,
  }));
  const top = Math.max(...ranked.map((one) => one.stats.max));
  const low = Math.min(...ranked.map((one) => one.stats.min));
  const base = unit === "bytes" || unit === "bytes_per_s" ? 1024 : 10;
  const levels = top === 0 ? [1] : base === 1024 ? [1024] : [0.01, 0.1, 1];
  return {
    x: aligned.x,
    series,
    bounds: low < 0 ? {} : { min: 0, max: levelFor(top * 1.05, levels, base) },
    figure: ranked.length === 1 ? formatValue(lastValue(ranked[0].values), unit) : "",
    foot: footOf(ranked, drawable.length, result.length >= kSeriesAsked, without, unit),
  };
}

function labelText(metric, without) {
  const pairs = Object.entries(metric).filter(([name]) => !without.includes(name));
  if (pairs.length === 0) return metric.__name__ ?? "value";
  if (pairs.length === 1) return pairs[0][1] || `no ${pairs[0][0]}`;
  return pairs.map(([name, value]) => `${name} ${value}`).join(", ");
}

function footOf(ranked, total, cut, without, unit) {
  if (total > ranked.length) return `the ${ranked.length} highest of ${cut ? `${total} or more` : total} series`;
  if (ranked.length === 1)
    return labelText(ranked[0].metric, without).replace(ranked[0].metric.__name__ ?? "value", "");
  const labels = Object.keys(ranked[0].metric).filter((name) => !without.includes(name));
  if (ranked.length <= 3)
    return ranked
      .map((one) => `${labelText(one.metric, without)} ${formatValue(lastValue(one.values), unit)}`)
      .join(", ");
  return `${plural(ranked.length, "series", "series")} by ${labels.join(", ")}`;
}
