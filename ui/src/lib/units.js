// What a query's values are measured in, as far as its text tells: metric names end in their unit.

const kRate = /\b(rate|irate|deriv)\s*\(/;

// "bytes", "bytes_per_s" or "count". A division or a count makes the name's unit say nothing about the result.
export function unitOf(expr) {
  const bare = expr.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`/g, '""');
  if (
    !/_bytes(_total)?\b/.test(bare) ||
    /\/|\b(count|count_over_time|count_values|absent|changes|timestamp)\b/.test(bare)
  )
    return "count";
  if (/[<>=!]=?\s*bool\b/.test(bare)) return "count";
  return kRate.test(bare) ? "bytes_per_s" : "bytes";
}
