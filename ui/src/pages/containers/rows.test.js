import { describe, expect, it } from "vitest";
import { figuresFrom, figuresQuery, filterRows, inOrder, kNoProject, projectsOf, rowsFrom, sortRows } from "./rows.js";

const id = (digit) => digit.repeat(64);
const container = (name, more) => ({
  id: id(name[0]),
  name,
  image: `${name}:1`,
  project: "",
  service: "",
  state: "running",
  health: "",
  exitCode: 0,
  oomKilled: false,
  restarts: 0,
  created: new Date(0 + 1000_000).toISOString(),
  started: new Date(2000_000).toISOString(),
  ...more,
});
const sample = (of, value, labels) => ({ metric: { of, ...labels }, value: [0, String(value)] });

describe("the figures of containers", () => {
  it("are asked for in one query, of some or of all", () => {
    const all = figuresQuery(null);
    expect(all.match(/label_replace/g)).toHaveLength(5);
    expect(all).toContain('container_memory_working_set_bytes{job="cadvisor",name!=""}');
    expect(figuresQuery(["a.b", "c-d"])).toContain('name=~"a[.]b|c-d"');
  });

  it("are joined by the id in the cgroup's path, else by name, and never with another container of the same name", () => {
    const figures = figuresFrom([
      sample("cpu", 0.5, { id: `/system.slice/docker-${id("a")}.scope`, name: "a" }),
      sample("cpu", 7, { id: `/docker/${id("f")}`, name: "a" }),
      sample("memory", 90, { id: "/machine.slice/b", name: "b" }),
      sample("limit", 100, { id: "/machine.slice/b", name: "b" }),
    ]);
    const [a, b, c] = rowsFrom([container("a"), container("b"), container("c")], figures, 3000);
    expect(a).toMatchObject({ cpu: 0.5, memory: null, part: null, age_s: 1000 });
    expect(b).toMatchObject({ cpu: null, memory: 90, limit: 100, part: 90 });
    expect(c).toMatchObject({ cpu: null, memory: null, in: null });
  });

  it("have no limit where the kernel has none, and none at all once the container has ended", () => {
    const figures = new Map([[id("a"), { cpu: 1, memory: 5, limit: 0 }]]);
    expect(rowsFrom([container("a")], figures, 0)[0]).toMatchObject({ memory: 5, limit: null, part: null });
    expect(rowsFrom([container("a", { state: "exited" })], figures, 0)[0]).toMatchObject({ memory: null, cpu: null });
  });
});

describe("the rows", () => {
  const rows = rowsFrom(
    [
      container("a", { project: "shop", service: "web" }),
      container("b", { project: "shop", health: "unhealthy" }),
      container("c", { state: "exited" }),
      container("d", { project: "infra" }),
    ],
    new Map([
      [id("a"), { cpu: 0.1, memory: 5 }],
      [id("d"), { cpu: 0.9, memory: 1 }],
    ]),
    3000,
  );
  const names = (list) => list.map((row) => row.name).join("");

  it("come with what is wrong first", () => {
    expect(names(sortRows(rows, "state", false))).toBe("bdac");
    expect(names(sortRows(rows, "state", true))).toBe("cdab");
  });

  it("are sorted by any column, and what has no value comes last either way", () => {
    expect(names(sortRows(rows, "cpu", true))).toBe("dabc");
    expect(names(sortRows(rows, "cpu", false))).toBe("adbc");
    expect(names(sortRows(rows, "name", true))).toBe("dcba");
    expect(names(sortRows(rows, "age", true))[0]).toBe("c");
  });

  it("are found by state, project and words of all that is shown", () => {
    expect(names(filterRows(rows, { show: "wrong" }))).toBe("b");
    expect(names(filterRows(rows, { show: "running" }))).toBe("abd");
    expect(names(filterRows(rows, { show: "ended" }))).toBe("c");
    expect(names(filterRows(rows, { project: "shop" }))).toBe("ab");
    expect(names(filterRows(rows, { project: kNoProject }))).toBe("c");
    expect(names(filterRows(rows, { text: "SHOP web" }))).toBe("a");
    expect(names(filterRows(rows, { text: id("d").slice(0, 12) }))).toBe("d");
  });

  it("keep their places when asked to, with those that are new at the end", () => {
    expect(names(inOrder(rows, [id("c"), id("b"), id("a")]))).toBe("cbad");
  });

  it("are counted by project", () => {
    expect(projectsOf(rows)).toEqual([
      { name: "infra", count: 1 },
      { name: "shop", count: 2 },
      { name: kNoProject, count: 1 },
    ]);
  });

  it("of ten thousand containers are made and sorted in no time", () => {
    const many = Array.from({ length: 10_000 }, (_, i) => container("x", { id: String(i), name: `c${i}` }));
    const began = performance.now();
    sortRows(filterRows(rowsFrom(many, new Map(), 3000), { text: "c" }), "state", false);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
