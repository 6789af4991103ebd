import { describe, expect, it } from "vitest";
import { filterGroups, groupPace, worstLabels } from "./groups.js";

const groups = [
  {
    name: "quiet",
    rules: [
      { name: "r", type: "recording", health: "ok", query: "sum(x)" },
      { name: "Q", type: "alerting", state: "inactive", health: "ok", query: "up == 0", alerts: [] },
    ],
  },
  {
    name: "loud",
    rules: [
      {
        name: "P",
        type: "alerting",
        state: "pending",
        health: "ok",
        query: "p",
        alerts: [{ state: "pending", activeAt: "3" }],
      },
      {
        name: "F",
        type: "alerting",
        state: "firing",
        health: "ok",
        query: "f",
        labels: { severity: "critical" },
        alerts: [
          { state: "firing", activeAt: "1" },
          { state: "firing", activeAt: "2" },
        ],
      },
    ],
  },
];

describe("rules by group", () => {
  it("are shown with the worst group and the worst rule on top", () => {
    const shown = filterGroups(groups, "all", "");
    expect(shown.map((group) => group.name)).toEqual(["loud", "quiet"]);
    expect(shown[0].rules.map((rule) => rule.name)).toEqual(["F", "P"]);
  });

  it("are found by state and by words of name, query or label", () => {
    expect(filterGroups(groups, "inactive", "").flatMap((group) => group.rules.map((rule) => rule.name))).toEqual([
      "Q",
    ]);
    expect(filterGroups(groups, "all", "CRITICAL")[0].rules).toHaveLength(1);
    expect(filterGroups(groups, "firing", "up ==")).toEqual([]);
  });

  it("are ordered by the severity of their worst alert while they fire", () => {
    const firing = (name, severity, own) => ({
      name,
      type: "alerting",
      state: "firing",
      health: "ok",
      query: "x",
      labels: { severity },
      alerts: [{ state: "firing", activeAt: "1", labels: { severity: own ?? severity } }],
    });
    const rules = [firing("I", "info"), firing("W", "warning"), firing("T", "info", "page"), firing("C", "critical")];
    expect(filterGroups([{ name: "g", rules }], "all", "")[0].rules.map((rule) => rule.name)).toEqual([
      "T",
      "C",
      "W",
      "I",
    ]);
    expect(worstLabels(rules[2])).toEqual({ severity: "page" });
    expect(worstLabels({ labels: { severity: "info" } })).toEqual({ severity: "info" });
  });
});

describe("the pace of a group", () => {
  const span = (seconds) => `${seconds}s`;
  it("tells its interval, its time and its limit, as far as there are any", () => {
    expect(groupPace({ interval: 15 }, span)).toBe("every 15s");
    expect(groupPace({ interval: 15, evaluationTime: 0.5, limit: 10 }, span)).toBe(
      "every 15s, takes 0.5s, at most 10 a rule",
    );
  });
});
