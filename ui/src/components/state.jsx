// A state as a mark, a colour and a word.
import { severityOf } from "../lib/rules.js";
import { Info, MarkBad, MarkGood, MarkNone, MarkOff, MarkWarn } from "./icons.jsx";

const kMarks = { bad: MarkBad, warn: MarkWarn, good: MarkGood, info: Info, off: MarkOff, none: MarkNone };

export function State({ level, children, plain = false }) {
  const Mark = kMarks[level] ?? MarkNone;
  return (
    <span className={`state state-${level}${plain ? " state-plain" : ""}`}>
      <Mark size={12} />
      {children}
    </span>
  );
}

// What fires is as bad as its severity says; what is only pending is never red.
export function alertLevel(state, labels) {
  const { level } = severityOf(labels);
  if (state === "firing") return level;
  if (state === "pending") return level === "bad" ? "warn" : level;
  return state === "inactive" ? "good" : "none";
}

export function alertWord(state) {
  return { firing: "Firing", pending: "Pending", inactive: "Quiet" }[state] ?? state;
}

export function healthLevel(health) {
  return { up: "good", ok: "good", down: "bad", err: "bad" }[health] ?? "none";
}

export function healthWord(health) {
  return { up: "Up", down: "Down", ok: "OK", err: "Failing" }[health] ?? "Not yet known";
}
