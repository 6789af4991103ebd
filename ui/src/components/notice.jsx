// What stands where data would: why there is none and what to do, or what went wrong.
import { MarkBad } from "./icons.jsx";

export function Empty({ title, children }) {
  return (
    <div className="notice">
      <p className="notice-title">{title}</p>
      {children && <p className="notice-hint">{children}</p>}
    </div>
  );
}

export function explain(error) {
  if (error.kind === "unreachable") return "It is asked again every few seconds; nothing has to be done here.";
  if (error.kind === "refused") return "Reading needs a token here. Ask whoever runs this Quarterdeck for one.";
  if (error.kind === "bad_answer") return "Something between this page and Quarterdeck answers in its place.";
  return null;
}

export function Failure({ error }) {
  return (
    <div className="notice notice-bad" role="alert">
      <p className="notice-title">
        <MarkBad size={12} /> {error.message}
      </p>
      {explain(error) && <p className="notice-hint">{explain(error)}</p>}
    </div>
  );
}

// Grey lines in the place of text that is on its way.
export function Skeleton({ rows = 3, height = 16 }) {
  return (
    <div className="skeleton-rows" aria-hidden="true">
      {Array.from({ length: rows }, (_, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are alike.
        <div key={i} className="skeleton" style={{ height, width: `${[92, 78, 86, 64][i % 4]}%` }} />
      ))}
    </div>
  );
}
