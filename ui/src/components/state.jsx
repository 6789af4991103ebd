// A state as a mark, a colour and a word.
import { MarkBad, MarkGood, MarkNone, MarkWarn } from "./icons.jsx";

const kMarks = { bad: MarkBad, warn: MarkWarn, good: MarkGood, none: MarkNone };

export function State({ level, children, plain = false }) {
  const Mark = kMarks[level] ?? MarkNone;
  return (
    <span className={`state state-${level}${plain ? " state-plain" : ""}`}>
      <Mark size={12} />
      {children}
    </span>
  );
}

export function alertLevel(state) {
  return { firing: "bad", pending: "warn", inactive: "good" }[state] ?? "none";
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
