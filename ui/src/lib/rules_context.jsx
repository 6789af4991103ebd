// The rules, asked for once for the whole page: the navigation counts what fires, Overview and Alerts show it.
import { createContext, useContext, useMemo } from "react";
import { rules } from "../api/prometheus.js";
import { usePoll } from "./hooks.js";
import { activeAlerts, countRules } from "./rules.js";

const kNone = { groups: [], alerts: [], firing: 0, pending: 0, counts: countRules([]), error: null, ready: false };
const Rules = createContext(kNone);

export function RulesProvider({ children }) {
  const { data, error } = usePoll("rules", (signal) => rules({ signal }));
  const value = useMemo(() => {
    const groups = data?.groups ?? [];
    const alerts = activeAlerts(groups);
    const firing = alerts.filter((alert) => alert.state === "firing").length;
    const pending = alerts.length - firing;
    return { groups, alerts, firing, pending, counts: countRules(groups), error, ready: data !== undefined };
  }, [data, error]);
  return <Rules value={value}>{children}</Rules>;
}

export const useRules = () => useContext(Rules);
