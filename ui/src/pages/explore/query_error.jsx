// Why a query failed, and where: the line with a mark under the place.
import { MarkBad } from "../../components/icons.jsx";
import { explain } from "../../components/notice.jsx";
import { excerpt, parseErrorPosition } from "../../lib/positions.js";

const kWords = {
  bad_data: "The query does not parse",
  execution: "The query failed",
  timeout: "The query took too long",
  canceled: "The query was cancelled",
  unavailable: "Not ready",
  unreachable: "No answer",
  refused: "Refused",
  bad_answer: "Not an answer",
};

export function QueryError({ error, expr }) {
  const position = parseErrorPosition(error.message);
  const piece = position && excerpt(expr, position);
  const hint = explain(error);
  return (
    <div className="query-error" role="alert">
      <p className="query-error-title">
        <MarkBad size={12} />
        {(error.kind === "bad_data" && !position ? "The request was not accepted" : kWords[error.kind]) ??
          "The query failed"}
        {position && (
          <span className="quiet">
            {" "}
            line {position.line}, column {position.column}
          </span>
        )}
      </p>
      {piece && (
        <pre className="mono query-error-place">
          {piece.text}
          {"\n"}
          {" ".repeat(piece.mark)}
          <b>^</b>
        </pre>
      )}
      <p>{position?.text ?? error.message}</p>
      {hint && <p className="quiet">{hint}</p>}
    </div>
  );
}
