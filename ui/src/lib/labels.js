// Label sets as text.
import { quote } from "./quote.js";

// {a: "x"} -> 'a="x"', sorted, without the name.
export function labelPairs(metric, without = []) {
  return Object.entries(metric)
    .filter(([name]) => name !== "__name__" && !without.includes(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${quote(value)}`);
}

export function seriesName(metric, without = []) {
  const pairs = labelPairs(metric, without);
  const name = metric.__name__ ?? "";
  if (pairs.length === 0) return name || "{}";
  return `${name}{${pairs.join(", ")}}`;
}

// The labels that every one of several series carries with the same value: said once, not on every line.
export function commonLabels(metrics) {
  if (metrics.length < 2) return {};
  const common = { ...metrics[0] };
  for (const metric of metrics) {
    for (const name of Object.keys(common)) if (metric[name] !== common[name]) delete common[name];
  }
  return common;
}
