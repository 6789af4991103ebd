// The answer of /api/v1/rules by group, as Alerts lists it.
import { compareAlerts, severityOf } from "../../lib/rules.js";

// The labels that say how severe a rule's state is: those of its worst alert, which may carry more than the rule does.
export function worstLabels(rule) {
  return [...(rule.alerts ?? [])].sort(compareAlerts)[0]?.labels ?? rule.labels;
}

function order(rule) {
  const severity = severityOf(worstLabels(rule)).rank / 10;
  if (rule.state === "firing") return severity;
  if (rule.health === "err") return 1;
  if (rule.state === "pending") return 2 + severity;
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
    .map((group) => ({ ...group, rules: (group.rules ?? []).filter(fits).sort((a, b) => order(a) - order(b)) }))
    .filter((group) => group.rules.length > 0)
    .sort((a, b) => order(a.rules[0]) - order(b.rules[0]));
}

// How often a group is evaluated, how long that takes, and what bounds it. `span` prints seconds.
export function groupPace(group, span) {
  const parts = [`every ${span(group.interval)}`];
  if (group.evaluationTime > 0) parts.push(`takes ${span(group.evaluationTime)}`);
  if (group.limit > 0) parts.push(`at most ${group.limit} a rule`);
  return parts.join(", ");
}
