import { describe, expect, it } from "vitest";
import { liveRange, rateOf } from "../../lib/live_range.js";
import { hostsFrom, limitsFrom, ownInstance } from "./facts.js";
import { factsQuery, panelQueries } from "./queries.js";
import {
  cpuShape,
  diskShape,
  filesystemRows,
  loadShape,
  memoryShape,
  networkShape,
  pressureShape,
  roomLevel,
} from "./shapes.js";

const range = { start: 0, end: 2, step: 1 };
const series = (metric, ...values) => ({
  metric,
  values: values.flatMap((v, i) => (v === null ? [] : [[i, String(v)]])),
});

describe("the live range", () => {
  it("is the whole range once the data is old enough", () => {
    expect(liveRange(10_000, 900, undefined)).toEqual({ start: 9100, end: 10_000, step: 5 });
    expect(liveRange(10_000, 900, 5_000)).toMatchObject({ start: 9100 });
  });

  it("shows three samples a second apart on more than a tenth of the picture", () => {
    const { start, end, step } = liveRange(1002, 900, 1000);
    expect(step).toBe(1);
    expect(2 / (end - start)).toBeGreaterThan(0.1);
    expect(start).toBeLessThanOrEqual(1000);
  });

  it("grows with the data", () => {
    expect(liveRange(1100, 900, 1000).end - liveRange(1100, 900, 1000).start).toBeGreaterThanOrEqual(100);
  });
});

describe("queries", () => {
  it("take rates over at least four steps and four collections", () => {
    expect(rateOf("x", { step: 1, interval: 5 })).toBe("irate(x[20s])");
    expect(rateOf("x", { step: 60, interval: 5 })).toBe("rate(x[240s])");
    expect(rateOf("x", { step: 5, interval: 15 })).toBe("irate(x[60s])");
  });

  it("quote the host's name", () => {
    expect(panelQueries({ host: 'a"b', step: 5, interval: 5 }).load).toContain('instance="a\\"b"');
  });

  it("count nothing twice while a host has its series under two sets of external labels", () => {
    expect(factsQuery("15m")).toContain("count by (instance) (count by (instance, cpu) (node_cpu_seconds_total");
    expect(factsQuery("15m")).toContain("max by (instance) (count_over_time(");
    expect(factsQuery("15m")).toContain("min by (instance) (min_over_time(");
  });

  it("ask for the oldest sample only while it matters", () => {
    expect(factsQuery("15m")).toContain("min_over_time");
    expect(factsQuery(null)).not.toContain("min_over_time");
  });
});

describe("facts", () => {
  const value = (text) => [100, text];
  const result = [
    {
      metric: { __name__: "node_uname_info", instance: "b", nodename: "deck", release: "6.1", machine: "x86_64" },
      value: value("1"),
    },
    { metric: { __name__: "node_os_info", instance: "b", pretty_name: "Debian 12" }, value: value("1") },
    { metric: { __name__: "node_filefd_allocated", instance: "b" }, value: value("50") },
    { metric: { __name__: "node_filefd_maximum", instance: "b" }, value: value("100") },
    { metric: { instance: "b", fact: "cores" }, value: value("8") },
    { metric: { instance: "b", fact: "first" }, value: value("90") },
    { metric: { instance: "b", fact: "per_minute" }, value: value("12") },
    { metric: { __name__: "node_boot_time_seconds", instance: "a" }, value: value("1") },
  ];

  it("are sorted by host", () => {
    const hosts = hostsFrom(result);
    expect(hosts.map((host) => host.instance)).toEqual(["a", "b"]);
    expect(hosts[1]).toMatchObject({
      nodename: "deck",
      kernel: "6.1",
      os: "Debian 12",
      cores: 8,
      first_s: 90,
      interval_s: 5,
    });
  });

  it("have this machine first, whatever its name", () => {
    expect(hostsFrom(result, "b").map((host) => host.instance)).toEqual(["b", "a"]);
    expect(hostsFrom(result, "").map((host) => host.instance)).toEqual(["a", "b"]);
  });

  it("know this machine by what is collected without an address", () => {
    const target = (scrapePool, path, instance, discoveredLabels) => ({
      scrapePool,
      scrapeUrl: `http://127.0.0.1:9090${path}`,
      labels: { instance },
      discoveredLabels,
    });
    const scraped = [
      target("node", "/metrics", "a", { __address__: "a:9100" }),
      target("node", "/exporters/node/metrics", "c", { __address__: "c:9090" }),
      target("quarterdeck", "/metrics", "b", {}),
    ];
    expect(ownInstance([...scraped, target("node", "/exporters/node/metrics", "b", {})])).toBe("b");
    expect(ownInstance(scraped)).toBe("");
  });

  it("show only limits that exist", () => {
    expect(limitsFrom(hostsFrom(result)[1]).map((limit) => [limit.name, limit.used])).toEqual([["Open files", 50]]);
    expect(limitsFrom(hostsFrom(result)[0])).toEqual([]);
  });
});

describe("pictures", () => {
  it("of the processor are shares, whatever the number of cores", () => {
    const shape = cpuShape([series({ mode: "idle" }, null, 3, 2), series({ mode: "user" }, null, 1, 2)], range);
    expect(shape.series[0].values).toEqual([null, 25, 50]);
    expect(shape.figure).toBe("50 %");
    expect(shape.bounds).toEqual({ min: 0, max: 50 });
    expect(cpuShape([], range)).toBeNull();
  });

  it("of memory count what can be given back as available", () => {
    const memory = (name, v) => series({ __name__: `node_memory_${name}_bytes` }, v, v, v);
    const shape = memoryShape([memory("MemTotal", 1000), memory("MemFree", 100), memory("MemAvailable", 600)], range);
    expect(shape.series.map((one) => one.values[2])).toEqual([400, 500]);
    expect(shape.figure).toBe("40 %");
    expect(memoryShape([memory("MemTotal", 1)], range)).toBeNull();
  });

  it("of memory, load and waiting go on over a change of external labels", () => {
    const two = (name, old, later) => [
      series({ __name__: name, dc: "a" }, ...old),
      series({ __name__: name }, ...later),
    ];
    const memory = ["MemTotal", "MemFree", "MemAvailable"].flatMap((name) =>
      two(`node_memory_${name}_bytes`, [100, 100, null], [null, 60, 60]),
    );
    expect(memoryShape(memory, range).figure).toBe("0 %");
    expect(loadShape(two("node_load1", [1, 1, null], [null, 3, 3]), range, 4).series[0].values).toEqual([1, 3, 3]);
    const waits = pressureShape(
      [series({ way: "io", dc: "a" }, 0.1, null, null), series({ way: "io" }, null, 0.2, 0.2)],
      range,
    );
    expect(waits.series[0].values).toEqual([10, 20, 20]);
  });

  it("of load have the cores as a line, in sight once it matters", () => {
    const load = (v) => loadShape([series({ __name__: "node_load1" }, v)], range, 4);
    expect(load(3).bounds.max).toBeGreaterThan(4);
    expect(load(0.3).bounds.max).toBeLessThan(4);
    expect(load(3).marks).toEqual([{ value: 4, label: "4 cores" }]);
  });

  it("of disks add devices, reads above and writes below zero", () => {
    const shape = diskShape(
      [
        series({ way: "read", device: "a" }, 100, 100, 100),
        series({ way: "read", device: "b" }, 50, 50, 50),
        series({ way: "write", device: "a" }, 10, 10, 10),
        series({ way: "busy", device: "b" }, 0.5, 0.5, 0.5),
      ],
      range,
    );
    expect(shape.series.map((one) => one.values[0])).toEqual([150, -10]);
    expect(shape.note).toContain("busiest: b, 50 %");
    expect(diskShape([], range)).toBeNull();
  });

  it("of the network name their interfaces", () => {
    const shape = networkShape(
      [series({ way: "in", device: "eth0" }, 1), series({ way: "out", device: "eth0" }, 2)],
      range,
    );
    expect(shape.note).toBe("eth0");
  });

  it("of pressure are percent", () => {
    expect(pressureShape([series({ way: "io" }, 0.25)], range).series[0].values[0]).toBe(25);
    expect(pressureShape([], range)).toBeNull();
  });
});

describe("filesystems", () => {
  const fs = (name, device, mountpoint, value) => ({
    metric: { __name__: `node_filesystem_${name}`, device, mountpoint, fstype: "ext4" },
    value: [0, String(value)],
  });

  it("are listed once a device, the fullest first, with a word for their state", () => {
    const rows = filesystemRows([
      fs("size_bytes", "sda", "/", 100),
      fs("avail_bytes", "sda", "/", 80),
      fs("size_bytes", "sdb", "/data/bind", 100),
      fs("avail_bytes", "sdb", "/data/bind", 4),
      fs("size_bytes", "sdb", "/data", 100),
      fs("avail_bytes", "sdb", "/data", 4),
    ]);
    expect(rows.map((row) => [row.mountpoint, row.level])).toEqual([
      ["/data", "bad"],
      ["/", "good"],
    ]);
  });

  it("are nearly full as well when only their inodes are", () => {
    const rows = filesystemRows([
      fs("size_bytes", "sda", "/", 100),
      fs("avail_bytes", "sda", "/", 90),
      fs("files", "sda", "/", 100),
      fs("files_free", "sda", "/", 2),
    ]);
    expect(rows[0].level).toBe("bad");
    expect(roomLevel(90).level).toBe("warn");
  });
});
