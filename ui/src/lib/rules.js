// The answer of /api/v1/rules as the pages need it.

export const kStateOrder = { firing: 0, pending: 1, inactive: 2 };

// Every active alert, firing before pending, the newest first.
export function activeAlerts(groups) {
  const alerts = [];
  for (const group of groups) {
    for (const rule of group.rules ?? []) {
      for (const alert of rule.alerts ?? []) alerts.push({ ...alert, name: rule.name, group: group.name, rule });
    }
  }
  return alerts.sort(
    (a, b) =>
      (kStateOrder[a.state] ?? 3) - (kStateOrder[b.state] ?? 3) ||
      (a.activeAt < b.activeAt ? 1 : a.activeAt > b.activeAt ? -1 : 0),
  );
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

function level(rule) {
  if (rule.state === "firing") return 0;
  if (rule.health === "err") return 1;
  if (rule.state === "pending") return 2;
  return rule.type === "recording" ? 4 : 3;
}

// Groups with the rules that match, what is wrong first in each and the worst group on top.
// show: "all", "firing", "pending", "inactive", "failing" or "recording".
export function filterGroups(groups, show, text) {
  const wanted = text.trim().toLowerCase();
  const fits = (rule) => {
    if (show === "recording" && rule.type !== "recording") return false;
    if (show === "failing" && rule.health !== "err") return false;
    if (["firing", "pending", "inactive"].includes(show) && rule.state !== show) return false;
    if (!wanted) return true;
    return `${rule.name} ${rule.query} ${Object.values(rule.labels ?? {}).join(" ")}`.toLowerCase().includes(wanted);
  };
  return groups
    .map((group) => ({ ...group, rules: (group.rules ?? []).filter(fits).sort((a, b) => level(a) - level(b)) }))
    .filter((group) => group.rules.length > 0)
    .sort((a, b) => level(a.rules[0]) - level(b.rules[0]));
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
