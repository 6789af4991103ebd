import { describe, expect, it } from "vitest";
import { exploreHref } from "../../lib/explore_href.js";
import { kQueriesMax, parseAddress, parseEnd } from "./address.js";
import { queryWindow } from "./query_block.jsx";

const back = (href) => parseAddress(href.slice(href.indexOf("?")));

describe("Explore's address", () => {
  it("keeps the whole state", () => {
    const queries = [
      { expr: 'rate(a{b="c&d=e"}[1m]) > 1', tab: "graph", stacked: true },
      { expr: "up", tab: "table", stacked: false },
    ];
    const state = { range: "1h30m", end: 1714564800, step: 15 };
    expect(back(exploreHref(queries, state))).toEqual({ queries, ...state });
  });

  it("reads well", () => {
    expect(decodeURIComponent(exploreHref([{ expr: "up" }], { range: "6h" }))).toBe(
      "/explore?g0.expr=up&g0.tab=graph&g0.range_input=6h",
    );
  });

  it("reads links of Prometheus 2 and 3", () => {
    const old = parseAddress("?g0.expr=up&g0.tab=1&g0.stacked=0&g0.range_input=2h&g0.end_input=2024-05-01%2012:00:00");
    expect(old.queries[0].tab).toBe("table");
    expect(old).toMatchObject({ range: "2h", end: 1714564800 });
    expect(parseAddress("?g0.expr=up&g0.tab=0").queries[0].tab).toBe("graph");
  });

  it("falls back where it is nonsense, and is bounded", () => {
    const state = parseAddress("?g0.expr=up&g0.range_input=evil&g0.end_input=never&g0.step_input=-4");
    expect(state).toMatchObject({ range: "1h", end: null, step: null });
    const many = Array.from({ length: 50 }, (_, i) => `g${i}.expr=up`).join("&");
    expect(parseAddress(`?${many}`).queries).toHaveLength(kQueriesMax);
    expect(parseAddress("").queries).toEqual([{ expr: "", tab: "graph", stacked: false }]);
  });

  it("takes an end without a zone as UTC", () => {
    expect(parseEnd("2024-05-01 12:00:00")).toBe(1714564800);
    expect(parseEnd("2024-05-01T14:00:00+02:00")).toBe(1714564800);
    expect(parseEnd("1714564800")).toBe(1714564800);
  });
});

describe("the span of a query", () => {
  it("ends when it was asked to, whatever the step", () => {
    expect(queryWindow("15d", 1714564801, null).end).toBe(1714564801);
    expect(queryWindow("1h", 1714564801.7, 15)).toEqual({ start: 1714564801 - 3600, end: 1714564801, step: 15 });
  });

  it("holds whole steps", () => {
    const { start, end, step } = queryWindow("1h", 1714564801, 7);
    expect((end - start) % step).toBe(0);
    expect(end - start).toBeGreaterThan(3600 - 7);
  });
});
