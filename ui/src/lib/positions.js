// Where in a query a parse error is. Prometheus and Quarterdeck say "LINE:COLUMN: parse error: …", both counted from 1.

export function parseErrorPosition(message) {
  const match = /(?:^|[^\d:])(\d+):(\d+): parse error: ([\s\S]*)$/.exec(` ${message}`);
  if (!match) return null;
  return { line: Number(match[1]), column: Number(match[2]), text: match[3].trim() };
}

// The line of the query, cut to what is near, with the column where the mark belongs; null when the position is outside.
export function excerpt(query, position, reach = 60) {
  const line = query.split("\n")[position.line - 1];
  if (line === undefined || position.column < 1 || position.column > line.length + 1) return null;
  const at = position.column - 1;
  const from = Math.max(0, at - reach);
  const to = Math.min(line.length, at + reach);
  const lead = from > 0 ? "…" : "";
  return { text: lead + line.slice(from, to) + (to < line.length ? "…" : ""), mark: at - from + lead.length };
}
