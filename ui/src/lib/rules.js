// The answer of /api/v1/rules as the pages need it.

export const kStateOrder = { firing: 0, pending: 1, inactive: 2 };

// By the label `severity`: what must be looked at now, then what can wait, what only tells, and words of the user's own.
// An alert without the label stands with the first: nobody said that it can wait.
const kSeverities = new Map([
  ["critical", { rank: 0, level: "bad" }],
  ["page", { rank: 0, level: "bad" }],
  ["", { rank: 1, level: "bad" }],
  ["warning", { rank: 2, level: "warn" }],
  ["info", { rank: 3, level: "info" }],
  ["none", { rank: 3, level: "info" }],
]);
const kOwnWord = { rank: 4, level: "info" };

export function severityOf(labels) {
  return kSeverities.get((labels?.severity ?? "").toLowerCase()) ?? kOwnWord;
}

// Firing before pending, the most severe first, then the newest.
export function compareAlerts(a, b) {
  return (
    (kStateOrder[a.state] ?? 3) - (kStateOrder[b.state] ?? 3) ||
    severityOf(a.labels).rank - severityOf(b.labels).rank ||
    (a.activeAt < b.activeAt ? 1 : a.activeAt > b.activeAt ? -1 : 0)
  );
}

// Every active alert, what is worst first.
export function activeAlerts(groups) {
  const alerts = [];
  for (const group of groups) {
    for (const rule of group.rules ?? []) {
      for (const alert of rule.alerts ?? []) alerts.push({ ...alert, name: rule.name, group: group.name, rule });
    }
  }
  return alerts.sort(compareAlerts);
}

export function countRules(groups) {
  const counts = { alerting: 0, recording: 0, failing: 0, firing: 0, pending: 0, inactive: 0 };
  for (const group of groups) {
    for (const rule of group.rules ?? []) {
      if (rule.type === "recording") counts.recording += 1;
      else {
        counts.alerting += 1;
        if (rule.state in counts) counts[rule.state] += 1;
      }
      if (rule.health === "err") counts.failing += 1;
    }
  }
  return counts;
}

// What an alert is about, in a few words: its summary, else the labels that its rule does not carry anyway.
export function alertText(alert) {
  const summary = alert.annotations?.summary ?? alert.annotations?.description ?? alert.annotations?.message;
  if (summary) return summary;
  return Object.entries(alert.labels ?? {})
    .filter(([name]) => name !== "alertname" && name !== "severity")
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}
