// The pages whole, against a server that answers as the API does: what they show when all is well, when there is nothing,
// and when something is wrong.
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { failure, matrix, serve, vector } from "../test/server.js";
import { App } from "./app.jsx";

const now = () => Date.now() / 1000;
const noRules = { groups: [] };

function fact(name, value, labels = {}) {
  return { metric: { __name__: name, job: "node", instance: "deck-01", ...labels }, value: [now(), String(value)] };
}

const facts = () =>
  vector(
    fact("node_uname_info", 1, { nodename: "deck-01", release: "6.1.0", machine: "x86_64" }),
    fact("node_boot_time_seconds", now() - 7200),
    { metric: { instance: "deck-01", fact: "cores" }, value: [now(), "4"] },
    { metric: { instance: "deck-01", fact: "first" }, value: [now(), String(now() - 5000)] },
    { metric: { instance: "deck-01", fact: "per_minute" }, value: [now(), "12"] },
  );

const firingRules = {
  groups: [
    {
      name: "host",
      file: "host.yml",
      interval: 15,
      rules: [
        {
          name: "DiskFilling",
          type: "alerting",
          state: "firing",
          health: "ok",
          query: "predict_linear(x[6h], 86400) < 0",
          duration: 60,
          labels: { severity: "critical" },
          annotations: {},
          alerts: [
            {
              state: "firing",
              activeAt: new Date(Date.now() - 180_000).toISOString(),
              labels: { alertname: "DiskFilling", mountpoint: "/data" },
              annotations: { summary: "/data fills within a day" },
              value: "-1e+09",
            },
          ],
          lastEvaluation: new Date().toISOString(),
          evaluationTime: 0.001,
        },
        {
          name: "Broken",
          type: "recording",
          health: "err",
          lastError: "many-to-many",
          query: "a * b",
          lastEvaluation: "0001-01-01T00:00:00Z",
        },
      ],
    },
  ],
};

function open(path, routes) {
  history.replaceState(null, "", path);
  const requests = serve(routes);
  render(<App />);
  return requests;
}

describe("Overview", () => {
  it("names the machine, shows its room, and asks one range query a panel", async () => {
    const filesystem = (name, value) =>
      fact(`node_filesystem_${name}`, value, { device: "/dev/sda1", mountpoint: "/", fstype: "ext4" });
    const requests = open("/", {
      "/api/v1/query": (params) =>
        params.get("query").includes("node_filesystem_")
          ? vector(filesystem("size_bytes", 100e9), filesystem("avail_bytes", 3e9))
          : facts(),
      "/api/v1/query_range": matrix(),
      "/api/v1/rules": noRules,
    });
    await screen.findByRole("heading", { level: 1, name: "deck-01" });
    expect(screen.getByText("6.1.0 x86_64")).toBeTruthy();
    await screen.findByText("Nearly full");
    await waitFor(() => expect(requests.filter((one) => one.path === "/api/v1/query_range")).toHaveLength(6));
    expect(await screen.findByText("Nothing is judged")).toBeTruthy();
  });

  it("says why a panel is empty", async () => {
    open("/", { "/api/v1/query": facts, "/api/v1/query_range": matrix(), "/api/v1/rules": noRules });
    expect(await screen.findByText("This kernel reports no pressure")).toBeTruthy();
    expect(await screen.findByText(/some distributions want psi=1/)).toBeTruthy();
  });

  it("says what to do when no host is observed", async () => {
    open("/", { "/api/v1/query": vector(), "/api/v1/rules": noRules });
    expect(await screen.findByText("No host is observed yet")).toBeTruthy();
  });

  it("puts what fires first, in words, and counts it in the navigation and the title", async () => {
    open("/", { "/api/v1/query": facts, "/api/v1/query_range": matrix(), "/api/v1/rules": firingRules });
    const strip = await screen.findByRole("region", { name: "What fires" });
    await within(strip).findByText("1 firing");
    expect(within(strip).getByText("/data fills within a day")).toBeTruthy();
    expect(within(screen.getByRole("navigation")).getByText("1 firing")).toBeTruthy();
    expect(document.title).toBe("(1) Overview · Quarterdeck");
  });

  const other = (metric) => ({ ...metric, metric: { ...metric.metric, instance: "aaa" } });
  const both = () => {
    const { result } = facts();
    return vector(...result.map(other), ...result);
  };
  const node = (instance, discoveredLabels) => ({
    scrapePool: "node",
    scrapeUrl: "http://127.0.0.1:9090/exporters/node/metrics",
    labels: { instance, job: "node" },
    discoveredLabels,
  });
  const several = {
    "/api/v1/query": both,
    "/api/v1/query_range": matrix(),
    "/api/v1/rules": noRules,
    "/api/v1/targets": {
      activeTargets: [node("aaa", { __address__: "aaa:9090" }), node("deck-01", { job: "node" })],
    },
  };

  it("opens on this machine among several, whatever their names", async () => {
    const requests = open("/", several);
    const choice = await screen.findByRole("combobox", { name: "Host" });
    expect(choice.value).toBe("deck-01");
    await waitFor(() => expect(requests.some((one) => one.path === "/api/v1/query_range")).toBe(true));
    const asked = requests.filter((one) => one.path === "/api/v1/query_range").map((one) => one.params.get("query"));
    expect(asked.every((expr) => expr.includes('instance="deck-01"'))).toBe(true);
    expect(requests.filter((one) => one.path === "/api/v1/targets")).toHaveLength(1);
  });

  it("stays on the host of the address", async () => {
    open("/?host=aaa", several);
    expect((await screen.findByRole("combobox", { name: "Host" })).value).toBe("aaa");
  });

  it("opens on a host even where the targets cannot be read", async () => {
    open("/", { ...several, "/api/v1/targets": () => failure("forbidden", "no", 403) });
    expect((await screen.findByRole("combobox", { name: "Host" })).value).toBe("aaa");
  });

  it("says from when on there is data while that is less than what is asked for", async () => {
    open("/?range=7d", { "/api/v1/query": facts, "/api/v1/query_range": matrix(), "/api/v1/rules": noRules });
    expect(await screen.findByText("Data begins")).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: "5m" }));
    await waitFor(() => expect(screen.queryByText("Data begins")).toBeNull());
  });

  it("does not call for help in red when only something is told", async () => {
    const told = structuredClone(firingRules);
    told.groups[0].rules[0].labels.severity = "info";
    told.groups[0].rules[0].alerts[0].labels.severity = "info";
    open("/", { "/api/v1/query": facts, "/api/v1/query_range": matrix(), "/api/v1/rules": told });
    const strip = await screen.findByRole("region", { name: "What fires" });
    await within(strip).findByText("1 firing");
    expect(within(strip).getByText("info")).toBeTruthy();
    expect(document.querySelector(".state-bad, .nav-count-bad, .firing-bad")).toBeNull();
  });

  it("keeps its range in the address", async () => {
    open("/", { "/api/v1/query": facts, "/api/v1/query_range": matrix(), "/api/v1/rules": noRules });
    fireEvent.click(await screen.findByRole("radio", { name: "6h" }));
    expect(location.search).toBe("?range=6h");
  });
});

describe("when the server is gone", () => {
  it("says so, asks again by itself, and says when it is back", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    open("/targets", { "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [], droppedTargetCounts: {} } });
    await screen.findByText("Nothing is scraped");
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    await act(() => vi.advanceTimersByTimeAsync(5100));
    expect(screen.getByText("Quarterdeck does not answer")).toBeTruthy();
    expect(screen.getByText("Nothing is scraped")).toBeTruthy();
    serve({ "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [] } });
    await act(() => vi.advanceTimersByTimeAsync(5100));
    expect(screen.queryByText("Quarterdeck does not answer")).toBeNull();
    expect(screen.getByText("Connected again.")).toBeTruthy();
    await act(() => vi.advanceTimersByTimeAsync(4100));
    expect(screen.queryByText("Connected again.")).toBeNull();
  });

  it("rests while the tab is hidden", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const requests = open("/targets", { "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [] } });
    await screen.findByText("Nothing is scraped");
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await act(async () => document.dispatchEvent(new Event("visibilitychange")));
    const before = requests.length;
    await act(() => vi.advanceTimersByTimeAsync(30_000));
    expect(requests).toHaveLength(before);
    hidden.mockReturnValue(false);
    await act(async () => document.dispatchEvent(new Event("visibilitychange")));
    await waitFor(() => expect(requests.length).toBeGreaterThan(before));
  });
});

describe("Alerts", () => {
  it("shows labels, annotations and how long an alert is active", async () => {
    open("/alerts", { "/api/v1/rules": firingRules });
    await screen.findByRole("heading", { name: "Alerts" });
    expect(await screen.findByText("/data fills within a day")).toBeTruthy();
    expect(screen.getByText("for 3 min")).toBeTruthy();
    expect(screen.getByText("many-to-many")).toBeTruthy();
  });

  it("keeps the filter in the address", async () => {
    open("/alerts?state=failing", { "/api/v1/rules": firingRules });
    expect(await screen.findByText("Broken")).toBeTruthy();
    expect(screen.queryByText("DiskFilling")).toBeNull();
    fireEvent.change(screen.getByLabelText("Search rules"), { target: { value: "zzz" } });
    expect(await screen.findByText("No rule matches")).toBeTruthy();
    expect(location.search).toBe("?state=failing&q=zzz");
  });

  it("says what to do without rules, and what failed", async () => {
    open("/alerts", { "/api/v1/rules": noRules });
    expect(await screen.findByText("No rule is loaded")).toBeTruthy();
    for (const cure of ["judge.rules.defaults", "judge.rules.files", "--prometheus"]) {
      expect(screen.getByText(cure)).toBeTruthy();
    }
  });

  it("tells alerts from the rules that its filter counts", async () => {
    const many = structuredClone(firingRules);
    const [rule] = many.groups[0].rules;
    rule.alerts.push({ ...rule.alerts[0], labels: { alertname: "DiskFilling", mountpoint: "/log" } });
    open("/alerts", { "/api/v1/rules": many });
    expect(await screen.findByText("2 alerts firing, 0 pending")).toBeTruthy();
    expect(within(screen.getByRole("navigation")).getByTitle("2 alerts firing").textContent).toBe("2 firing");
    const filter = screen.getByRole("group", { name: "Rules" });
    expect(within(filter).getByRole("radio", { name: /Firing\s*1/ })).toBeTruthy();
  });

  it("shows the server's refusal", async () => {
    open("/alerts", { "/api/v1/rules": () => failure("internal", "the rules are being loaded", 500) });
    expect(await screen.findByText("the rules are being loaded")).toBeTruthy();
  });
});

describe("Targets", () => {
  const target = {
    scrapePool: "shop",
    scrapeUrl: "http://127.0.0.1:1/metrics",
    health: "down",
    lastError: "connection refused",
    lastScrape: new Date().toISOString(),
    lastScrapeDuration: 0.002,
    scrapeInterval: "5s",
    labels: { job: "shop" },
  };

  it("shows state, error and last scrape", async () => {
    open("/targets", {
      "/api/v1/rules": noRules,
      "/api/v1/targets": { activeTargets: [target], droppedTargetCounts: { shop: 3 } },
    });
    expect(await screen.findByText("connection refused")).toBeTruthy();
    expect(screen.getByText("Down")).toBeTruthy();
    expect(screen.getByText("0 of 1 target up, 3 dropped by relabelling")).toBeTruthy();
  });

  it("says that a target was not scraped yet", async () => {
    const fresh = { ...target, health: "unknown", lastError: "", lastScrape: "0001-01-01T00:00:00Z" };
    open("/targets", { "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [fresh] } });
    expect(await screen.findByText("not yet")).toBeTruthy();
    expect(screen.getByText("Not yet known")).toBeTruthy();
  });
});

describe("Status", () => {
  const answers = {
    "/api/v1/rules": noRules,
    "/api/platform/v1/about": { version: "0.1.0", revision: "abc", build: "release", dataDir: "/var/lib/qd" },
    "/api/v1/status/buildinfo": { version: "3.0.0", revision: "abc", branch: "HEAD", buildDate: "" },
    "/api/v1/status/runtimeinfo": { startTime: new Date().toISOString(), CWD: "/root", reloadConfigSuccess: true },
    "/api/v1/status/tsdb": { headStats: { numSeries: 7 }, seriesCountByMetricName: [{ name: "up", value: 3 }] },
    "/api/v1/status/flags": { listen: "127.0.0.1:9090" },
    "/api/v1/status/config": { yaml: "serve: {}" },
  };
  const told = (name) => screen.getByText(name).nextSibling.textContent;

  it("tells Quarterdeck's version from that of the API, and its data from where it was started", async () => {
    open("/status", answers);
    expect(await screen.findByText("the Prometheus API of 3.0.0")).toBeTruthy();
    expect(["Version", "Commit", "Build"].map(told)).toEqual(["0.1.0", "abc", "release"]);
    expect(await screen.findByText("/var/lib/qd")).toBeTruthy();
    expect(["Data directory", "Working directory"].map(told)).toEqual(["/var/lib/qd", "/root"]);
  });

  it("has every row before its values, and says what is not known", async () => {
    let answer;
    const waits = new Promise((resolve) => {
      answer = resolve;
    });
    open("/status", { ...answers, "/api/platform/v1/about": () => waits });
    await screen.findByText("up");
    const rows = () => [...document.querySelectorAll(".pairs:not(.pairs-wide) dt")].map((one) => one.textContent);
    const before = rows();
    expect(document.querySelector(".skeleton")).toBeTruthy();
    await act(async () => answer(failure("not_found", "no such address", 404)));
    expect(await screen.findByText("the Prometheus API of 3.0.0")).toBeTruthy();
    expect(rows()).toEqual(before);
    expect(told("Version")).toBe("–");
  });
});

describe("Explore", () => {
  const table = "/explore?g0.expr=up&g0.tab=table";

  it("runs the query of the address and shows a sortable table", async () => {
    open(table, {
      "/api/v1/rules": noRules,
      "/api/v1/query": vector(
        { metric: { __name__: "up", job: "a" }, value: [1, "1"] },
        { metric: { __name__: "up", job: "b" }, value: [1, "0"] },
      ),
    });
    expect(await screen.findByText("2 rows")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Value" }));
    const cells = screen.getAllByRole("row").slice(1);
    expect(within(cells[0]).getByText("b")).toBeTruthy();
  });

  it("gives a narrow window two columns: the series without what all share, and the value", async () => {
    vi.stubGlobal("matchMedia", (media) => ({
      media,
      matches: media === "(max-width: 640px)",
      addEventListener() {},
      removeEventListener() {},
    }));
    open(table, {
      "/api/v1/rules": noRules,
      "/api/v1/query": vector(
        { metric: { __name__: "up", job: "a", instance: "x" }, value: [1, "1"] },
        { metric: { __name__: "up", job: "b", instance: "x" }, value: [1, "0"] },
      ),
    });
    expect(await screen.findByText('In all: instance="x"')).toBeTruthy();
    const [head, first] = screen.getAllByRole("row");
    expect(
      within(head)
        .getAllByRole("columnheader")
        .map((one) => one.textContent),
    ).toEqual(["Series", "Value"]);
    expect(
      within(first)
        .getAllByRole("cell")
        .map((one) => one.textContent.trim()),
    ).toEqual(['up{job="a"}', "1"]);
  });

  it("points at the place of a parse error", async () => {
    open("/explore?g0.expr=sum(up))&g0.tab=table", {
      "/api/v1/rules": noRules,
      "/api/v1/query": () =>
        failure("bad_data", 'invalid parameter "query": 1:8: parse error: unexpected right parenthesis'),
    });
    const alert = await screen.findByRole("alert");
    expect(within(alert).getByText("The query does not parse")).toBeTruthy();
    expect(within(alert).getByText("line 1, column 8")).toBeTruthy();
    expect(alert.querySelector("pre").textContent).toBe("sum(up))\n       ^");
  });

  it("tells a query without series from one that fails", async () => {
    open(table, { "/api/v1/rules": noRules, "/api/v1/query": vector() });
    expect(await screen.findByText("The query is fine, but no series matches it")).toBeTruthy();
  });

  it("offers examples that run", async () => {
    const requests = open("/explore", { "/api/v1/rules": noRules, "/api/v1/query_range": matrix() });
    fireEvent.click(await screen.findByText("Memory in use"));
    await waitFor(() => expect(requests.some((one) => one.path === "/api/v1/query_range")).toBe(true));
    expect(new URLSearchParams(location.search).get("g0.expr")).toContain("MemAvailable");
  });

  it("opens under Prometheus's own address too", async () => {
    open("/graph?g0.expr=up&g0.tab=1", { "/api/v1/rules": noRules, "/api/v1/query": vector() });
    expect(await screen.findByRole("heading", { name: "Explore" })).toBeTruthy();
  });
});

describe("the shell", () => {
  it("goes places by keys, but not while somebody types", async () => {
    open("/alerts", { "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [] } });
    const field = await screen.findByLabelText("Search rules");
    fireEvent.keyDown(field, { key: "g" });
    fireEvent.keyDown(field, { key: "t" });
    expect(location.pathname).toBe("/alerts");
    fireEvent.keyDown(document.body, { key: "g" });
    fireEvent.keyDown(document.body, { key: "t" });
    expect(location.pathname).toBe("/targets");
  });

  it("lists its keys and switches the theme for good", async () => {
    open("/targets", { "/api/v1/rules": noRules, "/api/v1/targets": { activeTargets: [] } });
    fireEvent.keyDown(document.body, { key: "d" });
    expect(document.documentElement.dataset.theme).toBe("dark");
    expect(localStorage.getItem("quarterdeck.theme")).toBe("dark");
    fireEvent.keyDown(document.body, { key: "?" });
    expect(await screen.findByText("Dark or light")).toBeTruthy();
  });

  it("gives the focus back to what opened a dialog", async () => {
    open("/alerts", { "/api/v1/rules": noRules });
    const opener = await screen.findByRole("button", { name: "Keyboard shortcuts" });
    opener.focus();
    fireEvent.click(opener);
    const close = await screen.findByRole("button", { name: "Close" });
    close.focus();
    fireEvent.click(close);
    await waitFor(() => expect(screen.queryByText("Dark or light")).toBeNull());
    expect(document.activeElement).toBe(opener);
  });

  it("says so at an address without a page", async () => {
    open("/nowhere", { "/api/v1/rules": noRules });
    expect(await screen.findByText("There is no page at /nowhere")).toBeTruthy();
    expect(screen.getByRole("heading", { level: 1, name: "Not found" })).toBeTruthy();
  });
});
