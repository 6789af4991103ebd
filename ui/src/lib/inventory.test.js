import { describe, expect, it } from "vitest";
import { bornAt, containerState, countContainers, countServices, placeOf, serviceHref } from "./inventory.js";

describe("services", () => {
  it("are counted by state, and a state unheard of is not known", () => {
    const list = ["up", "up", "down", "unreadable", "off", "unknown", "toString"].map((state) => ({ state }));
    expect(countServices(list)).toEqual({ all: 7, up: 2, down: 1, unreadable: 1, off: 1, unknown: 2 });
  });

  it("have an address of their own, whatever theirs is", () => {
    expect(serviceHref({ kind: "postgres", address: "/run/pg/.s.PGSQL.5432" })).toBe(
      "/services/postgres/%2Frun%2Fpg%2F.s.PGSQL.5432",
    );
    expect(placeOf({ project: "shop", service: "db", replica: "2" })).toBe("shop / db / replica 2");
    expect(placeOf({ project: "", service: "", replica: "" })).toBe("");
  });
});

describe("containers", () => {
  const state = (more) => {
    const { level, word } = containerState({ state: "running", health: "", exitCode: 0, oomKilled: false, ...more });
    return `${level} ${word}`;
  };

  it("have the engine's state and the health check as one word", () => {
    expect(state({})).toBe("good Running");
    expect(state({ health: "healthy" })).toBe("good Healthy");
    expect(state({ health: "unhealthy" })).toBe("bad Unhealthy");
    expect(state({ health: "starting" })).toBe("none Starting");
    expect(state({ state: "restarting" })).toBe("bad Restarting");
    expect(state({ state: "paused" })).toBe("warn Paused");
    expect(state({ state: "created" })).toBe("off Created");
    expect(state({ state: "" })).toBe("off Not known");
  });

  it("that ended tell an end that was wanted from one that was not", () => {
    expect(state({ state: "exited" })).toBe("off Exited");
    expect(state({ state: "exited", exitCode: 143 })).toBe("off Exited");
    expect(state({ state: "exited", exitCode: 2 })).toBe("warn Exited (2)");
    expect(state({ state: "exited", exitCode: 137, oomKilled: true })).toBe("bad Out of memory");
  });

  it("are counted, with what is wrong", () => {
    const list = [
      { state: "running", project: "a" },
      { state: "running", health: "unhealthy", project: "a" },
      { state: "exited", exitCode: 1, project: "b" },
      { state: "exited", exitCode: 0, project: "" },
    ];
    expect(countContainers(list)).toEqual({ all: 4, running: 2, bad: 1, warn: 1, stopped: 1, projects: 2 });
  });

  it("are as old as their run, or as themselves where they do not run", () => {
    const times = { created: "2024-01-01T00:00:00Z", started: "2024-01-02T00:00:00Z" };
    expect(bornAt({ state: "running", ...times })).toBe(Date.parse(times.started) / 1000);
    expect(bornAt({ state: "exited", ...times })).toBe(Date.parse(times.created) / 1000);
    expect(bornAt({ state: "running", created: null, started: null })).toBeNull();
  });
});
