import { describe, expect, it } from "vitest";
import { activeAlerts, alertText, countRules, filterGroups } from "./rules.js";

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

describe("rules", () => {
  it("list what fires before what is pending, the newest first", () => {
    expect(activeAlerts(groups).map((alert) => alert.name + alert.activeAt)).toEqual(["F2", "F1", "P3"]);
  });

  it("are counted by state, recording rules apart", () => {
    expect(countRules(groups)).toEqual({ alerting: 3, recording: 1, failing: 0, firing: 1, pending: 1, inactive: 1 });
  });

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

  it("say what an alert is about even without annotations", () => {
    expect(alertText({ labels: { alertname: "A", severity: "x", device: "sda" } })).toBe("device sda");
    expect(alertText({ annotations: { summary: "S" }, labels: {} })).toBe("S");
  });
});
