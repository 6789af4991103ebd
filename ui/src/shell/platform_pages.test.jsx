// Services, a service and Containers, whole, against a server that answers as the API does.
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { failure, matrix, serve, vector } from "../test/server.js";
import { App } from "./app.jsx";

const now = () => Date.now() / 1000;
const service = (kind, name, address, more) => ({
  kind,
  name,
  address,
  instance: address,
  origin: "container",
  foundBy: `image ${kind}:1`,
  project: "shop",
  service: name,
  replica: "1",
  containerId: "",
  pid: 0,
  state: "up",
  why: "",
  lastPass: new Date(Date.now() - 2000).toISOString(),
  passSeconds: 0.004,
  samples: 120,
  interval: "5s",
  timeout: "5s",
  ...more,
});
const kGrant = 'GRANT pg_monitor TO "monitor";';
const unread = { lastPass: null, samples: 0, interval: "0s", timeout: "0s" };
const services = [
  service("postgres", "checkout-db", "10.0.0.5:5432", { containerId: "a".repeat(64) }),
  service("postgres", "warehouse", "10.0.0.6:5432", {
    state: "unreadable",
    why: `PostgreSQL at 10.0.0.6:5432: user "monitor" sees its own sessions only; as a superuser run: ${kGrant}`,
  }),
  service("rabbitmq", "events", "10.0.0.9:5672", { state: "unknown", ...unread }),
  service("redis", "cache", "10.0.0.7:6379", { state: "off", why: "switched off by a label", ...unread }),
  service("redis", "sessions", "/run/redis.sock", { state: "down", why: "/run/redis.sock: connection refused" }),
];

const container = (digit, name, more) => ({
  id: digit.repeat(64),
  name,
  image: `${name}:1`,
  project: "shop",
  service: name,
  replica: "1",
  state: "running",
  health: "",
  created: new Date(Date.now() - 7200_000).toISOString(),
  started: new Date(Date.now() - 3600_000).toISOString(),
  restarts: 0,
  exitCode: 0,
  oomKilled: false,
  networkMode: "shop_default",
  addresses: [{ network: "shop_default", address: "10.0.0.5" }],
  ports: [{ containerPort: 5432, hostPort: 15432, hostIp: "127.0.0.1", protocol: "tcp" }],
  ...more,
});
const connected = { state: "connected", socket: "/run/docker.sock", why: "" };
const containers = [
  container("a", "checkout-db"),
  container("b", "web", { health: "unhealthy", restarts: 3 }),
  container("c", "loader", { project: "reports", state: "exited", exitCode: 137, oomKilled: true }),
];
const figure = (of, digit, value) => ({
  metric: { of, id: `/docker/${digit.repeat(64)}`, name: "x" },
  value: [now(), String(value)],
});

// Two samples at the end of the range of whatever is asked.
function drawn(params) {
  const [end, step] = [Number(params.get("end")), Number(params.get("step"))];
  const values = (value) => [
    [end - step, String(value)],
    [end, String(value)],
  ];
  const instance = { instance: "10.0.0.5:5432" };
  const query = params.get("query");
  if (query.includes("pg_settings_max_connections"))
    return matrix(
      { metric: { ...instance, state: "active" }, values: values(90) },
      { metric: { ...instance, of: "limit" }, values: values(100) },
    );
  if (query.includes("xact_commit")) return matrix({ metric: { ...instance, of: "commit" }, values: values(42) });
  if (query.includes("pg_up")) return matrix({ metric: { __name__: "pg_up", ...instance }, values: values(1) });
  return matrix();
}

const routes = (more) => ({
  "/api/v1/rules": { groups: [] },
  "/api/v1/query": vector(),
  "/api/v1/query_range": drawn,
  "/api/v1/metadata": { pg_up: [{ type: "gauge", help: "Whether it can be reached" }] },
  "/api/v1/label/__name__/values": ["pg_stat_database_xact_commit", "pg_up"],
  "/api/platform/v1/services": { services },
  "/api/platform/v1/containers": { engine: connected, containers },
  ...more,
});

function open(path, answers = routes()) {
  history.replaceState(null, "", path);
  const requests = serve(answers);
  render(<App />);
  return requests;
}

describe("Services", () => {
  it("lists what is wrong first, by kind, with the cure ready to be copied", async () => {
    const copied = vi.fn(async () => {});
    vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText: copied } });
    open("/services");
    const postgres = await screen.findByRole("region", { name: "PostgreSQL" });
    expect(screen.getAllByRole("region").map((one) => one.getAttribute("aria-label"))).toEqual([
      "Redis and Valkey",
      "PostgreSQL",
      "rabbitmq",
    ]);
    expect(screen.getByText("1 of 5 services up, 1 down, 1 unreadable")).toBeTruthy();
    expect(
      within(postgres)
        .getAllByRole("heading", { level: 3 })
        .map((one) => one.textContent),
    ).toEqual(["warehouse", "checkout-db"]);
    for (const word of ["Unreadable", "Up"]) expect(within(postgres).getByText(word)).toBeTruthy();
    for (const word of ["Down", "Off", "Not yet known"]) {
      expect(screen.getAllByText(word).some((one) => one.classList.contains("state"))).toBe(true);
    }
    expect(within(postgres).getByText(kGrant)).toBeTruthy();
    fireEvent.click(within(postgres).getByRole("button", { name: `Copy the cure: ${kGrant}` }));
    expect(await within(postgres).findByText("Copied")).toBeTruthy();
    expect(copied).toHaveBeenCalledWith(kGrant);
  });

  it("asks one query a picture for all services of a kind, and draws each its own", async () => {
    const requests = open("/services");
    const postgres = await screen.findByRole("region", { name: "PostgreSQL" });
    expect(await within(postgres).findByText("of 100")).toBeTruthy();
    expect(within(postgres).getByText("42/s")).toBeTruthy();
    expect(within(postgres).getByText("Near the limit")).toBeTruthy();
    expect(within(postgres).getByText(/No sample of it in the last 30 minutes/)).toBeTruthy();
    const asked = requests.filter((one) => one.path === "/api/v1/query_range").map((one) => one.params.get("query"));
    expect(asked.filter((expr) => expr.includes('job="postgres"'))).toHaveLength(3);
    expect(screen.getByText(/recognises this kind, and does not measure it yet/)).toBeTruthy();
    expect(screen.getByText("Nothing is read from it, as was asked for.")).toBeTruthy();
  });

  it("keeps its filters in the address", async () => {
    open("/services?state=wrong");
    expect(await screen.findByText("warehouse")).toBeTruthy();
    expect(screen.queryByText("checkout-db")).toBeNull();
    fireEvent.change(screen.getByLabelText("Search services"), { target: { value: "zzz" } });
    expect(await screen.findByText("No service matches")).toBeTruthy();
    expect(location.search).toBe("?state=wrong&q=zzz");
  });

  it("says why there is none and what to do", async () => {
    const away = { state: "away", socket: "/run/docker.sock", why: "no permission: run `chmod g+rw /run/docker.sock`" };
    open(
      "/services",
      routes({
        "/api/platform/v1/services": { services: [] },
        "/api/platform/v1/containers": { engine: away, containers: [] },
      }),
    );
    expect(await screen.findByText("No service is found yet")).toBeTruthy();
    expect(await screen.findByText("The container engine at /run/docker.sock is away")).toBeTruthy();
    expect(screen.getByText("chmod g+rw /run/docker.sock")).toBeTruthy();
    expect(screen.getByText("observe.docker.socket")).toBeTruthy();
    expect(screen.getByText(/status_url: "http:\/\/127.0.0.1\/stub_status"/)).toBeTruthy();
  });

  it("shows the server's refusal", async () => {
    open("/services", routes({ "/api/platform/v1/services": () => failure("internal", "not now", 500) }));
    expect(await screen.findByText("not now")).toBeTruthy();
  });

  it("follows what changes, with every beat", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let list = services.slice(0, 1);
    open("/services", routes({ "/api/platform/v1/services": () => ({ services: list }) }));
    expect(await screen.findByText("1 of 1 service up")).toBeTruthy();
    list = [service("postgres", "checkout-db", "10.0.0.5:5432", { state: "down", why: "connection refused" })];
    await act(() => vi.advanceTimersByTimeAsync(5100));
    expect(screen.getByText("0 of 1 service up, 1 down")).toBeTruthy();
    expect(screen.getByText("connection refused")).toBeTruthy();
  });
});

describe("a service", () => {
  it("has its facts, its three pictures and all of its metrics", async () => {
    const requests = open("/services/postgres/10.0.0.5%3A5432");
    expect(await screen.findByRole("heading", { level: 1, name: "checkout-db" })).toBeTruthy();
    expect(screen.getByText("image postgres:1")).toBeTruthy();
    expect(screen.getByRole("link", { name: "aaaaaaaaaaaa" }).getAttribute("href")).toBe(
      `/containers?id=${"a".repeat(64)}`,
    );
    const connections = screen.getByRole("region", { name: "Connections against the limit" });
    expect(await within(connections).findByText("90 % of 100")).toBeTruthy();
    const metric = await screen.findByRole("listitem", { name: "pg_up" });
    expect(within(metric).getByText(/Whether it can be reached/)).toBeTruthy();
    await within(metric).findByText("1");
    const explore = within(metric).getByRole("link", { name: "Open in Explore: pg_up" });
    expect(new URLSearchParams(explore.getAttribute("href").split("?")[1]).get("g0.expr")).toBe(
      'pg_up{job="postgres",instance="10.0.0.5:5432"}',
    );
    const names = requests.find((one) => one.path === "/api/v1/label/__name__/values");
    expect(names.params.get("match[]")).toBe('{job="postgres",instance="10.0.0.5:5432"}');
    expect(requests.filter((one) => one.path === "/api/v1/label/__name__/values")).toHaveLength(1);
  });

  it("finds among its metrics, and keeps that and the range in the address", async () => {
    open("/services/postgres/10.0.0.5%3A5432");
    await screen.findByRole("listitem", { name: "pg_up" });
    fireEvent.change(screen.getByLabelText("Search metrics"), { target: { value: "xact" } });
    await waitFor(() => expect(screen.queryByRole("listitem", { name: "pg_up" })).toBeNull());
    expect(screen.getByRole("listitem", { name: "pg_stat_database_xact_commit" })).toBeTruthy();
    fireEvent.click(screen.getByRole("radio", { name: "6h" }));
    expect(location.search).toBe("?q=xact&range=6h");
  });

  it("says why it cannot be read", async () => {
    open("/services/redis/%2Frun%2Fredis.sock");
    expect(await screen.findByRole("heading", { level: 1, name: "sessions" })).toBeTruthy();
    expect(screen.getByText("Down")).toBeTruthy();
    expect(screen.getByText("/run/redis.sock: connection refused")).toBeTruthy();
  });

  it("that is gone keeps what was measured of it", async () => {
    open("/services/postgres/10.9.9.9%3A5432");
    expect(await screen.findByText("It is neither found nor declared any more")).toBeTruthy();
    expect(screen.getByText("Gone")).toBeTruthy();
    expect(await screen.findByRole("listitem", { name: "pg_up" })).toBeTruthy();
  });

  it("without a metric says so", async () => {
    open("/services/redis/%2Frun%2Fredis.sock", routes({ "/api/v1/label/__name__/values": [] }));
    expect(await screen.findByText("No metric of it in this time")).toBeTruthy();
  });

  it("whose address was cut is not found", async () => {
    open("/services/redis");
    expect(await screen.findByText("This address names no service")).toBeTruthy();
  });
});

describe("Containers", () => {
  const names = () =>
    screen
      .getAllByRole("row")
      .slice(1)
      .map((one) => one.querySelector("b").textContent);
  const measured = routes({
    "/api/v1/query": (params) =>
      params.get("query").includes("container_cpu_usage")
        ? vector(
            figure("cpu", "a", 1.5),
            figure("memory", "a", 96 * 1024 ** 2),
            figure("limit", "a", 100 * 1024 ** 2),
            figure("cpu", "b", 0.25),
            figure("in", "b", 2048),
          )
        : vector(),
  });

  it("lists what is wrong first, with what each takes", async () => {
    const requests = open("/containers", measured);
    expect(await screen.findByText("150 %")).toBeTruthy();
    expect(names()).toEqual(["web", "loader", "checkout-db"]);
    for (const text of ["Unhealthy", "Out of memory", "2.00 KiB/s", "96.0 MiB"]) {
      expect(screen.getByText(text)).toBeTruthy();
    }
    expect(screen.getByText("96 %")).toBeTruthy();
    expect(screen.getByText("2 of 3 running, 2 wrong")).toBeTruthy();
    expect(requests.filter((one) => one.path === "/api/v1/query")).toHaveLength(1);
  });

  it("is sorted by a column, and the address says so", async () => {
    open("/containers", measured);
    await screen.findByText("150 %");
    fireEvent.click(screen.getByRole("button", { name: /^CPU/ }));
    expect(names()).toEqual(["checkout-db", "web", "loader"]);
    expect(location.search).toBe("?sort=cpu");
    expect(screen.getByRole("columnheader", { name: /CPU/ }).getAttribute("aria-sort")).toBe("descending");
    fireEvent.click(screen.getByRole("button", { name: /^CPU/ }));
    expect(names()).toEqual(["web", "checkout-db", "loader"]);
    expect(location.search).toBe("?sort=-cpu");
  });

  it("is filtered by project, state and words, and the address says so", async () => {
    open("/containers?state=wrong");
    await screen.findByText("Unhealthy");
    expect(names()).toEqual(["web", "loader"]);
    fireEvent.change(screen.getByRole("combobox", { name: "Project" }), { target: { value: "reports" } });
    expect(names()).toEqual(["loader"]);
    fireEvent.change(screen.getByLabelText("Search containers"), { target: { value: "zzz" } });
    expect(await screen.findByText("No container matches")).toBeTruthy();
    expect(location.search).toBe("?state=wrong&project=reports&q=zzz");
  });

  it("opens one with its details and the services in it", async () => {
    open("/containers");
    fireEvent.click(await screen.findByRole("button", { name: /checkout-db/ }));
    expect(location.search).toBe(`?id=${"a".repeat(64)}`);
    expect(await screen.findByText("127.0.0.1:15432 to 5432/tcp")).toBeTruthy();
    expect(screen.getByText("10.0.0.5 in shop_default")).toBeTruthy();
    const link = await screen.findByRole("link", { name: "postgres 10.0.0.5:5432" });
    expect(link.getAttribute("href")).toBe("/services/postgres/10.0.0.5%3A5432");
    fireEvent.click(screen.getByRole("button", { name: /checkout-db/ }));
    expect(screen.queryByText("10.0.0.5 in shop_default")).toBeNull();
  });

  it("shows thousands by the page, and asks for the figures of those it shows", async () => {
    const many = Array.from({ length: 1000 }, (_, i) =>
      container("d", `c${String(i).padStart(4, "0")}`, { id: String(i).padStart(64, "0") }),
    );
    const requests = open(
      "/containers",
      routes({ "/api/platform/v1/containers": { engine: connected, containers: many } }),
    );
    expect(await screen.findByText("1 to 200 of 1000")).toBeTruthy();
    expect(names()).toHaveLength(200);
    const asked = () => requests.filter((one) => one.path === "/api/v1/query");
    await waitFor(() => expect(asked()).toHaveLength(1));
    expect(asked()[0].method).toBe("POST");
    expect(asked()[0].params.get("query")).toContain("|c0199");
    expect(asked()[0].params.get("query")).not.toContain("c0200");
    fireEvent.click(screen.getByRole("button", { name: "Next" }));
    expect(location.search).toBe("?page=2");
    expect(names()[0]).toBe("c0200");
  });

  it("says that the engine is away, why, and what to do", async () => {
    const why =
      "no permission to use the socket: add its user to the group (usermod -aG docker USER) and start it again";
    const engine = { state: "away", socket: "/run/docker.sock", why };
    open("/containers", routes({ "/api/platform/v1/containers": { engine, containers: [] } }));
    expect(await screen.findByText("The container engine does not answer")).toBeTruthy();
    expect(screen.getByText("usermod -aG docker USER")).toBeTruthy();
    expect(screen.getByText("No container can be seen")).toBeTruthy();
  });

  it("says what to do without an engine, and that one without containers has none", async () => {
    const engine = { state: "off", socket: "", why: "" };
    open("/containers", routes({ "/api/platform/v1/containers": { engine, containers: [] } }));
    expect(await screen.findByText("No container engine is watched")).toBeTruthy();
    expect(screen.getByText("observe.docker.enabled")).toBeTruthy();
  });

  it("keeps its rows where the figures cannot be had", async () => {
    open("/containers", routes({ "/api/v1/query": () => failure("execution", "too much", 422) }));
    expect(await screen.findByText("Unhealthy")).toBeTruthy();
    expect(names()).toEqual(["web", "loader", "checkout-db"]);
  });
});

describe("Overview", () => {
  const region = () => screen.findByRole("region", { name: "What runs here" });

  it("counts services and containers, and leads there", async () => {
    open("/");
    const strip = await region();
    expect(await within(strip).findByText("1 down")).toBeTruthy();
    for (const text of ["1 unreadable", "1 up", "2 failing", "2 running", "3 containers in 2 projects"]) {
      expect(await within(strip).findByText(text)).toBeTruthy();
    }
    fireEvent.click(within(strip).getByRole("link", { name: /^Containers/ }));
    expect(await screen.findByRole("heading", { level: 1, name: "Containers" })).toBeTruthy();
  });

  it("says when the engine is away, and when it cannot be known", async () => {
    const engine = { state: "away", socket: "", why: "" };
    open(
      "/",
      routes({
        "/api/platform/v1/services": () => failure("internal", "no", 500),
        "/api/platform/v1/containers": { engine, containers: [] },
      }),
    );
    const strip = await region();
    expect(await within(strip).findByText("The engine is away")).toBeTruthy();
    expect(await within(strip).findByText("Not known")).toBeTruthy();
  });
});

describe("the navigation", () => {
  it("has Services and Containers after Overview, and a key for each", async () => {
    open("/targets");
    const links = within(screen.getByRole("navigation", { name: "Pages" }))
      .getAllByRole("link")
      .map((one) => one.textContent);
    expect(links.slice(1, 5)).toEqual(["Overview", "Services", "Containers", "Explore"]);
    for (const [key, path] of [
      ["v", "/services"],
      ["c", "/containers"],
    ]) {
      fireEvent.keyDown(document.body, { key: "g" });
      fireEvent.keyDown(document.body, { key });
      expect(location.pathname).toBe(path);
    }
    expect(await screen.findByRole("heading", { level: 1, name: "Containers" })).toBeTruthy();
  });

  it("keeps what a phone's bar has no room for behind More", async () => {
    open("/alerts");
    fireEvent.click(await screen.findByRole("button", { name: "More" }));
    const more = await screen.findByRole("dialog", { name: "More" });
    fireEvent.click(within(more).getByRole("link", { name: "Status" }));
    expect(location.pathname).toBe("/status");
    await waitFor(() => expect(screen.queryByRole("dialog", { name: "More" })).toBeNull());
  });
});
