// Explore's state as an address that reads well and that Prometheus's own page understands, and back:
//   /explore?g0.expr=up&g0.tab=graph&g0.range_input=1h&g0.end_input=2024-05-01+12:00:00
// The range belongs to all queries and is written once, with the first.
import { parseDuration } from "../../lib/time.js";

export const kQueriesMax = 8;
export const kDefaultRange = "1h";
export const kTabs = ["graph", "table"];

const kQueryIndex = /^g(\d{1,3})\./;

// "2024-05-01 12:00:00", always UTC as Prometheus has it, so that the address means the same everywhere.
export function formatEnd(time_s) {
  return new Date(Math.round(time_s) * 1000).toISOString().slice(0, 19).replace("T", " ");
}

export function parseEnd(text) {
  if (!text) return null;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const time = Date.parse(`${text.trim().replace(" ", "T")}${/(Z|[+-]\d\d:\d\d)$/.test(text) ? "" : "Z"}`);
  return Number.isFinite(time) ? time / 1000 : null;
}

// Prometheus 2 wrote 0 for its graph and 1 for its table; 3 writes words.
function parseTab(text) {
  if (text === "1" || text === "table") return "table";
  return "graph";
}

// {queries: [{expr, tab, stacked}], range, end, step}: range a duration's text, end in s or null for now, step in s or null.
export function parseAddress(search) {
  const params = new URLSearchParams(search);
  const indexes = new Set();
  for (const name of params.keys()) {
    const match = kQueryIndex.exec(name);
    if (match) indexes.add(Number(match[1]));
  }
  const queries = [...indexes]
    .sort((a, b) => a - b)
    .slice(0, kQueriesMax)
    .map((i) => ({
      expr: params.get(`g${i}.expr`) ?? "",
      tab: parseTab(params.get(`g${i}.tab`)),
      stacked: params.get(`g${i}.stacked`) === "1" || params.get(`g${i}.display_mode`) === "stacked",
    }));
  const first = `g${Math.min(...indexes, kQueriesMax)}`;
  const get = (name) => params.get(`${first}.${name}`);
  const range = parseDuration(get("range_input")) ? get("range_input").trim() : kDefaultRange;
  const end = parseEnd(get("end_input") ?? get("moment_input"));
  const step = Number(get("step_input")) > 0 ? Number(get("step_input")) : parseDuration(get("step_input"));
  return { queries: queries.length > 0 ? queries : [{ expr: "", tab: "graph", stacked: false }], range, end, step };
}

export function exploreHref(queries, { range = kDefaultRange, end = null, step = null } = {}) {
  const params = new URLSearchParams();
  for (const [i, one] of queries.entries()) {
    params.set(`g${i}.expr`, one.expr);
    params.set(`g${i}.tab`, one.tab ?? "graph");
    if (one.stacked) params.set(`g${i}.display_mode`, "stacked");
    if (i > 0) continue;
    params.set("g0.range_input", range);
    if (end !== null) params.set("g0.end_input", formatEnd(end));
    if (step !== null) params.set("g0.step_input", String(step));
  }
  return `/explore?${params}`;
}
