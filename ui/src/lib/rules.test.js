import { describe, expect, it } from "vitest";
import { activeAlerts, alertText, countRules, severityOf } from "./rules.js";

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

  it("list the most severe first: one without severity before warnings, the user's own words last", () => {
    const alert = (severity, activeAt, state = "firing") => ({
      state,
      activeAt,
      labels: severity === undefined ? {} : { severity },
    });
    const rule = (...alerts) => ({ name: "R", type: "alerting", state: "firing", alerts });
    const shown = activeAlerts([
      {
        rules: [
          rule(alert("team-b", "9"), alert("info", "8"), alert("Warning", "7")),
          rule(alert("critical", "1", "pending"), alert(undefined, "6"), alert("page", "4"), alert("critical", "5")),
        ],
      },
    ]);
    expect(shown.map((one) => one.activeAt)).toEqual(["5", "4", "6", "7", "8", "9", "1"]);
  });

  it("are red only when somebody must look now", () => {
    const level = (severity) => severityOf({ severity }).level;
    expect(["critical", "page", undefined, "warning", "info", "none", "team-b", "constructor"].map(level)).toEqual([
      "bad",
      "bad",
      "bad",
      "warn",
      "info",
      "info",
      "info",
      "info",
    ]);
    expect(severityOf(undefined).level).toBe("bad");
  });

  it("say what an alert is about even without annotations", () => {
    expect(alertText({ labels: { alertname: "A", severity: "x", device: "sda" } })).toBe("device sda");
    expect(alertText({ annotations: { summary: "S" }, labels: {} })).toBe("S");
  });
});
