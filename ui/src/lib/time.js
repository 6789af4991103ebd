// Times in seconds since 1970 (as the API has them), durations in seconds, and their texts. Everything shown is local time.

const kUnits = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

// "1h30m" -> 5400; null when it is not a duration as PromQL writes them, or is zero.
export function parseDuration(text) {
  const trimmed = String(text ?? "").trim();
  if (!/^(\d+(ms|[smhdwy]))+$/.test(trimmed)) return null;
  let total = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(number) * kUnits[unit];
  return total > 0 ? total : null;
}

// 5400 -> "1h30m": the shortest PromQL duration, exact to the millisecond.
export function formatDuration(seconds) {
  let rest_ms = Math.round(seconds * 1000);
  if (rest_ms <= 0) return "0s";
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const unit_ms = kUnits[unit] * 1000;
    const count = Math.floor(rest_ms / unit_ms);
    if (count > 0) text += `${count}${unit}`;
    rest_ms -= count * unit_ms;
  }
  return text;
}

// How long something lasted, for people: two units at most. "3 d 4 h", "12 min", "850 ms", "180 µs".
export function formatSpan(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.abs(seconds);
  if (s < 0.5e-6) return "0 s";
  if (s < 0.9995e-3) return `${Math.round(s * 1e6)} µs`;
  if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
  if (s < 10) return `${trimZeros(s.toFixed(1))} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

function trimZeros(text) {
  return text.replace(/\.0+$/, "");
}

function two(first, firstUnit, second, secondUnit) {
  return second > 0 ? `${first} ${firstUnit} ${second} ${secondUnit}` : `${first} ${firstUnit}`;
}

export function formatAgo(then_s, now_s) {
  const seconds = now_s - then_s;
  return seconds < 1 ? "now" : `${formatSpan(seconds)} ago`;
}

const pad = (number) => String(number).padStart(2, "0");

export function formatClock(time_s, withSeconds = true) {
  const date = new Date(time_s * 1000);
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return withSeconds ? `${text}:${pad(date.getSeconds())}` : text;
}

export function formatDate(time_s) {
  const date = new Date(time_s * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function formatDateTime(time_s) {
  return `${formatDate(time_s)} ${formatClock(time_s)}`;
}

// The API's RFC 3339 stamps; null for Go's zero time ("0001-01-01T00:00:00Z", which means never) and for nonsense.
export function parseStamp(text) {
  const time_s = Date.parse(text) / 1000;
  return Number.isFinite(time_s) && time_s > 0 ? time_s : null;
}

const kSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// The smallest round step that draws `seconds` in at most `points` points and is no finer than `floor`.
export function stepFor(seconds, points, floor = 1) {
  const least = Math.max(seconds / points, floor);
  return kSteps.find((step) => step >= least) ?? Math.ceil(least / 86400) * 86400;
}

// Start and end on multiples of the step, so that a picture that moves on asks for the same points again.
export function alignedRange(end_s, seconds, step) {
  const end = Math.floor(end_s / step) * step;
  return { start: end - Math.floor(seconds / step) * step, end, step };
}
