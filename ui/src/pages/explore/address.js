// Explore's state from its address; the way there is lib/explore_href.js.
import { kDefaultRange } from "../../lib/explore_href.js";
import { parseDuration } from "../../lib/time.js";

export const kQueriesMax = 8;
export const kTabs = ["graph", "table"];

const kQueryIndex = /^g(\d{1,3})\./;

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
