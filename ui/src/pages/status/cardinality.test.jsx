import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { App } from "../../shell/app.jsx";
import { failure, serve } from "../../test/server.js";
import { fullness, jobRows, labelRows, pairRows, targetRows } from "./shares.js";

const found = {
  series: 1000,
  seriesLimit: 1100,
  labelPairs: 321,
  labelNames: 12,
  jobs: 2,
  targets: 3,
  byMetric: [
    { name: "http_requests_total", series: 400 },
    { name: "queue depth", series: 1 },
  ],
  byJob: [
    { name: "app", series: 900 },
    { name: "", series: 100 },
  ],
  byPair: [{ name: "path=/a=b", series: 30 }],
  byTarget: [{ job: "app", instance: "10.0.0.5:9100", series: 450 }],
  byLabel: [
    { name: "path", values: 80, bytes: 4096 },
    { name: "über", values: 7, bytes: null },
  ],
};

function open(path, answer) {
  history.replaceState(null, "", path);
  const requests = serve({ "/api/v1/rules": { groups: [] }, "/api/platform/v1/cardinality": answer });
  render(<App />);
  return requests;
}

describe("shares", () => {
  it("says how near the limit is", () => {
    expect(fullness({ series: 10, seriesLimit: 100 })).toMatchObject({ level: "good", word: "10 % of 100" });
    expect(fullness({ series: 80, seriesLimit: 100 }).level).toBe("warn");
    expect(fullness({ series: 96, seriesLimit: 100 }).level).toBe("bad");
    expect(fullness({ series: 96, seriesLimit: 0 }).word).toBe("no limit");
  });

  it("makes queries of names, values and labels as they are", () => {
    expect(jobRows(found)[1]).toMatchObject({ name: "no job", share: "10 %", expr: 'count by (__name__) ({job=""})' });
    expect(pairRows(found)[0]).toMatchObject({ name: 'path="/a=b"', expr: 'count by (__name__) ({path="/a=b"})' });
    expect(targetRows(found)[0].expr).toBe('count by (__name__) ({job="app", instance="10.0.0.5:9100"})');
    expect(labelRows(found)[0].expr).toBe('topk(20, count by (path) ({path!=""}))');
    expect(labelRows(found)[1].expr).toBe('topk(20, count by ("über") ({"über"!=""}))');
  });
});

describe("Cardinality", () => {
  it("shows what brings the most series, each with the query that counts it", async () => {
    const requests = open("/status/cardinality", found);
    const metrics = await screen.findByRole("region", { name: "Which metrics have the most series" });
    const link = await within(metrics).findByRole("link", { name: "http_requests_total" });
    expect(new URL(link.href).searchParams.get("g0.expr")).toBe("count(http_requests_total)");
    expect(within(metrics).getByText("40 %")).toBeTruthy();
    expect(new URL(within(metrics).getByRole("link", { name: "queue depth" }).href).searchParams.get("g0.expr")).toBe(
      'count({__name__="queue depth"})',
    );
    expect(screen.getByText("91 % of 1100")).toBeTruthy();
    expect(screen.getByText(/new series are refused/)).toBeTruthy();
    expect(within(screen.getByRole("region", { name: /targets/ })).getByText("10.0.0.5:9100")).toBeTruthy();
    expect(screen.getByText("4.00 KiB")).toBeTruthy();
    fireEvent.change(screen.getByLabelText("Rows"), { target: { value: "50" } });
    await waitFor(() => expect(requests.at(-1).params.get("limit")).toBe("50"));
    expect(location.search).toBe("?rows=50");
  });

  it("says why there is nothing", async () => {
    open("/status/cardinality", failure("unavailable", "too much work is waiting already: try again soon", 503));
    expect((await screen.findAllByText(/too much work is waiting/)).length).toBeGreaterThan(0);
  });

  it("says that there are no series yet", async () => {
    const none = { byMetric: [], byJob: [], byPair: [], byTarget: [], byLabel: [] };
    open("/status/cardinality", { ...found, ...none, series: 0 });
    expect((await screen.findAllByText("There are no series yet")).length).toBe(5);
  });
});
