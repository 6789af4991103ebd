// Explore's state as an address that reads well and that Prometheus's own page understands:
//   /explore?g0.expr=up&g0.tab=graph&g0.range_input=1h&g0.end_input=2024-05-01+12:00:00
// The range belongs to all queries and is written once, with the first. pages/explore/address.js reads it.

export const kDefaultRange = "1h";

// "2024-05-01 12:00:00", always UTC as Prometheus has it, so that the address means the same everywhere.
export function formatEnd(time_s) {
  return new Date(Math.round(time_s) * 1000).toISOString().slice(0, 19).replace("T", " ");
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
