import { describe, expect, it } from "vitest";
import { groupServices, selectionOf } from "./groups.js";
import { kindOf, kKinds } from "./kinds.js";
import { findMetrics, groupMetrics, kSeriesDrawn, metricQuery, metricShape, metricsFrom } from "./metrics.js";

const ask = { select: 'job="x"', step: 5, interval: 5 };
const picture = (kind, id) => kKinds[kind].pictures.find((one) => one.id === id);
const lines = (...list) => list.map(([metric, ...values]) => ({ metric, values }));

describe("services by kind", () => {
  const service = (kind, name, state) => ({ kind, name, state, address: name, interval: "5s", why: "", foundBy: "" });
  const list = [
    service("redis", "r", "up"),
    service("redis", "s", "off"),
    service("nginx", "n", "down"),
    service("postgres", "p10", "up"),
    service("postgres", "p9", "up"),
    service("rabbitmq", "q", "unknown"),
  ];
  const shown = (...args) =>
    groupServices(list, ...args).map((group) => group.services.map((one) => one.name).join(" "));

  it("come with what is wrong first, then in the order of kinds", () => {
    expect(shown("all", "")).toEqual(["n", "p9 p10", "r s", "q"]);
    expect(groupServices(list, "all", "")[2]).toMatchObject({ name: "Redis and Valkey", up: 1, all: 2, interval_s: 5 });
  });

  it("are found by state and words", () => {
    expect(shown("wrong", "")).toEqual(["n", "q"]);
    expect(shown("off", "")).toEqual(["s"]);
    expect(shown("all", "redis r")).toEqual(["r s"]);
    expect(shown("up", "p1")).toEqual(["p10"]);
  });

  it("are selected by job and instance, but what is scraped by its instance alone", () => {
    expect(selectionOf("redis", 'a"b')).toBe('job="redis",instance="a\\"b"');
    expect(selectionOf("redis")).toBe('job="redis"');
    expect(selectionOf("openmetrics", "a:1")).toBe('instance="a:1"');
  });
});

describe("the three pictures", () => {
  it("are there for each kind that is measured, ask for the selection only, and draw nothing of nothing", () => {
    for (const { pictures } of Object.values(kKinds)) {
      expect(pictures).toHaveLength(3);
      for (const one of pictures) {
        expect(one.query(ask)).toContain('{job="x"');
        expect(one.query(ask)).not.toContain("undefined");
        expect(one.shape([])).toBeNull();
        expect(one.empty.hint).toBeTruthy();
      }
    }
    expect(kindOf("rabbitmq")).toEqual({ name: "rabbitmq", pictures: [] });
  });

  it("say how long a certificate lasts, and when that is short", () => {
    const day = 86_400;
    const { shape } = picture("blackbox", "certificate");
    expect(shape(lines([{}, 90 * day])).state).toBeUndefined();
    expect(shape(lines([{}, 5 * day])).state).toEqual({ level: "warn", word: "Expires soon" });
    expect(shape(lines([{}, -1])).state).toEqual({ level: "bad", word: "Expired" });
  });

  it("show connections by state against the limit, and say when it is near", () => {
    const shape = picture("postgres", "connections").shape(
      lines(
        [{ state: "idle" }, 10, 60],
        [{ state: "active" }, 5, 30],
        [{ state: "disabled" }, 0, 0],
        [{ of: "limit" }, 100, 100],
      ),
    );
    expect(shape.series.map((one) => one.key)).toEqual(["active", "idle"]);
    expect(shape).toMatchObject({ figure: "90", limit: "100", note: "90 % of 100", stacked: true });
    expect(shape.state).toEqual({ level: "warn", word: "Near the limit" });
    expect(shape.bounds.max).toBeGreaterThan(100);
  });

  it("leave a limit out that is far away or not set", () => {
    const memory = picture("redis", "memory");
    const far = memory.shape(lines([{ of: "used" }, 1000], [{ of: "limit" }, 1e9]));
    expect(far.bounds.max).toBeLessThan(1e6);
    expect(far.limit).toBe("954 MiB");
    const none = memory.shape(lines([{ of: "used" }, 1000], [{ of: "limit" }, 0]));
    expect(none.limit).toBeUndefined();
    expect(none.marks).toEqual([]);
    // A cache that is full does what it is for.
    expect(memory.shape(lines([{ of: "used" }, 99], [{ of: "limit" }, 100])).state).toBeUndefined();
  });

  it("draw a share of hits from near below, and nothing while nothing is asked", () => {
    const hits = picture("redis", "hits");
    expect(hits.shape(lines([{}, 99.2, 99.6]))).toMatchObject({ bounds: { min: 99, max: 100 }, figure: "99.6 %" });
    expect(hits.shape(lines([{}, 3, 40])).bounds.min).toBe(0);
    expect(hits.shape(lines([{}, null, null]))).toBeNull();
  });

  it("tell failing responses of nginx in their figure", () => {
    const codes = picture("nginx", "codes");
    expect(codes.shape(lines([{ class: "2xx" }, 90], [{ class: "5xx" }, 2])).figure).toBe("2/s 5xx");
    expect(codes.shape(lines([{ class: "2xx" }, 90])).figure).toBe("90/s");
  });
});

describe("all metrics of a service", () => {
  const about = {
    redis_commands_total: [{ type: "counter", help: "Calls" }],
    redis_up: [{ type: "gauge", help: "" }],
    redis_latency_usec: [{ type: "histogram", help: "Latencies" }],
    pg_stat_database_xact_commit: [{ type: "counter", help: "" }],
  };
  const types = (...names) => Object.fromEntries(metricsFrom(names, about).map((one) => [one.name, one.type]));

  it("have a type by what is known of them, else by their names", () => {
    expect(
      types(
        "redis_commands_total",
        "redis_up",
        "redis_instance_info",
        "redis_start_time_seconds",
        "pg_stat_database_xact_commit",
        "mysql_global_status_queries",
        "mysql_global_status_threads_connected",
        "strange",
      ),
    ).toEqual({
      redis_commands_total: "counter",
      redis_up: "gauge",
      redis_instance_info: "info",
      redis_start_time_seconds: "age",
      pg_stat_database_xact_commit: "counter",
      mysql_global_status_queries: "counter",
      mysql_global_status_threads_connected: "gauge",
      strange: "gauge",
    });
  });

  it("make one picture of a histogram", () => {
    const metrics = metricsFrom(
      ["redis_latency_usec_bucket", "redis_latency_usec_count", "redis_latency_usec_sum"],
      about,
    );
    expect(metrics).toEqual([{ name: "redis_latency_usec", type: "histogram", unit: "count", help: "Latencies" }]);
    const query = metricQuery(metrics[0], ask);
    expect(query).toContain("histogram_quantile(0.99, sum by (le) (irate(redis_latency_usec_bucket{");
    expect(query).toContain("histogram_quantile(0.5,");
  });

  it("are asked for as rates, as they are, or as how long ago", () => {
    const query = (type) => metricQuery({ name: "m", type }, ask);
    expect(query("counter")).toBe('irate(m{job="x"}[20s])');
    expect(query("gauge")).toBe('m{job="x"}');
    expect(query("age")).toBe('time() - m{job="x"}');
  });

  it("are grouped by the second word, large groups finer, single ones together", () => {
    const names = [
      ...Array.from({ length: 20 }, (_, i) => `pg_stat_database_${i}`),
      ...Array.from({ length: 10 }, (_, i) => `pg_stat_wal_${i}`),
      "pg_locks_a",
      "pg_locks_b",
      "pg_locks_c",
      "pg_up",
      "pg_stat_lonely",
    ];
    expect(groupMetrics(metricsFrom(names, {})).map((one) => [one.name, one.metrics.length, one.prefix])).toEqual([
      ["locks", 3, "pg_locks_"],
      ["stat database", 20, "pg_stat_database_"],
      ["stat wal", 10, "pg_stat_wal_"],
      ["others", 2, ""],
    ]);
  });

  it("are found by words of name and help", () => {
    const metrics = metricsFrom(["redis_commands_total", "redis_up"], about);
    expect(findMetrics(metrics, "CALLS redis").map((one) => one.name)).toEqual(["redis_commands_total"]);
  });

  it("draw a bounded number of series, the highest, and say so", () => {
    const range = { start: 0, end: 5, step: 5 };
    const result = Array.from({ length: 60 }, (_, i) => ({
      metric: { __name__: "m", job: "x", instance: "a", db: `db${i}` },
      values: [
        [0, String(i)],
        [5, String(i)],
      ],
    }));
    const shape = metricShape(result, range, "count");
    expect(shape.series).toHaveLength(kSeriesDrawn);
    expect(shape.series[0].label).toBe("db59");
    expect(shape.foot).toBe("the 20 highest of 60 series");
    expect(metricShape(result.slice(0, 1), range, "count")).toMatchObject({ figure: "0", foot: "db0" });
    expect(metricShape(result.slice(0, 5), range, "count").foot).toBe("5 series by db");
    expect(metricShape([], range, "count")).toBeNull();
  });
});
